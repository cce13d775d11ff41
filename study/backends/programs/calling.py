"""Clips from a program: fill in its command line, run it under supervision, check the files it leaves."""

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
from study.backends import BackendError, Clip, ProgressCallback, Task, seed_for

PLACEHOLDERS = ("clip", "out", "n", "seconds", "seed", "mode", "epochs", "rate", "models")
LONGEST = 600.0  # seconds of a file that are read; the longest passage that a study takes
_RATES = (4000, 384_000)  # Hz that a file's header may name; others are mistakes, and costly to believe
WORK = ".work"  # ending of the folder for a call, whose name begins with a dot
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_REPORT_EVERY = 1.0  # seconds
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def placeholders(words: Sequence[str]) -> set[str]:
    """The names in braces; "{{" and "}}" stand for braces themselves.

    Examples
    --------
    >>> sorted(placeholders(["--in={clip}", "{out}", "{{no}}"]))
    ['clip', 'out']
    """
    return {match[1] for word in words for match in _PLACEHOLDER.finditer(word) if match[1]}


def formatted(words: Sequence[str]) -> list[str]:
    """Placeholders with a format, as {seed:05d}, which would reach the program as they are."""
    pattern = rf"(?<!{{){{(?:{'|'.join(PLACEHOLDERS)})[^\w}}][^}}]*}}"
    return [text for word in words for text in re.findall(pattern, word)]


