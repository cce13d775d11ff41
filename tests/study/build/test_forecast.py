"""A forecast counts what an interrupted training has done already."""

import pytest

from caw.files import atomic
from study import backends
from study.backends import Cell, Task
from study.build.grid import jobs_of, with_costs
from study.engines.schedule import loads
from tests.study.build.test_local_engine import TINY

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"dim": 8, "embedding": 4, "streams": 2, "window": 64, "rate": 4000, "device": "cpu"}


def task_of(clip, models, epochs, *, backend="caw", options=TINY) -> Task:
    cell = Cell("riff", clip, 0.0, 2.0, "UMG", epochs, backend, atomic.sha256(clip))
    return Task(cell, [f"{cell.name}-1"], 1.0, 7, models, options)


def interrupted(task: Task, words: int) -> list[float]:
    """Train until so much was told; the shares that were."""
    shares = []

    def tell(share, text):
        shares.append(share)
        if "epoch" in text and len(shares) > words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(backends.get(task.cell.backend).make(task, tell))
    return shares


def training(task: Task) -> float:
    """Seconds that its training still takes."""
    costs = backends.get(task.cell.backend).costs(task)
    return sum(cost.seconds for name, cost in costs.items() if name.startswith("train"))


def test_epochs_behind_a_checkpoint_are_not_done_again(clip, tmp_path, monkeypatch):
    from caw import training as caw_training

    monkeypatch.setattr(caw_training, "CHECKPOINT_SECONDS", 0.0)
    task, longer = task_of(clip, tmp_path, 50), task_of(clip, tmp_path, 100)
    whole, after = training(task), training(longer) - training(task)
    interrupted(task, 90)  # steps of its three scales
    left = training(task)
    assert whole / 5 < left < whole / 2
    parts = with_costs([("caw", task), ("caw", longer)])
    assert sum(part.cost.seconds for part in parts) == pytest.approx(left + after + 4.0)
    (load,) = loads(jobs_of(parts))
    assert load.seconds == pytest.approx(left + after + 4.0)
    again = interrupted(task, 3)
    assert max(again) < 0.2  # of what was left, not of all


def test_a_checkpoint_counts_where_no_steps_are_shared(clip, tmp_path, monkeypatch):
    from caw import training as caw_training

    monkeypatch.setattr(caw_training, "CHECKPOINT_SECONDS", 0.0)
    task = task_of(clip, tmp_path, 60, options=TINY | {"schedule": "cosine"})
    whole = training(task)
    interrupted(task, 110)
    assert whole / 5 < training(task) < whole / 2
    (tmp_path / "riff-60" / "checkpoint.pt").unlink()  # then its losses count for nothing
    assert training(task) == whole


def test_a_checkpoint_of_samplernn_counts(clip, tmp_path, monkeypatch):
    from caw.samplernn import training as sample_training

    monkeypatch.setattr(sample_training, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sample_training, "REPORT_SECONDS", 0.0)
    task = task_of(clip, tmp_path, 60, backend="samplernn", options=SMALL)
    whole = training(task)
    interrupted(task, 40)
    assert whole / 5 < training(task) < whole / 2
    assert training(task_of(clip, tmp_path, 30, backend="samplernn", options=SMALL)) == pytest.approx(
        whole / 2
    )
    assert max(interrupted(task, 3)) < 0.3
