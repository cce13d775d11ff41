"""The two kinds of address people are given: a listener's personal link and the researcher's."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

KEY_FILE = "researcher.token"


def personal_link(base: str, token: str) -> str:
    """A listener's address, `base` being the study's own, as "http://127.0.0.1:8501"."""
    return f"{base.rstrip('/')}/?p={token}"


def researcher_link(base: str, key: str) -> str:
    """The researcher's address: opens the progress page once, after which a cookie does."""
    return f"{base.rstrip('/')}/researcher?key={key}"


def researcher_key(folder: Any) -> str:
    """The researcher's secret of a StudyFolder, made at first, in a file that its owner alone can read."""
    private = Path(folder.path) / "private"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    private.chmod(0o700)
    file = private / KEY_FILE
    try:
        return file.read_text("ascii").strip() or _make(file)
    except FileNotFoundError:
        return _make(file)


def _make(file: Path) -> str:
    key = secrets.token_hex(16)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as text:
        text.write(key + "\n")
    draft.replace(file)
    return key
