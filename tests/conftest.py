"""What every floor's tests share."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # test processes share the cores; libraries read this as they load
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by Ray: its workers would wait for all other tests
os.environ.setdefault("STREAMLIT_RUNNER_POST_SCRIPT_GC", "false")  # as in the server

for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "GITHUB_ACTIONS", "PY_COLORS"):
    os.environ.pop(name, None)  # rich and typer would take what tests read for a terminal
os.environ["COLUMNS"] = "80"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job; some tests interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that git tracks and that is there, relative to the top."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [Path(name) for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Streamlit's AppTest leaves its script as `__main__`, which every process started later would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def own_dice() -> None:
    """What a test draws without a seed of its own is the same in every run, whatever ran before it."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """No test's study is served by the next one, whatever the order and the process that runs both."""
    before = _of_a_study()
    yield
    for name in _of_a_study():
        del os.environ[name]
    os.environ.update(before)


def _of_a_study() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("EUREKA_", "STUDY_"))}
