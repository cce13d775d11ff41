"""Run folders: what a training leaves on disk, and the model that is loaded from it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_in
from safetensors.torch import save

from caw import cascade, threads
from caw.compose import plan as plan_files
from caw.compose.arranging import varied
from caw.compose.guide import Guide
from caw.compose.plan import Plan
from caw.config import FlowSettings, Settings, SettingsError, from_json
from caw.files import atomic
from caw.flow import scales as flow
from caw.flow.score import Bands
from caw.paper import scale as adversarial
from caw.pyramid import Signal

CONFIG = "config.json"
CLIPS = "clips.safetensors"
LOSSES = "losses.jsonl"
CHECKPOINT = "checkpoint.pt"
FINISHED = "finished.json"
LONGEST = 3600  # seconds that are drawn
KEPT = ("rhythm", "harmony")  # what a variation may keep alone
DIGESTS = "sha256"  # in CONFIG: of each file of weights and clips; runs of older versions have none
_SEAL = b"sha256:"  # before the digest that ends a checkpoint


class RunError(ValueError):
    """A run folder is missing, incomplete, damaged or made from another clip or settings."""


def write_json(path: Path, record: dict[str, Any]) -> None:
    """`record` as readable JSON, atomically."""
    atomic.write(path, json.dumps(record, indent=2) + "\n")


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> str:
    """Named tensors as safetensors, atomically. Returns the sha256 of the file, to be noted by `note`."""
    content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    atomic.write(path, content)
    return hashlib.sha256(content).hexdigest()


def note(folder: Path, name: str, sha256: str) -> None:
    """Keep the sha256 of a file of the run folder in its CONFIG, so that damage to the file is noticed."""
    config = atomic.read_json(folder / CONFIG)
    write_json(folder / CONFIG, config | {DIGESTS: config.get(DIGESTS, {}) | {name: sha256}})


def check(folder: Path, config: dict[str, Any]) -> bool:
    """Read every file whose sha256 is noted; False where none is, as in runs of older versions.

    Raises: RunError for a file that has changed.
    """
    for name, sha256 in config.get(DIGESTS, {}).items():
        _content(folder / name, sha256)
    return bool(config.get(DIGESTS))


def packed(state: dict[str, Any]) -> bytes:
    """What a training goes on from, as bytes that end with their sha256: torch itself checks nothing."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return content + _SEAL + hashlib.sha256(content).digest()