def filled(words: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """The words with their placeholders filled in. Each stays one word, as no shell takes it apart.

    Examples
    --------
    >>> filled(["--n={n}", "{{n}}"], {"n": 2})
    ['--n=2', '{n}']
    """

    def value(match: re.Match) -> str:
        return match[0][0] if match[1] is None else str(values[match[1]])

    return [_PLACEHOLDER.sub(value, word) for word in words]


def literal(text: object) -> str:
    """A text as a word that is filled in as that text, as a path that may hold braces."""
    return str(text).replace("{", "{{").replace("}", "}}")


def find_program(program: object, folder: Path, *, key: str = "command") -> str:
    """The program's path: from the study's folder on where it names a folder, else by the system's PATH.

    Raises BackendError about the option `key`.
    """
    if not isinstance(program, str) or not program or "\0" in program:
        raise BackendError(f"{program!r} names no program", "write its name in quotes", key=key)
    if "/" in program:
        program = str((folder / Path(program).expanduser()).absolute())
    path = shutil.which(program)
    if path is None:
        if Path(program).is_file():
            raise BackendError(
                f"{program}: is no program that may be run", f"run chmod +x {program}", key=key
            )
        fix = "install it, or write its path from study.toml on"
        raise BackendError(f"{program}: there is no such program", fix, key=key)
    return path


def log_name(task: Task) -> str:
    """The name of a task's log, in models/."""
    return f"{task.cell.name}.log"


def clips(
    task: Task,
    words: Sequence[str],
    *,
    timeout: float,
    progress: ProgressCallback,
    models: str = "",
    rate: int | None = None,
) -> Iterator[Clip]:
    """Call the program: once for all clips where the words hold {n}, otherwise once for each clip.

    Parameters
    ----------
    task : Task
    words : sequence of str
        The command line with its placeholders.
    timeout : float
        Seconds for each call.
    progress : callable
        As of `Backend.make`.
    models : str
        A folder in models/ that stays, for {models}. It becomes the clips' run.
    rate : int, optional
        Hz of the passage that the program gets; by default the file's own.

    Raises
    ------
    BackendError
        For a program that fails, takes too long, or makes too few or too short clips.
    AudioError
        For a passage that cannot be read.
    """
    cell, log = task.cell, (task.models / log_name(task)).absolute()
    own = task.models.absolute().with_name(f".{cell.name}{WORK}")  # beside models/, whose files are kept
    batches = [task.names] if "n" in placeholders(words) else [[name] for name in task.names]
    shutil.rmtree(own, ignore_errors=True)  # which a killed build left
    try:
        own.mkdir(mode=0o700, parents=True)
        passage = own / "passage.wav"
        samples, rate = audio.read(cell.file, start=cell.start, seconds=cell.seconds, rate=rate)
        audio.write(passage, audio.within_full_scale(samples, cell.file.name), rate)
        content = passage.read_bytes()
        lasting = task.models.absolute() / models
        if models:
            lasting.mkdir(parents=True, exist_ok=True)
        for index, batch in enumerate(batches):
            out = own / f"out-{index}"
            out.mkdir(parents=True, exist_ok=True)
            passage.unlink(missing_ok=True)
            passage.write_bytes(content)  # an earlier call may have changed it
            seed = seed_for(task.seed, batch[0])
            values = {"clip": passage, "out": out, "n": len(batch), "seed": seed, "rate": rate}
            values |= {"seconds": math.ceil(task.seconds * 1000 - 1e-6) / 1000, "mode": cell.mode}
            values |= {"epochs": cell.epochs, "models": lasting}

            def on_progress(share: float, text: str, before: int = index) -> None:
                progress((before + share) / len(batches), text)

            last_line = run(
                filled(words, values),
                name=cell.backend,
                log=log,
                append=index > 0,
                timeout=timeout,
                folder=task.folder,
                progress=on_progress,
            )
            files = _files(out)
            if len(files) < len(batch):
                requested = "1 was" if len(batch) == 1 else f"{len(batch)} were"
                what = f"{cell.backend} left {len(files)} sound files in {{out}}, {requested} asked for"
                raise BackendError(what + _quoted(last_line), f"see {log}")
            for name, file in zip(batch, files, strict=False):
                clip, clip_rate = _read(file, task.seconds, cell.backend, log)
                yield Clip(name, clip, clip_rate, seed, models)
            shutil.rmtree(out, ignore_errors=True)
    finally:
        shutil.rmtree(own, ignore_errors=True)


def run(
    words: Sequence[str],
    *,
    name: str,
    log: Path,
    append: bool,
    timeout: float,
    folder: Path,
    progress: ProgressCallback,
) -> str:
    """Run a program to its end, in the study's folder, and return the last line of its output.

    Its output is written to `log`, after the output of earlier calls where `append` is set. Raises
    BackendError naming exit code or signal, the last line and the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    last_report, share = -math.inf, 0.0
    command = [sys.executable, "-I", str(_SUPERVISOR), str(os.getpid()), str(log)]
    supervisor = subprocess.Popen(
        [*command, "a" if append else "w", str(timeout), *words],
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
            if time.monotonic() - last_report >= _REPORT_EVERY:
                last_report = time.monotonic()
                progress(share, f"{name}: {last_report - started:.0f} s")
            if not select.select([supervisor.stdout], [], [], _REPORT_EVERY / 2)[0]:
                continue
            chunk = os.read(supervisor.stdout.fileno(), 65536)
            if not chunk:
                break
            *lines, waiting = (waiting + chunk).split(b"\n")
            for message in map(json.loads, lines):
                share = message.get("share", share)
                ended = message if "ended" in message else {}
    finally:
        if not ended:
            supervisor.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(20)
        if supervisor.poll() is None:
            supervisor.kill()
            supervisor.wait()
        supervisor.stdout.close()
    last_line = ended.get("last", "")
    if fault := _fault(ended, timeout, name):
        raise BackendError(f"{name} {fault}{_quoted(last_line)}", f"see {log}")
    return last_line


def _quoted(last_line: str) -> str:
    return f": {last_line}" if last_line else ""


def _fault(ended: Mapping, timeout: float, name: str) -> str:
    """What went wrong; "" where nothing did."""
    code = ended.get("code")
    if not ended:
        return "was ended from outside"
    if ended["ended"] == "unstarted":
        return "could not be started (does its first line name an interpreter that is there?)"
    if ended["ended"] == "late":
        return f"took longer than {timeout:g} s (raise `timeout` of [backend.{name}])"
    if code is not None and code < 0:
        number = -code
        names = {entry.value: entry.name for entry in signal.Signals}
        memory = " (out of memory?)" if number == signal.SIGKILL else ""
        return f"was killed by {names.get(number, number)}{memory}"
    return f"ended with exit code {code}" if code else ""


def _files(out: Path) -> list[Path]:
    """The sound files in a folder, in the order of their names."""
    try:
        return sound_files.in_folder(out)[0]
    except OSError:  # the program has removed it
        return []


def _read(file: Path, seconds: float, name: str, log: Path):
    """The samples [n] and the rate of a file that the program left. Raises BackendError."""
    try:
        info = audio.inspect(file)
        length = info.seconds
        if not _RATES[0] <= info.rate <= _RATES[1]:
            raise BackendError(f"{name} made {file.name} at {info.rate} Hz", f"see {log}")
        if length < seconds - 1e-3:
            what = f"{name} made {file.name} of {length:.2f} s, {seconds:g} s are needed"
            raise BackendError(what, f"see {log}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", audio.AudioWarning)  # listeners judge how a model sounds
            return audio.read(file, seconds=None if length <= LONGEST else LONGEST)
    except audio.AudioError as error:
        reason = str(error).removeprefix(f"{file}: ").rpartition("; ")[0]
        what = f"{name} made {file.name}, which cannot be used ({reason})"
        raise BackendError(what, f"see {log}") from None
    except UnicodeError:  # bytes that are no UTF-8 could not even be printed
        shown = os.fsencode(file.name).decode(errors="replace")
        raise BackendError(f"{name} made {shown}, a name that is no UTF-8", f"see {log}") from None
