"""Clips from a program: its command line filled in, the program run under supervision, its files checked."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from caw import audio
from caw.files import sound_files
from study.backends import BackendError, Clip, Task, Tell, seed_for

PLACEHOLDERS = ("clip", "out", "n", "seconds", "seed", "mode", "epochs", "rate", "models")
LONGEST = 600.0  # s of a file that are read; the longest passage that a study takes
_RATES = (4000, 384_000)  # Hz that a file's header may name: others are a slip, and costly to believe
WORK = ".work"  # what a folder for a call ends on, and with a dot it begins
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_TELL_EVERY = 1.0  # s
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def placeholders(words: Sequence[str]) -> set[str]:
    """The names in braces; "{{" and "}}" stand for braces themselves."""
    return {found[1] for word in words for found in _PLACEHOLDER.finditer(word) if found[1]}


def formatted(words: Sequence[str]) -> list[str]:
    """What looks like a placeholder with a format, as {seed:05d}: it would reach the program as it stands."""
    known = "|".join(PLACEHOLDERS)
    return [found for word in words for found in re.findall(rf"(?<!{{){{(?:{known})[^\w}}][^}}]*}}", word)]


def filled(words: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The words with their placeholders filled in. Each stays one word, whatever it then holds: there is no
    shell to take it apart."""

    def value(found: re.Match) -> str:
        return found[0][0] if found[1] is None else str(values[found[1]])

    return [_PLACEHOLDER.sub(value, word) for word in words]


def literal(text: object) -> str:
    """A text as a word that stands for just that, as a path that may hold braces."""
    return str(text).replace("{", "{{").replace("}", "}}")


def find_program(program: object, folder: Path, *, key: str = "command") -> str:
    """The program's path: from the study's folder on where it names a folder, else among the system's.

    Raises: BackendError about the option `key`.
    """
    if not isinstance(program, str) or not program or "\0" in program:
        raise BackendError(f"{program!r} names no program; write its name in quotes", key=key)
    if "/" in program:
        program = str((folder / Path(program).expanduser()).absolute())
    found = shutil.which(program)
    if found is None:
        there = Path(program).is_file()
        mend = f"run chmod +x {program}" if there else "install it, or write its path from study.toml on"
        what = "is no program that may be run" if there else "there is no such program"
        raise BackendError(f"{program}: {what}; {mend}", key=key)
    return found


def log_name(task: Task) -> str:
    """The log of a task, in models/."""
    return f"{task.cell.name}.log"


