"""A study that the code of November 2026 built and served opens, goes on, reports and is built on today.

`tests/data/study_2026_11.tar.xz` holds it: two sources, caw at two epoch counts and mosaic, in the middle of
its answers. Ada, Bo and a pilot have finished, Cy is at the last clip of the first part, Dee has not come
yet, Eve's link is withdrawn. Nothing of it may ever be made anew: that it is old is what it is for.
"""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from caw import runs
from study import design
from study.build import plan
from study.design import DesignError
from study.folder import StudyFolder
from study.store.answering import Listening
from study.store.protocol import Page
from study.store.store import Store
from tests.study.old_studies import files_of, run, unpack

ARCHIVE = Path(__file__).parents[1] / "data" / "study_2026_11.tar.xz"
HEARD = Listening(plays=1, seconds_heard=1.0, seconds_played=1.0, spans=((0.0, 1.0),), unlocked=True)
ANSWER = {"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The study as it was left; tests work on copies of it."""
    return unpack(ARCHIVE, tmp_path_factory.mktemp("before")) / "st"


@pytest.fixture
def old(unpacked, tmp_path) -> StudyFolder:
    return StudyFolder(Path(shutil.copytree(unpacked, tmp_path / "st")))


def test_it_opens_and_a_build_of_it_changes_nothing(old):
    before = files_of(old.path / "sets") | files_of(old.path / "pool") | files_of(old.path / "models")
    assert "finished" in run("status", old.path)
    run("build", old.path)
    assert files_of(old.path / "sets") | files_of(old.path / "pool") | files_of(old.path / "models") == before


def test_its_answers_are_exported_as_they_were_given(old, tmp_path):
    run("export", old.path, "--out", tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["listener"] for row in rows] == ["Ada"] * 12 + ["Bo"] * 12 + ["Cy"] * 5
    first = rows[0]
    assert (first["set"], first["verdict"], first["difficulty"], first["musicality"]) == (
        "UMG",
        "fake",
        "difficult",
        "4",
    )
    assert (first["inspiring_text"], first["response_seconds"]) == ("only the sound of it", "0.0")
    assert {row["comment"] for row in rows} == {
        "",
        "[0:00.4] the bar line slips",
        "guter Groove, aber wohin?",
    }


def test_a_listener_goes_on_where_she_was_and_comes_to_the_end(old):
    store = Store.for_folder(old)
    token = store.invite("Cy")
    place = store.find(token).step
    assert (place.page, place.answered) == (Page.CLIP, 5)
    for count in range(100):
        person = store.find(token)
        if person.step.page is Page.PAUSE:
            store.begin_part(person.id, person.step.part)
            continue
        if person.step.page is Page.FINAL:
            break
        store.show(person.id, person.step.slot)
        store.save(
            person.id, person.step.slot, tab="T", changes=ANSWER, listening=HEARD, press=f"now {count}"
        )
    assert store.save_final(person.id, tab="T", questions=["a"], texts={1: "x"}, finish=True)
    assert [row.name for row in store.listeners(pilot=False) if row.finished_at] == ["Ada", "Bo", "Cy"]
    store.close()


def test_it_is_unblinded_and_reported(old):
    run("report", old.path, "--unfinished", "--who", "Ada", "--reason", "the end")
    page = (old.path / "report" / "index.html").read_text()
    assert "Two unfinished songs" in page
    with old.key.open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file) if row["set"] != "practice"]
    assert len(names) == 12
    assert not [name for name in names if name not in page]
    assert "no analysis plan was set before the data" in page
    assert "no analysis plan was set before the data" in run("status", old.path)


def test_before_its_answers_it_is_built_on(old):
    for file in old.path.glob("responses.sqlite*"):
        file.unlink()
    (old.path / "private" / "database.json").unlink(missing_ok=True)
    before = files_of(old.path / "models") | files_of(old.path / "pool")
    toml = old.toml.read_text()
    old.toml.write_text(toml.replace("epochs = [10, 20]", "epochs = [10, 20, 30]"))
    run("build", old.path, "--pool-only")
    after = files_of(old.path / "models") | files_of(old.path / "pool")
    assert {name for name in after if name.startswith("verse-UMG-30")} == {
        "verse-UMG-30-1.wav",
        "verse-UMG-30-2.wav",
    }
    made_anew = {name for name in before if after.get(name) != before[name]}
    assert made_anew <= {"pool.csv", "verse.trunk.pt"}
    trained = {epochs: runs.load(old.models / f"verse-{epochs}").settings for epochs in (10, 20, 30)}
    alike = {replace(settings, epochs=1) for settings in trained.values()}
    assert len(alike) == 1  # counts are to differ in nothing else, whatever models are trained by today


@pytest.mark.parametrize(
    ("key", "shown"),
    [('chords = "Em C"', '"Em C"'), ("strength = [0.5]", "[0.5]"), ("bridge = true", "true")],
)
def test_its_models_follow_no_plan_and_it_says_which_to_train_anew(old, key, shown):
    toml = old.toml.read_text()
    old.toml.write_text(toml.replace("epochs = [10, 20]\n", f"epochs = [10, 20]\n{key}\n"))
    with pytest.raises(DesignError) as caught:
        plan.make(design.load(old.path), old)
    said = str(caught.value)
    assert (
        f"source[1].{key.split()[0]} = {shown}: models/verse-10 and models/verse-20 were trained by" in said
    )
    assert said.endswith(
        "whose models follow no plan; delete them to have them trained anew, or delete this key"
    )
