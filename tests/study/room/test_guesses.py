"""How often one may guess the researcher's password, and that a flood of guesses costs little."""

from __future__ import annotations

import asyncio
import threading

import pytest

from study import password
from study.room import guesses
from study.room.guesses import BusyError, Guesses, PasswordCheck


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


def test_one_guess_is_hashed_at_a_time_and_too_many_are_sent_away(monkeypatch):
    """While the lane of strangers is full, a known browser is let in, and from then on everybody at once."""
    together, most, gate = [0], [0], threading.Event()

    def slow(guess: str, _kept: str) -> bool:
        together[0] += 1
        most[0] = max(most[0], together[0])
        if guess != "right":
            gate.wait(60)
        together[0] -= 1
        return guess == "right"

    async def flood() -> tuple[list, bool, bool]:
        check = PasswordCheck()
        tasks = [
            asyncio.create_task(check.fits(f"wrong {at}", "hash", known=False))
            for at in range(guesses._WAITING + 10)
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert all(isinstance(one.exception(), BusyError) for one in done)
        known = await check.fits("right", "hash", known=True)
        stranger = await check.fits("right", "hash", known=False)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True), known, stranger

    monkeypatch.setattr(password, "fits", slow)
    told, known, stranger = asyncio.run(flood())
    assert known
    assert stranger
    assert sum(isinstance(one, BusyError) for one in told) == 10
    assert told.count(False) == guesses._WAITING
    assert most[0] == 2, "one of strangers, one of known browsers"


def test_once_the_right_one_was_given_no_guess_is_hashed(monkeypatch):
    kept = password.hashed("four plain words here")

    async def ask(check: PasswordCheck, guess: str) -> bool:
        return await check.fits(guess, kept, known=False)

    async def all_of_it() -> list[bool]:
        check = PasswordCheck()
        before = [await ask(check, "wrong words"), await ask(check, "four plain words here")]
        monkeypatch.setattr(password, "fits", pytest.fail)
        words = ["wrong words", "four plain words here", "", "\ud800", "four plain words here "]
        return before + [await ask(check, guess) for guess in words]

    assert asyncio.run(all_of_it()) == [False, True, False, True, False, False, False]
