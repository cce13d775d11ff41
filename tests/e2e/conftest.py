from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.free_ports import free_port

sys.path.append(str(Path(__file__).parents[1] / "study" / "server"))  # for tiny_study


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium. Without one the tests are skipped, but never in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium on this machine; install the package `chromium`")
        pytest.skip("no Chromium on this machine; install the package `chromium` to run this")
    return found


@pytest.fixture
def port() -> int:
    return free_port()
