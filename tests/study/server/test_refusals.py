from __future__ import annotations

import logging

from study.server import refusals as module
from study.server.refusals import ALL, EACH, SECONDS, Counted, Pace, Refusals, Repeats, Sockets


def test_a_line_names_what_was_refused_and_lets_nobody_write_lines_of_their_own():
    lines = []
    Refusals(lines.append).report("404 GET", "/clip/x\nrefused: nothing\x1b[2J\u202e", "10.0.0.7")
    assert lines == [r"refused: 404 GET '/clip/x\nrefused: nothing\x1b[2J\u202e' from 10.0.0.7"]


def test_long_addresses_are_cut():
    lines = []
    Refusals(lines.append).report("404 GET", "/" + "x" * 10_000, "")
    assert len(lines[0]) < 200
    assert lines[0].endswith("'... from an unknown address")
    Refusals(lines.append).report("405 " + "M" * 60_000, "/", "10.0.0.7")
    assert len(lines[1]) < 200, "nor may a method of any length fill the disk"


def test_of_one_kind_the_first_lines_are_written_and_then_one_a_minute_with_the_number():
    lines, now = [], [0.0]
    refusals = Refusals(lines.append, clock=lambda: now[0])
    for at in range(10_000):
        refusals.report("404 GET", f"/{at}", "10.0.0.7")
    refusals.flush()
    assert lines == [f"refused: 404 GET '/{at}' from 10.0.0.7" for at in range(EACH)]
    now[0] += SECONDS + 1
    refusals.flush()
    assert lines[EACH:] == [f"refused: {10_000 - EACH} more of: 404 GET from 10.0.0.7"]
    now[0] += SECONDS + 1
    refusals.flush()
    assert len(lines) == EACH + 1, "and none where nothing was refused"


def test_kinds_and_addresses_without_number_fill_neither_disk_nor_memory(monkeypatch):
    monkeypatch.setattr(module, "_KINDS", 200)
    lines, now = [], [0.0]
    refusals = Refusals(lines.append, clock=lambda: now[0])
    for at in range(10_000):
        refusals.report(f"{at} GET", "/x", f"10.0.{at % 250}.{at // 250}")
    assert len(lines) == ALL * EACH
    assert len(refusals._seen) == 201
    now[0] += SECONDS + 1
    refusals.flush()
    hidden = [int(line.split()[1]) for line in lines[ALL * EACH :]]
    assert sum(hidden) == 10_000 - ALL * EACH
    assert len(hidden) == EACH + 1


def test_what_libraries_log_is_bounded_too(monkeypatch):
    lines = []
    monkeypatch.setattr(module, "repeats", Counted(lines.append))
    kept, logger = [], logging.getLogger("some.library")
    handler = logging.Handler()
    handler.emit = kept.append
    monkeypatch.setattr(logger, "filters", [Repeats()])
    monkeypatch.setattr(logger, "handlers", [handler])
    for at in range(100):
        logger.warning("Invalid request %d", at)
    logger.warning("Something else")
    assert [record.getMessage() for record in kept] == [
        *[f"Invalid request {at}" for at in range(EACH)],
        "Something else",
    ]


def test_one_visitor_has_so_many_sockets_and_no_more():
    sockets = Sockets(2)
    assert [sockets.enter("Ann") for _ in range(3)] == [True, True, False]
    assert sockets.enter("Bo")
    sockets.leave("Ann")
    assert [sockets.enter("Ann") for _ in range(2)] == [True, False]


def test_a_socket_that_talks_too_fast_waits_and_loses_nothing():
    now = [0.0]
    pace = Pace(10, 5.0, clock=lambda: now[0])
    assert [pace.delay() for _ in range(10)] == [0.0] * 10
    for _ in range(50):
        now[0] += pace.delay()
    assert 9.5 < now[0] < 10.5, "five a second from then on"
    now[0] += 100
    assert [pace.delay() for _ in range(10)] == [0.0] * 10
