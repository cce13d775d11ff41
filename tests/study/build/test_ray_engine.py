"""The engine on a cluster of two nodes on this machine; one cluster for all tests, as each takes seconds."""

import contextlib
import dataclasses
import functools
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from caw import audio
from caw.files import atomic
from study.backends import Cell, Task
from study.engines import ClipReady, Ended, EngineError, Failed, Job, WorkerLost, WorkerPlan, ray_worker
from study.engines import ray as ray_engine
from study.engines.jobs import perform
from study.engines.ray import Claim, RayEngine
from study.engines.ray_worker import Storage, difference, versions
from tests.benchmarks import ray_nodes
from tests.benchmarks.ray_kill import timeless

pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(1200)  # Ray starts processes of its own by the dozen

TINY = {"device": "cpu", "rate": 4000, "scales": [1000, 4000], "channels": 4, "layers": 2, "bands": 40}
TINY |= {"score_channels": 4, "score_layers": 2, "score_crop": 1.0, "score_draw_steps": 1, "batch": 1}
TINY |= {"finer_layers": 2, "draw_steps": 2, "finer_draw_steps": 1, "crop": 1.0, "finer_crop": 0.5}
EPOCHS = 20


@pytest.fixture(scope="module")
def cluster():
    patch = pytest.MonkeyPatch()
    patch.setenv("OMP_NUM_THREADS", "1")
    patch.delenv("RAY_ADDRESS", raising=False)
    patch.setattr(ray_engine, "SAVE_EVERY", 0.1)
    patch.setattr(ray_engine, "_PAUSES", (0.1, 0.1))
    with ray_nodes.running(1, 1) as nodes:
        yield nodes
    patch.undo()
    assert nodes.processes() == []


@pytest.fixture
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def caw_task(clip, models):
    cell = Cell("riff", clip, 0.0, 2.0, "UMG", EPOCHS, "caw", atomic.sha256(clip))
    return "caw", Task(cell, ("one", "two"), 1.0, 7, models, TINY, models.parent)


def imported_task(clip, models):
    cell = Cell("riff", clip, 0.0, 8.0, "UMG", None, "elsewhere")
    return "imported", Task(cell, ("brought",), 1.0, 7, models)


def samples(events) -> dict[str, bytes]:
    return {event.clip.name: event.clip.samples.tobytes() for event in events if isinstance(event, ClipReady)}


def until_killed(run_job):
    """A job as it is, but its first worker saves a checkpoint in mid-training and waits to be killed."""

    @functools.wraps(run_job)  # Ray sends this function as a whole to the nodes, which have no tests
    def held(job, places, files, storage, earlier, *more):
        if earlier == "job-0.tar":
            from caw import training
            from study.engines import jobs, ray_worker

            training.CHECKPOINT_SECONDS = jobs._REPORT_EVERY = 0.0
            save = ray_worker._Checkpoints.save

            def save_and_wait(checkpoints):
                if any(path.endswith("checkpoint.pt") for path in checkpoints.saved):
                    threading.Event().wait()
                saved = save(checkpoints)
                checkpoints.next = 0.0
                return saved

            ray_worker._Checkpoints.save = save_and_wait
        yield from run_job(job, places, files, storage, earlier, *more)

    return held


