"""Training of a run, scale by scale, in a folder that survives being killed at any moment."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caw import atomic, runs
from caw.audio import resample
from caw.cascade import pyramid_of
from caw.config import SHORTEST_CLIP, Settings, from_json, to_json
from caw.pyramid import scale_rates
from caw.trainers import Trainer, trainer_for

LOWEST_RATE = 500  # Hz; below it the first scale has nothing to work on
LARGEST_SEED = 2**53 - 1  # each scale draws with seeds of its own, up to 1000 times as large
DEFAULT_RATE = 16000  # Hz
CHECKPOINT_SECONDS = 20.0  # between checkpoints: what a kill costs at most
PEAK = 0.98  # of the normalised clip


@dataclass(frozen=True)
class Progress:
    """Where a training stands. Times in seconds; `scale` counts from 1."""

    scale: int
    scales: int
    rate: int
    epoch: int
    epochs: int
    losses: dict[str, float]
    elapsed: float
    remaining: float
    fraction: float


def train(
    samples: np.ndarray,
    rate: int,
    out: str | Path,
    *,
    settings: Settings,
    source: dict[str, Any] | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> runs.Run:
    """Train on one clip and leave a run folder.

    samples: mono [n] at `rate` Hz, at any level. source: facts about the clip for `config.json`.
    resume: go on with an unfinished run of the same clip and settings in `out` (a finished one is
    returned as it is); on a CPU the weights end up the same as without the interruption.
    Errors: `runs.RunError` for a clip that cannot be trained on or a folder that does not fit.
    """
    out = Path(out)
    if settings.seed > LARGEST_SEED:
        raise runs.RunError(f"seed is {settings.seed}; use a whole number from 0 to {LARGEST_SEED}")
    runs.choose_device(settings.device)  # refused before there is a folder
    clip, clip_rate, peak = _prepare(samples, rate, settings)
    rates = scale_rates(torch.from_numpy(clip), clip_rate, settings)
    config = {
        "settings": to_json(settings),
        "rates": list(rates),
        "clip": {
            "samples": len(clip),
            "peak": peak,
            "sha256": hashlib.sha256(clip.tobytes()).hexdigest(),
            "source": source or {},
        },
        "versions": runs.versions(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    _open_folder(out, config, clip, resume)
    run = runs.load(out)
    if run.complete:
        return run
    with _quick_arithmetic():
        # a run may go on on another device than it began on
        _train_scales(
            dataclasses.replace(run, settings=settings), torch.from_numpy(clip), tuple(rates), progress
        )
    return runs.load(out)


def _prepare(samples: np.ndarray, rate: int, settings: Settings) -> tuple[np.ndarray, int, float]:
    """The clip at the run's rate with peak 0.98, that rate, and the factor back to its own level."""
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1:
        raise runs.RunError(f"samples have shape {samples.shape}; give one channel, [n]")
    if not np.isfinite(samples).all():
        raise runs.RunError("the clip holds NaN or infinite samples; export it again")
    if rate < LOWEST_RATE:
        raise runs.RunError(f"the clip has {rate} Hz; give one of {LOWEST_RATE} Hz or more")
    if len(samples) < SHORTEST_CLIP * rate:
        raise runs.RunError(f"the clip is {len(samples) / rate:.2f} s long; give {SHORTEST_CLIP:g} s or more")
    clip_rate = min(settings.rate or DEFAULT_RATE, rate)
    if clip_rate != rate:
        samples = resample(samples, rate, clip_rate)
    peak = float(np.abs(samples).max())
    if peak < 1e-4:
        raise runs.RunError(f"the clip is silent (peak {peak:.1e}); choose another passage")
    peak /= PEAK
    return np.ascontiguousarray(samples / np.float32(peak)), clip_rate, peak


