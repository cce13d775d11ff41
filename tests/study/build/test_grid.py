"""Cells as jobs, what becomes of them, and what a second build makes."""

import io

import numpy as np
import pytest
from rich.console import Console

from caw import audio
from caw.files import spreadsheet
from study import backends, design
from study.backends import Cell, Clip, Cost, Task
from study.build import build, plan
from study.build.forecast import forecast
from study.build.grid import CellsFailed, jobs_of, with_costs
from study.build.progress import BuildProgress
from study.engines import EngineError, Job, WorkerPlan, choose
from study.engines.jobs import perform, remaining
from study.engines.local import LocalEngine


def built(folder, **more) -> str:
    text = io.StringIO()
    try:
        build.build(folder, BuildProgress(Console(file=text, width=200)), **more)
    except CellsFailed as error:
        text.write(f"error: {error}")
    return text.getvalue()


def todo_of(folder):
    return plan.make(design.load(folder.path), folder).tasks


def fail_for(monkeypatch, tiny, fault: Exception, *, mode: str, epochs: int | None = None):
    """The test backend fails at one cell, or at all of a mode, after its first clip."""
    make = type(tiny).make

    def failing(self, task, tell):
        made = make(self, task, tell)
        if task.cell.mode != mode or task.cell.epochs != (epochs or task.cell.epochs):
            yield from made
            return
        yield next(made)
        raise fault

    monkeypatch.setattr(type(tiny), "make", failing)


def test_cells_of_one_training_are_one_job_and_the_longest_comes_first(new_study):
    parts = with_costs(todo_of(new_study()))
    jobs = jobs_of(parts)
    assert [[task.cell.name for _, task in job.tasks] for job in jobs] == [
        ["riff-tiny-UMG-100", "riff-tiny-VAR-100"],
        ["riff-tiny-UMG-200", "riff-tiny-VAR-200"],
    ]
    assert [part.cost.seconds > 5 for part in parts] == [True, False, True, False]  # trained once for both


def test_jobs_that_take_longest_come_first(tiny, monkeypatch):
    monkeypatch.setattr(tiny, "costs", lambda task: {task.cell.name: Cost(task.cell.epochs)}, raising=False)
    cells = [Cell("a", None, 0.0, 1.0, "UMG", epochs, "tiny") for epochs in (1, 3, 2)]
    parts = with_costs([("tiny", Task(cell, ["x"], 1.0, 0, None)) for cell in cells])
    assert [job.tasks[0][1].cell.epochs for job in jobs_of(parts)] == [3, 2, 1]


def test_a_failing_cell_stops_no_other_and_is_made_when_it_is_mended(new_study, tiny, monkeypatch):
    folder = new_study()
    with monkeypatch.context() as patched:
        fail_for(patched, tiny, ValueError("the clip is odd; choose another"), mode="UMG", epochs=100)
        printed = built(folder)
    assert "failed: riff-tiny-UMG-100: the clip is odd; choose another" in printed
    again = f"then `study build {folder.path}` makes only what is missing"
    assert f"error: riff-tiny-UMG-100: the clip is odd; choose another; {again}" in printed
    names = {row["name"] for row in spreadsheet.records(folder.pool_table)}
    assert {"riff-tiny-VAR-100-2", "riff-tiny-UMG-200-2", "riff-tiny-UMG-100-1"} <= names
    assert "riff-tiny-UMG-100-2" not in names
    assert not folder.sets.exists()
    tiny.made.clear()
    built(folder)
    assert tiny.made == ["riff-tiny-UMG-100-2"]
    assert folder.sets.exists()


def test_several_failures_are_counted(new_study, tiny, monkeypatch):
    monkeypatch.setattr(type(tiny), "make", lambda self, task, tell: iter(()))
    printed = built(new_study())
    assert (
        "error: 4 of 4 cells failed, so no sets were drawn (all are named above; the first: riff-" in printed
    )
    assert printed.count("failed: ") == 4
    end = printed[printed.index("What failed:") :]
    for mode, epochs in (("UMG", 100), ("VAR", 100), ("UMG", 200), ("VAR", 200)):
        cell = f"riff-tiny-{mode}-{epochs}"
        assert f"  {cell}: backend tiny made no {cell}-1, {cell}-2; correct it" in end


def test_cells_that_failed_alike_stand_in_one_line(new_study, tiny, monkeypatch):
    fail_for(monkeypatch, tiny, ValueError("odd; choose another"), mode="UMG")
    end = built(new_study()).partition("What failed:")[2]
    assert "  riff-tiny-UMG-100, riff-tiny-UMG-200: odd; choose another\n" in end


def test_imported_clips_of_one_system_fail_each_for_itself(new_study, clip):
    folder = new_study()
    for name in ("J1", "J2"):
        audio.write(folder.path / f"{name}.wav", np.zeros(16000, np.float32), 8000)
    (folder.path / "J3.wav").write_bytes(clip.read_bytes())
    table = '[[imported]]\nfile = "{0}.wav"\nname = "{0}"\nbackend = "jukebox"\nmode = "VAR"\n'
    with (folder.path / "study.toml").open("a") as file:
        file.writelines("\n" + table.format(name) for name in ("J1", "J2", "J3"))
    printed = built(folder)
    for name in ("J1", "J2"):
        assert f"failed: {name}: {folder.path / name}.wav: " in printed
    assert "import J3" in printed
    assert "error: 2 of 7 cells failed" in printed


def test_a_failed_cell_is_no_done_one_while_its_job_goes_on(new_study, tiny, monkeypatch):
    printed = []
    monkeypatch.setattr(BuildProgress, "state", lambda self, text: printed.append(text))
    fail_for(monkeypatch, tiny, ValueError("odd; choose another"), mode="UMG", epochs=100)
    built(new_study())
    assert not [text for text in printed if text.startswith("-")]
    assert printed[-1] == "3 of 4 cells done, 1 failed"


