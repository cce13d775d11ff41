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
    file: Path = folder.make_private() / KEY_FILE
    if not file.exists():
        draft = file.with_name(f"{KEY_FILE}.{secrets.token_hex(4)}.tmp")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as text:
            text.write(secrets.token_hex(16) + "\n")
        try:
            os.link(draft, file)  # unlike a rename it never replaces a key that another process just made
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text("ascii").strip()
