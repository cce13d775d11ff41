"""The two kinds of address people are given: a listener's personal link and the researcher's."""

from __future__ import annotations

import os
import secrets

from caw import atomic
from study.folder import FolderError, StudyFolder

KEY_FILE = "researcher.token"


def personal_link(base: str, token: str) -> str:
    """A listener's address, `base` being the study's own, as "http://127.0.0.1:8501"."""
    return f"{base.rstrip('/')}/?p={token}"


def researcher_link(base: str, key: str) -> str:
    """The researcher's address: opens the progress page once, after which a cookie does."""
    return f"{base.rstrip('/')}/researcher?key={key}"


def researcher_key(folder: StudyFolder) -> str:
    """The researcher's secret, made at first, in a file that its owner alone can read.

    Raises: FolderError for a file that holds none, OSError where it cannot be written.
    """
    file = folder.make_private() / KEY_FILE
    if not file.exists():
        draft = file.with_name(f".{KEY_FILE}.{secrets.token_hex(4)}{atomic.TEMPORARY}")
        try:
            atomic.write(draft, secrets.token_hex(16) + "\n", mode=0o600)
            os.link(draft, file)  # unlike a rename it never replaces a key that another process just made
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    key = file.read_text("utf-8").strip()
    if not key:  # an empty secret would let everybody in
        raise FolderError(f"{file}: is empty; delete it, and a new researcher's address is made")
    return key
