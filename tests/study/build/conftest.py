"""What the tests of the trained backends share."""

import hashlib
import itertools
import os
import signal
from collections.abc import Iterator

import pytest

from caw.files import spreadsheet
from study import design
from study.build import plan
from study.folder import StudyFolder

os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # read as Ray is imported, by the first test that does


def planned(folder: StudyFolder) -> plan.BuildPlan:
    """What a build of the study would make. Raises: whatever refuses to plan it."""
    return plan.make(design.load(folder.path), folder)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Nets as small as a test's lose time by sharing their work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pool_digest(folder: StudyFolder) -> str:
    """Of the names and samples of all clips in a study's pool."""
    rows = sorted((row["name"], row["sha256"]) for row in spreadsheet.records(folder.pool_table))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def die_at(owner: type, name: str, count: int) -> None:
    """Have this process, a forked one, killed as a method of a class is called for the `count`th time."""
    plain, calls = getattr(owner, name), itertools.count(1)  # of all threads: no two get the same number

    def counted(*arguments, **options):
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*arguments, **options)

    setattr(owner, name, counted)
