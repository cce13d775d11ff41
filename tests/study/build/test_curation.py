import stat
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from caw.files import spreadsheet
from study import blinding, design, reporting
from study.backends import Cell, seed_for
from study.build import build, curation, plan, recordings
from study.build.curation import FREE, INTO, OUT, RATED, REMARKED, CurationError
from study.build.sources import FakeClip
from study.folder import PRACTICE
from study.store.store import Store
from tests.study.build.conftest import planned

CLIP, OTHER = "riff-tiny-UMG-100-1", "riff-tiny-UMG-200-2"


@pytest.fixture
def study(new_study):
    """A study whose pool is made, before any set."""
    folder = new_study()
    build.build(folder, pool_only=True)
    return folder


def say(folder, clip, *, answered=False, **said):
    """say(folder, clip, into="UMG", rating=7, ...): with the words of a row, "_" for a space."""
    said = {what.replace("_", " "): str(value) for what, value in said.items()}
    return curation.change(folder, design.load(folder.path), clip, "Ida", said, answered=answered)


def originals_of(folder) -> list[str]:
    """The names of the originals in the pool."""
    return [row["name"] for row in spreadsheet.records(folder.pool_table) if row["backend"] == "original"]


def refused(folder, clip, **said) -> str:
    before = folder.picks.read_bytes() if folder.picks.exists() else None
    with pytest.raises(CurationError) as caught:
        say(folder, clip, **said)
    assert "\n" not in str(caught.value)
    assert clip in str(caught.value)
    assert "; " in str(caught.value), "the mend is missing"
    assert (folder.picks.read_bytes() if folder.picks.exists() else None) == before
    return str(caught.value)


# what is kept


def test_every_change_is_a_row_with_who_and_when_and_the_last_word_counts(study):
    say(study, CLIP, into="UMG", rating=7)
    say(study, CLIP, rating=4, remark=" muddy\nlow  end ")
    say(study, CLIP, leave_out="")
    say(study, CLIP, leave_out="")  # is so already
    rows = curation.history(study)
    assert [(row["what"], row["value"]) for row in rows] == [
        (INTO, "UMG"),
        (RATED, "7"),
        (RATED, "4"),
        (REMARKED, "muddy low end"),
        (OUT, ""),
    ]
    assert all(row["who"] == "Ida" and row["at"].endswith("+00:00") for row in rows)
    choice = curation.read(study)[CLIP]
    assert (choice.pick, choice.rating, choice.remark) == (OUT, 4, "muddy low end")
    assert choice.words == "4 of 10: muddy low end"
    assert say(study, CLIP, free="", rating="").words == "muddy low end"
    assert stat.S_IMODE(study.picks.stat().st_mode) == 0o600


def test_two_who_write_at_once_lose_nothing(study):
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda number: say(study, CLIP, remark=f"word {number}"), range(24)))
    assert sorted(row["value"] for row in curation.history(study)) == sorted(f"word {n}" for n in range(24))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("now,Ida,x,praise,\n", "row 2: 'praise' is nothing"),
        ("now,Ida,x,rating,11\n", "rating '11' is out of range; give a whole number from 0 to 10"),
        ("now,Ida\n", "row 2: names no clip"),
        ("now,Ida,x,into,\n", "names no set"),
    ],
)
def test_a_file_that_was_mended_by_hand_and_went_wrong_is_told_by_its_row(study, row, said):
    study.picks.write_text("at,who,clip,what,value\n" + row)
    with pytest.raises(CurationError, match=said):
        planned(study)


# what is refused


def test_a_pick_must_fit_and_the_line_names_clip_and_mend(study):
    assert "holds no clip 'nope'; see `study pool" in refused(study, "nope", into="UMG")
    assert "there is no set 'ABC'; pick it into one of UMG, VAR" in refused(study, CLIP, into="ABC")
    assert "is of mode UMG, and set VAR takes VAR; pick it into UMG" in refused(study, CLIP, into="VAR")
    for clip in (CLIP, OTHER, "riff-tiny-UMG-100-2"):
        say(study, clip, into="UMG")
    told = refused(study, "riff-tiny-UMG-200-1", into="UMG")
    assert "riff-tiny-UMG-200-1 is one too many: UMG takes 3 clips, 4 are picked" in told
    assert "--clear`, or raise set.UMG.fakes" in told
    assert "is out of range; give a whole number" in refused(study, CLIP, rating=11)


