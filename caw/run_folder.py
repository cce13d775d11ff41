"""The files of a run: what a training starts from, what it leaves, and from where other trainings go on.

A run folder holds its configuration, the training clips, the losses, and the weights of each scale. While the
training is unfinished it also holds a checkpoint. Digests of the weights and clips stand in the
configuration, so that damage to them is noticed.

A shared checkpoint is a file outside of run folders that holds where a training ended, so that longer
trainings of the same clip go on from there. It fits where neither the learning rate nor the weights' average
looks ahead to the last epoch (`Settings.shares_steps`): a training of 500 epochs is then the first half of
one of 1000. With the same file, trainings of 100, 500 and 1000 epochs, shortest first, take 1000 steps
instead of 1600, and each leaves what it would leave alone; on a CPU, the same bits. The file only saves work
and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_in
from safetensors.torch import save

from caw.cascade import Scale
from caw.compose.guide import Guide
from caw.config import SHORTEST_CLIP, FlowSettings, Settings
from caw.files import atomic
from caw.flow import scales as flow
from caw.flow.score import Bands
from caw.paper.scale import AdversarialScale, untrained_network
from caw.problems import ProblemError

CONFIG = "config.json"
CLIPS = "clips.safetensors"
LOSSES = "losses.jsonl"
CHECKPOINT = "checkpoint.pt"
FINISHED = "finished.json"
DIGESTS = "sha256"  # key in CONFIG: of each file of weights and clips; runs of older versions have none
OWN_SETTINGS = ("epochs", "device")  # in which trainings that share their steps may differ
PEAK = 0.98  # of all training clips together, as they are stored
SILENT = 1e-4  # a peak below it, where full scale is 1
_SEAL = b"sha256:"  # before the digest that ends a checkpoint
_AGAIN = "restore it or train the run again"


class RunError(ProblemError):
    """A run folder is missing, incomplete, damaged or made from another clip or settings."""


def check_clip(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples, [n] or [channels, n] at `rate` Hz, as float32.

    Raises RunError for a clip that nothing can be learned from: one with NaN or infinite samples, shorter
    than `SHORTEST_CLIP`, or silent but for a constant offset.
    """
    samples = np.asarray(samples, dtype=np.float32)
    if not np.isfinite(samples).all():
        raise RunError("the clip holds NaN or infinite samples", "export it again")
    seconds = samples.shape[-1] / rate
    if seconds < SHORTEST_CLIP:
        raise RunError(f"the clip is {seconds:.2f} s long", f"give {SHORTEST_CLIP:g} s or more")
    _check_loud(float(np.ptp(samples, axis=-1).max()) / 2)
    return samples


