"""Run folders: what a training leaves on disk, and the model that is loaded from it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from caw import adversarial, atomic, cascade, flow
from caw.config import FlowSettings, Settings, SettingsError, from_json
from caw.pyramid import Signal

CONFIG = "config.json"
CLIP = "clip.safetensors"
LOSSES = "losses.jsonl"
CHECKPOINT = "checkpoint.pt"
FINISHED = "finished.json"


class RunError(ValueError):
    """A run folder is missing, incomplete, damaged or made from another clip or settings."""


def write_json(path: Path, record: dict[str, Any]) -> None:
    """`record` as readable JSON, atomically."""
    atomic.write(path, json.dumps(record, indent=2) + "\n")


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Named tensors as safetensors, atomically."""
    atomic.write(path, save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}))


def scale_file(index: int) -> str:
    """Name of a finished scale's weights in the run folder."""
    return f"scale-{index:02d}.safetensors"


def versions() -> dict[str, str]:
    """Versions that a run's numbers depend on."""
    found = {"python": platform.python_version()}
    for name in ("eureka-study", "torch", "torchaudio", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def choose_device(name: str) -> torch.device:
    """auto: the GPU where there is one. RunError where `cuda` is asked for and there is none."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise RunError("device is 'cuda' but this machine has no usable GPU; use --device cpu or auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


@dataclass(frozen=True)
class Run:
    """A training's result. Arrays are mono float32 at the level of the training clip."""

    folder: Path
    settings: Settings
    config: dict[str, Any]

    @property
    def rate(self) -> int:
        """Hz of everything this run makes."""
        return self.config["rates"][-1]

    @property
    def rates(self) -> list[int]:
        """Hz of each scale, ascending."""
        return self.config["rates"]

    @property
    def seconds(self) -> float:
        """Length of the training clip."""
        return self.config["clip"]["samples"] / self.rate

    @property
    def epochs(self) -> int:
        """Optimiser steps per scale."""
        return self.settings.epochs

    @property
    def complete(self) -> bool:
        """Whether the training ran to its end."""
        return (self.folder / FINISHED).exists()

    def generate(self, seconds: float, *, seed: int = 0) -> np.ndarray:
        """UMG: [round(rate * seconds)] of new music. Same run, seconds and seed: same output."""
        if not (np.isfinite(seconds) and 0.1 <= seconds <= 3600):
            raise RunError(f"seconds is {seconds!r}; use a length from 0.1 to 3600")
        return self._finish(cascade.generate(self.scales, seconds, self._generator(seed)))

    def vary(self, *, seed: int = 0, strength: float | None = None) -> np.ndarray:
        """VAR: the training clip with its structure kept and its details drawn anew, [n].

        strength (preset fast): from 0 to 1, how far the first scale goes back to noise before it is drawn
        again; 0 keeps it as it is, as the published model does; None: the run's own setting.
        """
        if strength is not None and not 0 <= strength <= 1:
            raise RunError(f"strength is {strength!r}; use a number from 0 to 1")
        return self._finish(cascade.vary(self.scales, self.pyramid, self._generator(seed), strength))

    def reconstruct(self) -> np.ndarray:
        """The training clip as the model redraws it, [n]."""
        return self._finish(cascade.reconstruct(self.scales, self.pyramid)[-1])

    @cached_property
    def scales(self) -> list[cascade.Scale]:
        """The trained scales, ready to draw."""
        if not self.complete:
            raise RunError(f"{self.folder} is not trained to the end; run caw train again with --resume")
        device = self._device
        return [load_scale(self.folder, self.settings, self.rates, i, device) for i in range(len(self.rates))]

    @cached_property
    def pyramid(self) -> list[Signal]:
        """The training clip at every scale."""
        clip = read_tensors(self.folder / CLIP)["clip"]
        return cascade.pyramid_of(clip.to(self._device), tuple(self.rates), self.settings)

    @property
    def _device(self) -> torch.device:
        """A run trained on a GPU also draws where there is none."""
        return choose_device("cpu" if self.settings.device == "cpu" else "auto")

    @staticmethod
    def _generator(seed: int) -> torch.Generator:
        if not 0 <= seed < 2**63:
            raise RunError(f"seed is {seed!r}; use a whole number from 0 to 2^63 - 1")
        return torch.Generator().manual_seed(seed)

    def _finish(self, signal: Signal) -> np.ndarray:
        return (signal.wave * self.config["clip"]["peak"]).cpu().numpy().astype(np.float32)


def load(folder: str | Path) -> Run:
    """The run in `folder`. RunError names what is missing or damaged."""
    folder = Path(folder)
    config_file = folder / CONFIG
    if not config_file.is_file():
        raise RunError(f"{folder} is no run folder: it has no {CONFIG}; make one with caw train")
    try:
        config = json.loads(config_file.read_text())
        run = Run(folder, from_json(config["settings"]), config)
        needed = [CLIP] + ([scale_file(i) for i in range(len(config["rates"]))] if run.complete else [])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, SettingsError) as error:
        raise RunError(f"{config_file} is damaged ({error}); train the run again") from error
    for name in needed:
        if not (folder / name).is_file():
            raise RunError(f"{folder} lacks {name}; restore it or train the run again")
    return run


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; RunError where it is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read ({error}); restore it or train the run again") from error


def save_scale(folder: Path, index: int, scale: cascade.Scale) -> None:
    """Write a finished scale's weights and what its drawing needs."""
    tensors = {f"network.{k}": v for k, v in scale.network.state_dict().items()}
    if isinstance(scale, flow.FlowScale):
        tensors["whitening.coefficients"] = torch.from_numpy(scale.whitening.coefficients)
        tensors["whitening.deviation"] = torch.tensor(scale.whitening.deviation, dtype=torch.float64)
    else:
        tensors["amplitude"] = torch.tensor(scale.amplitude, dtype=torch.float64)
        if scale.code is not None:
            tensors["code"] = scale.code
    write_tensors(folder / scale_file(index), tensors)


def load_scale(
    folder: Path, settings: Settings, rates: list[int], index: int, device: torch.device
) -> cascade.Scale:
    """Read back what `save_scale` wrote, in evaluation mode."""
    path = folder / scale_file(index)
    tensors = read_tensors(path)
    rate, lower = rates[index], rates[index - 1] if index else None
    weights = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    try:
        if isinstance(settings, FlowSettings):
            network = flow.network_for(settings, rate, first=lower is None)
            network.load_state_dict(weights)
            whitening = flow.Whitening(
                tensors["whitening.coefficients"].numpy(), tensors["whitening.deviation"].item()
            )
            return flow.FlowScale(rate, lower, network.to(device).eval(), whitening, settings)
        network = adversarial.network_for(settings, first=lower is None)
        network.load_state_dict(weights)
        code = tensors["code"].to(device) if lower is None else None
        return adversarial.AdversarialScale(
            rate, lower, network.to(device).eval(), tensors["amplitude"].item(), code
        )
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path} does not fit {CONFIG} ({reason}); train the run again") from error