def test_originals_are_rated_and_remarked_all_the_same(study):
    assert say(study, originals_of(study)[0], rating=9, remark="the chorus").words == "9 of 10: the chorus"


def test_no_pick_changes_once_listeners_have_answered(study):
    say(study, CLIP, into="UMG")
    for way in ({"free": ""}, {"leave_out": ""}):
        assert "listeners have answered, so the sets stand" in refused(study, CLIP, answered=True, **way)
    assert say(study, CLIP, answered=True, rating=3, remark="dull", into="UMG").words == "3 of 10: dull"


def test_nobody_picks_while_the_study_is_built(study):
    with build._locked(study):
        assert "is being built at this moment; pick when" in refused_while_built(study)
        assert say(study, CLIP, rating=2).rating == 2
    assert say(study, CLIP, into="UMG").set_name == "UMG"


def refused_while_built(folder) -> str:
    with pytest.raises(CurationError) as caught:
        say(folder, CLIP, into="UMG")
    return str(caught.value)


# what the build makes of it


def test_the_pool_is_made_without_a_set(study):
    assert len(spreadsheet.records(study.pool_table)) == 8 + 6  # originals: all that the clip has room for
    assert not study.sets.exists()
    assert not study.key.exists()
    store = Store.for_folder(study)
    assert store.build() is None
    store.close()


def test_without_a_pick_all_is_drawn_as_before(study):
    before = planned(study).picks
    say(study, CLIP, rating=7, remark="fine")
    assert planned(study).picks == before


def test_picks_come_first_left_out_clips_never_and_the_rest_is_drawn(study):
    drawn = planned(study).picks
    (spare,) = {f"riff-tiny-UMG-{e}-{n}" for e in (100, 200) for n in (1, 2)} - set(drawn["UMG"])
    out = next(name for name in drawn["UMG"] if "tiny" in name)
    say(study, spare, into="UMG")
    say(study, out, leave_out="")
    made = planned(study)
    assert spare in made.picks["UMG"]
    assert out not in [name for names in made.picks.values() for name in names]
    assert {name: len(names) for name, names in made.picks.items()} == {"UMG": 5, "VAR": 4, PRACTICE: 2}
    assert made.picks["VAR"] == drawn["VAR"]
    assert made.picks == planned(study).picks, "the seed draws the same again"
    assert any("1 of 3 fakes are picked by hand" in note for note in made.notes)


def test_the_rest_makes_up_for_what_the_picks_leave_uneven():
    fakes = [
        FakeClip(f"{epochs}-{number}", Cell("a", None, 0.0, 1.0, "UMG", epochs, "tiny", ""))
        for epochs in (100, 200, 300)
        for number in range(4)
    ]
    picked, free = fakes[:2], fakes[2:]
    for seed in range(20):
        drawn = plan.balanced(free, 4, np.random.default_rng(seed), picked)
        assert sorted(fake.cell.epochs for fake in drawn) == [200, 200, 300, 300]


