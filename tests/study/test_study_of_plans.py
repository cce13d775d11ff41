"""A study of plans, in two passes, that the code of November 2026 built: it is opened and reported today.

`tests/data/study_of_plans_2026_11.tar.xz` holds it beside what that code wrote of it: the export of the
answers and the report's tables. Ada, Ben and a pilot have finished, Cem is in the second part of four, Dee
has not come yet. Nothing of it may ever be made anew: that it is old is what it is for.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from caw import runs
from caw.compose import plan as plans
from study import design, password
from study.folder import StudyFolder
from study.store.store import Store
from tests.study.old_studies import files_of, run, unpack

ARCHIVE = Path(__file__).parents[1] / "data" / "study_of_plans_2026_11.tar.xz"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    return unpack(ARCHIVE, tmp_path_factory.mktemp("plans"))


@pytest.fixture
def old(unpacked, tmp_path) -> StudyFolder:
    """A copy of the study as it was left."""
    return StudyFolder(Path(shutil.copytree(unpacked / "st", tmp_path / "st")))


def test_a_build_changes_nothing_and_the_password_opens_it(old):
    before = files_of(old.path / "sets") | files_of(old.path / "pool") | files_of(old.path / "models")
    run("build", old.path)
    assert files_of(old.path / "sets") | files_of(old.path / "pool") | files_of(old.path / "models") == before
    kept = design.load(old.path).researcher.password
    assert password.matches("four plain words here", kept)
    assert not password.matches("four plain words there", kept)


def test_the_export_is_the_same_to_the_byte(old, unpacked, tmp_path):
    run("export", old.path, "--out", tmp_path / "answers.csv")
    assert (tmp_path / "answers.csv").read_bytes() == (unpacked / "expected" / "answers.csv").read_bytes()


def test_the_listener_in_the_middle_is_where_he_was(old):
    store = Store.for_folder(old)
    step = store.find(store.invite("Cem")).step
    store.close()
    assert (step.stage, step.phase, step.answered, step.total) == (
        "part 2 of 4, clip 2 of 3",
        "verdict",
        4,
        12,
    )


def test_the_report_says_what_it_said(old, unpacked):
    """Every table that the old code wrote comes out again, with the same rows and the same numbers."""
    run("report", old.path, "--unfinished", "--who", "Ada", "--reason", "the end")
    expected = unpacked / "expected" / "tables"
    for table in sorted(expected.glob("*.csv")):
        now = list(csv.reader((old.path / "report" / "tables" / table.name).open(newline="")))
        then = list(csv.reader(table.open(newline="")))
        assert [len(row) for row in now] == [len(row) for row in then], table.name
        for row, old_row in zip(now, then, strict=True):
            for cell, old_cell in zip(row, old_row, strict=True):
                assert cell == old_cell or float(cell) == pytest.approx(float(old_cell), rel=1e-3), table.name


def test_its_model_still_follows_a_plan(old):
    run_of = runs.load(old.models / "riff-20")
    plan = plans.Plan((plans.Section("A", (plans.Bar(chords=("Am",)), plans.Bar(chords=("F",)))),), bpm=120.0)
    clip = run_of.generate(1.0, seed=0, plan=plan)
    assert abs(clip).max() > 0


def test_a_strength_more_is_built_onto_it(old):
    for file in old.path.glob("responses.sqlite*"):
        file.unlink()
    (old.path / "private" / "database.json").unlink(missing_ok=True)
    before = files_of(old.models)
    old.toml.write_text(old.toml.read_text().replace("strength = [0.3, 0.8]", "strength = [0.3, 0.5, 0.8]"))
    run("build", old.path, "--pool-only")
    assert (old.path / "pool" / "riff-VAR-20-s50-1.wav").is_file()
    assert files_of(old.models) == before
