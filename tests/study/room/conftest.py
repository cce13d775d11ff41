from __future__ import annotations

from pathlib import Path

import pytest
from tiny_study import make_tiny_study

from study.folder import StudyFolder


@pytest.fixture
def tiny_study(tmp_path: Path) -> StudyFolder:
    """Two sets of two clips and one practice clip, 1.2 s each."""
    return make_tiny_study(tmp_path / "study")