def level_clips(clips: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """Clips with a joint peak of `PEAK`, so that they keep their levels to each other, and the factor back.

    Raises RunError for one that is silent.
    """
    peaks = [float(np.abs(clip).max()) for clip in clips]
    _check_loud(min(peaks))
    factor = max(peaks) / PEAK
    return [np.ascontiguousarray(clip / np.float32(factor)) for clip in clips], factor


def _check_loud(peak: float) -> None:
    if peak < SILENT:
        raise RunError(f"the clip is silent (peak {peak:.1e})", "choose another passage")


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write `record` as readable JSON, atomically."""
    atomic.write(path, json.dumps(record, indent=2) + "\n")


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> str:
    """Write named tensors as safetensors, atomically. Returns the file's sha256, for `note_digest`."""
    content = save({k: v.detach().cpu().contiguous() for k, v in tensors.items()})
    atomic.write(path, content)
    return hashlib.sha256(content).hexdigest()


def note_digest(folder: Path, name: str, sha256: str) -> None:
    """Write the sha256 of a file of the run folder into its CONFIG."""
    config = atomic.read_json(folder / CONFIG)
    write_json(folder / CONFIG, config | {DIGESTS: config.get(DIGESTS, {}) | {name: sha256}})


def check_digests(folder: Path, config: dict[str, Any]) -> bool:
    """Read every file whose sha256 is noted; False where none is, as in runs of older versions.

    Raises RunError for a file that has changed.
    """
    for name, sha256 in config.get(DIGESTS, {}).items():
        _content(folder / name, sha256)
    return bool(config.get(DIGESTS))


def pack_state(state: dict[str, Any]) -> bytes:
    """The state of a training as bytes that end with their sha256, as torch itself checks nothing."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    return content + _SEAL + hashlib.sha256(content).digest()


def read_state(path: Path, fix: str) -> dict[str, Any] | None:
    """The state in a file that `pack_state` made; None where there is no file.

    Raises RunError, which advises `fix`, for a damaged file.
    """
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
        raise RunError(f"{path} cannot be read ({reason[:80]})", fix) from error


def scale_file(index: int) -> str:
    """Name of a finished scale's weights in the run folder."""
    return f"scale-{index:02d}.safetensors"


def clip_name(index: int) -> str:
    """Name of a training clip in `CLIPS`."""
    return f"clip-{index:02d}"


def versions() -> dict[str, str]:
    """Versions of the packages that a run's numbers depend on."""
    result = {"python": platform.python_version()}
    for name in ("eureka-study", "torch", "torchaudio", "numpy", "scipy"):
        try:
            result[name] = version(name)
        except PackageNotFoundError:
            result[name] = "not installed"
    return result


def choose_device(name: str) -> torch.device:
    """The device of that name; auto is the GPU where there is one. RunError for `cuda` without a GPU."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise RunError("device is 'cuda' but this machine has no usable GPU", "use --device cpu or auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def read_config(file: Path) -> dict[str, Any]:
    """The configuration of a run. Raises RunError where a value in it is damaged that every run has."""
    try:
        config = atomic.read_json(file)
    except atomic.DamagedError as error:
        raise RunError(str(error), _AGAIN) from None
    except OSError as error:
        raise RunError(f"{file} cannot be read ({error.strerror})", _AGAIN) from None
    rates = config["rates"] if "rates" in config else [config.get("rate")]
    clips, digests = config.get("clips"), config.get(DIGESTS, {})
    valid = {
        "settings": isinstance(config.get("settings"), dict),
        "rates": isinstance(rates, list) and rates and all(_is_amount(rate) for rate in rates),
        "channels": config.get("channels", 1) in (1, 2),
        "peak": _is_amount(config.get("peak")),
        "clips": isinstance(clips, list) and clips and all(map(_is_clip, clips)),
        "versions": isinstance(config.get("versions", {}), dict),
        DIGESTS: isinstance(digests, dict)
        and all(isinstance(one, str) and Path(name).name == name for name, one in digests.items()),
    }
    if wrong := [name for name, is_valid in valid.items() if not is_valid]:
        missing = [name for name in wrong if config.get(name) is None and name != "rates"]
        if missing:
            raise RunError(f"{file} is of another version (no '{missing[0]}')", "train the run again")
        value = json.dumps(config.get(wrong[0]))[:60]
        raise RunError(f"{file} is damaged ({wrong[0]} is {value})", _AGAIN)
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
    """The tensors of a safetensors file. Raises RunError where it is missing, damaged or has changed.

    config: of the run, which holds the sha256 of the file as the training left it.
    """
    content = _content(path, (config or {}).get(DIGESTS, {}).get(path.name))
    try:
        return tensors_in(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise RunError(f"{path} cannot be read ({error})", _AGAIN) from error


def _content(path: Path, sha256: str | None) -> bytes:
    """The bytes of a file of weights. Raises RunError where they are not those that were written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror})", _AGAIN) from None
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise RunError(
            f"{path} has changed since it was written (its sha256 is not the one in {CONFIG})",
            f"restore it, or delete {path.parent} and train the run again",
        )
    return content


def save_scale(folder: Path, index: int, scale: Scale) -> None:
    """Write a finished scale's weights and what else its drawing needs, and note their sha256."""
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
    elif isinstance(scale, AdversarialScale):
        tensors["amplitude"] = torch.tensor(scale.amplitude, dtype=torch.float64)
        if scale.code is not None:
            tensors["code"] = scale.code
    note_digest(folder, scale_file(index), write_tensors(folder / scale_file(index), tensors))