def test_a_backend_that_fails_before_its_first_clip_fails_its_cell_alone(new_study, tiny, monkeypatch):
    make = type(tiny).make

    def at_once(self, task, tell):
        if task.cell.mode == "VAR":
            raise ValueError("no variations; leave them out")
        return make(self, task, tell)

    monkeypatch.setattr(type(tiny), "make", at_once)
    printed = built(new_study())
    assert "failed: riff-tiny-VAR-100: no variations; leave them out" in printed
    assert "error: 2 of 4 cells failed" in printed


def test_a_fault_of_a_backend_is_kept_with_its_traceback(new_study, tiny, monkeypatch):
    folder = new_study()
    fail_for(monkeypatch, tiny, ZeroDivisionError("division by zero"), mode="VAR", epochs=200)
    log = folder.models / "riff-tiny-VAR-200.log"
    assert f"ZeroDivisionError: division by zero; see the traceback in {log}" in built(folder)
    assert "Traceback" in log.read_text()


def test_a_full_disk_stops_everything(new_study, tiny, monkeypatch):
    fail_for(monkeypatch, tiny, OSError(28, "No space left on device", "run"), mode="UMG", epochs=100)
    folder = new_study()
    with pytest.raises(OSError, match="No space left on device: 'run'"):
        built(folder)
    assert len(spreadsheet.records(folder.pool_table)) == 6 + 1  # originals, and what was made before


def test_rows_of_the_pool_follow_the_plan_whatever_came_first(new_study):
    class Backwards:
        def run(self, jobs, say):
            for job in reversed(jobs):
                perform(job, say)

    ways = {}
    for name, engine in (("forth", None), ("back", Backwards())):
        folder = new_study(name)
        built(folder, engine=engine)
        ways[name] = [(row["name"], row["sha256"]) for row in spreadsheet.records(folder.pool_table)]
    assert ways["forth"] == ways["back"]


def test_what_is_left_of_a_job():
    cell = Cell("a", None, 0.0, 1.0, "UMG", None, "tiny")
    job = Job(3, tuple(("tiny", Task(cell, names, 1.0, 0, None)) for names in (["a"], ["b", "c"], ["d"])))
    left, places = remaining(job, {"a", "b"}, {2})
    assert [task.names for _, task in left.tasks] == [("c",)]
    assert (left.number, places) == (3, [1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("slurm", {}, "--engine is 'slurm'; use local or ray"),
        ("local", {"address": "auto"}, "--address auto is for --engine ray; add that, or leave it out"),
        ("local", {"gpus_per_task": 1.0}, "--gpus-per-task 1.0 is for --engine ray"),
    ],
)
def test_engines_that_there_are_none_of(name, options, message):
    with pytest.raises(EngineError, match=message):
        choose(name, **options)


def test_a_forecast_counts_what_is_due_and_writes_nothing(new_study):
    folder = new_study()
    before = sorted(folder.path.rglob("*"))
    result = forecast(folder)
    assert sorted(folder.path.rglob("*")) == before
    assert [(row.backend, row.epochs, row.modes, row.cells) for row in result.rows] == [
        ("tiny", 100, ("UMG", "VAR"), 2),
        ("tiny", 200, ("UMG", "VAR"), 2),
    ]
    assert result.core_seconds == pytest.approx(2 * 5.0 + 0.1 * sum(row.clips for row in result.rows))
    assert result.originals == 6  # all that there is room for
    assert result.wall(WorkerPlan(2, 1)) < result.wall(WorkerPlan(1, 1)) == pytest.approx(result.core_seconds)
    assert result.disk > 2e6
    built(folder)
    assert (forecast(folder).rows, forecast(folder).cells_done) == ([], 4)


@pytest.mark.parametrize("plans", [lambda folder: LocalEngine().plan(forecast(folder).jobs), built])
def test_each_task_is_asked_once_what_it_takes(new_study, tiny, monkeypatch, plans):
    asked, costs = [], type(tiny).costs
    monkeypatch.setattr(type(tiny), "costs", lambda self, task: asked.append(task) or costs(self, task))
    plans(new_study())
    assert sorted(task.cell.name for task in asked) == sorted(
        f"riff-tiny-{mode}-{epochs}" for mode in ("UMG", "VAR") for epochs in (100, 200)
    )


def test_a_forecast_knows_that_answers_fix_the_sets(new_study, answer):
    folder = new_study()
    built(folder)
    answer(folder, "Ada", 5)
    for clip in folder.pool.glob("*.wav"):  # as it may be cleared then
        clip.unlink()
    assert (forecast(folder).rows, forecast(folder).originals) == ([], 0)
    folder.toml.write_text(folder.toml.read_text().replace("seconds = 1.0", "seconds = 1.1"))
    with pytest.raises(build.BuildError, match="listeners have answered"):
        forecast(folder)


def test_a_clip_of_a_wrong_kind_fails_its_cell_alone(new_study, tiny, monkeypatch):
    make = type(tiny).make

    def stereo(self, task, tell):
        for clip in make(self, task, tell):
            both = np.stack([clip.samples] * 2) if clip.name.endswith("UMG-200-1") else clip.samples
            yield Clip(clip.name, both, clip.rate, clip.seed, clip.run)

    monkeypatch.setattr(type(tiny), "make", stereo)
    printed = built(new_study())
    assert "error: riff-tiny-UMG-200: backend tiny gave " in printed
    assert "in shape (2, " in printed
    assert printed.count("failed: ") == 1


def test_the_backends_of_a_plan_are_files(new_study):
    assert {name for name, _ in todo_of(new_study())} <= set(backends.names())
