import io

import pytest
from rich.console import Console

from study.build import progress
from study.build.progress import BuildProgress, in_words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.42, "0.4 s"), (35, "35 s"), (240, "4 min"), (7800, "2 h 10 min")],
)
def test_times_are_said_as_people_say_them(seconds, said):
    assert in_words(seconds) == said


def test_without_a_terminal_each_step_is_one_line_with_the_time_left(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    text = io.StringIO()
    bar = BuildProgress(Console(file=text, width=40))
    with bar.over(10.0):
        with bar.step(5.0, "train riff"):
            bar.update(0.5, "train riff: scale 1 of 6, epoch 50 of 100")
            clock[0] = 60.0
        bar.note("a note that is longer than forty characters stays on one line")
        with bar.step(5.0, "make clips"):
            clock[0] = 90.0
    assert text.getvalue().splitlines() == [
        " 50%  train riff: 60 s; 60 s left",
        "a note that is longer than forty characters stays on one line",
        "100%  make clips: 30 s",
    ]


def test_a_log_is_told_how_far_the_grid_is_also_while_no_part_ends(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    text = io.StringIO()
    bar = BuildProgress(Console(file=text))
    with bar.over(10.0):
        bar.state("0 of 2 cells done, 1 running")
        bar.begin("first", 5.0, "train riff")
        for clock[0], share in ((200.0, 0.1), (299.0, 0.2), (300.0, 0.3), (400.0, 0.4), (600.0, 0.5)):
            bar.update(share, f"train riff: epoch {share * 100:.0f} of 100", "first")
        clock[0] = 800.0
        bar.state("1 of 2 cells done")
        bar.end("first", "train riff")
    assert text.getvalue().splitlines() == [
        " 15%  0 of 2 cells done, 1 running, 28 min left: train riff: epoch 30 of 100",
        " 25%  0 of 2 cells done, 1 running, 30 min left: train riff: epoch 50 of 100",
        " 50%  train riff: 13 min; 1 of 2 cells done, 13 min left",
    ]


def test_in_a_terminal_there_is_a_bar_that_goes_away():
    text = io.StringIO()
    bar = BuildProgress(Console(file=text, force_terminal=True, width=100))
    with bar.over(2.0), bar.step(2.0, "train"):
        bar.update(0.5, "train")
    assert "50%" in text.getvalue() or "100%" in text.getvalue()


def test_as_running_parts_end_others_show_their_bars():
    bar = BuildProgress(Console(file=io.StringIO(), force_terminal=True, width=100))
    with bar.over(100.0):
        for part in range(20):
            bar.begin(part, 1.0, f"part {part}")
        for part in range(12):
            bar.end(part, "")
            bar.begin(20 + part, 1.0, f"part {20 + part}")
        assert len(bar._bars.tasks) == 1 + progress._ROWS


@pytest.mark.parametrize(
    "state",
    ["1 of 4 cells done", "9 of 24 cells done, 2 running, 1 failed", "990 of 999 cells done, 3 failed"],
)
def test_eighty_columns_show_all_that_is_said_of_the_whole(monkeypatch, state):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    text = io.StringIO()
    bar = BuildProgress(Console(file=text, force_terminal=True, width=80))
    with bar.over(10.0):
        bar.begin("first", 5.0, "train riff")
        clock[0] = 780.0
        bar.update(0.2, "train riff", "first")
        bar.state(state)
        bar._bars.refresh()
    assert f"{state}, 1 h 57 min left" in text.getvalue()


def test_the_time_left_is_that_of_the_longest_chain_when_other_workers_have_nothing_to_do(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    text = io.StringIO()
    bar = BuildProgress(Console(file=text))
    with bar.over(80.0):  # 40 for each of two workers, one of which has two parts in a row
        bar.begin("short", 20.0, "train riff")
        bar.begin("long", 20.0, "train rag", behind=40.0)
        clock[0] = 10.0  # each does 2 a second
        bar.update(1.0, "train riff", "short")
        bar.end("short", "train riff")
        bar.end("long", "train rag")
        bar.begin("long", 40.0, "train rag")
        clock[0] = 20.0
        bar.update(0.5, "train rag", "long")
        bar.note(bar._left())
    assert text.getvalue().splitlines()[1:] == [" 50%  train rag: 10 s; 20 s left", "10 s left"]
