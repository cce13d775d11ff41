"""Groups of listeners: who joins which, what each hears, and what the pages and the export know of it."""

from __future__ import annotations

from collections import Counter

import pytest
from postgres import both
from scripted_listener import BUILD, answer_all, finished
from streamlit.testing.v1 import AppTest
from tiny_study import make_tiny_study

from study.design import DesignError, load
from study.pages import listener
from study.server.server import PAGES
from study.store.builds import parts
from study.store.store import Store, StoreError

GROUPS = [["first", 1, [["UMG"], ["VAR"]]], ["second", 2, [["VAR"]]]]
DESIGN = """
[[group]]
name = "both"
blocks = [["VAR"], ["UMG"]]

[[group]]
name = "short"
sets = ["UMG"]
instructions = "You hear one part alone."
"""


def groups_of(store: Store) -> dict[str, str | None]:
    return {one.name: one.group_name for one in store.listeners()}


@both
def test_groups_fill_by_their_shares_whoever_drops_out(database_url):
    store = Store(database_url)
    store.register_build(**BUILD, groups=GROUPS)
    for number in range(6):
        store.invite(f"L{number}")
        counts = Counter(groups_of(store).values())
        assert abs(counts["second"] - 2 * counts["first"]) <= 2
    assert Counter(groups_of(store).values()) == {"first": 2, "second": 4}
    gone = [name for name, group in groups_of(store).items() if group == "first"]
    for name in gone:
        store.revoke(name)
    store.invite("L6")
    store.invite("L7")
    assert {groups_of(store)[name] for name in ("L6", "L7")} == {"first"}
    assert store.restore(gone[0])
    assert groups_of(store)[gone[0]] == "first"
    store.close()


def test_each_group_has_balanced_orders_of_its_own(store):
    store.register_build(**BUILD, groups=GROUPS)
    for number in range(12):
        store.invite(f"L{number}")
    with store.engine.connect() as connection:
        numbers = connection.exec_driver_sql("SELECT group_name, number FROM listener ORDER BY id").all()
    of_group = {name: [number for group, number in numbers if group == name] for name in ("first", "second")}
    assert of_group == {"first": [0, 1, 2, 3], "second": [0, 1, 2, 3, 4, 5, 6, 7]}
    heard = [[name for _, name, _ in parts(store.build(), number, "first")[1:]] for number in range(4)]
    assert heard == [["UMG", "VAR"]] * 4, "blocks come one after the other"
    assert [name for _, name, _ in parts(store.build(), 0, "second")] == ["practice", "VAR"]


def test_groups_are_sealed_with_the_sets(store):
    store.register_build(**BUILD, groups=GROUPS)
    store.register_build(**BUILD, groups=[["one", 1, [["UMG", "VAR"]]]])
    store.register_build(**BUILD)
    store.register_build(**BUILD, groups=GROUPS)
    name = "Ann"
    token = store.invite(name)
    person = store.find(token)
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    answer_all(store, name)
    with pytest.raises(StoreError, match="groups may not change"):
        store.register_build(**BUILD)


def test_a_new_build_puts_everybody_into_a_group_of_it(store):
    store.register_build(**BUILD)
    for number in range(4):
        store.invite(f"L{number}")
    assert set(groups_of(store).values()) == {None}
    store.register_build(**BUILD, groups=[["a", 1, [["UMG"]]], ["b", 1, [["VAR"]]]])
    assert Counter(groups_of(store).values()) == {"a": 2, "b": 2}
    totals = {one.group_name: one.total for one in store.listeners()}
    assert totals == {"a": 4, "b": 2}
    store.register_build(**BUILD)
    assert set(groups_of(store).values()) == {None}
    with store.engine.connect() as connection:
        numbers = connection.exec_driver_sql("SELECT number FROM listener").scalars().all()
    assert sorted(numbers) == [0, 1, 2, 3]


def test_pages_speak_of_what_the_group_hears_and_the_export_names_it(serve, tmp_path, monkeypatch):
    served = serve(make_tiny_study(tmp_path / "groups", listening=DESIGN))
    for name in ("Ann", "Bo"):
        served.store.invite(name)
    texts = {}
    for one in served.store.listeners():
        monkeypatch.setattr(listener, "token", lambda secret=one.token: secret)
        page = AppTest.from_file(str(PAGES), default_timeout=120).run()
        texts[one.group_name] = " ".join(markdown.value for markdown in page.markdown)
    assert "in 2 parts" in texts["both"]
    assert "You hear one part alone." not in texts["both"]
    assert "in 2 parts" not in texts["short"]
    assert "You hear one part alone." in texts["short"]
    finished(served, "Ann", "Bo")
    rows = served.store.answers()
    assert {(row["group"], row["set"]) for row in rows} == {
        ("both", "UMG"),
        ("both", "VAR"),
        ("short", "UMG"),
    }
    assert [row["set"] for row in rows if row["group"] == "both"] == ["VAR", "VAR", "UMG", "UMG"]


def test_second_passes_count_parts_of_the_group_alone(serve, tmp_path):
    served = serve(make_tiny_study(tmp_path / "passes", listening="passes = 2\n" + DESIGN))
    finished(served, "Ann", "Bo")
    places = {(row["group"], row["set"], row["rating_set_position"]) for row in served.store.answers()}
    assert {place for group, _, place in places if group == "short"} == {1}
    assert {place for group, _, place in places if group == "both"} == {1, 2}


@pytest.mark.parametrize(
    ("groups", "line"),
    [
        (
            'name = "a"\nsets = ["UMX"]',
            'group[1].sets = "UMX": names no set of this study; sets are: UMG, VAR',
        ),
        ('name = "a"\nsets = ["UMG"]', "set.VAR: is heard by no group; add it to the `sets` of a [[group]]"),
        ('name = "a"\nblocks = [["UMG"], ["UMG", "VAR"]]', "group[1]: names the set 'UMG' twice"),
        ('name = "a"\nblocks = [["UMG", "VAR"], []]', "group[1]: has an empty block"),
        ('name = "a"\nsets = ["UMG"]\nblocks = [["VAR"]]', "group[1]: has both `sets` and `blocks`"),
        ('name = "a"\n[[group]]\nname = "A"', 'group[2].name = "A": stands twice'),
        ('name = "a"\nshare = 0', "group[1].share = 0: is out of range"),
    ],
)
def test_groups_that_make_no_sense_are_refused(tmp_path, groups, line):
    (tmp_path / "study.toml").write_text(f'[study]\ntitle = "T"\nseed = 1\n[[group]]\n{groups}\n')
    with pytest.raises(DesignError) as refused:
        load(tmp_path)
    assert line in str(refused.value)


def test_a_study_without_groups_exports_no_such_column(serve, tmp_path):
    served = serve(make_tiny_study(tmp_path / "plain"))
    finished(served, "Ann")
    assert all("group" not in row for row in served.store.answers())
