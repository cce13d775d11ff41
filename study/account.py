"""Who works at the command line, for the study's log."""

from __future__ import annotations

import getpass


def account() -> str:
    """The name of the account that runs this program; "unknown" where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
