from __future__ import annotations

from study.room.refusals import LINES, SECONDS, Refusals, Sockets


def test_a_line_names_what_was_refused_and_lets_nobody_write_lines_of_their_own():
    lines = []
    Refusals(lines.append).tell("404 GET", "/clip/x\nrefused: nothing\x1b[2J\u202e", "10.0.0.7")
    assert lines == [r"refused: 404 GET '/clip/x\nrefused: nothing\x1b[2J\u202e' from 10.0.0.7"]


def test_long_addresses_are_cut():
    lines = []
    Refusals(lines.append).tell("404 GET", "/" + "x" * 10_000, "")
    assert len(lines[0]) < 200
    assert lines[0].endswith("'... from an unknown address")


def test_a_flood_of_refusals_does_not_fill_the_disk():
    lines, now = [], [0.0]
    refusals = Refusals(lines.append, clock=lambda: now[0])
    for _ in range(10_000):
        refusals.tell("404 GET", "/x", "10.0.0.7")
    assert len(lines) == LINES
    now[0] += SECONDS + 1
    refusals.tell("404 GET", "/y", "10.0.0.7")
    assert lines[LINES:] == [
        f"refused: {10_000 - LINES} more of the kind",
        "refused: 404 GET '/y' from 10.0.0.7",
    ]


def test_one_visitor_has_so_many_sockets_and_no_more():
    sockets = Sockets(2)
    assert [sockets.enter("Ann") for _ in range(3)] == [True, True, False]
    assert sockets.enter("Bo")
    sockets.leave("Ann")
    assert [sockets.enter("Ann") for _ in range(2)] == [True, False]