def load_scale(
    folder: Path,
    settings: Settings,
    rates: tuple[float, ...],
    index: int,
    device: torch.device,
    config: dict[str, Any],
) -> Scale:
    """Read back what `save_scale` wrote, in evaluation mode. config: of the run."""
    path = folder / scale_file(index)
    tensors = read_tensors(path, config)
    try:
        if isinstance(settings, FlowSettings):
            return _flow_scale(tensors, settings, rates, index, device)
        network = untrained_network(settings, first=index == 0)
        network.load_state_dict(_part(tensors, "network."))
        code = tensors["code"].to(device) if index == 0 else None
        lower = rates[index - 1] if index else None
        amplitude = tensors["amplitude"].item()
        return AdversarialScale(rates[index], lower, network.to(device).eval(), amplitude, code)
    except (KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path} does not fit {CONFIG} ({reason})", "train the run again") from error


def _flow_scale(
    tensors: dict[str, torch.Tensor],
    settings: FlowSettings,
    rates: tuple[float, ...],
    index: int,
    device: torch.device,
) -> Scale:
    bands = Bands.from_tensors(_part(tensors, "bands.")).to(device)
    channels = int(tensors["channels"]) if index else 1
    network = flow.untrained_network(settings, rates, index, len(bands.mean), channels)
    network.load_state_dict(_part(tensors, "network."))
    network = network.to(device).eval()
    if index == 0:
        calibration = (tensors[name].to(device) for name in ("drawn", "range"))
        scale = flow.ScoreScale(network, bands, settings, *calibration)
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


def epochs_in(shared_checkpoint: Path) -> int:
    """How many epochs a shared checkpoint holds; 0 where there is no file that can be read."""
    state = _read_shared(shared_checkpoint)
    return state["epochs"] if state else 0


def begin_from(shared_checkpoint: Path, folder: Path, config: dict[str, Any]) -> dict[str, Any] | None:
    """Put the checkpoint and the losses of a shared checkpoint into a new run folder, where they fit.

    config: of the new run. Gives what `config.json` should record of it; None where nothing fits.
    """
    if not 0 < _fitting_epochs(shared_checkpoint, config) <= config["settings"]["epochs"]:
        return None
    try:
        state = read_state(shared_checkpoint, "delete it")
    except RunError:  # as the file only saves time, the training starts anew and leaves a sound one
        shared_checkpoint.unlink(missing_ok=True)
        return None
    atomic.write(folder / LOSSES, state.pop("losses"))
    atomic.write(folder / CHECKPOINT, pack_state(state))
    return {"epochs": state["epochs"], "trunk": shared_checkpoint.name}


def leave_shared(
    shared_checkpoint: Path, folder: Path, config: dict[str, Any], trainers: list[Any], elapsed: float
) -> None:
    """Write where a run's trainers ended, unless a training as long of the same kind has left its end there.

    trainers: their states by scale. elapsed: seconds that the training took.
    """
    epochs = config["settings"]["epochs"]
    if _fitting_epochs(shared_checkpoint, config) >= epochs:
        return
    losses = (folder / LOSSES).read_text()
    scales = {i: {"epoch": epochs, "saved": False, "trainer": t} for i, t in enumerate(trainers)}
    state = {"identity": _identity(config), "epochs": epochs, "losses": losses}
    checkpoint = {"scales": scales, "lines": losses.count("\n"), "elapsed": elapsed}
    atomic.write(shared_checkpoint, pack_state(state | checkpoint))


def _identity(config: dict[str, Any]) -> str:
    """What trainings that share steps have in common: clips, scales, all settings but `OWN_SETTINGS`."""
    settings = {name: value for name, value in config["settings"].items() if name not in OWN_SETTINGS}
    more = [config[key] for key in ("plans", "album") if key in config]
    clips = [c["sha256"] for c in config["clips"]]
    return json.dumps([settings, config["rates"], clips, *more], sort_keys=True)


def _fitting_epochs(shared_checkpoint: Path, config: dict[str, Any]) -> int:
    """How many epochs of such a training a shared checkpoint holds."""
    state = _read_shared(shared_checkpoint)
    return state["epochs"] if state and state["identity"] == _identity(config) else 0


def _read_shared(path: Path) -> dict[str, Any] | None:
    """None for a file that is missing or damaged."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        return state if {"identity", "epochs", "losses"} <= state.keys() else None
    except Exception:  # torch names no common error class for a damaged file
        return None
