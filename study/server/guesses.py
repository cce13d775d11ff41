"""How often somebody may guess the researcher's password, and what looking at a guess may cost.

Guesses are counted by address (of IPv6 by its network of 64 bits): five at once, then one after 2, 4, 8, ...
seconds, and soon one a minute. So an address has some 1,450 guesses a day at each server, and whoever gives
the right password waits a minute at most, whatever other addresses do. A browser that has logged in before is
counted alone, by a signed cookie: guesses from its own address do not hold it up either.

Hashing a guess takes a quarter of a second of a core, so one is hashed at a time: those of known browsers
first, then those of the addresses that have guessed least, and of them the newest. Once the right password
was given, this process knows it by a digest under a key that never leaves its memory; from then on a guess,
right or wrong, costs microseconds, and no flood can keep the right one out.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import hmac
import itertools
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from study import password

AT_ONCE = 5  # wrong guesses before the first wait
LONGEST = 60.0  # seconds between two guesses, at most
FORGOTTEN = 900.0  # seconds without a guess, after which an address begins anew
_ADDRESSES = 50_000  # that are remembered
_WAITING = 100  # guesses that wait to be hashed; more are sent away without being looked at
_LOGGED, _HOUR = 100, 3600.0  # failures an hour that go into the study's log


class BusyError(Exception):
    """Too many guesses wait already, so this one was not checked."""


class Guesses:
    """Counts the guesses of each address. `clock` in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._made: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how many, and when the last one
        self._logged, self._since = 0, clock()

    def wait(self, source: str) -> int:
        """Count one guess. Returns 0 where it may be checked, else the seconds until the next one may."""
        moment = self.clock()
        count, last = self._made.get(source, (0, moment))
        if moment - last > FORGOTTEN:
            count = 0
        pause = 0.0 if count < AT_ONCE else min(LONGEST, 2.0 ** min(count - AT_ONCE + 1, 10))
        if (left := last + pause - moment) > 0:
            return math.ceil(left)
        self._made[source] = count + 1, moment
        self._made.move_to_end(source)
        while len(self._made) > _ADDRESSES:
            self._made.popitem(last=False)
        return 0

    def made(self, source: str) -> int:
        """The guesses of an address so far."""
        return self._made.get(source, (0, 0.0))[0]

    def take_back(self, source: str) -> None:
        """Uncount the last guess, which was not checked."""
        count, last = self._made.get(source, (0, 0.0))
        if count:
            self._made[source] = count - 1, last

    def forget(self, source: str) -> None:
        """Forget the guesses of an address that gave the right password."""
        self._made.pop(source, None)

    def may_be_logged(self) -> bool:
        """Whether one more failure goes into the study's log, which a flood must not fill."""
        moment = self.clock()
        if moment - self._since > _HOUR:
            self._logged, self._since = 0, moment
        self._logged += 1
        return self._logged <= _LOGGED


class PasswordCheck:
    """Compares guesses with the password's hash, one at a time."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}  # password hash -> digest of its password
        self._hashing = False
        self._waiting: list[
            tuple[int, int, asyncio.Future[None]]
        ] = []  # a heap: rank, the newest first, turn
        self._arrivals = itertools.count()

    async def matches(self, guess: str, password_hash: str, *, rank: int) -> bool:
        """Whether this is the password of `password_hash`; takes as long whether it is or not.

        rank: the guesses of its address so far, 0 for a known browser; the lowest is hashed first. Raises:
        BusyError.
        """
        guess = guess[: password.LONGEST]
        digest = hmac.new(self._key, guess.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
        if password_hash not in self._right:
            await self._turn(rank)
            try:
                if password_hash not in self._right:
                    right = await asyncio.to_thread(password.matches, guess, password_hash)
                    if right:
                        self._right[password_hash] = digest
                    return right
            finally:
                self._next()
        return hmac.compare_digest(digest, self._right[password_hash])

    async def _turn(self, rank: int) -> None:
        if not self._hashing:
            self._hashing = True
            return
        if len(self._waiting) >= _WAITING:
            worst = max(self._waiting)
            if worst[0] < rank:
                raise BusyError
            self._waiting.remove(worst)
            heapq.heapify(self._waiting)
            if not worst[2].done():
                worst[2].set_exception(BusyError())
        mine = (rank, -next(self._arrivals), asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, mine)
        try:
            await mine[2]
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
                heapq.heapify(self._waiting)
            elif not mine[2].cancelled():  # it had its turn already
                self._next()
            raise

    def _next(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():  # else it hung up just now
                turn.set_result(None)
                return
        self._hashing = False