def test_too_many_left_out_is_told(study):
    for number in (1, 2):
        say(study, f"riff-tiny-UMG-100-{number}", leave_out="")
    with pytest.raises(design.DesignError, match=r"the cells give 2 \(2 are left out by hand\)"):
        planned(study)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs = [100, 200]", "epochs = [200, 300]", "study.toml makes and imports no such clip"),
        ("fakes = 3\noriginals = 2", "fakes = 0\noriginals = 2", "one too many: UMG takes 0 clips, 1 are"),
        ("originals = 2", "originals = 2\ncells = [{ epochs = 200 }]", "fits none of the `cells`"),
        ("[set.UMG]\nfakes = 3\noriginals = 2\n", "", "there is no set 'UMG'"),
    ],
)
def test_a_design_that_leaves_the_picks_behind_is_told_in_a_line(study, old, new, said):
    say(study, CLIP, into="UMG")
    study.toml.write_text(study.toml.read_text().replace(old, new, 1))
    with pytest.raises(CurationError, match=said) as caught:
        planned(study)
    assert CLIP in str(caught.value)
    assert "--clear" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_clip_that_only_practice_had_asked_for_can_be_picked(new_study):
    few = {"sets": "[set.UMG]\nfakes = 4\n[set.VAR]\nfakes = 4\n", "listening": "[listening]\npractice = 4\n"}
    folder = new_study(**few)
    build.build(folder, pool_only=True)
    extra = next(name for name in planned(folder).picks[PRACTICE] if name.endswith("-3"))
    say(folder, extra, into="UMG" if "UMG" in extra else "VAR")
    made = planned(folder)
    assert extra in made.picks["UMG"] + made.picks["VAR"]
    assert extra not in made.picks[PRACTICE]
    say(folder, extra, leave_out="")
    assert extra not in [name for names in planned(folder).picks.values() for name in names]


def test_picks_drive_the_sets_until_listeners_answer_and_reach_the_report(study, answer, monkeypatch):
    monkeypatch.setattr(build.measuring, "measure", lambda *_: 0)  # which takes a while
    build.build(study)
    first = blinding.seal(study)
    drawn = {row["name"] for row in spreadsheet.records(study.key)}
    (spare,) = {f"riff-tiny-UMG-{e}-{n}" for e in (100, 200) for n in (1, 2)} - {
        row["name"] for row in spreadsheet.records(study.key) if row["set"] == "UMG"
    }
    assert drawn
    say(study, spare, into="UMG", rating=8, remark="the hook")
    made = build.build(study)
    assert made.clips_made == 0
    assert blinding.seal(study) != first
    key = [row for row in spreadsheet.records(study.key) if row["set"] != PRACTICE]
    assert spare in {row["name"] for row in key if row["set"] == "UMG"}
    told = {row["name"]: row["chosen"] for row in reporting.provenance(study, key)}
    assert (told.pop(spare), set(told.values())) == ("picked", {"drawn"})
    assert reporting.clip_remarks(study, design.load(study.path))[spare] == "8 of 10: the hook"

    answer(study, "Ada", 3)
    build.build(study)  # nothing to do
    study.picks.write_text(study.picks.read_text() + f"now,Ida,{spare},{FREE},\n")
    with pytest.raises(build.BuildError, match="listeners have answered"):
        build.build(study)


def test_a_remark_taken_back_is_no_remark(study):
    say(study, CLIP, remark="dull")
    say(study, CLIP, remark="")
    assert reporting.clip_remarks(study, design.load(study.path))[CLIP] == ""


def test_a_picked_original_reaches_its_set_and_later_versions_keep_it_there(study, monkeypatch):
    monkeypatch.setattr(build.measuring, "measure", lambda *_: 0)  # which takes a while
    build.build(study)
    spare = next(name for name in originals_of(study) if name not in {row["name"] for row in key_of(study)})
    say(study, spare, into="VAR", rating=9)
    build.build(study)
    key = {row["name"]: row for row in key_of(study)}
    assert (key[spare]["set"], key[spare]["truth"], key[spare]["mode"]) == ("VAR", "real", "VAR")
    seal, picks = blinding.seal(study), planned(study).picks
    elsewhere = lambda seed, *parts: seed_for(seed + 1, *parts)  # noqa: E731
    monkeypatch.setattr(recordings, "seed_for", elsewhere)  # as of another version
    assert planned(study).picks == picks
    build.build(study)
    assert blinding.seal(study) == seal


def key_of(folder) -> list[dict[str, str]]:
    return [row for row in spreadsheet.records(folder.key) if row["set"] != PRACTICE]
