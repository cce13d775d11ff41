"""What Ctrl-C does to a command: a KeyboardInterrupt while it works, else its end without a word.

While modules are loaded nothing is to be tidied up, and some libraries turn an exception that meets them
there into one of their own. Imports next to nothing: only what comes before it, Python's own start and a few
milliseconds, still answers Ctrl-C with a traceback.
"""

import os
import signal

CODE = 130  # 128 + SIGINT, as shells give it


def ends_at_once() -> None:
    """From now on Ctrl-C ends this process with `CODE`, unless it is ignored, as in a background job."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


class raised:
    """In this block Ctrl-C is a KeyboardInterrupt again, where it would have ended the process at once."""

    def __enter__(self) -> None:
        self._ending = signal.getsignal(signal.SIGINT) is _end
        if self._ending:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *_: object) -> None:
        if self._ending:
            signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    os._exit(CODE)