def read_state(path: Path, fix: str) -> dict[str, Any] | None:
    """The state that was `packed` into a file; None where there is none. RunError with `fix` for damage."""
    if not path.exists():
        return None
    try:
        content = path.read_bytes()
        content, seal, sha256 = content[:-39], content[-39:-32], content[-32:]
        if seal != _SEAL:  # of an older version
            content += seal + sha256
        elif hashlib.sha256(content).digest() != sha256:
            raise ValueError("its content has changed since it was written")
        return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # torch names no common error class for a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{path} cannot be read ({reason[:80]}); {fix}") from error


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

    def generate(
        self, seconds: float | None = None, *, seed: int = 0, plan: Plan | None = None
    ) -> np.ndarray:
        """UMG: round(rate * seconds) samples of new music. Same run, seconds, seed and plan: same output.

        seconds: None for as long as the plan's bars are, or as the first training clip. plan: tempo, metre,
        form, chords, loudness and density (`caw.compose.plan`); what it leaves open is drawn from the clip.
        """
        if seconds is not None and not (np.isfinite(seconds) and 0.1 <= seconds <= LONGEST):
            raise RunError(f"seconds is {seconds!r}; use a length from 0.1 to {LONGEST:g}")
        generator = self._generator(seed)
        if seconds is None and (plan is None or not plan.sections):
            seconds = self.seconds
        if plan is not None:
            self.require_guide("follow a plan")
        if not self.guided:
            return self._finish(cascade.generate(self.scales, seconds or self.seconds, generator))
        timeline = self.scales[0].arranged(plan or Plan(), seconds, generator)
        whole = seconds or min(timeline.seconds, LONGEST)
        return self._finish(cascade.generate(self.scales, whole, generator, timeline))

    def vary(
        self,
        *,
        seed: int = 0,
        strength: float | None = None,
        clip: int = 0,
        plan: Plan | None = None,
        keep: str | None = None,
    ) -> np.ndarray:
        """VAR: a training clip with its structure kept and its details drawn anew.

        strength (preset fast and standard): from 0 to 1, how far the music goes from the clip's: 0 keeps
        score and lowest waveform, as the published model does; 1 keeps the clip's beats and chords alone.
        None: the run's own setting. Runs without a guide vary the lowest waveform alone. clip: index of the
        training clip. plan: chords, loudness and density to take the place of the clip's, bar by bar. keep:
        "rhythm" leaves the harmony open (or to the plan), "harmony" the rhythm.
        """
        if strength is not None and not 0 <= strength <= 1:
            raise RunError(f"strength is {strength!r}; use a number from 0 to 1")
        if keep not in (None, *KEPT):
            raise RunError(f"keep is {keep!r}; use {' or '.join(KEPT)}")
        if plan is not None:
            self.require_guide("follow a plan")
        if keep:
            self.require_guide("follow keep")
        generator, pyramid = self._generator(seed), self.pyramid(clip)
        strength = self.settings.variation if strength is None and self.guided else strength
        if not self.guided:
            return self._finish(cascade.vary(self.scales, pyramid, generator, strength))
        timeline = varied(self.scales[0].guide.clips[clip], self.scales[0].material, plan, keep, strength)
        return self._finish(cascade.vary(self.scales, pyramid, generator, strength, timeline))

    def reconstruct(self, *, clip: int = 0) -> np.ndarray:
        """A training clip as the model redraws it."""
        scales, pyramid = self.scales, self.pyramid(clip)
        timeline = scales[0].guide.clips[clip] if self.guided else None
        with threads.drawing():
            return self._finish(cascade.reconstruct(scales, pyramid, timeline)[-1])

    def plan(self, clip: int = 0) -> Plan:
        """What was known of a training clip's beats, metre and chords when it was trained on, or is heard."""
        kept = (self.config.get("plans") or [None] * self.clips)[clip]
        if kept is not None:
            return plan_files.from_document(kept)
        from caw.compose.transcription import transcribe

        return transcribe(self.learned_clips()[clip].numpy(), self.rate)

    def bridge(self, before: np.ndarray, after: np.ndarray, rate: int, **how) -> np.ndarray:
        """Two passages, [n] or [channels, n] at `rate` Hz, with new bars between them, at the run's rate.

        how: bars, seed, plan, as in `caw.tasks.bridges.make`, which also says where the new bars are.
        """
        return self._beside(before, after, rate, **how)

    def continue_(self, before: np.ndarray, rate: int, *, ending: bool = False, **how) -> np.ndarray:
        """A passage with new bars after it; ending: they close. See `bridge`."""
        return self._beside(before, None, rate, ending=ending, **how)

    def intro(self, after: np.ndarray, rate: int, **how) -> np.ndarray:
        """A passage with new bars before it. See `bridge`."""
        return self._beside(None, after, rate, **how)

    def add_section(
        self, bars: int = 8, *, seed: int = 0, clip: int = 0, plan: Plan | None = None
    ) -> np.ndarray:
        """A training clip with a new section inside, at the bar line next to two thirds of it."""
        from caw.tasks import bridges  # which needs this module

        return bridges.add_section(self, bars, seed=seed, clip=clip, plan=plan).samples

    def _beside(self, before: np.ndarray | None, after: np.ndarray | None, rate: int, **how) -> np.ndarray:
        from caw.tasks import bridges  # which needs this module

        return bridges.make(self, before, after, rate, **how).samples

    @property
    def guided(self) -> bool:
        """Whether its score follows plans."""
        return getattr(self.settings, "guide", False)

    def require_guide(self, deed: str) -> None:
        """Raises: RunError where there is no guide, which says that the run cannot do this `deed`."""
        if not self.guided:
            raise RunError(
                f"{self.folder} was trained without a guide and cannot {deed}; train the clip again, "
                "with preset fast or standard"
            )

    @cached_property
    def scales(self) -> list[cascade.Scale]:
        """The trained scales, ready to draw."""
        if not self.complete:
            raise RunError(f"{self.folder} is not trained to the end; run caw train again with --resume")
        device, rates = self._device, tuple(self.rates)
        return [
            load_scale(self.folder, self.settings, rates, i, device, self.config) for i in range(len(rates))
        ]

    def pyramid(self, clip: int = 0) -> list[Signal]:
        """A training clip at every scale."""
        if not 0 <= clip < self.clips:
            raise RunError(f"clip is {clip}; this run was trained on {self.clips}, counted from 0")
        wave = self.learned_clips()[clip].to(self._device)
        bands = getattr(self.scales[0], "bands", None)
        with threads.drawing():  # which the resampler's last bits depend on, too
            return cascade.pyramid_of(wave, tuple(self.rates), bands)

    def learned_clips(self) -> list[torch.Tensor]:
        """The training clips [channels, n] at the run's rate."""
        tensors = read_tensors(self.folder / CLIPS, self.config)
        try:
            return [tensors[clip_name(index)] for index in range(self.clips)]
        except KeyError as error:
            raise RunError(f"{self.folder / CLIPS} lacks {error}; train the run again") from None

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
    config = read_config(config_file)
    try:
        run = Run(folder, from_json(config["settings"]), config)
        run.channels, run.seconds  # noqa: B018  both raise where the file is of another version
        needed = [CLIPS] + ([scale_file(i) for i in range(len(config["rates"]))] if run.complete else [])
    except (LookupError, TypeError, SettingsError) as error:
        reason = str(error) if isinstance(error, SettingsError) else f"no {error}"
        raise RunError(f"{config_file} is of another version ({reason}); train the run again") from error
    for name in needed:
        if not (folder / name).is_file():
            raise RunError(f"{folder} lacks {name}; restore it or train the run again")
    return run