def _open_folder(out: Path, config: dict[str, Any], clip: np.ndarray, resume: bool) -> None:
    """A new run folder, or the old one where `resume` asks for it and everything fits."""
    if (out / runs.CONFIG).exists():
        if not resume:
            raise runs.RunError(f"{out} already holds a run; give --resume to go on, or another folder")
        old = runs.load(out).config
        if old["clip"]["sha256"] != config["clip"]["sha256"]:
            raise runs.RunError(f"{out} was trained on another clip; choose another folder")
        ours, theirs = from_json(config["settings"]), from_json(old["settings"])
        for name, value in vars(theirs).items():
            if name != "device" and getattr(ours, name, None) != value:
                raise runs.RunError(
                    f"{out} was begun with {name} {value!r}, not {getattr(ours, name, None)!r}; "
                    "use the same settings or another folder"
                )
        return
    if out.exists() and not out.is_dir():
        raise runs.RunError(f"{out} is a file; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    runs.write_tensors(out / runs.CLIP, {"clip": torch.from_numpy(clip)})
    runs.write_json(out / runs.CONFIG, config)


def _train_scales(
    run: runs.Run,
    clip: torch.Tensor,
    rates: tuple[int, ...],
    progress: Callable[[Progress], None] | None,
) -> None:
    settings, folder = run.settings, run.folder
    device = runs.choose_device(settings.device)
    signals = pyramid_of(clip.to(device), rates, settings)
    checkpoint = _read_checkpoint(folder)
    done = checkpoint["scale"] if checkpoint else 0
    scales = [runs.load_scale(folder, settings, list(rates), i, device) for i in range(done)]
    if scales and checkpoint["carried"]:
        scales[-1].critic_state = checkpoint["carried"]
    clock = _Clock(len(rates), settings.epochs, checkpoint)
    losses = _Losses(folder / runs.LOSSES, checkpoint["lines"] if checkpoint else 0)
    for index in range(done, len(rates)):
        trainer = trainer_for(signals, rates, scales, settings)
        epoch = 0
        if checkpoint and checkpoint["trainer"]:
            _restore(trainer, checkpoint["trainer"], folder)
            epoch = checkpoint["epoch"]
        checkpoint = None
        saved = time.monotonic()
        while epoch < settings.epochs:
            values = trainer.step(epoch)
            epoch += 1
            losses.add({"scale": index, "rate": rates[index], "epoch": epoch, **values})
            if progress:
                progress(clock.at(index, rates[index], epoch, values))
            if time.monotonic() - saved >= CHECKPOINT_SECONDS and epoch < settings.epochs:
                _write_checkpoint(folder, index, epoch, scales, trainer.state_dict(), losses, clock)
                saved = time.monotonic()
        scale = trainer.finish()
        runs.save_scale(folder, index, scale)
        scales.append(scale)
        _write_checkpoint(folder, index + 1, 0, scales, None, losses, clock)
    runs.write_json(
        folder / runs.FINISHED,
        {
            "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "seconds": round(clock.elapsed(), 1),
            "device": str(device),
            "threads": torch.get_num_threads(),
        },
    )
    (folder / runs.CHECKPOINT).unlink(missing_ok=True)


def _write_checkpoint(folder, scale, epoch, scales, trainer, losses, clock) -> None:
    losses.flush()
    state = {
        "scale": scale,
        "epoch": epoch,
        "trainer": trainer,
        "carried": getattr(scales[-1], "critic_state", None) if scales else None,
        "lines": losses.lines,
        "elapsed": clock.elapsed(),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic.write(folder / runs.CHECKPOINT, buffer.getvalue())


def _read_checkpoint(folder: Path) -> dict[str, Any] | None:
    path = folder / runs.CHECKPOINT
    if not path.exists():
        return None
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch names no common error class for a damaged file
        raise runs.RunError(f"{path} cannot be read; delete it to train the run again") from error


def _restore(trainer: Trainer, state: dict[str, Any], folder: Path) -> None:
    try:
        trainer.load_state_dict(state)
    except (KeyError, RuntimeError, ValueError) as error:
        raise runs.RunError(
            f"{folder / runs.CHECKPOINT} was written by another version; delete {folder} to train again"
        ) from error


class _Losses:
    """losses.jsonl, cut back to the checkpoint's line on resume so that no step stands twice."""

    def __init__(self, path: Path, lines: int) -> None:
        self.path = path
        self.lines = lines
        self.pending: list[str] = []
        kept = path.read_text().splitlines()[:lines] if path.exists() else []
        atomic.write(path, "".join(f"{line}\n" for line in kept))

    def add(self, record: dict[str, Any]) -> None:
        self.pending.append(json.dumps(record))

    def flush(self) -> None:
        with open(self.path, "a") as file:
            file.writelines(f"{line}\n" for line in self.pending)
        self.lines += len(self.pending)
        self.pending.clear()


class _Clock:
    """Elapsed and remaining time. Finer scales cost more per step, so each counts by its cost so far."""

    def __init__(self, scales: int, epochs: int, checkpoint: dict[str, Any] | None) -> None:
        self.scales = scales
        self.epochs = epochs
        self.before = checkpoint["elapsed"] if checkpoint else 0.0
        self.start = time.monotonic()
        self.first: tuple[int, int, float] | None = None

    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.start

    def at(self, index: int, rate: int, epoch: int, losses: dict[str, float]) -> Progress:
        now = time.monotonic()
        if self.first is None or self.first[0] != index:
            self.first = (index, epoch, now)
        steps = epoch - self.first[1]
        per_step = (now - self.first[2]) / steps if steps else 0.0
        left = self.epochs - epoch + (self.scales - index - 1) * self.epochs
        fraction = (index * self.epochs + epoch) / (self.scales * self.epochs)
        return Progress(
            index + 1,
            self.scales,
            rate,
            epoch,
            self.epochs,
            losses,
            self.elapsed(),
            per_step * left,
            fraction,
        )


@contextlib.contextmanager
def _quick_arithmetic() -> Iterator[None]:
    """Denormal numbers cost a CPU up to a factor of ten and mean nothing here."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
