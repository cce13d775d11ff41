"""`study build --pool-only`, `study pool` and `study pick`."""

import pytest

from caw.files import spreadsheet
from study.build import curation, measuring
from study.store.store import Store

CLIP = "riff-tiny-UMG-100-1"


@pytest.fixture
def study(new_study, run):
    folder = new_study()
    code, out, _ = run("build", folder.path, "--pool-only")
    assert code == 0
    assert f"14 clips were added to the pool. Next: study curate {folder.path}" in out
    return folder


def test_clips_are_picked_at_the_command_line(run, study, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    told = run("pick", study.path, CLIP, "--set", "UMG", "--rate", 7, "--remark", "dull [b]bold[/b]")
    assert told == (0, f"{CLIP}: picked into UMG; 7 of 10: dull [b]bold[/b]\n", "")
    assert run("pick", study.path, "riff-tiny-VAR-100-1", "--out")[1] == "riff-tiny-VAR-100-1: left out\n"
    code, out, error = run("pool", study.path)
    assert (code, error) == (0, "")
    (line,) = [line for line in out.splitlines() if f" {CLIP} " in line]  # whole, for `study pick`
    assert line.split() == [CLIP, "UMG", "100", "tiny", "UMG", "7", "dull", "[b]bold[/b]"]
    counts = "UMG: 1 of 3 fakes and 0 of 2 originals, for VAR: 0 of 3 fakes and 0 of 1 originals"
    assert f"Picked for {counts}; 1 left out." in out
    assert run("pick", study.path, CLIP, "--clear", "--remark", "")[1] == (
        f"{CLIP}: left to the build; 7 of 10\n"
    )


def test_an_original_is_picked_like_any_other_clip(run, study):
    rows = spreadsheet.records(study.pool_table)
    original = next(row["name"] for row in rows if row["backend"] == "original")
    assert run("pick", study.path, original, "--set", "VAR")[1] == f"{original}: picked into VAR\n"
    assert "for VAR: 0 of 3 fakes and 1 of 1 originals" in " ".join(run("pool", study.path)[1].split())
    other = original.replace("original-", "original-9")
    assert "holds no clip" in run("pick", study.path, other, "--set", "VAR")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope", "--out"], "holds no clip 'nope'; see `study pool"),
        ([CLIP], "nothing is decided about it; add --set, --out, --clear, --rate or --remark"),
        ([CLIP, "--out", "--clear"], "exclude each other; give one of them"),
        ([CLIP, "--rate", "11"], "rating '11' is out of range; give a whole number from 0 to 10"),
        ([CLIP, "--set", "VAR"], "is of mode UMG, and set VAR takes VAR; pick it into UMG"),
        ([CLIP, "--remark", "x" * 2001], "a remark of 2001 letters is too long; write at most 2000"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_kept(run, study, arguments, said):
    code, out, error = run("pick", study.path, *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error
    assert not curation.history(study)


def test_answers_fix_the_picks_and_a_look_at_the_pool_is_logged(run, study, answer, monkeypatch):
    monkeypatch.setattr(measuring, "measure", lambda *_: 0)  # which takes a while
    assert run("build", study.path)[0] == 0
    answer(study, "Ada", 3)
    code, _, error = run("pick", study.path, CLIP, "--out")
    assert (code, "listeners have answered" in error) == (2, True)
    assert run("pick", study.path, CLIP, "--rate", 0)[1] == f"{CLIP}: left to the build; 0 of 10\n"
    assert run("pool", study.path)[0] == 0
    store = Store.for_folder(study)
    assert [row["what"] for row in store.events()] == ["pool listed"]
    store.close()


def test_an_empty_pool_is_told(run, new_study):
    folder = new_study("fresh")
    for command in ("pool", "curate"):
        code, _, error = run(command, folder.path)
        assert (code, error.count("\n")) == (2, 1)
        assert f"the pool is empty; run `study build {folder.path} --pool-only`" in error
