"""Ports for the servers of tests: free ones, and none that another process is about to take."""

from __future__ import annotations

import os
import socket

_FIRST, _COUNT = 20_000, 10_000  # above Ray's own, below those that a system gives to whoever asks for any
_EACH = 61  # of a test process, whose number says where its ports begin
_taken = 0


def free_port(together: int = 1) -> int:
    """The first of so many free ports in a row; another one each time.

    A server takes its port seconds after this look. A port that the system gave may be given away meanwhile.
    """
    global _taken
    for _ in range(_COUNT):
        first = _FIRST + (os.getpid() * _EACH + _taken) % (_COUNT - together)
        _taken += together
        if all(_is_free(port) for port in range(first, first + together)):
            return first
    raise RuntimeError(f"no port is free from {_FIRST} to {_FIRST + _COUNT}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
