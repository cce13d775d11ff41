"""How commands end: a user's mistake gives one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import errno
import os
import re
import sys
import warnings
from typing import Any

import typer

from caw.files import file_names
from caw.process import INTERRUPTED, interruptible

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(app: typer.Typer, name: str, *, goes_on: str) -> None:
    """Run `app` as the command `name` and exit.

    Exit codes are 0 where it was done; 2 for a `ValueError`, an `OSError` or a fault in the command line
    itself; the error's own `exit_code` where it has one; and 130 where it was interrupted (`goes_on` tells
    the user how to continue). Warnings are one line each. Any other error is a fault of the program and
    keeps its traceback.
    """
    warnings.showwarning = lambda message, *_, **__: _print(name, f"warning: {message}")
    if hasattr(sys.stdout, "reconfigure"):  # so that a file name that is no text ends no command
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with interruptible():
            code = app(standalone_mode=False)  # typer gives 130 for Ctrl-C
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        code = _explain(name, error, goes_on)
    if code == INTERRUPTED:
        _print(name, f"interrupted; {goes_on}")
    sys.exit(code if isinstance(code, int) else 0)


def stage(text: str) -> None:
    """Print on stderr what is done from now on, in one line, where that takes longer than a moment."""
    print(text, file=sys.stderr, flush=True)


def _explain(name: str, error: Exception, goes_on: str) -> int:
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 2
    if hasattr(error, "format_message"):  # a fault in the command line itself
        _print(name, f"{_fault(error)}; see {_command(name, error)} --help")
        return 2
    if isinstance(error, BrokenPipeError):  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, OSError):
        full = error.errno in NO_ROOM
        fix = f"free some space and run the command again; {goes_on}" if full else "check path and rights"
        _print(name, f"{error.filename or 'a file'}: {error.strerror or error}; {fix}")
        return 2
    if isinstance(error, ValueError):
        _print(name, str(error))
        return getattr(error, "exit_code", 2)
    raise error


def _command(name: str, error: Any) -> str:
    """The command that the fault is in, as "study more"."""
    within, names = getattr(error, "ctx", None), []
    while within is not None and within.parent is not None:
        names.insert(0, within.info_name)
        within = within.parent
    return " ".join([name, *names])


def _fault(error: Any) -> str:
    """What is wrong with the command line, with the value and the range that it should be in."""
    parameter, errors = getattr(error, "param", None), getattr(error.__cause__, "errors", None)
    if parameter is None or errors is None:
        return error.format_message().rstrip(".")
    fault = errors(include_url=False)[0]
    option = max(parameter.opts, key=len)
    text = str(fault["input"])
    value = text if re.fullmatch(r"\S{1,40}", text) else repr(text if len(text) <= 40 else f"{text[:40]}...")
    kind = "a whole number" if fault["type"].startswith("int_") else "a number"
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if fault["type"].startswith(("int_", "float_", "greater_", "less_", "finite_")):
        return f"{option} is {value}; use {kind}{_within(low, high)}"
    return f"{option} is {value}: {fault['msg']}"


def _within(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of {high} or less"
    return f" of {low} or more" if high is None else f" from {low} to {high}"


def _print(name: str, message: str) -> None:
    print(f"{name}: {file_names.shown(' '.join(message.split()))}", file=sys.stderr)
