"""How both commands end: a user's mistake is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import errno
import os
import sys
import warnings

import typer

from caw import interrupt

INTERRUPTED = interrupt.CODE
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(app: typer.Typer, name: str, *, goes_on: str) -> None:
    """Run `app` as the command `name` and exit.

    Exit codes: 0 done; 2 a `ValueError`, an `OSError` or a fault in the command line itself; the
    error's own `exit_code` where it has one; 130 interrupted (`goes_on` says how to continue).
    Warnings are one line each. Any other error is a fault of ours and keeps its traceback.
    """
    warnings.showwarning = lambda message, *_, **__: _say(name, f"warning: {message}")
    try:
        with interrupt.raised():
            code = app(standalone_mode=False)  # typer gives 130 for Ctrl-C
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        code = _explain(name, error, goes_on)
    if code == INTERRUPTED:
        _say(name, f"interrupted; {goes_on}")
    sys.exit(code if isinstance(code, int) else 0)


def _explain(name: str, error: Exception, goes_on: str) -> int:
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 2
    if hasattr(error, "format_message"):  # a fault in the command line itself
        _say(name, f"{error.format_message().rstrip('.')}; see {name} --help")
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


def _say(name: str, message: str) -> None:
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
