"""The state of this process: what Ctrl-C does to it, and its environment variables.

This module is loaded before any other, so that Ctrl-C ends a command without a traceback while the rest is
still loading. It therefore imports nothing that takes long to load.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping

INTERRUPTED = 128 + signal.SIGINT  # the exit code that shells give for Ctrl-C


def end_on_interrupt() -> None:
    """From now on Ctrl-C ends this process at once and without a word, with exit code `INTERRUPTED`.

    There is nothing to tidy up while modules are loaded, and some libraries turn an exception that meets them
    there into one of their own. Where Ctrl-C is ignored, as in a background job, it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within this block Ctrl-C raises KeyboardInterrupt again where it would have ended the process."""
    if signal.getsignal(signal.SIGINT) is not _end:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _end)


@contextlib.contextmanager
def environment_variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set environment variables within this block; None removes one. Afterwards all are as before."""
    before = {name: os.environ.get(name) for name in values}
    _set_variables(values)
    try:
        yield
    finally:
        _set_variables(before)


def _set_variables(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _end(*_: object) -> None:
    os._exit(INTERRUPTED)