@pytest.mark.parametrize("shared", ["the study's folder", "a file system of pyarrow"])
def test_a_worker_is_killed_in_mid_training_and_no_byte_differs(
    cluster, clip, tmp_path, one_thread, monkeypatch, shared
):
    alone, there = tmp_path / "alone", tmp_path / "there"
    expected, events, checkpoints = [], [], []
    perform(Job(0, (caw_task(clip, alone),)), expected.append)

    class Watched(Storage):
        def load(self, name, folder, *more):
            super().load(name, folder, *more)
            checkpoint = folder / f"riff-{EPOCHS}" / "checkpoint.pt"
            if not checkpoints and checkpoint.exists():
                cluster.kill_worker()
                checkpoints.append(torch_epochs(checkpoint))

    monkeypatch.setattr(ray_engine, "Storage", Watched)
    monkeypatch.setattr(ray_engine, "run_job", until_killed(ray_worker.run_job))
    storage = None if shared == "the study's folder" else (tmp_path / "bucket").as_uri()
    engine = RayEngine(address=cluster.address, storage=storage)
    engine.run([Job(0, (caw_task(clip, there),))], events.append)
    assert 0 < sum(checkpoints[0]) < EPOCHS * len(checkpoints[0])  # it came before the kill, half-trained
    assert [event.why for event in events if isinstance(event, WorkerLost)] == [
        "its worker was killed or crashed"
    ]
    assert isinstance(events[-1], Ended)
    assert samples(events) == samples(expected)
    assert timeless(there) == timeless(alone)
    assert len(timeless(there)) > 5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert not storage or list((tmp_path / "bucket").iterdir()) == []


def torch_epochs(checkpoint: Path) -> list[int]:
    import torch

    return [scale["epoch"] for scale in torch.load(checkpoint, weights_only=True)["scales"].values()]


def test_a_failing_task_stops_no_other_and_keeps_its_traceback(cluster, clip, tmp_path):
    events, models = [], tmp_path / "models"
    good, gone = imported_task(clip, models), imported_task(tmp_path / "gone.wav", models)
    too_short, faulty = (("imported", dataclasses.replace(good[1], seconds=at)) for at in (60.0, "a minute"))
    jobs = [
        Job(number, tasks) for number, tasks in enumerate([(faulty, good), (too_short,), (good,), (gone,)])
    ]
    RayEngine(address=cluster.address, workers=1).run(jobs, events.append)
    failed = {event.job: event for event in events if isinstance(event, Failed)}
    assert sorted(failed) == [0, 1, 3]
    log = models / "riff-elsewhere-UMG.log"
    assert "TypeError: " in failed[0].why
    assert str(log) in failed[0].why
    assert "TypeError: '<' not supported" in log.read_text()
    assert f"{clip}: is 8.00 s long, 60.00 s are needed" in failed[1].why
    assert "gone.wav: No such file or directory; check path and rights" in failed[3].why
    made = [(event.job, event.place, event.clip) for event in events if isinstance(event, ClipReady)]
    assert [entry[:2] for entry in made] == [(0, 1), (2, 0)]
    assert np.array_equal(made[0][2].samples, audio.read(clip)[0])
    assert sorted(event.job for event in events if isinstance(event, Ended)) == [0, 1, 2, 3]


def test_leaving_ends_the_workers(cluster, clip, tmp_path):
    class Enough(Exception):
        pass

    def say(event):
        raise Enough

    with pytest.raises(Enough):
        RayEngine(address=cluster.address).run([Job(0, (imported_task(clip, tmp_path / "models"),))], say)
    assert comes(lambda: cluster.workers() == [])
    assert [path.name for path in tmp_path.rglob(".*.tmp")] == []


