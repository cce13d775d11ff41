"""The server's log of refused requests, and the limits of one page's socket.

A line names the status, the path and the address of the request. It holds nothing secret, so no query, no
cookie and no body, and nothing by which a stranger could write lines of his own. The first lines of a kind
are written whole; for the rest of a minute one line gives their number, so that no flood fills the disk.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

SECONDS = 60.0
EACH = 3  # lines of one kind from one address that are written whole within SECONDS
ALL = 20  # times as many of all kinds together
_KINDS = 1000  # that are counted apart within SECONDS; beyond them all are one
_LONGEST = 100  # characters of an address


class Counted:
    """Lets the first lines of each kind through, and writes the number of the others once in SECONDS."""

    def __init__(
        self, write: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.write = write or _to_stderr
        self.clock = clock
        self.each = EACH
        self._lock = threading.Lock()
        self._since = clock()
        self._lines = 0
        self._seen: Counter[str] = Counter()
        self._hidden: Counter[str] = Counter()

    def admits(self, kind: str) -> bool:
        """Whether one more line of this kind may be written; otherwise it is counted."""
        self.flush()
        with self._lock:
            if kind not in self._seen and len(self._seen) >= _KINDS:
                kind = "other kinds"
            self._seen[kind] += 1
            if self._seen[kind] <= self.each and self._lines < ALL * self.each:
                self._lines += 1
                return True
            self._hidden[kind] += 1
            return False

    def flush(self) -> None:
        """Writes the numbers of a time that is over. The server calls it every second."""
        with self._lock:
            if self.clock() - self._since <= SECONDS:
                return
            hidden = self._hidden.most_common()
            self._since, self._lines = self.clock(), 0
            self._seen, self._hidden = Counter(), Counter()
        for kind, count in hidden[:EACH]:
            self.write(f"refused: {count} more of: {kind}")
        if rest := sum(count for _, count in hidden[EACH:]):
            self.write(f"refused: {rest} more of {len(hidden) - EACH} other kinds")


class Refusals(Counted):
    """Writes refusals to `write`, a line at a time. `clock` in seconds."""

    def report(self, what: str, path: str = "", source: str = "") -> None:
        """Write one refusal. what: as "404 GET"; path: as requested; source: the address of the request."""
        what, source = what[:_LONGEST], source or "an unknown address"
        if self.admits(f"{what} from {source}"):
            shown = ascii(path[:_LONGEST]) + ("..." if len(path) > _LONGEST else "")
            self.write(f"refused: {what} {shown} from {source}" if path else f"refused: {what} from {source}")


class Repeats(logging.Filter):
    """The same bound on what libraries log: anybody who sends nonsense could fill the disk with it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return repeats.admits(f"{record.name}: {str(record.msg).strip()[:_LONGEST]!a}")


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


class Pace:
    """How fast one socket may talk: so many messages at once, and so many a second after them."""

    def __init__(self, at_once: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.at_once, self.per_second, self.clock = at_once, per_second, clock
        self._left, self._at = float(at_once), clock()

    def delay(self) -> float:
        """Seconds for which the next message must wait."""
        moment = self.clock()
        self._left = min(self.at_once, self._left + (moment - self._at) * self.per_second) - 1
        self._at = moment
        return max(0.0, -self._left / self.per_second)


def shorten_library_logs() -> None:
    """Bounds what uvicorn, asyncio and Streamlit write. A frame that is no message loses its traceback."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("streamlit", "websockets"))]
    for name in {"uvicorn.error", "asyncio", *names}:
        logger = logging.getLogger(name)
        if not any(isinstance(one, Repeats) for one in logger.filters):
            logger.addFilter(Repeats())
    if _without_traceback not in _SOCKETS.filters:
        _SOCKETS.addFilter(_without_traceback)


_SOCKETS = logging.getLogger("streamlit.web.server.starlette.starlette_websocket")


def _without_traceback(record: logging.LogRecord) -> bool:
    if str(record.msg).startswith("Error deserializing back message"):
        record.exc_info, record.msg = None, "refused: a frame that is no message"
    return True


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


refusals = Refusals()  # of this process: the gate and the connections write to the same one
repeats = Counted()  # what libraries log
