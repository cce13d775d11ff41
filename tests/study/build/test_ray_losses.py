"""What becomes of jobs on a cluster that is played: workers are lost and refused at will, in no time."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from study.backends import Cell, Clip, Task
from study.engines import (
    ClipReady,
    Ended,
    EngineError,
    Failed,
    Job,
    Progress,
    Started,
    WorkerLost,
    WorkerPlan,
    local,
)
from study.engines import ray as ray_engine
from study.engines.ray import Claim, RayEngine
from study.engines.ray_worker import Saved, Storage
from tests.benchmarks.ray_kill import Killer

ray_exceptions = pytest.importorskip("ray.exceptions")


def imported_task(clip, models):
    cell = Cell("riff", clip, 0.0, 8.0, "UMG", None, "elsewhere")
    return "imported", Task(cell, ("brought",), 1.0, 7, models)


def samples(events) -> dict[str, bytes]:
    return {event.clip.name: event.clip.samples.tobytes() for event in events if isinstance(event, ClipReady)}


def test_tasks_claim_memory_and_leave_no_node_out():
    large = {"CPU": 64.0, "memory": 6.1e9}
    small = {"CPU": 2.0, "memory": 1.2e9}
    head = {"memory": 3e8}  # that does no task
    ray = SimpleNamespace(
        nodes=lambda: [{"NodeID": str(id(has)), "Alive": True, "Resources": has} for has in there]
    )
    engine = RayEngine(address="127.0.0.1:1")
    there = [large, head]
    claim = engine._claim(ray, 1)
    assert (claim, sorted(claim.room(ray).values())) == (Claim(1, 0.0, 1_500_000_000), [0, 4])
    there = [large, small, head]
    claim = engine._claim(ray, 1)
    assert (claim, sorted(claim.room(ray).values())) == (Claim(1, 0.0, 1_200_000_000), [0, 1, 5])


class PlayedCluster:
    """A cluster whose workers yield what is written here, one stream after the other."""

    exceptions = ray_exceptions

    def __init__(self, *streams):
        self.streams, self.options, self.cancelled, self.sent = list(streams), {}, [], []

    def remote(self, **options):
        self.options = options
        return lambda run_job: SimpleNamespace(remote=self._begin)

    def _begin(self, *arguments):
        self.sent.append(arguments)
        return self.streams.pop(0)

    def wait(self, streams, **_):
        return list(streams), []

    def get(self, item):
        if isinstance(item, Exception):
            raise item
        return item

    def cancel(self, stream):
        self.cancelled.append(stream)

    def nodes(self):
        return [{"NodeID": "a", "Alive": True, "Resources": {"CPU": 1.0, "memory": 4e9}}]


@pytest.fixture
def events_of(monkeypatch, tmp_path):
    """Run jobs on a played cluster, and return the events."""
    monkeypatch.setattr(ray_engine, "_PAUSES", (0.0,))

    def run(ray, *jobs):
        events, storage = [], Storage(str(tmp_path))
        (tmp_path / ray_engine.WORK).mkdir()
        ray_engine._JobRunner(ray, events.append, Claim(1, 0.0, 10**9), None, storage, jobs).run()
        return events

    return run


def killed():
    return ray_exceptions.WorkerCrashedError()


def raised(error):
    return ray_exceptions.RayTaskError("run_job", "Traceback\nof many lines", error).as_instanceof_cause()


def ready(name, place, number=0):
    return ClipReady(number, place, Clip(name, np.ones(4, np.float32), 16000, 1, ""))


def test_a_task_that_kills_every_worker_takes_no_other_of_its_job_along(clip, tmp_path, events_of):
    first, second = (imported_task(clip, tmp_path / "models") for _ in range(2))
    deadly = "imported", dataclasses.replace(first[1], names=("a", "b"))
    attempts = [[Started(0, 0), ready("a", 0), killed()]] + [[Started(0, 0), killed()] for _ in range(2)]
    last = [Started(0, 1), ready("brought", 1), Ended(0)]
    ray = PlayedCluster(*map(iter, [*attempts, last]))
    events = events_of(ray, Job(0, (deadly, second)))
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.place == 0
    assert "killed or crashed, 3 times with nothing new; is there too" in failed.why
    assert [places for _, places, *_ in ray.sent] == [[0, 1]] * 3 + [[1]]
    assert list(samples(events)) == ["a", "brought"]
    assert isinstance(events[-1], Ended)


def test_a_job_goes_on_from_the_last_checkpoint_as_long_as_there_are_new_ones(clip, tmp_path, events_of):
    ray = PlayedCluster()

    def attempt(*, new):
        yield Started(0, 0)
        *_, archive = ray.sent[-1][:6]
        Storage(str(tmp_path)).save(archive, tmp_path, [])
        yield Saved(new)
        yield killed()

    ray.streams = [attempt(new=True) for _ in range(5)]
    ray.streams += [
        attempt(new=False),
        attempt(new=False),
    ]  # with the loss before them three with nothing new
    events = events_of(ray, Job(0, (imported_task(clip, tmp_path / "models"),)))
    continued = [sent[4:6] for sent in ray.sent]
    assert [earlier for earlier, _ in continued[1:]] == [archive for _, archive in continued[:-1]]
    assert sum(isinstance(event, WorkerLost) for event in events) == 6
    assert [type(event) for event in events[-2:]] == [Failed, Ended]


def test_the_benchmark_times_a_loss_whose_training_ends_without_another_report():
    killed, progress = [], [Progress(0, 0, share, "train") for share in (0.5, 0.7)]
    events = [Started(0, 0), *progress, WorkerLost(0, why="killed"), Started(0, 0), ready("brought", 0)]
    engine = SimpleNamespace(run=lambda jobs, report: [report(event) for event in events])
    killer = Killer(engine, 0.6, lambda: killed.append(1))
    killer.run([], lambda event: None)
    assert killed == [1]
    assert str(killer) == (
        "seen 0.0 s after the kill, with another worker after 0.0 s; 0.0 s lost until this was as far"
    )


def test_a_node_without_room_costs_no_cell(clip, tmp_path, events_of):
    full = raised(OSError(28, "No space left on device"))
    ray = PlayedCluster(iter([full]), iter([Started(0, 0), ready("brought", 0), Ended(0)]))
    events = events_of(ray, Job(0, (imported_task(clip, tmp_path / "models"),)))
    assert [type(event) for event in events] == [WorkerLost, Started, ClipReady, Ended]
    assert "OSError on its node: [Errno 28] No space left on device" in events[0].why
    assert (ray.options["num_cpus"], ray.options["num_gpus"], ray.options["memory"]) == (1, 0.0, 10**9)


def test_a_node_that_may_not_do_a_job_ends_the_build(clip, tmp_path, events_of):
    refusal = raised(EngineError("node b is not as this machine: torch differs", "install the same"))
    lacking = raised(RuntimeError("The remote function failed to import: No module named 'study'"))
    for error, text in ((refusal, "node b is not as this machine"), (lacking, "a node lacks eureka-study")):
        ray = PlayedCluster(iter([error]))
        with pytest.raises(EngineError, match=text):
            events_of(ray, Job(0, (imported_task(clip, tmp_path / "models"),)))
        (tmp_path / ray_engine.WORK).rmdir()


def test_a_cluster_of_this_machine_that_is_late_is_started_again(monkeypatch):
    answers = [Exception("The current node timed out during startup."), None]
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def init(**_):
        if error := answers.pop(0):
            raise error

    ray = SimpleNamespace(init=init, shutdown=lambda: None)
    ray_engine._start(ray)
    answers += [Exception("late")] * 3
    with pytest.raises(
        EngineError, match=r"^Ray cannot be started on this machine \(late\); use --engine local"
    ):
        ray_engine._start(ray)


def test_a_cluster_that_may_ask_for_a_token_says_which_variable_to_set(monkeypatch):
    """Ray's error has no word of tokens."""

    def init(**_):
        raise ConnectionError("Failed to connect to Ray cluster at 10.0.0.5:6379")

    monkeypatch.setattr(ray_engine, "_reach", lambda host, port: None)
    for mode, expected in ((None, True), ("token", False)):
        monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
        if mode:
            monkeypatch.setenv("RAY_AUTH_MODE", mode)
        with pytest.raises(EngineError) as error:
            ray_engine._connect(SimpleNamespace(init=init), "10.0.0.5:6379")
        assert "cannot be joined (Failed to connect" in error.value.problem.what
        assert ("set RAY_AUTH_MODE=token here, too" in error.value.problem.fix) is expected


@pytest.mark.parametrize(
    ("workers", "threads", "cores", "plan"),
    [
        (None, None, 8, WorkerPlan(3, 2)),
        (2, None, 8, WorkerPlan(2, 4)),
        (9, "3", 8, WorkerPlan(2, 3)),
        (9, "9", 8, WorkerPlan(1, 9)),
    ],
)
def test_without_a_cluster_jobs_share_the_cores_of_this_machine(
    monkeypatch, clip, workers, threads, cores, plan
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    for module in (ray_engine, local):
        monkeypatch.setattr(module, "cores", lambda: cores)
    monkeypatch.setattr(local, "free_memory", lambda: 1e12)
    jobs = [Job(number, (imported_task(clip, clip.parent),)) for number in range(3)]
    assert RayEngine(workers=workers).plan(jobs) == plan
