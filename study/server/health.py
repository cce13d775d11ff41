"""Whether an answer could be saved just now, for whoever watches the server: Docker, the proxy, a browser.

The database is queried in a thread, for everybody together at most once a second, and never twice at the same
time: a database that hangs costs one thread, and no listener waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import PlainTextResponse, Response

from study.store.store import StoreError

ADDRESS = "/_stcore/health"  # Streamlit's own; it answers "ok" where we find nothing
SECONDS = 2.0  # that the database may take
FRESH = 1.0  # seconds for which an answer holds


class Health:
    """The state of the database, as one check for all that ask.

    check: raises StoreError or SQLAlchemyError where nothing can be saved.
    """

    def __init__(self, check: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.check, self.clock = check, clock
        self._asking: asyncio.Task[str] | None = None
        self._trouble, self._at = "", -FRESH

    async def refusal(self) -> Response | None:
        """503 with the trouble in plain words; None where there is none."""
        if self._asking is None and self.clock() - self._at >= FRESH:
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._asking), SECONDS)
            except TimeoutError:
                return _unwell(f"The database has not answered within {SECONDS:.0f} seconds.")
        return _unwell(self._trouble) if self._trouble else None

    async def _ask(self) -> str:
        try:
            self._trouble = await asyncio.to_thread(self._trouble_now)
        finally:
            self._asking, self._at = None, self.clock()
        return self._trouble

    def _trouble_now(self) -> str:
        try:
            self.check()
        except StoreError as error:
            return str(error)
        except SQLAlchemyError:
            return "The database does not answer."
        return ""


def _unwell(trouble: str) -> Response:
    return PlainTextResponse(trouble, 503, {"retry-after": "3", "cache-control": "no-store"})
