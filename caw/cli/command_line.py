"""How both commands end: a user's mistake is one line on stderr and exit code 2, never a traceback."""

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

    Exit codes: 0 done; 2 a `ValueError`, an `OSError` or a fault in the command line itself; the
    error's own `exit_code` where it has one; 130 interrupted (`goes_on` says how to continue).
    Warnings are one line each. Any other error is a fault of ours and keeps its traceback.
    """
    warnings.showwarning = lambda message, *_, **__: _say(name, f"warning: {message}")
    if hasattr(sys.stdout, "reconfigure"):  # one file name that is no text ends no command
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
        _say(name, f"interrupted; {goes_on}")
    sys.exit(code if isinstance(code, int) else 0)


def stage(text: str) -> None:
    """Say on stderr what is being done from now on, in one line, where that takes longer than a moment."""
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
        _say(name, f"{_fault(error)}; see {name} --help")
        return 2
    if isinstance(error, BrokenPipeError):  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, OSError):
        full = error.errno in NO_ROOM
        mend = f"free some space and run the command again; {goes_on}" if full else "check path and rights"
        _say(name, f"{error.filename or 'a file'}: {error.strerror or error}; {mend}")
        return 2
    if isinstance(error, ValueError):
        _say(name, str(error))
        return getattr(error, "exit_code", 2)
    raise error


def _fault(error: Any) -> str:
    """What is wrong with the command line, with the value and its range where one is out of it."""
    parameter, why = getattr(error, "param", None), getattr(error.__cause__, "errors", None)
    if parameter is None or why is None:
        return error.format_message().rstrip(".")
    fault = why(include_url=False)[0]
    named = max(parameter.opts, key=len)
    text = str(fault["input"])
    value = text if re.fullmatch(r"\S{1,40}", text) else repr(text if len(text) <= 40 else f"{text[:40]}...")
    kind = "a whole number" if fault["type"].startswith("int_") else "a number"
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if fault["type"].startswith(("int_", "float_", "greater_", "less_", "finite_")):
        return f"{named} is {value}; use {kind}{_within(low, high)}"
    return f"{named} is {value}: {fault['msg']}"


def _within(low: float | None, high: float | None) -> str:
    if low is None:
        return "" if high is None else f" of {high} or less"
    return f" of {low} or more" if high is None else f" from {low} to {high}"


def _say(name: str, message: str) -> None:
    print(f"{name}: {file_names.shown(' '.join(message.split()))}", file=sys.stderr)
