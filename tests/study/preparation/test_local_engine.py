"""Jobs in processes of their own: shared out, failing, killed, left behind by a killed builder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from caw import atomic, audio
from study.preparation.backends import Cell, Task
from study.preparation.engines import Ended, Failed, Job, Lost, Made, Started, Told, local
from study.preparation.engines.local import LocalEngine

TINY = {"device": "cpu", "rate": 4000, "scales": [1000, 4000], "channels": 4, "layers": 2, "bands": 40}
TINY |= {"score_channels": 4, "score_layers": 2, "score_crop": 1.0, "score_draw_steps": 1, "finer_layers": 2}
TINY |= {"draw_steps": 2, "finer_draw_steps": 1, "crop": 1.0, "finer_crop": 0.5, "batch": 1}


def imported(number: int, file: Path, *names: str) -> Job:
    cell = Cell(file.stem, file, 0.0, 8.0, "UMG", None, "elsewhere", file.name)
    return Job(number, (("imported", Task(cell, names, 1.0, 7, file.parent / "models")),))


def trained(number: int, clip: Path, models: Path, epochs: int) -> Job:
    cell = Cell("riff", clip, 0.0, 2.0, "UMG", epochs, "caw", atomic.sha256(clip))
    return Job(number, (("caw", Task(cell, [f"riff-{epochs}"], 1.0, 7, models, TINY)),))


@pytest.fixture
def processes(monkeypatch):
    """The processes that were started, in order."""
    known, started = [], local._started

    def listed(threads):
        worker = started(threads)
        known.append(worker.process)
        return worker

    monkeypatch.setattr(local, "_started", listed)
    return known


def ended(process) -> bool:
    return not process.is_alive()


def test_jobs_are_shared_out_and_a_bad_one_stops_no_other(clip, tmp_path, processes):
    (tmp_path / "text.wav").write_text("no sound")
    events = []
    jobs = [imported(0, clip, "a"), imported(1, tmp_path / "text.wav", "b"), imported(2, clip, "c")]
    LocalEngine(2).run(jobs, events.append)
    made = {event.clip.name: event.clip for event in events if isinstance(event, Made)}
    assert sorted(made) == ["a", "c"]
    np.testing.assert_array_equal(made["a"].samples, audio.read(clip)[0])
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.job, "text.wav" in failed.why) == (1, True)
    assert sorted(event.job for event in events if isinstance(event, Ended)) == [0, 1, 2]
    assert len(processes) == 2
    assert all(map(ended, processes))


def test_a_killed_worker_costs_nothing_that_was_finished(clip, tmp_path, processes, monkeypatch):
    """The job is taken up by another worker, and its clips are those of a build without the kill."""
    whole, killed = [], []
    LocalEngine(1).run([trained(0, clip, tmp_path / "whole", 4)], whole.append)
    assert not processes

    def hear(event):
        killed.append(event)
        if isinstance(event, Told) and not any(isinstance(seen, Lost) for seen in killed):
            os.kill(processes[0].pid, signal.SIGKILL)

    with local._crew(1, 1) as crew:
        local._Shift(crew, [trained(0, clip, tmp_path / "killed", 4)], hear).work()
    assert [event.why for event in killed if isinstance(event, Lost)] == ["its worker ended with SIGKILL"]
    once, again = [
        [event.clip.samples for event in events if isinstance(event, Made)] for events in (whole, killed)
    ]
    assert len(once) == len(again) == 1
    np.testing.assert_array_equal(once[0], again[0])


def test_a_job_that_kills_every_worker_is_given_up(clip, processes):
    many = imported(0, clip, *(f"a{number}" for number in range(200)))
    events = []

    def hear(event):
        events.append(event)
        if isinstance(event, Started) and event.job == 0:
            (worker,) = [process for process in processes if process.pid == busy()]
            os.kill(worker.pid, signal.SIGKILL)

    def busy() -> int:
        return next(worker.process.pid for worker in crew if worker.job and worker.job.number == 0)

    with local._crew(1, 1) as crew:
        local._Shift(crew, [many, imported(1, clip, "b")], hear).work()
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert "SIGKILL, 3 times; is there too little memory? Try --workers 1" in failed.why
    assert sum(isinstance(event, Lost) for event in events) == 2
    assert [event.clip.name for event in events if isinstance(event, Made) and event.job == 1] == ["b"]


def test_a_task_that_kills_every_worker_takes_no_other_of_its_job_along(clip, processes):
    deadly = imported(0, clip, *(f"a{number}" for number in range(200)))
    job = Job(0, (*deadly.tasks, *imported(0, clip, "b0", "b1").tasks))
    events = []

    def hear(event):
        events.append(event)
        if isinstance(event, Started) and event.place == 0:
            os.kill(processes[-1].pid, signal.SIGKILL)

    with local._crew(1, 1) as crew:
        local._Shift(crew, [job], hear).work()
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.place, "SIGKILL, 3 times" in failed.why) == (0, True)
    assert [event.clip.name for event in events if isinstance(event, Made) and event.place == 1] == [
        "b0",
        "b1",
    ]
    assert isinstance(events[-1], Ended)


def test_no_worker_outlives_an_error_of_the_builder(clip, processes):
    def full(event):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        LocalEngine(2).run([imported(0, clip, "a"), imported(1, clip, "b")], full)
    assert len(processes) == 2
    assert all(map(ended, processes))


BUILDER = """
import sys
from pathlib import Path
from study.preparation.engines import Job
from study.preparation.engines.local import LocalEngine
from tests.study.preparation.test_local_engine import trained
def tell(event):
    print(type(event).__name__, flush=True)
if __name__ == "__main__":
    jobs = [trained(number, Path(sys.argv[1]), Path(sys.argv[2]), 100_000 + number) for number in range(2)]
    LocalEngine(2).run(jobs, tell)
"""


def test_no_worker_outlives_a_killed_builder(clip, tmp_path):
    script = tmp_path / "builder.py"
    script.write_text(BUILDER)
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(clip), str(tmp_path / "models")]
    builder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert builder.stdout.readline() == "Started\n"
    workers = _children(builder.pid)
    assert len(workers) >= 2
    builder.kill()
    builder.wait()
    until = time.monotonic() + 20
    while any(map(_runs, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in workers if _runs(pid)]


def test_a_worker_says_nothing_of_an_interruption_before_it_is_ready(capfd):
    worker = local._started(1)
    os.kill(worker.process.pid, signal.SIGINT)  # as Ctrl-C does while it still loads its modules
    worker.pipe.close()
    worker.process.join(20)
    assert worker.process.exitcode == 0
    assert capfd.readouterr().err == ""


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in tasks if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_short_jobs_are_worth_no_process(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(local, "_free_memory", lambda: 6.5e9)
    short = [imported(number, clip, "a") for number in range(6)]
    long = [trained(number, clip, tmp_path / "models", 1000) for number in range(3)]
    assert [local.workers_for(jobs) for jobs in (short, long, [*short, *long])] == [1, 3, 3]
    assert (local.workers_for(short, 4), local.workers_for(long, 9)) == (4, 3)


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(local, "_free_memory", lambda: 6.5e9)
    assert (local.fitting_workers(20), local.fitting_workers(3), local.fitting_workers(0)) == (4, 3, 1)
    assert (local.threads_each(4), local.threads_each(3), local.threads_each(16)) == (2, 2, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert local.threads_each(4) == 3
