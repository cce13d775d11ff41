"""`study build` on the command line."""

import pytest

from study.preparation.engines import local


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(run, new_study, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.setattr(local, "free_memory", lambda: 1e12)
    folder = new_study()
    before = sorted(folder.path.rglob("*"))
    code, out, _ = run("build", folder.path, "--dry-run")
    assert code == 0
    assert "4 cells, 8 clips and 4 originals in 2 jobs." in out
    assert "About 11 s on 1 worker with 8 cores each, right within a factor of two; no GPU assumed." in out
    assert "Nothing was made." in out
    assert "on 2 workers with 4 cores each" in run("build", folder.path, "--dry-run", "--workers", 2)[1]
    assert sorted(folder.path.rglob("*")) == before


def test_a_dry_run_of_a_cluster_takes_the_number_of_workers_that_is_said(run, new_study, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arguments = ["build", new_study().path, "--dry-run", "--engine", "ray", "--address", "127.0.0.1:1"]
    assert "on 2 workers with 1 core each" in run(*arguments, "--workers", 50)[1]


def test_a_dry_run_asks_the_cluster_and_says_so_where_there_is_none(run, new_study, monkeypatch):
    pytest.importorskip("ray")
    from study.preparation.engines import ray_cluster

    monkeypatch.setattr(ray_cluster, "ANSWERS_WITHIN", 0.2)
    code, _, err = run("build", new_study().path, "--dry-run", "--engine", "ray", "--address", "127.0.0.1:1")
    assert (code, err.startswith("study: no cluster answers at 127.0.0.1:1")) == (2, True)
