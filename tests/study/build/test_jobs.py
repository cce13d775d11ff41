"""What a worker reports of what its backends report, and what becomes of a job whose workers are lost."""

import numpy as np

from study.backends import Cell, Clip, Task
from study.engines import ClipReady, Ended, Failed, Job, WorkerLost, jobs
from study.engines.jobs import ATTEMPTS, JobRecord


def test_a_new_activity_is_reported_at_once_and_the_rest_now_and_then(monkeypatch):
    clock, reported = [10.0], []
    monkeypatch.setattr(jobs.time, "monotonic", lambda: clock[0])
    progress = jobs._ThinnedProgress(0, 0, lambda event: reported.append(event.text))
    for text in ("train riff: epoch 1 of 9", "train riff: epoch 2 of 9", "draw riff-1", "draw riff-1"):
        progress(0.1, text)
    clock[0] += 1.0
    progress(0.2, "draw riff-1")
    assert reported == ["train riff: epoch 1 of 9", "draw riff-1", "draw riff-1"]


def record_of_two_tasks() -> JobRecord:
    cell = Cell("riff", None, 0.0, 1.0, "UMG", None, "tiny")
    return JobRecord(
        Job(3, tuple(("tiny", Task(cell, names, 1.0, 0, None)) for names in (["a", "b"], ["c"])))
    )


def test_a_task_that_loses_too_many_workers_fails_and_the_next_is_tried():
    record = record_of_two_tasks()
    for _ in range(ATTEMPTS - 1):
        assert record.lose("killed", "; why?") == [WorkerLost(3, why="killed")]
    failed = Failed(3, 0, f"killed, {ATTEMPTS} times; why?")
    assert record.lose("killed", "; why?") == [failed, WorkerLost(3, why="killed")]
    assert record.remaining()[1] == [1]
    assert record.lose("killed", "") == [WorkerLost(3, why="killed")]  # counted anew at the next task


def test_a_job_that_is_lost_after_its_last_clip_has_ended():
    record = record_of_two_tasks()
    for place, name in ((0, "a"), (0, "b"), (1, "c")):
        record.note(ClipReady(3, place, Clip(name, np.zeros(4), 8000, 1, "")))
    assert record.lose("killed", "") == [Ended(3)]
