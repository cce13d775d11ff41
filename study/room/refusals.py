"""What was refused, told in the server's log: one line each, and never so many that they fill the disk.

A line names the status, what was asked for and from where. Nothing secret is in it: no query, no cookie, no
body; and nothing that whoever asked could use to write lines of their own.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

LINES, SECONDS = 300, 60.0  # at most so many lines in so many seconds; the rest are counted
_LONGEST = 100  # characters of an address


class Refusals:
    """Writes refusals to `write`, a line at a time. `clock` in seconds."""

    def __init__(
        self, write: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.write = write or _to_stderr
        self.clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._told = self._untold = 0

    def tell(self, what: str, path: str, source: str) -> None:
        """what: as "404 GET"; path: as it was asked for; source: the address that asked."""
        shown = ascii(path[:_LONGEST]) + ("..." if len(path) > _LONGEST else "")
        with self._lock:
            if self.clock() - self._since > SECONDS:
                if self._untold:
                    self.write(f"refused: {self._untold} more of the kind")
                self._since, self._told, self._untold = self.clock(), 0, 0
            if self._told < LINES:
                self._told += 1
                self.write(f"refused: {what} {shown} from {source or 'an unknown address'}")
            else:
                self._untold += 1


class Sockets:
    """How many sockets each visitor has open; more than `most` are refused, as none of ours needs them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: Counter[str] = Counter()

    def enter(self, visitor: str) -> bool:
        """Whether one more may open. leave() must follow where it did."""
        if self._open[visitor] >= self.most:
            return False
        self._open[visitor] += 1
        return True

    def leave(self, visitor: str) -> None:
        self._open[visitor] -= 1
        if self._open[visitor] <= 0:
            del self._open[visitor]


def shorten_streamlits_log() -> None:
    """A frame that is no message is told by Streamlit with a traceback; anybody could fill the disk so."""
    _SOCKETS.addFilter(_without_traceback)


_SOCKETS = logging.getLogger("streamlit.web.server.starlette.starlette_websocket")


def _without_traceback(record: logging.LogRecord) -> bool:
    if str(record.msg).startswith("Error deserializing back message"):
        record.exc_info, record.msg = None, "refused: a frame that is no message"
    return True


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
