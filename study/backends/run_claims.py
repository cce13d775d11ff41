"""Who a training run belongs to: its folder is bound to the recipe of the run, before training starts.

So that a run is never taken for one it is not, as after a change of study.toml.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from caw.files import atomic
from study.backends import BackendError, Task

SET_ELSEWHERE = {"epochs": "[[source]] epochs", "seed": "[study] seed"}
_RECIPE = ".recipe.json"


def recipe_file(folder: Path) -> Path:
    """The recipe of the run in `folder`, beside it."""
    return folder.with_name(folder.name + _RECIPE)


def claimed(models: Path, source: str) -> dict[Path, dict[str, Any]]:
    """The run folders of a source that are there, with the recipes that they are bound to."""
    if not models.is_dir():
        return {}
    runs = (models / name for name in _by_source(models, models.stat().st_mtime_ns).get(source, ()))
    return {run: _read(recipe_file(run)) for run in runs if run.is_dir()}


@lru_cache(1)
def _by_source(models: Path, changed: int) -> dict[str, list[str]]:
    """Names of runs by their source. changed: when the folder was; a plan asks for each of its cells."""
    runs: dict[str, list[str]] = {}
    for name in sorted(os.listdir(models)):
        if bound := re.fullmatch(rf"((.+)-\d+){re.escape(_RECIPE)}", name):
            runs.setdefault(bound[2], []).append(bound[1])
    return runs


def learned(task: Task) -> dict[str, Any]:
    """What a recipe says of the sound that a run learns from, and of its seed."""
    cell = task.cell
    said = {"sha256": cell.file_sha256, "start": cell.start, "seconds": cell.seconds, "seed": task.seed}
    said |= {"training": cell.training} if cell.training > 1 else {}
    return said | ({"album": [one.sha256 for one in cell.album]} if cell.album else {})


def claim(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Bind a run folder to a recipe.

    Raises: BackendError for one that is there and bound to another, or to none that can be read.
    """
    file = recipe_file(folder)
    if not folder.exists():
        atomic.write(file, json.dumps(dict(recipe), indent=1, sort_keys=True) + "\n")
        return
    if not (found := _read(file)):
        told = f"{folder}: {file.name}, which says what it was trained from, is missing or damaged"
        raise BackendError(f"{told}; put it back, or delete the folder to have it trained again")
    differing = sorted(key for key in {*recipe, *found} if recipe.get(key) != found.get(key))
    if differing:
        told = f"{folder}: was trained from something else ({', '.join(differing)} differ)"
        raise BackendError(f"{told}; move or delete the folder, or put study.toml back")


def _read(file: Path) -> dict[str, Any]:
    """A recipe; {} where there is none, or none that can be read."""
    try:
        return atomic.read_json(file)
    except (OSError, ValueError):
        return {}


def refuse_set_elsewhere(options: Mapping[str, Any]) -> None:
    """Raises: BackendError for an option that [[source]] or [study] decides."""
    for key, place in SET_ELSEWHERE.items():
        if key in options:
            raise BackendError(f"{key} is set by {place}; delete it here", key=key)


def refused(error: ValueError, options: Mapping[str, Any]) -> BackendError:
    """A model's refusal of its settings, as one of the option it names."""
    text = str(error)
    named = [key for key in options if repr(key) in text or text.startswith(f"{key} is")]
    return BackendError(text, key=named[0] if named else "")
