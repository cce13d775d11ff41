"""How somebody comes in by the open link, and what keeps others from being held up by whoever abuses it.

Opening the link makes one listener for each id. Of one address so many may come at once, and a few a second
from then on; those in a hurry wait, and beyond a few seconds they are asked to come again. Addresses are
counted in memory alone and never stored.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from html import escape
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, to_thread
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from study.languages import wording
from study.server import address, door, links, login, open_link
from study.server.served import Served
from study.store import database_record, recruits
from study.store.answering import StoreError

LONGEST = 10.0  # seconds that somebody waits for their turn
EACH = 250, 1.0  # of one address: at once, and a second after them
ALL = 1000, 50.0  # of all together
_ADDRESSES = 50_000  # that are remembered


class Turns:
    """Whose turn it is to come in. `clock` in seconds."""

    def __init__(
        self,
        each: tuple[int, float] = EACH,
        everybody: tuple[int, float] = ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.each, self.everybody, self.clock = each, everybody, clock
        self._of: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and since when
        self._all = float(everybody[0]), clock()

    def wait(self, source: str) -> float | None:
        """Count one visit of an address. Returns the seconds to wait; None where it is not let in."""
        moment = self.clock()
        mine = _left(self._of.get(source, (float(self.each[0]), moment)), self.each, moment)
        whole = _left(self._all, self.everybody, moment)
        pause = max(0.0, -mine / self.each[1], -whole / self.everybody[1])
        if pause > LONGEST:
            return None
        self._of[source], self._all = (mine, moment), (whole, moment)
        self._of.move_to_end(source)
        while len(self._of) > _ADDRESSES:
            self._of.popitem(last=False)
        return pause


def _left(before: tuple[float, float], rate: tuple[int, float], moment: float) -> float:
    """What is left of a bucket once one more is taken out of it."""
    left, since = before
    return min(rate[0], left + (moment - since) * rate[1]) - 1


turns = Turns()
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, CapacityLimiter] = WeakKeyDictionary()


async def join(study: Served, connection: HTTPConnection) -> Response:
    """The answer to somebody who opens the link: in, by a cookie of their own, or a page that says why."""
    settings = study.design.open_link
    if settings is None:
        return door.page(study, 404, "wrong")
    if connection.scope["method"] != "GET":
        return PlainTextResponse("This address is only to be opened.", 405, {"allow": "GET"})
    pause = turns.wait(address.grouped(login.source(study, connection)))
    if pause is None:
        answer = door.page(study, 429, "open_link.busy")
        answer.headers["retry-after"] = answer.headers["refresh"] = f"{LONGEST:.0f}"
        return answer
    await asyncio.sleep(pause)
    return await to_thread.run_sync(_join, study, connection, limiter=_one_at_a_time())


def _one_at_a_time() -> CapacityLimiter:
    """Lets one come in at a time, in a thread apart: many at once would keep each other, and those whose
    answers are to be saved, from the database."""
    return _limiters.setdefault(asyncio.get_running_loop(), CapacityLimiter(1))


def _join(study: Served, connection: HTTPConnection) -> Response:
    settings = study.design.open_link
    kind = open_link.kind_of(study.folder, connection.scope["path"].removeprefix(f"{open_link.JOIN}/"))
    if kind is None:
        return door.page(study, 404, "open_link.wrong")
    try:
        ids = open_link.ids_of(settings, connection.scope["query_string"])
    except open_link.IdsError as error:
        return door.page(study, 400, f"open_link.{error.kind}", names=", ".join(error.names))
    try:
        person = recruits.join(study.store.engine, settings, ids, pilot=kind == "pilot")
    except recruits.FullError:
        return full(study, ids)
    except StoreError:
        return door.page(study, 403, "open_link.closed")
    database_record.note(study.folder, study.store.engine)
    mine = person.token in links.remembered(connection.cookies.get(study.listener_cookie))
    if not mine and person.outcome is not None:
        return door.page(study, 403, "open_link.ended")
    if not mine and person.begun and settings.resume == "same browser":
        return door.page(study, 403, "open_link.elsewhere")
    return door.admit(study, connection, person.token)


def full(study: Served, ids: dict[str, str]) -> HTMLResponse:
    """The page for whom there is no place left."""
    settings, say = study.design.open_link, wording.of(study.design)
    person = ids[settings.names_listener]
    code = open_link.code(settings, study.folder, recruits.OVER_QUOTA, person)
    goes_to = settings.over_quota.address(ids, code)
    more = f"<p>{escape(say('open_link.code'))}: <b>{escape(code)}</b></p>" if code else ""
    if goes_to:
        more += f'<p><a href="{escape(goes_to)}">{escape(say("open_link.go"))}</a></p>'
    return door.page(study, 403, "open_link.full", more=more)
