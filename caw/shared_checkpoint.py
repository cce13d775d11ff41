"""Where a training ended, kept in a file from which longer trainings of the same clips go on.

Where neither learning rate nor average looks ahead to the last epoch (`Settings.shares_steps`), a training of
500 epochs is the first half of one of 1000. Run one after the other with the same file, shortest first,
trainings of 100, 500 and 1000 epochs take 1000 steps instead of 1600, and each leaves what it would leave
alone: on a CPU, the same bits. The file may be deleted at any time: it saves work and decides nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from caw import runs
from caw.files import atomic

OWN = ("epochs", "device")  # settings in which trainings that share their steps may differ


def epochs_in(path: Path) -> int:
    """How many epochs are behind the state in that file; 0 where there is none that can be read."""
    state = _read(path)
    return state["epochs"] if state else 0


def begin(path: Path, folder: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """Put the checkpoint and the losses of its first epochs into a new run folder, where the file has them.

    config: the new run's. Gives what `config.json` should tell of it; None where nothing fits.
    """
    if not 0 < _kept(path, config) <= config["settings"]["epochs"]:
        return None
    try:
        state = runs.read_state(path, "delete it")
    except runs.RunError:  # it was damaged; it only saves time, and this training leaves a sound one
        path.unlink(missing_ok=True)
        return None
    atomic.write(folder / runs.LOSSES, state.pop("losses"))
    atomic.write(folder / runs.CHECKPOINT, runs.packed(state))
    return {"epochs": state["epochs"], "trunk": path.name}


def leave(path: Path, folder: Path, config: dict[str, Any], trainers: list[Any], elapsed: float) -> None:
    """Keep where a run's trainers ended, unless a longer training of the same kind left its end there.

    trainers: their states by scale. elapsed: seconds behind them.
    """
    epochs = config["settings"]["epochs"]
    if _kept(path, config) >= epochs:
        return
    losses = (folder / runs.LOSSES).read_text()
    scales = {i: {"epoch": epochs, "saved": False, "trainer": t} for i, t in enumerate(trainers)}
    known = {"identity": identity(config), "epochs": epochs, "losses": losses}
    checkpoint = {"scales": scales, "lines": losses.count("\n"), "elapsed": elapsed}
    atomic.write(path, runs.packed(known | checkpoint))


def identity(config: dict[str, Any]) -> str:
    """What trainings have in common that share their steps: clips, scales and all settings but `OWN`."""
    settings = {name: value for name, value in config["settings"].items() if name not in OWN}
    more = [config[key] for key in ("plans", "album") if key in config]
    clips = [c["sha256"] for c in config["clips"]]
    return json.dumps([settings, config["rates"], clips, *more], sort_keys=True)


def _kept(path: Path, config: dict[str, Any]) -> int:
    """How many epochs of such a training are behind the file."""
    state = _read(path)
    return state["epochs"] if state and state["identity"] == identity(config) else 0


def _read(path: Path) -> dict[str, Any] | None:
    """None for a file that is missing or damaged: it only saves time."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        return state if {"identity", "epochs", "losses"} <= state.keys() else None
    except Exception:  # torch names no common error class for a damaged file
        return None