def clips(
    task: Task,
    words: Sequence[str],
    *,
    timeout: float,
    tell: Tell,
    models: str = "",
    rate: int | None = None,
) -> Iterator[Clip]:
    """Call the program: once for all clips where the words hold {n}, otherwise once for each.

    words: the command line with its placeholders. timeout: s for each call.
    models: a folder in models/ that lasts, for {models}; it becomes the clips' run.
    rate: Hz of the passage as the program gets it; None for the file's own.
    Raises: BackendError for a program that fails, takes too long or makes too little; AudioError for a
    passage that cannot be read.
    """
    cell, log = task.cell, (task.models / log_name(task)).absolute()
    own = task.models.absolute().with_name(f".{cell.name}{WORK}")  # beside models/, whose files are kept
    batches = [task.names] if "n" in placeholders(words) else [[name] for name in task.names]
    shutil.rmtree(own, ignore_errors=True)  # what a killed build left
    try:
        own.mkdir(mode=0o700, parents=True)
        passage = own / "passage.wav"
        samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds, rate=rate)
        audio.write(passage, audio.within_full_scale(samples, cell.file.name), rate)
        content = passage.read_bytes()
        kept = task.models.absolute() / models
        if models:
            kept.mkdir(parents=True, exist_ok=True)
        for index, batch in enumerate(batches):
            out = own / f"out-{index}"
            out.mkdir(parents=True, exist_ok=True)
            passage.unlink(missing_ok=True)
            passage.write_bytes(content)  # the program may have changed it: no call follows from another
            seed = seed_for(task.seed, batch[0])
            values = {"clip": passage, "out": out, "n": len(batch), "seed": seed, "rate": rate}
            values |= {"seconds": math.ceil(task.seconds * 1000 - 1e-6) / 1000, "mode": cell.mode}
            values |= {"epochs": cell.epochs, "models": kept}

            def told(share: float, text: str, before: int = index) -> None:
                tell((before + share) / len(batches), text)

            last = run(
                filled(words, values),
                name=cell.backend,
                log=log,
                again=index > 0,
                timeout=timeout,
                folder=task.folder,
                tell=told,
            )
            found = _files(out)
            if len(found) < len(batch):
                asked = "1 was" if len(batch) == 1 else f"{len(batch)} were"
                told = f"{cell.backend} left {len(found)} sound files in {{out}}, {asked} asked for"
                raise BackendError(f"{told}{_said(last)}; see {log}")
            for name, file in zip(batch, found, strict=False):
                made, made_rate = _read(file, task.seconds, cell.backend, log)
                yield Clip(name, made, made_rate, seed, models)
            shutil.rmtree(out, ignore_errors=True)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def run(
    words: Sequence[str], *, name: str, log: Path, again: bool, timeout: float, folder: Path, tell: Tell
) -> str:
    """Run a program to its end, in the study's folder; returns the last line that it said.

    log: what it says is kept there. again: beneath what an earlier call said.
    Raises: BackendError naming exit code or signal, its last line and the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    last_told, share = -math.inf, 0.0
    command = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(os.getpid()), str(log)]
    supervisor = subprocess.Popen(
        [*command, "a" if again else "w", str(timeout), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        start_new_session=True,  # Ctrl-C is ours to pass on
    )
    ended: dict = {}
    waiting = b""
    try:
        while not ended:
            if time.monotonic() - last_told >= _TELL_EVERY:
                last_told = time.monotonic()
                tell(share, f"{name}: {last_told - started:.0f} s")
            if not select.select([supervisor.stdout], [], [], _TELL_EVERY / 2)[0]:
                continue
            chunk = os.read(supervisor.stdout.fileno(), 65536)
            if not chunk:
                break
            *lines, waiting = (waiting + chunk).split(b"\n")
            for said in map(json.loads, lines):
                share = said.get("share", share)
                ended = said if "ended" in said else {}
    finally:
        if not ended:
            supervisor.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(20)
        if supervisor.poll() is None:
            supervisor.kill()
            supervisor.wait()
        supervisor.stdout.close()
    last = ended.get("last", "")
    if fault := _fault(ended, timeout, name):
        raise BackendError(f"{name} {fault}{_said(last)}; see {log}")
    return last


def _said(last: str) -> str:
    return f": {last}" if last else ""


def _fault(ended: Mapping, timeout: float, name: str) -> str:
    """What went wrong; "" for nothing."""
    code = ended.get("code")
    if not ended:
        return "was ended from outside"
    if ended["ended"] == "unstarted":
        return "could not be started (does its first line name an interpreter that is there?)"
    if ended["ended"] == "late":
        return f"took longer than {timeout:g} s (raise `timeout` of [backend.{name}])"
    if code is not None and code < 0:
        number = -code
        known = {entry.value: entry.name for entry in signal.Signals}
        memory = " (out of memory?)" if number == signal.SIGKILL else ""
        return f"was killed by {known.get(number, number)}{memory}"
    return f"ended with exit code {code}" if code else ""


def _files(out: Path) -> list[Path]:
    """The sound files in a folder, in the order of their names."""
    try:
        return sound_files.in_folder(out)[0]
    except OSError:  # the program has removed it
        return []


def _read(file: Path, seconds: float, name: str, log: Path):
    """A made file's samples [n] and rate. Raises: BackendError."""
    try:
        info = audio.inspect(file)
        length = info.seconds
        if not _RATES[0] <= info.rate <= _RATES[1]:
            raise BackendError(f"{name} made {file.name} at {info.rate} Hz; see {log}")
        if length < seconds - 1e-3:
            raise BackendError(
                f"{name} made {file.name} of {length:.2f} s, {seconds:g} s are needed; see {log}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", audio.AudioWarning)  # how a model sounds is for listeners to say
            return audio.read(file, seconds=None if length <= LONGEST else LONGEST)
    except audio.AudioError as error:
        what = str(error).removeprefix(f"{file}: ").rpartition("; ")[0]
        raise BackendError(f"{name} made {file.name}, which cannot be used ({what}); see {log}") from None
    except UnicodeError:  # bytes that are no UTF-8 could not even be told
        shown = os.fsencode(file.name).decode(errors="replace")
        raise BackendError(f"{name} made {shown}, a name that is no UTF-8; see {log}") from None
