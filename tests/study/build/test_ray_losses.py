"""What becomes of jobs on a cluster in mind: lost, damaged and refused at will, in no time."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from study.backends import Cell, Clip, Task
from study.engines import ClipReady, Ended, Failed, Job, Started, WorkerLost, WorkerPlan, local, ray_cluster
from study.engines import ray as ray_engine
from study.engines.ray import RayEngine
from study.engines.ray_cluster import Claim
from study.engines.ray_worker import Sealed, samples_digest
from study.engines.run_files import FilesDamaged

pytest.importorskip("ray")


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
    there = [large, head]
    claim = ray_cluster.claim_of(ray, 1, 0.0, 1.5e9)
    assert (claim, sorted(ray_cluster.nodes(ray, claim).values())) == (Claim(1, 0.0, 1.5e9), [0, 4])
    there = [large, small, head]
    claim = ray_cluster.claim_of(ray, 1, 0.0, 1.5e9)
    assert (claim, sorted(ray_cluster.nodes(ray, claim).values())) == (Claim(1, 0.0, 1.2e9), [0, 1, 5])


def test_a_node_that_is_slow_to_start_is_waited_for(monkeypatch):
    from ray._private import services

    answers = [RuntimeError("Deadline Exceeded"), RuntimeError("not there yet"), {"node": "a"}]

    def get_node(*_):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(services, "get_node", get_node)
    monkeypatch.setattr(ray_cluster.time, "sleep", lambda _: None)
    with ray_cluster.patient():
        assert services.get_node("127.0.0.1:6379", "a") == {"node": "a"}
    assert services.get_node is get_node
    answers.append(RuntimeError("it never comes"))
    monkeypatch.setattr(ray_cluster, "_STARTS_WITHIN", -1.0)
    with ray_cluster.patient(), pytest.raises(TimeoutError, match="it never comes"):
        services.get_node("127.0.0.1:6379", "a")


class ClusterInMind:
    """A cluster whose workers say what is written here, one stream after the other."""

    exceptions = pytest.importorskip("ray.exceptions")

    def __init__(self, *streams):
        self.streams, self.asked, self.cancelled, self.errands = list(streams), {}, [], []

    def remote(self, **asked):
        self.asked = asked
        return lambda serve: SimpleNamespace(remote=self._begin)

    def _begin(self, errand, *_):
        self.errands.append(errand)
        return self.streams.pop(0)

    def wait(self, streams, **_):
        return list(streams), []

    def get(self, said):
        if isinstance(said, Exception):
            raise said
        return said

    def put(self, content):
        return content

    def cancel(self, stream):
        self.cancelled.append(stream)

    def nodes(self):
        return [{"NodeID": "a", "Alive": True, "Resources": {"CPU": 1.0, "memory": 4e9}}]


def shift_of(ray, *jobs):
    """What became of jobs on a cluster in mind."""
    events = []
    waiting = [ray_engine._Waiting(job) for job in jobs]
    ray_engine._Shift(ray, events.append, Claim(1, 0.0, 1e9), None, None, waiting).work()
    return events


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(ray_engine, "_PAUSES", (0.0,))


def killed():
    return ClusterInMind.exceptions.WorkerCrashedError()


def made(name, place, number=0):
    event = ClipReady(number, place, Clip(name, np.ones(4, np.float32), 16000, 1, ""))
    return Sealed(event, samples_digest(event))


def test_a_task_that_kills_every_worker_takes_no_other_of_its_job_along(clip, tmp_path, at_once):
    first, second = (imported_task(clip, tmp_path / "models") for _ in range(2))
    deadly = "imported", dataclasses.replace(first[1], names=("a", "b"))
    attempts = [[Started(0, 0), made("a", 0), killed()]] + [[Started(0, 0), killed()] for _ in range(2)]
    last = [Started(0, 1), made("brought", 1), Ended(0)]
    ray = ClusterInMind(*map(iter, [*attempts, last]))
    events = shift_of(ray, Job(0, (deadly, second)))
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert (failed.place, "killed or crashed, 3 times with nothing new; is there too" in failed.why) == (
        0,
        True,
    )
    assert [errand.places for errand in ray.errands] == [[0, 1]] * 3 + [[1]]
    assert list(samples(events)) == ["a", "brought"]
    assert isinstance(events[-1], Ended)


def test_a_node_without_room_costs_no_cell(clip, tmp_path, at_once):
    full = ClusterInMind.exceptions.RayTaskError("serve", "", OSError(28, "No space left on device"))
    ray = ClusterInMind(iter([full]), iter([Started(0, 0), made("brought", 0), Ended(0)]))
    events = shift_of(ray, Job(0, (imported_task(clip, tmp_path / "models"),)))
    assert [type(event) for event in events] == [WorkerLost, Started, ClipReady, Ended]
    assert "OSError on its node: [Errno 28] No space left on device" in events[0].why


def test_what_arrives_damaged_at_a_node_is_told_in_one_line(clip, tmp_path, at_once):
    fault = FilesDamaged("riff.flac: arrived with other bytes than were sent")
    raised = ClusterInMind.exceptions.RayTaskError("serve", "Traceback\nof many lines", fault)
    ray = ClusterInMind(
        iter([raised.as_instanceof_cause()]), iter([Started(0, 0), made("brought", 0), Ended(0)])
    )
    events = shift_of(ray, Job(0, (imported_task(clip, tmp_path / "models"),)))
    assert [type(event) for event in events] == [WorkerLost, Started, ClipReady, Ended]
    assert events[0].why == f"FilesDamaged on its node: {fault}"


def test_a_worker_whose_clips_arrive_damaged_is_not_left_at_work(clip, tmp_path, at_once):
    damaged = iter([Started(0, 0), Sealed(made("brought", 0).event, "0")])
    ray = ClusterInMind(damaged, iter([Started(0, 0), made("brought", 0), Ended(0)]))
    events = shift_of(ray, Job(0, (imported_task(clip, tmp_path / "models"),)))
    assert damaged in ray.cancelled
    assert list(samples(events)) == ["brought"]
    assert (ray.asked["num_cpus"], ray.asked["num_gpus"], ray.asked["memory"]) == (1, 0.0, 1e9)


def test_a_cluster_without_room_for_what_is_on_its_way_loses_no_job(clip, tmp_path, at_once):
    ray, refused = ClusterInMind(iter([Started(0, 0), made("brought", 0), Ended(0)])), []

    def put(content):
        if not refused:
            refused.append(content)
            raise ray.exceptions.ObjectStoreFullError("full")
        return content

    ray.put = put
    events = shift_of(ray, Job(0, (imported_task(clip, tmp_path / "models"),)))
    assert [type(event) for event in events] == [WorkerLost, Started, ClipReady, Ended]


@pytest.mark.parametrize(
    ("workers", "asked", "cores", "crew"),
    [
        (None, None, 8, WorkerPlan(3, 2)),
        (2, None, 8, WorkerPlan(2, 4)),
        (9, "3", 8, WorkerPlan(2, 3)),
        (9, "9", 8, WorkerPlan(1, 9)),
    ],
)
def test_without_a_cluster_jobs_share_the_cores_of_this_machine(
    monkeypatch, clip, workers, asked, cores, crew
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    for module in (ray_engine, local):
        monkeypatch.setattr(module, "cores", lambda: cores)
    monkeypatch.setattr(local, "free_memory", lambda: 1e12)
    jobs = [Job(number, (imported_task(clip, clip.parent),)) for number in range(3)]
    assert RayEngine(workers=workers).plan(jobs) == crew
