"""Run one program, and see that nothing of it outlives its time limit or the process that asked for it.

This is a process of its own, run by its path, so that a build that is killed with -9 still ends what it
started: the supervisor notices that its parent is gone. On Linux it also adopts the processes that the
program leaves behind, so that no child escapes by starting a session of its own; elsewhere it reaches the
program's process group. A program that kills this very process gets away with such children.

    supervisor.py PARENT LOG w|a SECONDS WORD...

It prints one JSON object per line: {"share": 0..1} where the program prints how far it is (a line as 0.42 or
42%), at last {"ended", "code", "last"}.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import psutil

_GRACE = 3.0  # seconds between SIGTERM and SIGKILL
_TICK = 0.1  # seconds
_HEAD, _TAIL = 1_000_000, 100_000  # bytes of output that the log keeps from its start and from its end
_LONGEST_LINE = 4096  # bytes
_SHARE = re.compile(rb"\s*(?:(\d{1,3}(?:\.\d+)?)\s*%|(0?\.\d+|1\.0*))\s*")
_PDEATHSIG, _CHILD_SUBREAPER = 1, 36  # prctl(2)


class _Cancelled(Exception):  # noqa: N818 - no error
    """SIGTERM: the process that asked for the program does not want it any more."""


class Output:
    """The output of a program: its start and end for the log, its last line, how far the program is."""

    def __init__(self, log: BinaryIO):
        self.log, self.written, self.left_out = log, 0, 0
        self.tail, self.line, self.last, self.share = b"", b"", b"", None

    def take(self, chunk: bytes) -> None:
        *lines, self.line = (self.line + chunk).replace(b"\r", b"\n").split(b"\n")
        self.line = self.line[-_LONGEST_LINE:]
        for line in lines:
            if match := _SHARE.fullmatch(line[:20]):
                self.share = float(match[1]) / 100 if match[1] else float(match[2])
            elif line.strip():
                self.last = line[-_LONGEST_LINE:]
        head = chunk[: _HEAD - self.written]
        with contextlib.suppress(OSError):  # a full disk must not stop the program
            self.log.write(head)
        self.written += len(head)
        rest = self.tail + chunk[len(head) :]
        self.left_out += max(0, len(rest) - _TAIL)
        self.tail = rest[-_TAIL:]

    def finish(self) -> str:
        """Write what is left to the log, and return the last line."""
        with contextlib.suppress(OSError):
            if self.left_out:
                self.log.write(b"\n[... %d bytes are left out here ...]\n" % self.left_out)
            self.log.write(self.tail)
            self.log.close()
        last = self.line if self.line.strip() and not _SHARE.fullmatch(self.line[:20]) else self.last
        text = last.decode(errors="replace")
        return re.sub(r"[^\x21-\x7e\xa1-\uffef]+", " ", text).strip()[:200]


def watch(program: subprocess.Popen, output: Output, parent: int, deadline: float) -> str:
    """Wait for the program's end, or for a reason to end it: "ended", "late" or "unwanted"."""
    pipe = program.stdout.fileno()
    is_open, last_print, printed = True, 0.0, None
    while True:
        if os.getppid() != parent:
            return "unwanted"
        if time.monotonic() > deadline:
            return "late"
        if not is_open:
            time.sleep(_TICK)
        elif select.select([pipe], [], [], _TICK)[0]:
            is_open = _read(pipe, output)
        if output.share != printed and time.monotonic() - last_print > 0.5:
            printed, last_print = output.share, time.monotonic()
            print(json.dumps({"share": min(1.0, printed)}), flush=True)
        if program.poll() is not None:
            until = time.monotonic() + 1.0  # a child that it left behind may go on writing
            while is_open and time.monotonic() < until and select.select([pipe], [], [], 0)[0]:
                is_open = _read(pipe, output)
            return "ended"


def _read(pipe: int, output: Output) -> bool:
    """Take some output; whether there may be more."""
    chunk = os.read(pipe, 65536)
    output.take(chunk)
    return bool(chunk)


def end(program: subprocess.Popen) -> None:
    """End the program and all that it started: by SIGTERM first, then by SIGKILL."""
    if program.poll() is None:
        _signal_group(program.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(_GRACE)
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        _signal_group(program.pid, signal.SIGKILL)
        children = psutil.Process().children(recursive=True)
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        program.poll()
        if not children:
            return
        psutil.wait_procs(children, timeout=_TICK)  # which reaps those that were adopted


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main(arguments: list[str]) -> None:
    parent, log, mode, seconds, *words = arguments

    def on_sigterm(*_: object) -> None:
        raise _Cancelled

    signal.signal(signal.SIGTERM, on_sigterm)
    _prctl(_CHILD_SUBREAPER, 1)
    output = Output(Path(log).open(f"{mode}b", buffering=0))  # noqa: SIM115 - finish() closes it
    try:
        program = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _prctl(_PDEATHSIG, signal.SIGKILL),  # safe, as there is one thread
        )
    except OSError as error:
        print(json.dumps({"ended": "unstarted", "code": None, "last": error.strerror}), flush=True)
        return
    reason = "unwanted"
    try:
        reason = watch(program, output, int(parent), time.monotonic() + float(seconds))
    except (_Cancelled, BrokenPipeError):
        pass
    finally:
        code = program.poll()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end(program)
        last = output.finish()
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps({"ended": reason, "code": code, "last": last}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
