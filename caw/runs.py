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

from caw import adversarial, atomic, cascade, flow, threads
from caw.config import FlowSettings, Settings, SettingsError, from_json
from caw.pyramid import Signal
from caw.score import Bands

CONFIG = "config.json"
CLIPS = "clips.safetensors"
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


def clip_name(index: int) -> str:
    """Name of a training clip in `CLIPS`."""
    return f"clip-{index:02d}"


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
    """A training's result. Arrays are float32 at the level of the training clips.

    Their shape is [n], or [channels, n] for a run trained on more than one channel.
    """

    folder: Path
    settings: Settings
    config: dict[str, Any]

    @property
    def rate(self) -> int:
        """Hz of everything this run makes."""
        return int(self.config["rates"][-1])

    @property
    def rates(self) -> list[float]:
        """Hz of each scale, ascending; of a score, its frames per second."""
        return self.config["rates"]

    @property
    def channels(self) -> int:
        """Of the training clips and of everything this run makes."""
        return self.config["channels"]

    @property
    def clips(self) -> int:
        """How many clips it was trained on."""
        return len(self.config["clips"])

    @property
    def seconds(self) -> float:
        """Length of the first training clip."""
        return self.config["clips"][0]["samples"] / self.rate

    @property
    def epochs(self) -> int:
        """Optimiser steps per scale."""
        return self.settings.epochs

    @property
    def complete(self) -> bool:
        """Whether the training ran to its end."""
        return (self.folder / FINISHED).exists()

    def generate(self, seconds: float, *, seed: int = 0) -> np.ndarray:
        """UMG: round(rate * seconds) samples of new music. Same run, seconds and seed: same output."""
        if not (np.isfinite(seconds) and 0.1 <= seconds <= 3600):
            raise RunError(f"seconds is {seconds!r}; use a length from 0.1 to 3600")
        return self._finish(cascade.generate(self.scales, seconds, self._generator(seed)))

    def vary(self, *, seed: int = 0, strength: float | None = None, clip: int = 0) -> np.ndarray:
        """VAR: a training clip with its structure kept and its details drawn anew.

        strength (preset fast and standard): from 0 to 1, how far the lowest waveform goes back to noise
        before it is drawn again; 0 keeps it as it is, as the published model does; None: the run's own
        setting. clip: index of the training clip.
        """
        if strength is not None and not 0 <= strength <= 1:
            raise RunError(f"strength is {strength!r}; use a number from 0 to 1")
        return self._finish(cascade.vary(self.scales, self.pyramid(clip), self._generator(seed), strength))

    def reconstruct(self, *, clip: int = 0) -> np.ndarray:
        """A training clip as the model redraws it."""
        scales, pyramid = self.scales, self.pyramid(clip)
        with threads.drawing():
            return self._finish(cascade.reconstruct(scales, pyramid)[-1])

    @cached_property
    def scales(self) -> list[cascade.Scale]:
        """The trained scales, ready to draw."""
        if not self.complete:
            raise RunError(f"{self.folder} is not trained to the end; run caw train again with --resume")
        device, rates = self._device, tuple(self.rates)
        return [load_scale(self.folder, self.settings, rates, i, device) for i in range(len(rates))]

    def pyramid(self, clip: int = 0) -> list[Signal]:
        """A training clip at every scale."""
        if not 0 <= clip < self.clips:
            raise RunError(f"clip is {clip}; this run was trained on {self.clips}, counted from 0")
        wave = read_tensors(self.folder / CLIPS)[clip_name(clip)].to(self._device)
        bands = getattr(self.scales[0], "bands", None)
        with threads.drawing():  # which the resampler's last bits depend on, too
            return cascade.pyramid_of(wave, tuple(self.rates), bands)

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
        wave = (signal.wave * self.config["peak"]).cpu().numpy().astype(np.float32)
        return wave[0] if self.channels == 1 else wave


def load(folder: str | Path) -> Run:
    """The run in `folder`. RunError names what is missing or damaged."""
    folder = Path(folder)
    config_file = folder / CONFIG
    if not config_file.is_file():
        raise RunError(f"{folder} is no run folder: it has no {CONFIG}; make one with caw train")
    try:
        config = json.loads(config_file.read_text())
        run = Run(folder, from_json(config["settings"]), config)
        run.channels, run.seconds  # noqa: B018  both raise where the file is of another version
        needed = [CLIPS] + ([scale_file(i) for i in range(len(config["rates"]))] if run.complete else [])
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{config_file} is damaged ({error}); train the run again") from error
    except (LookupError, TypeError, SettingsError) as error:
        reason = str(error) if isinstance(error, SettingsError) else f"no {error}"
        raise RunError(f"{config_file} is of another version ({reason}); train the run again") from error
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
    if isinstance(scale, flow.ScoreScale | flow.FlowScale):
        tensors |= {f"bands.{k}": v for k, v in scale.bands.tensors().items()}
    if isinstance(scale, flow.ScoreScale):
        tensors |= {"drawn": scale.drawn, "range": scale.range}
    if isinstance(scale, flow.FlowScale):
        tensors["whitening.coefficients"] = torch.from_numpy(scale.whitening.coefficients)
        tensors["whitening.deviation"] = torch.tensor(scale.whitening.deviation, dtype=torch.float64)
        tensors["channels"] = torch.tensor(scale.channels)
    elif isinstance(scale, adversarial.AdversarialScale):
        tensors["amplitude"] = torch.tensor(scale.amplitude, dtype=torch.float64)
        if scale.code is not None:
            tensors["code"] = scale.code
    write_tensors(folder / scale_file(index), tensors)


def load_scale(
    folder: Path, settings: Settings, rates: tuple[float, ...], index: int, device: torch.device
) -> cascade.Scale:
    """Read back what `save_scale` wrote, in evaluation mode."""
    path = folder / scale_file(index)
    tensors = read_tensors(path)
    try:
        if isinstance(settings, FlowSettings):
            return _flow_scale(tensors, settings, rates, index, device)
        network = adversarial.network_for(settings, first=index == 0)
        network.load_state_dict(_part(tensors, "network."))
        code = tensors["code"].to(device) if index == 0 else None
        lower = rates[index - 1] if index else None
        amplitude = tensors["amplitude"].item()
        return adversarial.AdversarialScale(rates[index], lower, network.to(device).eval(), amplitude, code)
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path} does not fit {CONFIG} ({reason}); train the run again") from error


def _flow_scale(
    tensors: dict[str, torch.Tensor],
    settings: FlowSettings,
    rates: tuple[float, ...],
    index: int,
    device: torch.device,
) -> cascade.Scale:
    bands = Bands.from_tensors(_part(tensors, "bands.")).to(device)
    channels = int(tensors["channels"]) if index else 1
    network = flow.network_for(settings, rates, index, len(bands.mean), channels)
    network.load_state_dict(_part(tensors, "network."))
    network = network.to(device).eval()
    if index == 0:
        known = (tensors[name].to(device) for name in ("drawn", "range"))
        return flow.ScoreScale(network, bands, settings, *known)
    whitening = flow.Whitening(
        tensors["whitening.coefficients"].numpy(), tensors["whitening.deviation"].item()
    )
    lower = int(rates[index - 1]) if index > 1 else None
    return flow.FlowScale(int(rates[index]), lower, network, whitening, bands, channels, settings)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