def comes(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether something is so at last: a process takes its time to end."""
    ends = time.monotonic() + seconds
    while not true() and time.monotonic() < ends:
        time.sleep(0.1)
    return true()


def descendants(process: int) -> set[int]:
    parents = {int(place.name): ray_nodes.parent(int(place.name)) for place in Path("/proc").glob("[0-9]*")}
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


def listening(processes: set[int]) -> set[tuple[str, str]]:
    """Addresses and ports, in hexadecimal, at which these processes wait for connections."""
    sockets = set()
    for process in processes:
        with contextlib.suppress(OSError):
            sockets |= {os.readlink(entry) for entry in Path(f"/proc/{process}/fd").iterdir()}
    text = "".join(Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
    lines = [line.split() for line in text.splitlines()]
    waiting = [line[1] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]
    return {tuple(entry.split(":")) for entry in waiting}


def test_what_no_node_has_is_one_line(cluster, monkeypatch):
    with pytest.raises(
        EngineError, match=r"^--gpus-per-task 1, but the cluster has 0 GPUs; ask for fewer, or"
    ):
        RayEngine(address=cluster.address, gpus_per_task=1.0).run([], print)
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    with pytest.raises(
        EngineError, match=r"^a task takes 9 CPUs \(OMP_NUM_THREADS\), but no node has more than 1"
    ):
        RayEngine(address=cluster.address).run([], print)


@pytest.mark.parametrize(
    ("cpus", "gpus", "room"), [(1, 0.0, 8), (3, 0.0, 2), (1, 1.0, 3), (1, 2.0, 1), (1, 0.4, 6), (2, 0.25, 4)]
)
def test_room_is_counted_by_cpus_and_whole_gpus(cpus, gpus, room):
    has = {"CPU": 8.0, "GPU": 3.0}
    listed = [
        {"NodeID": "a", "Alive": True, "Resources": has},
        {"NodeID": "b", "Alive": False, "Resources": has},
    ]
    assert Claim(cpus, gpus).room(SimpleNamespace(nodes=lambda: listed)) == {"a": room}


def test_nodes_of_another_version_are_refused(cluster, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "versions", lambda: {"torch": "1.0"})
    with pytest.raises(
        EngineError, match=r"^node .* is not as this machine: torch is \d.* there and 1.0 here"
    ):
        RayEngine(address=cluster.address).run([Job(0, (imported_task(clip, tmp_path / "models"),))], print)


def test_nodes_that_do_not_reach_the_storage_are_refused(cluster, clip, tmp_path, monkeypatch):
    class OfThisMachine(Storage):
        def __init__(self, place):
            super().__init__(place)
            self.place = f"{place}-elsewhere"

    monkeypatch.setattr(ray_engine, "Storage", OfThisMachine)
    with pytest.raises(
        EngineError, match=r"^node .* does not find .*-elsewhere; keep the study on a disk that"
    ):
        RayEngine(address=cluster.address).run([Job(0, (imported_task(clip, tmp_path / "models"),))], print)


def test_a_port_of_another_kind_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        greeting = threading.Thread(target=lambda: other.accept()[0].sendall(b"HTTP/1.1 400 Bad Request"))
        greeting.start()
        with pytest.raises(
            EngineError, match=r"^what listens at 127.0.0.1:\d+ is no Ray cluster; give the port"
        ):
            RayEngine(address=f"127.0.0.1:{other.getsockname()[1]}").run([], print)
        greeting.join()


def test_a_cluster_that_does_not_answer_is_one_line():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and not listening
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(
            EngineError, match=rf"^no cluster answers at {address} \(Connection refused\); start"
        ):
            RayEngine(address=address).run([], print)


@pytest.mark.parametrize(
    "address", ["localhost", "localhost:x", ":6379", "localhost:0", "ray://localhost:10001"]
)
def test_an_address_of_another_form_is_one_line(address):
    with pytest.raises(EngineError, match=r"^--address .*; (write HOST:PORT|make this machine a node)"):
        RayEngine(address=address)


@pytest.mark.parametrize("gpus", [-1.0, 1.5, float("nan"), float("inf")])
def test_a_number_of_gpus_that_ray_cannot_give_is_one_line(gpus):
    with pytest.raises(
        EngineError, match=r"^--gpus-per-task is .*; use a whole number, or a part of one GPU"
    ):
        RayEngine(gpus_per_task=gpus)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        EngineError, match=r"^--engine ray needs Ray, .*: pip install 'eureka-study\[cluster\]'$"
    ):
        RayEngine().run([], print)


def test_a_ray_that_does_not_start_here_is_one_line(monkeypatch):
    def init(**_):
        raise ValueError("the object store\nis larger than the memory")

    refusing = SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_engine, "library", lambda alone: refusing)
    with pytest.raises(
        EngineError, match=r"^Ray cannot be started .* \(the object store is .*; use --engine local"
    ):
        RayEngine().run([], print)


def test_a_cluster_is_asked_how_many_jobs_it_has_room_for(cluster, clip):
    jobs = [Job(number, (imported_task(clip, clip.parent),)) for number in range(3)]
    assert RayEngine(address=cluster.address).plan(jobs) == WorkerPlan(2, 1)
    assert RayEngine(address=cluster.address, workers=1).plan(jobs) == WorkerPlan(1, 1)
    more = RayEngine(address=cluster.address, workers=50).plan(jobs * 20)
    assert (more.workers, more.note) == (2, "--workers 50, but the cluster has room for 2 jobs at once")


def test_differences_are_told_in_words():
    ours = {"Python": "3.11", "torch": "2.11.0"}
    assert difference(ours, dict(ours)) == ""
    assert difference(ours, {"Python": "3.12"}) == (
        "Python is 3.12 there and 3.11 here, torch is not installed there and 2.11.0 here"
    )


def test_what_clips_depend_on_has_to_be_the_same_everywhere():
    """Another numpy may draw other numbers from the same seed."""
    names = {"Python", "eureka-study", "torch", "numpy", "scipy", "numba", "its code"}
    assert versions().keys() == names
    assert "not installed" not in versions().values()


def test_an_archive_puts_a_folder_in_place_and_removes_what_is_gone(tmp_path):
    here, there, storage = tmp_path / "here", tmp_path / "there", Storage(str(tmp_path))
    for folder, names in (
        (here, ("run/checkpoint.pt", "run/losses.jsonl", "log")),
        (there, ("run/old", "mine")),
    ):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
            os.utime(folder / name, ns=(0, 0))  # one tick of the clock
    (here / "run" / ".half.7.tmp").write_text("half of it")
    (here / "another").write_text("of another job")
    assert ray_worker.files_in(here, ["run", "log"])[-1] == "run/checkpoint.pt"  # it refers to the others
    storage.save("job.tar", here, ["run", "log"])
    storage.load("job.tar", there, ["run", "log"], tmp_path)
    assert sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()) == [
        "log",
        "mine",
        "run/checkpoint.pt",
        "run/losses.jsonl",
    ]
    storage.delete("job.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "there"]


def test_a_checkpoint_is_written_where_something_changed(tmp_path):
    models, storage = tmp_path / "models", Storage(str(tmp_path))
    models.mkdir()
    checkpoints = ray_worker._Checkpoints(storage, "job.tar", models, ["weights", "riff.log"], 10.0)
    assert checkpoints.save() is None
    (models / "riff.log").write_text("begun")
    assert not checkpoints.save().new  # a log alone brings a job no further
    (models / "weights").write_bytes(b"1")
    assert checkpoints.save().new
    (models / "weights").write_bytes(b"1")
    assert checkpoints.save() is None


def test_folders_of_killed_workers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = tmp_path / "eureka-job-999999999-x"
    dead.mkdir()
    with ray_worker._scratch() as first, ray_worker._scratch() as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert list(tmp_path.iterdir()) == []


# The last test: Ray gives a cluster of its own a token, which this process expects of any other one then.
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at Linux's list of sockets")
def test_without_an_address_ray_is_started_here_for_nobody_else(clip, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("RAY_worker_niceness", "0")  # as in ray_nodes
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # too long a name for Ray's sockets
    monkeypatch.setattr(tempfile, "tempdir", None)
    events, listened, claims, homes = [], set(), [], set()
    before = listening(descendants(os.getpid()))
    plain = RayEngine._claim
    monkeypatch.setattr(RayEngine, "_claim", lambda *given: claims.append(plain(*given)) or claims[-1])

    def say(event):
        events.append(event)
        homes.add(os.environ["RAY_TMPDIR"])
        listened.update(listening(descendants(os.getpid())) - before)

    RayEngine().run([Job(0, (imported_task(clip, tmp_path / "models"),))], say)
    assert len(samples(events)) == 1
    assert [claim.memory for claim in claims] == [0]  # the number of workers allows for it
    assert len(listened) > 4
    assert {host for host, _ in listened if not host.endswith("0100007F")} == set()  # 127.0.0.1
    assert comes(lambda: listening(descendants(os.getpid())) <= before)
    assert [(Path(home).parent, Path(home).exists()) for home in homes] == [(Path("/tmp"), False)]
