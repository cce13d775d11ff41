"""`study build` on the command line."""

import contextlib
import os
import signal
from types import SimpleNamespace

import pytest

from study.engines import local


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(run, new_study, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.setattr(local, "free_memory", lambda: 1e12)
    folder = new_study()
    before = sorted(folder.path.rglob("*"))
    code, out, _ = run("build", folder.path, "--dry-run")
    assert out.startswith("With 6 machine-made clips and 3 originals, can the report answer this?\n  no   ")
    assert "A trend needs 3 epoch counts, there are 2; name more in `epochs`" in out
    assert code == 0
    assert "4 cells, 8 clips and 6 originals in 2 jobs." in out
    assert "About 11 s on 1 worker with 8 cores, right within a factor of two; no GPU assumed." in out
    assert "Nothing was made." in out
    assert "on 2 workers with 4 cores each" in run("build", folder.path, "--dry-run", "--workers", 2)[1]
    assert sorted(folder.path.rglob("*")) == before


def test_more_workers_than_cores_take_turns(run, new_study, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setattr(local, "cores", lambda: 1)
    monkeypatch.setattr(local, "free_memory", lambda: 1e12)
    folder = new_study()
    assert (
        "About 11 s on 1 worker with 1 core in all"
        in run("build", folder.path, "--dry-run", "--workers", 1)[1]
    )
    assert (
        "About 11 s on 2 workers with 1 core in all"
        in run("build", folder.path, "--dry-run", "--workers", 2)[1]
    )


def test_more_workers_than_memory_can_start_are_refused(run, new_study, monkeypatch):
    monkeypatch.setattr(local, "free_memory", lambda: 0.5e9)
    for dry in (["--dry-run"], []):
        code, _, err = run("build", new_study(f"study{len(dry)}").path, *dry, "--workers", 10**9)
        told = "study: --workers 1000000000, but this machine has memory for 1 at once; ask for fewer"
        assert (code, err) == (2, f"{told}, or leave it out\n")


@pytest.fixture
def of_a_cluster(new_study, monkeypatch):
    """Arguments of a dry run on a cluster of 127.0.0.1:1, one core for each job."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return ["build", new_study().path, "--dry-run", "--engine", "ray", "--address", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("cpus", "asked", "said"),
    [
        ([1, 0], [], "on 1 worker with 1 core,"),
        ([1, 0], ["--workers", 50], "on 1 worker with 1 core,"),
        ([4, 4], ["--workers", 1], "on 1 worker with 1 core,"),
        ([4, 4], ["--workers", 50], "on 2 workers with 1 core each,"),  # there are no more jobs
    ],
)
def test_a_dry_run_asks_the_nodes_for_their_room(run, of_a_cluster, monkeypatch, cpus, asked, said):
    from study.engines import ray

    there = [
        {"Alive": True, "NodeID": f"{number}", "Resources": {"CPU": count, "memory": 8e9}}
        for number, count in enumerate(cpus)
    ]
    cluster = SimpleNamespace(nodes=lambda: there)
    monkeypatch.setattr(ray, "connected", lambda address: contextlib.nullcontext(cluster))
    code, out, _ = run(*of_a_cluster, *asked)
    assert code == 0
    assert said in out
    short = "note: --workers 50, but the cluster has room for 1 job at once"
    assert (short in out) == (cpus == [1, 0] and bool(asked))


def test_a_cluster_that_is_not_there_yet_is_planned_with_the_workers_that_are_said(
    run, of_a_cluster, monkeypatch
):
    pytest.importorskip("ray")
    code, _, err = run(*of_a_cluster)
    assert (code, err.startswith("study: no cluster answers at 127.0.0.1:1")) == (2, True)
    code, out, _ = run(*of_a_cluster, "--workers", 50)
    assert (code, "on 2 workers with 1 core each" in out) == (0, True)
    assert "note: no cluster answers at 127.0.0.1:1 (Connection refused); start one" in out
    assert "mend --address; the plan takes --workers 50 for its room" in out


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_who_asks_a_build_to_end_is_heard_like_ctrl_c(run, new_study, tiny, monkeypatch, name, code):
    folder, make, tidied = new_study(), type(tiny).make, []

    def asked(self, task, tell):
        try:
            os.kill(os.getpid(), signal.Signals[name])
            yield from make(self, task, tell)
        except KeyboardInterrupt:
            tidied.append(task.cell.name)
            raise

    monkeypatch.setattr(type(tiny), "make", asked)
    unheard = []  # a signal that the build does not take ends no process of tests
    before = signal.signal(signal.Signals[name], lambda *_: unheard.append(name))
    try:
        ended, _, err = run("build", folder.path, "--pool-only", "--workers", 1)
        signal.raise_signal(signal.Signals[name])
    finally:
        signal.signal(signal.Signals[name], before)
    assert (ended, err) == (code, f"study: ended by {name}; the same command goes on where it stopped\n")
    assert len(tidied) == 1
    assert unheard == [name], "heard by the build alone, and afterwards as before"


def test_a_signal_that_is_ignored_stays_so(run, new_study, tiny, monkeypatch):
    make = type(tiny).make

    def asked(self, task, tell):
        os.kill(os.getpid(), signal.SIGHUP)
        yield from make(self, task, tell)

    monkeypatch.setattr(type(tiny), "make", asked)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        assert run("build", new_study().path, "--pool-only", "--workers", 1)[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)
