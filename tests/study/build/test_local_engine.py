"""Jobs in processes of their own: shared out, failing, killed, left behind by a killed builder."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from caw import audio
from caw.files import atomic
from study.backends import Cell, Task
from study.build.grid import jobs_of, with_costs
from study.engines import ClipReady, Ended, Failed, Job, Progress, Started, WorkerLost, WorkerPlan, local
from study.engines.local import LocalEngine

TINY = {"device": "cpu", "rate": 4000, "scales": [1000, 4000], "channels": 4, "layers": 2, "bands": 40}
TINY |= {"score_channels": 4, "score_layers": 2, "score_crop": 1.0, "score_draw_steps": 1, "finer_layers": 2}
TINY |= {"draw_steps": 2, "finer_draw_steps": 1, "crop": 1.0, "finer_crop": 0.5, "batch": 1}


def imported(number: int, file: Path, *names: str) -> Job:
    cell = Cell(file.stem, file, 0.0, 8.0, "UMG", None, "elsewhere")
    return Job(number, (("imported", Task(cell, names, 1.0, 7, file.parent / "models")),))


def trained(number: int, clip: Path, models: Path, epochs: int) -> Job:
    cell = Cell(f"riff{number}", clip, 0.0, 2.0, "UMG", epochs, "caw", atomic.sha256(clip))
    return Job(number, (("caw", Task(cell, [f"riff-{epochs}"], 1.0, 7, models, TINY)),))


@pytest.fixture
def processes(monkeypatch):
    """The processes that were started, in order."""
    known, started = [], local._start_worker

    def listed(threads):
        worker = started(threads)
        known.append(worker.process)
        return worker

    monkeypatch.setattr(local, "_start_worker", listed)
    return known


def ended(process) -> bool:
    return not process.is_alive()


def test_jobs_are_shared_out_and_a_bad_one_stops_no_other(clip, tmp_path, processes):
    (tmp_path / "text.wav").write_text("no sound")
    events = []
    jobs = [imported(0, clip, "a"), imported(1, tmp_path / "text.wav", "b"), imported(2, clip, "c")]
    LocalEngine(2).run(jobs, events.append)
    made = {event.clip.name: event.clip for event in events if isinstance(event, ClipReady)}
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
    LocalEngine(1).run([trained(0, clip, tmp_path / "whole", 30)], whole.append)
    assert not processes

    def hear(event):
        killed.append(event)
        if isinstance(event, Progress) and not any(isinstance(seen, WorkerLost) for seen in killed):
            os.kill(processes[0].pid, signal.SIGKILL)

    with local._started_workers(1, 1) as workers:
        local._JobRunner(workers, [trained(0, clip, tmp_path / "killed", 30)], hear).run()
    assert [event.why for event in killed if isinstance(event, WorkerLost)] == [
        "its worker ended with SIGKILL"
    ]
    once, again = [
        [event.clip.samples for event in events if isinstance(event, ClipReady)] for events in (whole, killed)
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
        return next(
            worker.process.pid for worker in workers if worker.record and worker.record.job.number == 0
        )

    with local._started_workers(1, 1) as workers:
        local._JobRunner(workers, [many, imported(1, clip, "b")], hear).run()
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert "SIGKILL, 3 times; is there too little memory? Try --workers 1" in failed.why
    assert sum(isinstance(event, WorkerLost) for event in events) == 2
    assert [event.clip.name for event in events if isinstance(event, ClipReady) and event.job == 1] == ["b"]


def test_a_task_that_kills_every_worker_takes_no_other_of_its_job_along(clip, processes):
    deadly = imported(0, clip, *(f"a{number}" for number in range(200)))
    job = Job(0, (*deadly.tasks, *imported(0, clip, "b0", "b1").tasks))
    events = []

    def hear(event):
        events.append(event)
        if isinstance(event, Started) and event.place == 0:
            os.kill(processes[-1].pid, signal.SIGKILL)

    with local._started_workers(1, 1) as workers:
        local._JobRunner(workers, [job], hear).run()
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.place, "SIGKILL, 3 times" in failed.why) == (0, True)
    assert [event.clip.name for event in events if isinstance(event, ClipReady) and event.place == 1] == [
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
from study.engines import Job
from study.engines.local import LocalEngine
from tests.study.build.test_local_engine import trained
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
    until = time.monotonic() + 90
    while any(map(_runs, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not [pid for pid in workers if _runs(pid)]


def test_a_worker_says_nothing_of_an_interruption_before_it_is_ready(capfd):
    worker = local._start_worker(1)
    os.kill(worker.process.pid, signal.SIGINT)  # as Ctrl-C does while it still loads its modules
    worker.pipe.close()
    worker.process.join(120)
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


def test_a_crew_that_is_interrupted_while_it_starts_ends(processes, monkeypatch):
    started = local._start_worker

    def interrupting(threads):
        if processes:
            os.kill(os.getpid(), signal.SIGINT)
        return started(threads)

    monkeypatch.setattr(local, "_start_worker", interrupting)
    other = threading.Event()  # a thread that hears of the interruption, as the progress view has one
    threading.Thread(target=other.wait, daemon=True).start()
    with pytest.raises(KeyboardInterrupt), local._started_workers(3, 1):
        pytest.fail("it was not interrupted")
    other.set()
    assert len(processes) == 2
    assert all(map(ended, processes))


def test_a_job_whose_worker_is_lost_after_its_last_word_has_ended(clip, processes):
    """It is not begun again: nothing of it is left."""
    job, events = imported(0, clip, "a"), []

    def hear(event):
        events.append(event)
        if isinstance(event, ClipReady):
            os.kill(processes[0].pid, signal.SIGSTOP)  # before it says that it has ended
            os.kill(processes[0].pid, signal.SIGKILL)

    def drop_the_end(worker, event):  # the kill comes before it
        if not isinstance(event, Ended) or len(processes) > 1:
            runner.__class__._receive(runner, worker, event)

    with local._started_workers(1, 1) as workers:
        runner = local._JobRunner(workers, [job], hear)
        runner._receive = drop_the_end
        runner.run()
    assert [type(event) for event in events if not isinstance(event, Progress)] == [Started, ClipReady, Ended]


def planned(jobs: list[Job]) -> list[Job]:
    """With what they take."""
    return jobs_of(with_costs(task for job in jobs for task in job.tasks))


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(local, "free_memory", lambda: 6.5e9)


def test_as_many_workers_as_pay(clip, tmp_path, eight_cores):
    short = [imported(number, clip, f"a{number}") for number in range(6)]
    long = [trained(number, clip, tmp_path / "models", 1000) for number in range(3)]
    many = [imported(number, clip, *(f"b{number}-{clips}" for clips in range(20))) for number in range(30)]
    short, long, many = map(planned, (short, long, many))
    plan = LocalEngine().plan
    assert [plan(jobs).workers for jobs in (short, long, [*long, *short], many)] == [1, 3, 3, 4]
    assert (plan(long).threads, plan(many).threads, plan(short).threads) == (2, 2, 8)
    assert (LocalEngine(4).plan(short), LocalEngine(9).plan(long)) == (WorkerPlan(4, 2), WorkerPlan(3, 2))


def test_cores_are_shared_out(monkeypatch, eight_cores):
    assert (local.fitting_workers(20), local.fitting_workers(3), local.fitting_workers(0)) == (4, 3, 1)
    assert (local.threads_each(4), local.threads_each(3), local.threads_each(16)) == (2, 2, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert local.threads_each(4) == 3


def test_a_system_that_tells_no_memory_is_taken_to_have_enough(monkeypatch, eight_cores):
    monkeypatch.setattr(local, "free_memory", lambda: float("inf"))
    assert local.fitting_workers(20) == 8


def test_in_a_container_of_few_cores_one_process_takes_no_thread_for_each_of_the_machine(
    clip, tmp_path, eight_cores, monkeypatch
):
    import torch

    threads, before = [], torch.get_num_threads()
    monkeypatch.setattr(local, "are_rationed", lambda: True)
    monkeypatch.setattr(local, "cores", lambda: before + 1)

    def hear(event):
        threads.append((os.environ["OMP_NUM_THREADS"], torch.get_num_threads()))

    LocalEngine(1).run([imported(0, clip, "a")], hear)
    assert set(threads) == {(str(before + 1), before + 1)}
    assert torch.get_num_threads() == before
    assert "OMP_NUM_THREADS" not in os.environ