def read_config(file: Path) -> dict[str, Any]:
    """The record of a run. RunError where a value in it is damaged that every run has."""
    try:
        config = atomic.read_json(file)
    except (atomic.DamagedError, OSError) as error:
        told = error.strerror if isinstance(error, OSError) else str(error)
        told = f"{file} cannot be read ({told})" if isinstance(error, OSError) else told
        raise RunError(f"{told}; restore it or train the run again") from None
    rates = config["rates"] if "rates" in config else [config.get("rate")]
    sound = {
        "settings": isinstance(config.get("settings"), dict),
        "rates": isinstance(rates, list) and rates and all(_is_amount(rate) for rate in rates),
        "channels": config.get("channels", 1) in (1, 2),
        "peak": _is_amount(config.get("peak")),
        "clips": isinstance(config.get("clips"), list)
        and config["clips"]
        and all(map(_is_clip, config["clips"])),
        "versions": isinstance(config.get("versions", {}), dict),
        DIGESTS: isinstance(config.get(DIGESTS, {}), dict)
        and all(
            isinstance(one, str) and Path(name).name == name for name, one in config.get(DIGESTS, {}).items()
        ),
    }
    if wrong := [name for name, holds in sound.items() if not holds]:
        missing = [name for name in wrong if config.get(name) is None and name != "rates"]
        if missing:
            raise RunError(f"{file} is of another version (no '{missing[0]}'); train the run again")
        shown = json.dumps(config.get(wrong[0]))[:60]
        raise RunError(f"{file} is damaged ({wrong[0]} is {shown}); restore it or train the run again")
    return config


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _is_clip(clip: Any) -> bool:
    return (
        isinstance(clip, dict)
        and _is_amount(clip.get("samples"))
        and isinstance(clip.get("sha256"), str)
        and isinstance(clip.get("source"), dict)
    )


def read_tensors(path: Path, config: dict[str, Any] | None = None) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; RunError where it is missing, damaged or has changed.

    config: of the run, which has the sha256 of the file as the training left it.
    """
    content = _content(path, (config or {}).get(DIGESTS, {}).get(path.name))
    try:
        return tensors_in(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise RunError(f"{path} cannot be read ({error}); restore it or train the run again") from error


def _content(path: Path, sha256: str | None) -> bytes:
    """The bytes of a file of weights. RunError where they are not those that were written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        told = f"{path} cannot be read ({error.strerror})"
        raise RunError(f"{told}; restore it or train the run again") from None
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        told = f"{path} has changed since it was written (its sha256 is not the one in {CONFIG})"
        raise RunError(f"{told}; restore it, or delete {path.parent} and train the run again")
    return content


def save_scale(folder: Path, index: int, scale: cascade.Scale) -> None:
    """Write a finished scale's weights and what its drawing needs, and note their sha256."""
    tensors = {f"network.{k}": v for k, v in scale.network.state_dict().items()}
    if isinstance(scale, flow.ScoreScale | flow.FlowScale):
        tensors |= {f"bands.{k}": v for k, v in scale.bands.tensors().items()}
    if isinstance(scale, flow.ScoreScale):
        tensors |= {"drawn": scale.drawn, "range": scale.range}
        if scale.guide:
            tensors |= {f"guide.{k}": torch.from_numpy(v) for k, v in scale.guide.tensors().items()}
            tensors["accentuation"] = torch.tensor(scale.accentuation, dtype=torch.float64)
    if isinstance(scale, flow.FlowScale):
        tensors["whitening.coefficients"] = torch.from_numpy(scale.whitening.coefficients)
        tensors["whitening.deviation"] = torch.tensor(scale.whitening.deviation, dtype=torch.float64)
        tensors["channels"] = torch.tensor(scale.channels)
    elif isinstance(scale, adversarial.AdversarialScale):
        tensors["amplitude"] = torch.tensor(scale.amplitude, dtype=torch.float64)
        if scale.code is not None:
            tensors["code"] = scale.code
    note(folder, scale_file(index), write_tensors(folder / scale_file(index), tensors))


def load_scale(
    folder: Path,
    settings: Settings,
    rates: tuple[float, ...],
    index: int,
    device: torch.device,
    config: dict[str, Any],
) -> cascade.Scale:
    """Read back what `save_scale` wrote, in evaluation mode. config: of the run."""
    path = folder / scale_file(index)
    tensors = read_tensors(path, config)
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
        scale = flow.ScoreScale(network, bands, settings, *known)
        if guide := {k: v.numpy() for k, v in _part(tensors, "guide.").items()}:
            scale.guide = Guide.from_tensors(guide)
            scale.accentuation = tensors["accentuation"].item()
        return scale
    whitening = flow.Whitening(
        tensors["whitening.coefficients"].numpy(), tensors["whitening.deviation"].item()
    )
    lower = int(rates[index - 1]) if index > 1 else None
    return flow.FlowScale(int(rates[index]), lower, network, whitening, bands, channels, settings)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
