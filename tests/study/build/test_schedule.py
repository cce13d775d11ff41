"""What jobs take on how many workers."""

import pytest

from study import backends
from study.backends import Cell, Task
from study.engines import Job, WorkerPlan
from study.engines.schedule import Load, best_plan, loads, wall


def job(number, clip, models, *epochs, backend="caw"):
    cells = [Cell(f"riff{number}", clip, 0.0, 8.0, "UMG", count, backend) for count in epochs]
    tasks = [Task(cell, [f"{cell.name}-1"], 8.0, 7, models) for cell in cells]
    costs = tuple(map(backends.get(backend).costs, tasks))
    return Job(number, tuple((backend, task) for task in tasks), costs)


def test_what_tasks_share_counts_once_and_what_jobs_share_once_for_each_worker(clip, tmp_path):
    several, other = loads([job(0, clip, tmp_path, 100, 200), job(1, clip, tmp_path, 200)])
    assert several.seconds == pytest.approx(other.seconds + 2.0)  # the second clip
    compiled = loads([job(number, clip, tmp_path, 100, backend="samplernn") for number in range(4)])
    (once,) = {tuple(load.once.items()) for load in compiled}
    assert once == (("compile", 6.0),)
    each = compiled[0].own
    assert [wall(compiled, WorkerPlan(workers, 1)) for workers in (1, 2, 4)] == pytest.approx(
        [4 * each + 6.0, 2 * each + 6.0, each + 6.0]
    )


def test_only_what_gains_from_threads_is_quicker_with_several(clip, tmp_path):
    trained, brought = loads([job(0, clip, tmp_path, 100), job(1, clip, tmp_path, 1, backend="imported")])
    assert wall([trained], WorkerPlan(1, 2)) == pytest.approx(trained.seconds / 1.89, rel=0.01)
    assert wall([trained], WorkerPlan(1, 16)) == wall([trained], WorkerPlan(1, 4))
    assert wall([brought], WorkerPlan(1, 16)) == brought.seconds


def test_workers_are_as_many_as_make_a_difference():
    def plan(*work, cores=8):
        return best_plan(work, cores, lambda workers: cores // workers)

    single, threaded, quick = Load(100.0, {}, 1), Load(100.0, {}, 4), Load(1.0, {}, 1)
    assert plan() == WorkerPlan(1, 8)
    assert plan(single) == plan(threaded) == WorkerPlan(1, 8)
    assert plan(single, single) == WorkerPlan(2, 4)
    assert plan(*[single] * 20) == WorkerPlan(
        7, 1
    )  # as soon done as 8, which have no more than 3 each either
    assert plan(*[threaded] * 8) == WorkerPlan(8, 1)
    assert plan(quick, quick) == WorkerPlan(1, 8)
    assert plan(*[quick] * 60, cores=2) == WorkerPlan(2, 1)
    assert plan(threaded, *[quick] * 3, cores=2) == WorkerPlan(1, 2)  # its threads are worth more
    assert plan(*[Load(1.0, {"compile": 50.0}, 1)] * 8, cores=2) == WorkerPlan(1, 2)
