"""Studies evaluated once for all tests that look at them."""

import pytest

from analysis import responses
from analysis.results import statistics
from tests.analysis import panels


@pytest.fixture(scope="session")
def founding():
    return responses.founding()


@pytest.fixture(scope="session")
def founding_results(founding):
    return statistics.evaluate(founding)


@pytest.fixture(scope="session")
def panel():
    """24 listeners, 14 CAW and 2 Jukebox clips, 6 originals; originals are liked better."""
    return responses.load(panels.panel(effect=1.2, originals=6))


@pytest.fixture(scope="session")
def panel_results(panel):
    return statistics.evaluate(panel)
