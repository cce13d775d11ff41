"""Training runs of backends that train: whose they are, and how far they are.

The folder of a run is bound to the recipe of the run before training starts, so that a run is never taken for
another one, as after a change of study.toml.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from caw.files import atomic
from study.backends import BackendError, ProgressCallback, Task

SET_ELSEWHERE = {"epochs": "[[source]] epochs", "seed": "[study] seed"}
_RECIPE = ".recipe.json"


def recipe_file(folder: Path) -> Path:
    """The file that holds the recipe of the run in `folder`; it stands beside the folder."""
    return folder.with_name(folder.name + _RECIPE)


def bound_runs(models: Path, source: str) -> dict[Path, dict[str, Any]]:
    """The run folders of a source, with the recipes that they are bound to."""
    if not models.is_dir():
        return {}
    runs = (models / name for name in _runs_by_source(models, models.stat().st_mtime_ns).get(source, ()))
    return {run: _read(recipe_file(run)) for run in runs if run.is_dir()}


@lru_cache(1)
def _runs_by_source(models: Path, modified: int) -> dict[str, list[str]]:
    """Names of runs by their source, read anew when the folder was modified: plans ask for every cell."""
    runs: dict[str, list[str]] = {}
    for name in sorted(os.listdir(models)):
        if match := re.fullmatch(rf"((.+)-\d+){re.escape(_RECIPE)}", name):
            runs.setdefault(match[2], []).append(match[1])
    return runs


def training_material(task: Task) -> dict[str, Any]:
    """The part of a recipe that names the sound a run learns from, and its seed."""
    cell = task.cell
    material = {"sha256": cell.file_sha256, "start": cell.start, "seconds": cell.seconds, "seed": task.seed}
    material |= {"training": cell.training} if cell.training > 1 else {}
    if cell.gap is not None:
        known = {"bpm": cell.gap.bpm, "metre": cell.gap.metre}
        material |= {key: value for key, value in known.items() if value is not None}
        material["passages"] = [list(stretch) for stretch in cell.gap.learnt]
    return material | ({"album": [one.sha256 for one in cell.album]} if cell.album else {})


def source_facts(task: Task) -> dict[str, Any] | list[dict[str, Any]]:
    """What the configuration of a run says of the passage that it learns from, or of each of a song."""
    cell = task.cell
    if cell.gap is not None:
        file = {"file": cell.file.name, "sha256": cell.file_sha256}
        return [file | {"start": begin, "seconds": end - begin} for begin, end in cell.gap.learnt]
    return {"file": cell.file.name, "sha256": cell.file_sha256, "start": cell.start, "seconds": cell.seconds}


def claim(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Bind a run folder to a recipe.

    Raises BackendError for a folder that is bound to another recipe, or to none that can be read.
    """
    file = recipe_file(folder)
    if not folder.exists():
        atomic.write(file, json.dumps(dict(recipe), indent=1, sort_keys=True) + "\n")
        return
    if not (bound := _read(file)):
        what = f"{folder}: {file.name}, which says what it was trained from, is missing or damaged"
        raise BackendError(what, "put it back, or delete the folder to have it trained again")
    differing = sorted(key for key in {*recipe, *bound} if recipe.get(key) != bound.get(key))
    if differing:
        what = f"{folder}: was trained from something else ({', '.join(differing)} differ)"
        raise BackendError(what, "move or delete the folder, or put study.toml back")


def _read(file: Path) -> dict[str, Any]:
    """A recipe; {} where there is none, or none that can be read."""
    try:
        return atomic.read_json(file)
    except (OSError, ValueError):
        return {}


def refuse_set_elsewhere(options: Mapping[str, Any]) -> None:
    """Raise BackendError for an option that [[source]] or [study] decides."""
    for key, place in SET_ELSEWHERE.items():
        if key in options:
            raise BackendError(f"{key} is set by {place}", "delete it here", key=key)


def option_error(error: ValueError, options: Mapping[str, Any]) -> BackendError:
    """A model's refusal of its settings, as an error of the option that it names."""
    text = str(error)
    keys = [key for key in options if repr(key) in text or text.startswith(f"{key} is")]
    return BackendError(text, key=keys[0] if keys else "")


def epochs_done(run: Path, *, scales: int = 1) -> int:
    """Epochs up to the checkpoint in a run folder; 0 without one, as training begins anew then.

    losses.jsonl, which is written just before each checkpoint, holds a line for each epoch of every scale.
    """
    if not (run / "checkpoint.pt").exists():
        return 0
    try:
        with (run / "losses.jsonl").open("rb") as losses:
            return sum(1 for _ in losses) // scales
    except OSError:
        return 0


def epoch_progress(report: ProgressCallback, run: str) -> Callable[[Any], None]:
    """A callback for a model's training, which is called with (epoch, epochs, fraction) as attributes.

    It reports the share of what was left when training began, as the epochs of an interrupted training are
    none of the backend's `costs`.
    """
    first = None

    def on_epoch(state: Any) -> None:
        nonlocal first
        first = state.fraction if first is None else first
        share = (state.fraction - first) / max(1e-9, 1 - first)
        report(share, f"train {run}: epoch {state.epoch} of {state.epochs}")

    return on_epoch
