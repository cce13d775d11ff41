"""How often one may guess the researcher's password, and that a flood of guesses costs little."""

from __future__ import annotations

import asyncio
import threading

import pytest

from study import password
from study.server import guesses
from study.server.guesses import BusyError, Guesses, PasswordCheck


def test_an_address_has_some_1450_guesses_a_day_and_never_waits_over_a_minute():
    moment = [0.0]
    counted = Guesses(lambda: moment[0])
    made, longest = 0, 0
    while moment[0] < 24 * 3600:
        wait = counted.wait("192.0.2.7")
        made, longest = made + (wait == 0), max(longest, wait)
        moment[0] += wait or 0.01
    assert 1400 < made < 1460
    assert longest == 60
    assert counted.wait("192.0.2.8") == 0, "others are not held up"


def test_no_pattern_of_pauses_gives_more_guesses():
    for pause in (61, 300, 901, 3600):
        moment = [0.0]
        counted = Guesses(lambda moment=moment: moment[0])
        made = 0
        while moment[0] < 24 * 3600:
            while not counted.wait("192.0.2.7"):
                made += 1
            moment[0] += pause
        assert made < 1460, pause


def test_a_guess_that_was_not_looked_at_does_not_count_and_a_right_one_forgives():
    counted = Guesses(lambda: 0.0)
    for _ in range(20):
        assert counted.wait("a") == 0
        counted.take_back("a")
    for _ in range(5):
        assert counted.wait("a") == 0
    assert counted.wait("a") == 2
    counted.forget("a")
    assert counted.wait("a") == 0


def test_so_many_addresses_are_remembered_and_no_more(monkeypatch):
    monkeypatch.setattr(guesses, "_ADDRESSES", 10)
    counted = Guesses(lambda: 0.0)
    for at in range(100):
        counted.wait(f"address {at}")
    assert len(counted._made) == 10


@pytest.fixture
def hashing(monkeypatch):
    """What is hashed, in its order; nothing goes on before `go` is set. The right password is "right"."""
    order, go, together = [], threading.Event(), [0]

    def slow(guess: str, _kept: str) -> bool:
        together[0] += 1
        assert together[0] == 1, "one at a time"
        order.append(guess)
        go.wait(60)
        together[0] -= 1
        return guess == "right"

    monkeypatch.setattr(password, "matches", slow)
    return order, go


def _flood(go: threading.Event, guesses_and_ranks: list[tuple[str, int]]) -> list:
    async def all_at_once() -> list:
        check = PasswordCheck()
        tasks = [
            asyncio.create_task(check.matches(guess, "hash", rank=rank)) for guess, rank in guesses_and_ranks
        ]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(all_at_once())


def test_known_browsers_come_first_and_then_those_who_have_guessed_least(hashing):
    order, go = hashing
    flood = [("first", 9), ("often", 7), ("once", 1), ("twice", 2), ("again", 1), ("known", 0)]
    assert _flood(go, flood) == [False] * 6
    assert order == ["first", "known", "again", "once", "twice", "often"]


def test_after_the_right_one_no_other_is_hashed(hashing):
    order, go = hashing
    assert _flood(go, [("wrong", 5), ("right", 1), ("x", 2), ("right", 3)]) == [False, True, False, True]
    assert order == ["wrong", "right"]


def test_too_many_are_sent_away_and_first_those_who_have_guessed_most(hashing):
    order, go = hashing
    many = [("first", 9)] + [(f"wrong {at}", 5) for at in range(guesses._WAITING)]
    told = _flood(go, [*many, ("most", 6), ("one more", 5), ("right", 1)])
    assert [at for at, one in enumerate(told) if isinstance(one, BusyError)] == [1, 2, len(many)]
    assert told[-1] is True
    assert told.count(False) == guesses._WAITING
    assert order == ["first", "right"]


def test_who_hangs_up_while_waiting_holds_up_nobody(hashing):
    _, go = hashing

    async def hang_up() -> list:
        check = PasswordCheck()
        tasks = [asyncio.create_task(check.matches(f"wrong {at}", "hash", rank=at)) for at in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[3].cancel()
        go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    told = asyncio.run(asyncio.wait_for(hang_up(), 60))
    assert [told[0], told[2]] == [False, False]
    assert all(isinstance(told[at], asyncio.CancelledError) for at in (1, 3))


def test_who_hangs_up_as_its_turn_comes_holds_up_nobody(monkeypatch):
    async def hang_up() -> list:
        check, tasks = PasswordCheck(), []

        async def first_look(*_args: object) -> bool:
            await asyncio.sleep(0)
            tasks[1].cancel()  # its task has not run again when its turn comes
            return False

        monkeypatch.setattr(guesses.asyncio, "to_thread", first_look)
        tasks += [asyncio.create_task(check.matches(f"wrong {at}", "hash", rank=at)) for at in range(2)]
        told = await asyncio.gather(*tasks, return_exceptions=True)
        monkeypatch.undo()
        monkeypatch.setattr(password, "matches", lambda *_: True)
        return [*told, await check.matches("right", "hash", rank=1)]

    told = asyncio.run(asyncio.wait_for(hang_up(), 20))
    assert told[0] is False
    assert isinstance(told[1], asyncio.CancelledError)
    assert told[2] is True


def test_once_the_right_one_was_given_no_guess_is_hashed(monkeypatch):
    kept = password.hashed("four plain words here")

    async def ask(check: PasswordCheck, guess: str) -> bool:
        return await check.matches(guess, kept, rank=1)

    async def all_of_it() -> list[bool]:
        check = PasswordCheck()
        before = [await ask(check, "wrong words"), await ask(check, "four plain words here")]
        monkeypatch.setattr(password, "matches", pytest.fail)
        words = ["wrong words", "four plain words here", "", "\ud800", "four plain words here "]
        return before + [await ask(check, guess) for guess in words]

    assert asyncio.run(all_of_it()) == [False, True, False, True, False, False, False]
