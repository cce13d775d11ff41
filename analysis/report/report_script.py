"""The one script of a report's page, and the policy under which it and nothing else may run there.

Without it everything is still there to read: parts open by hand, and pins lead to their clip's player.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources


def source() -> str:
    """The text of the script."""
    return (resources.files("analysis") / "templates" / "report.js").read_text(encoding="utf-8")


def allowed() -> str:
    """What a Content-Security-Policy says under script-src: the digest of the script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source().encode()).digest()).decode()}'"
