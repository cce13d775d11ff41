"""Jukebox (Dhariwal et al. 2020, arXiv 2005.00341), which continues a passage.

    [backend.jukebox]
    weights = "/data/jukebox-1b-lyrics"

Nothing is trained: a model of many songs hears some seconds of the passage and continues them. For VAR it
hears the passage's last seconds (`prime`), as in the case study; for UMG only a short cue (`cue`), for each
clip from another place of the passage. The seconds that it heard are cut off. No clip is a variation of the
passage in CAW's sense. It works at 44.1 kHz, in a process of its own, which another environment may run
(`python`).
"""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from caw.files import atomic
from caw.problems import Problem
from study.backends import BackendError, Clip, Cost, ProgressCallback, Task
from study.backends.programs import calling, named_files

_PROGRAM = Path(calling.__file__).with_name("jukebox_continuation.py")
_VERSION = 1  # raise it when the program makes other clips than before
_DEFAULTS = {"prime": 8.0, "cue": 1.0, "levels": 3, "temperature": 0.98, "device": "auto", "timeout": 86400.0}
_PLACES = ("weights", "python")
_RATE = 44100  # Hz, of the published weights
# s of a CPU core for a second of sound, by levels: 345, 1378 and 5512 codes at 0.3 s, which layers of the
# published widths took with random weights
_SECONDS_PER_SECOND = {1: 103.0, 2: 517.0, 3: 2170.0}
_GET = (
    "on a machine with a network run `hf download openai/jukebox-1b-lyrics --local-dir jukebox-1b-lyrics`, "
    'bring that folder here and name it, as weights = "/data/jukebox-1b-lyrics"'
)


class JukeboxBackend:
    """Options of [backend.jukebox]: weights (a folder), prime and cue (s), levels (1: the coarsest alone, far
    cheaper and muffled; 3: all), temperature, device (auto, cpu, cuda), python (another environment's
    interpreter), timeout (s for all clips of a cell)."""

    name = "jukebox"
    needs = "weights from a local folder, and the extra `jukebox` (transformers 4); a GPU, or days"
    modes = ("UMG", "VAR")
    counts_epochs = False

    def __init__(self, options: Mapping[str, Any] | None = None):
        self._elsewhere = bool(options and options.get("python"))

    def configured(self, options: Mapping[str, Any]) -> JukeboxBackend:
        """This backend as one study's options make it."""
        return JukeboxBackend(options)

    def unavailable_reason(self) -> str:
        return "" if self._elsewhere else str(_missing() or "")

    def validate(self, options: Mapping[str, Any], folder: Path) -> None:
        known = [*_PLACES, *_DEFAULTS]
        for key in options:
            if key not in known:
                raise BackendError(f"unknown option {key!r}", f"known here: {', '.join(known)}", key=key)
        for key in ("prime", "cue", "temperature", "timeout"):
            value = options.get(key, 1.0)
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise BackendError(f"{key} is {value!r}", "write a number above 0", key=key)
        if options.get("levels", 3) not in (1, 2, 3) or isinstance(options.get("levels"), bool | float):
            fix = "write 1 (the coarsest alone), 2 or 3"
            raise BackendError(f"levels is {options['levels']!r}", fix, key="levels")
        device = options.get("device", "auto")
        if not isinstance(device, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
            raise BackendError(f"device is {device!r}", 'write "auto", "cpu" or "cuda"', key="device")
        _weights(options, folder)
        python = options.get("python")
        if python is not None:
            calling.find_program(python, folder, key="python")
        elif missing := _missing():
            raise BackendError(missing.what, missing.fix)

    def recipe(self, task: Task) -> dict[str, Any]:
        options = _DEFAULTS | task.options
        decisive = ("levels", "temperature", "prime" if task.cell.mode == "VAR" else "cue")
        weights = _weights(task.options, task.folder)
        files = {file.name: named_files.digest(file) for file in _weight_files(weights)}
        files["config.json"] = named_files.digest(weights / "config.json")
        return {key: options[key] for key in decisive} | {"weights": files, "version": _VERSION}

    def shared_job(self, task: Task) -> str:
        return ""

    def artifacts(self, task: Task) -> tuple[str, ...]:
        return (calling.log_name(task),)

    def costs(self, task: Task) -> dict[str, Cost]:
        a_second = _SECONDS_PER_SECOND[task.options.get("levels", 3)]
        return {name: Cost(a_second * task.seconds) for name in task.names}

    def make(self, task: Task, progress: ProgressCallback) -> Iterator[Clip]:
        """Make all missing clips in one call, so that the weights are loaded once. They share its seed.

        Raises BackendError for missing weights or transformers, and where the program fails.
        """
        self.validate(task.options, task.folder)
        options = _DEFAULTS | task.options
        varied = task.cell.mode == "VAR"
        weights = _weights(task.options, task.folder)
        arguments = {
            "weights": calling.literal(weights.absolute()),
            "prime": options["prime"] if varied else options["cue"],
            "place": "end" if varied else "anywhere",
            "levels": options["levels"],
            "temperature": options["temperature"],
            "device": options["device"],
        }
        arguments |= {key: f"{{{key}}}" for key in ("clip", "out", "n", "seconds", "seed")}
        python = options.get("python")
        python = sys.executable if python is None else calling.find_program(python, task.folder, key="python")
        words = [
            *map(calling.literal, (python, _PROGRAM)),
            *(f"--{key}={value}" for key, value in arguments.items()),
        ]
        rate = atomic.read_json(weights / "config.json").get("sampling_rate", _RATE)
        yield from calling.clips(task, words, timeout=options["timeout"], progress=progress, rate=rate)


def _missing() -> Problem | None:
    """What is missing in this environment."""
    fix = "pip install 'transformers>=4.57,<5', or name another environment's interpreter as `python`"
    if importlib.util.find_spec("transformers") is None:
        return Problem("transformers is not installed", fix)
    from importlib import metadata

    version = metadata.version("transformers")
    if not version.startswith("4."):
        return Problem(f"transformers {version} holds no Jukebox any more", fix)
    return None


def _weights(options: Mapping[str, Any], folder: Path) -> Path:
    """The folder of the weights. Raises BackendError with the way to get them."""
    value = options.get("weights")
    if value is None:
        raise BackendError("Jukebox's weights are not named", _GET, key="weights")
    if not isinstance(value, str) or "\0" in value:
        raise BackendError(f"weights is {value!r}", "write the folder's path in quotes", key="weights")
    weights = folder / Path(value).expanduser()
    try:
        config = atomic.read_json(weights / "config.json")
    except (OSError, ValueError):
        raise BackendError(f"{weights} holds no readable config.json", _GET, key="weights") from None
    kind = config.get("model_type")
    if kind != "jukebox":
        what = f"{weights} holds a model of type {kind!r}, not Jukebox"
        raise BackendError(what, _GET, key="weights")
    rate = config.get("sampling_rate", _RATE)
    if not isinstance(rate, int) or rate < 1:
        raise BackendError(f"{weights} names a sampling_rate of {rate!r}", _GET, key="weights")
    if not _weight_files(weights):
        raise BackendError(f"{weights} holds config.json but no weights", _GET, key="weights")
    return weights


def _weight_files(weights: Path) -> list[Path]:
    return sorted([*weights.glob("*.safetensors"), *weights.glob("*.bin")])


BACKEND = JukeboxBackend()
