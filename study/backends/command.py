"""Any program as a backend: it receives a passage and a folder, and leaves sound files in the folder.

    [backend.mymodel]
    command = "mymodel --in {clip} --out {out} --n {n} --seconds {seconds} --seed {seed}"
    timeout = 3600      # seconds for each call

No shell reads the command: it is split into words first, and the value of a placeholder stays within its
word. The program runs in the study's folder, and its output is written to models/CELL.log. Clips are as
reproducible as the program makes them by {seed}. With {n}, one call makes all clips that are missing, so that
a clip that is made again alone has another seed than it had among others. Without {n}, each clip has a call
and a seed of its own, which follows from its name.

Clips are made again when the command changes, or a file or folder that one of its words names (the whole
word, or the part after its last "="), by a path from the study's folder or an absolute one: scripts, weights,
settings. The program itself counts only inside the study's folder, as other programs belong to the system.
`programs/named_files.py` says which files of a folder count. Files that the program itself writes there, as a
cache beside its weights, have to be named, as in `writes = ["weights/cache"]`, and then do not count. As long
as they are not named, a cell fails in which one of them changes.
"""

from __future__ import annotations

import hashlib
import json
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from study.backends import BackendError, Clip, Cost, ProgressCallback, Task
from study.backends.programs import calling, named_files
from study.folder import StudyFolder

_OPTIONS = ("command", "timeout", "modes", "expect", "writes")
_TIMEOUT = 3600.0  # seconds
_EXPECT = 60.0  # seconds for a clip, where the options name none
_FOR_A_SHELL = {"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>&1"}


class CommandBackend:
    """Options of [backend.NAME]: command (text or a list of words), timeout (s for each call), modes (what it
    makes, where the command does not hold {mode}; UMG if not said), expect (s for a clip, for plans), writes
    (files and folders, of those that the command names, which the program changes itself)."""

    name = "command"
    needs = "a program of yours, which study.toml names"
    example = """\
[backend.mymodel]
command = "mymodel --in {clip} --out {out} --n {n} --seconds {seconds} --seed {seed}"

[[source]]
file = "riff.wav"
backend = "mymodel"
"""

    def __init__(self, options: Mapping[str, Any] | None = None):
        options = options or {}
        self.modes: tuple[str, ...] = ("UMG", "VAR")
        self.counts_epochs = False
        if options:
            try:
                used = calling.placeholders(_words(options))
            except BackendError:  # which validate raises again
                return
            self.counts_epochs = "epochs" in used
            default = self.modes if "mode" in used else ("UMG",)
            self.modes = tuple(modes) if _are_modes(modes := options.get("modes")) else default

    def configured(self, options: Mapping[str, Any]) -> CommandBackend:
        """This backend as one study's options make it."""
        return CommandBackend(options)

    def unavailable_reason(self) -> str:
        return ""

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        for key in options:
            if key not in _OPTIONS:
                fix = f"known here: {', '.join(_OPTIONS)}, uses"
                raise BackendError(f"unknown option {key!r} of a program", fix, key=key)
        words = _words(options)
        used = calling.placeholders(words)
        if unknown := sorted(used - set(calling.PLACEHOLDERS)):
            known = ", ".join(f"{{{name}}}" for name in calling.PLACEHOLDERS)
            fix = f"there are {known}; write {{{{ for a brace itself"
            raise BackendError(f"unknown placeholder {{{unknown[0]}}}", fix, key="command")
        if formatted := calling.formatted(words):
            what = f"{formatted[0]} is no placeholder"
            raise BackendError(what, "write the name alone in braces", key="command")
        if "out" not in used:
            what = "the program is not told where to put its clips"
            raise BackendError(what, "add {out}, a folder", key="command")
        calling.find_program(words[0], folder)
        for key in ("timeout", "expect"):
            value = options.get(key, 1.0)
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise BackendError(f"{key} is {value!r}", "write seconds above 0", key=key)
        modes = options.get("modes", ["UMG"])
        if not _are_modes(modes):
            raise BackendError(f"modes is {modes!r}", 'write ["UMG"], ["VAR"] or both', key="modes")
        writes = options.get("writes", [])
        if not (isinstance(writes, list) and all(isinstance(one, str) and one.strip("\0") for one in writes)):
            fix = 'write a list of paths, as ["weights/cache"]'
            raise BackendError(f"writes is {writes!r}", fix, key="writes")

    def recipe(self, task: Task) -> dict[str, Any]:
        words = _words(task.options)
        return {"command": words, "files": _contents(words, task, named_files.digest)}

    def shared_job(self, task: Task) -> str:
        return self._models(task)

    def artifacts(self, task: Task) -> tuple[str, ...]:
        models = self._models(task)
        return (models, calling.log_name(task)) if models else (calling.log_name(task),)

    def costs(self, task: Task) -> dict[str, Cost]:
        return {name: Cost(float(task.options.get("expect", _EXPECT))) for name in task.names}

    def make(self, task: Task, progress: ProgressCallback) -> Iterator[Clip]:
        """Raises BackendError for a program that fails, takes too long or makes too few or too short clips.

        A file that the command names and that changes meanwhile is an error as well, as the clips would never
        count as made.
        """
        self.validate(task.options, task.folder)
        words = _words(task.options)
        before = _each_file(words, task)
        command = [calling.literal(calling.find_program(words[0], task.folder)), *words[1:]]
        timeout = float(task.options.get("timeout", _TIMEOUT))
        clips = calling.clips(task, command, timeout=timeout, progress=progress, models=self._models(task))
        with closing(clips):
            for clip in clips:
                if changed := sorted(set(before.items()) ^ set(_each_file(words, task).items())):
                    raise _changed(task.cell.backend, *changed[0][0])
                yield clip

    def _models(self, task: Task) -> str:
        """The folder for {models}, one a recipe, passage and training, shared by modes; "" for none."""
        if "models" not in calling.placeholders(_words(task.options)):
            return ""
        cell = task.cell
        facts = [self.recipe(task), cell.file_sha256, cell.start, cell.seconds, cell.epochs, task.seed]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
        parts = [cell.training_name, cell.backend, None if cell.epochs is None else str(cell.epochs), digest]
        return "-".join(part for part in parts if part)


