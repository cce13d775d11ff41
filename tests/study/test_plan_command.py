"""`study plan` on the command line."""

import pytest

from analysis.planning import PlanningError
from study.cli.planning import numbers

STAGE = "Simulating studies for every number of listeners, clips and originals\n"


@pytest.mark.parametrize(
    ("text", "most", "found"),
    [
        ("24", 12, [24]),
        ("8,24, 100,24", 12, [8, 24, 100]),
        ("8..100", 12, [8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100]),
        ("10..60", 4, [10, 20, 30, 60]),
        ("4..10", 6, [4, 5, 6, 8, 10]),
        ("7..7,9", 6, [7, 9]),
    ],
)
def test_numbers_lists_and_ranges(text, most, found):
    assert numbers("--listeners", text, most=most) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [("8..x", "write a number"), ("", "write a number"), ("9..3", "write 3..9"), ("1..9999999", "too large")],
)
def test_what_is_no_number_is_quoted(text, told):
    with pytest.raises(PlanningError, match=f"--clips {text}.*{told}".replace("..", r"\.\.", 1)):
        numbers("--clips", text, most=4)


def test_the_plan_in_the_terminal_and_as_files(run, tmp_path):
    out = tmp_path / "plan"
    asked = ("--listeners", "8,24", "--clips", "20", "--originals", "4,10", "--effect", "1.5")
    code, said, error = run("plan", *asked, "--studies", "1000", "--out", out)
    assert (code, error) == (0, STAGE)
    assert "add originals, not listeners" in said
    assert "endless" in said
    assert "15 of 20 clips right" in said
    assert (out / "index.html").exists()
    assert (out / "power_musicality.png").read_bytes().startswith(b"\x89PNG")


def test_a_plan_for_one_listener(run):
    asked = ("--listeners", "1", "--originals", "4,10", "--accuracy", "0.9", "--accuracy-bound", "0.2")
    code, said, error = run("plan", *asked, "--studies", "1000")
    assert (code, error) == (0, STAGE)
    assert "p can be under .05 at all from this many originals on: 1 (verdicts)" in said
    assert "1 listener with 10 originals among 20 reaches" in said
    assert "half its width, balanced accuracy" in said
    assert "clips pass as real (balanced accuracy within .5 ± 0.2)" in said


def test_a_plan_for_two_backends(run):
    asked = ("--backends", "different", "--sources", "2,10", "--listeners", "8,24")
    code, said, error = run("plan", *asked, "--studies", "1000")
    assert (code, error) == (0, STAGE)
    assert "so add sources" in said
    assert "originals" not in said.replace("originals or", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listeners", "many"], "--listeners many: write a number, a list"),
        (["--listeners", "0"], "0 listeners; a plan needs from 1"),
        (["--eureka", "0.3"], "--eureka 0.3: is for --kept; add --kept, or leave it out"),
        (["--kept", "4", "--accuracy", "0.7"], "--accuracy 0.7: a follow-up asks for none; leave it out"),
        (["--accuracy", "75"], "the balanced accuracy is 75; it must lie between 0 and 1"),
        (["--backends", "other"], "backends of other sources; write same or different"),
        (["--originals", "18"], "18 originals do not fit into 20 clips"),
        (["--clip-sd", "0"], "the standard deviation of clip is 0"),
        (["--effect", "inf"], "the effect is inf"),
    ],
)
def test_every_mistake_is_one_line(run, tmp_path, arguments, told):
    code, _, error = run("plan", *arguments, "--out", tmp_path / "plan")
    assert (code, error.count("\n")) == (2, 1)
    assert told in error
    assert not (tmp_path / "plan").exists()