def _words(options: Mapping[str, Any]) -> list[str]:
    """The command as words. Raises: BackendError."""
    command = options.get("command")
    if command is None:
        fix = 'write it, as command = "mymodel --in {clip} --out {out}"'
        raise BackendError("there is no `command`", fix, key="command")
    words = command
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError as error:  # a quotation that is not closed
            what = f"cannot be split into words ({error})"
            raise BackendError(what, "mend the quotes", key="command") from None
        if shell_words := [word for word in words[1:] if word in _FOR_A_SHELL or word.startswith("~/")]:
            what = f"{shell_words[0]} is for a shell, and none reads this"
            raise BackendError(what, "write paths out, or call a script of yours", key="command")
    are_words = isinstance(words, list) and all(isinstance(word, str) and "\0" not in word for word in words)
    if not are_words or not words or not words[0]:
        raise BackendError("names no program", "write text, or a list of words in quotes", key="command")
    if calling.placeholders(words[:1]):
        raise BackendError(f"the program itself is {words[0]}", "write its name", key="command")
    return words


def _are_modes(modes: object) -> bool:
    return isinstance(modes, list) and bool(modes) and all(mode in ("UMG", "VAR") for mode in modes)


def _contents(words: Sequence[str], task: Task, of: Callable[..., Any]) -> dict[str, Any]:
    """What `of`, as named_files.digest, returns for each file and folder that the words name, by its name."""
    contents, folder = {}, task.folder
    without = [folder / Path(name).expanduser() for name in task.options.get("writes", ())]
    for index, word in enumerate(words):
        name = word.rpartition("=")[2]
        if not name or calling.placeholders([name]):
            continue
        path = folder / calling.filled([name], {})[0]
        try:
            whole = path.resolve()
            if (index == 0 and not whole.is_relative_to(folder.resolve())) or _is_built(whole, folder):
                continue
            content = of(path, without)
        except (OSError, ValueError, RuntimeError):  # no name for a file, not ours to read, links in a ring
            continue
        if content:
            contents[name] = content
    return contents


def _each_file(words: Sequence[str], task: Task) -> dict[tuple[str, str], str]:
    """Digests of all files that count, by the name in the words and their own in the folder of that name."""
    named = _contents(words, task, named_files.digests)
    return {(name, file): digest for name, each in named.items() for file, digest in each.items()}


def _changed(backend: str, named: str, file: str) -> BackendError:
    """The error for a file that changed while the program ran."""
    path = f"{named.rstrip('/')}/{file}" if file else named
    what = f"{path} changed while {backend} ran, whose command names {named}"
    fix = f"where the program itself writes it, add writes = [{json.dumps(path)}] to [backend.{backend}]"
    return BackendError(what, f"{fix}, else build again")


def _is_built(path: Path, folder: Path) -> bool:
    """Whether it is a folder that a build writes to: one of the study's, or one that holds the study."""
    study = StudyFolder(folder.resolve())
    own = (study.models, study.pool, study.sets, study.private, study.report)
    return path.is_dir() and (study.path.is_relative_to(path) or any(map(path.is_relative_to, own)))


BACKEND = CommandBackend()
