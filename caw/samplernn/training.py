"""Training of a SampleRNN in a run folder, which can be killed and resumed at any moment.

An epoch is one optimiser step, and no step depends on their number: a run of 500 epochs passes through the
state in which one of 100 ends, and leaves its weights there if they are requested.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caw.audio import resample
from caw.files import atomic
from caw.parallel import limited
from caw.run_folder import (
    DIGESTS,
    RunError,
    check_clip,
    choose_device,
    level_clips,
    note_digest,
    pack_state,
    read_state,
    versions,
    write_json,
    write_tensors,
)
from caw.samplernn import runs
from caw.samplernn.config import SampleRNNSettings, to_json, weights_file
from caw.samplernn.data import Streams, encode, scored_pieces, split
from caw.samplernn.network import SampleRNN

CHECKPOINT_SECONDS = 20.0  # between checkpoints: the most that a kill costs
REPORT_SECONDS = 1.0  # between two reports of progress
SCORED_EVERY = 100  # epochs between two scores in losses.jsonl; snapshots are always scored


@dataclass(frozen=True)
class SampleRNNProgress:
    """Progress of a training. Times are in seconds."""

    epoch: int
    epochs: int
    bits: float  # per sample, of the step just done
    elapsed: float  # in all, without interruptions
    remaining: float
    fraction: float


def train(
    samples: np.ndarray | Sequence[np.ndarray],
    rate: int,
    out: str | Path,
    *,
    settings: SampleRNNSettings,
    epochs: int,
    snapshots: Sequence[int] = (),
    source: Sequence[dict[str, Any]] = (),
    resume: bool = False,
    progress: Callable[[SampleRNNProgress], None] | None = None,
) -> runs.SampleRNNRun:
    """Train a SampleRNN on a clip, or on several together, in a run folder.

    Parameters
    ----------
    samples : array [n], or a sequence of them
        Mono clips at `rate` Hz.
    rate : int
        Their sampling rate; the run's is `settings.rate` if that is lower.
    out : str or Path
        The run folder.
    settings : SampleRNNSettings
        As of `caw.samplernn.config.settings`.
    epochs : int
        Optimiser steps in all, after which weights are written.
    snapshots : sequence of int
        Further epochs whose weights are written.
    source : sequence of dict
        Facts about each clip, for the run's record.
    resume : bool
        Continue a run of the same clips and settings in `out`, finished or not. On a CPU its weights equal
        those of an uninterrupted run.
    progress : callable, optional
        Called with a SampleRNNProgress about once a second.

    Returns
    -------
    SampleRNNRun

    Raises
    ------
    RunError
        For clips that cannot be trained on, or a folder that holds another run.

    Notes
    -----
    The model is that of Mehri et al. 2017, "SampleRNN: an unconditional end-to-end neural audio generation
    model", arXiv 1612.07837.

    Examples
    --------
    >>> import tempfile
    >>> from caw.samplernn.config import settings
    >>> clip = np.sin(np.arange(4000) / 5).astype(np.float32)
    >>> tiny = settings(dim=8, streams=1, window=64, rate=2000)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train(clip, 2000, f"{folder}/run", settings=tiny, epochs=2).epochs
    [2]
    """
    out = Path(out)
    device = choose_device(settings.device)  # refused before there is a folder
    requested = sorted({*snapshots, epochs})
    for count in requested:
        if not 1 <= count <= epochs:
            raise RunError(f"a snapshot is asked for at epoch {count} of {epochs}", f"use 1 to {epochs}")
    clips = list(samples) if isinstance(samples, list | tuple) else [samples]
    clips, own_rate, peak = _prepared(clips, rate, settings)
    config = {
        "settings": to_json(settings),
        "rate": own_rate,
        "peak": peak,
        "clips": [
            {
                "samples": len(clip),
                "sha256": hashlib.sha256(clip.tobytes()).hexdigest(),
                "source": source[i] if i < len(source) else {},
            }
            for i, clip in enumerate(clips)
        ],
        "versions": versions(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    _open_folder(out, config, clips, resume)
    run = runs.load(out)
    missing = [count for count in requested if count not in run.epochs]
    if missing:
        training = _Training(run, device, progress)
        passed = [count for count in missing if count < training.epoch]
        if passed:  # a second training reaches them, and the state of the longer one stays as it is
            again = _Training(run, device, progress, runs.RETURN)
            if again.epoch > passed[0]:
                (out / runs.RETURN).unlink()
                again = _Training(run, device, progress, runs.RETURN)
            again.run(passed, missing[-1])
        (out / runs.RETURN).unlink(missing_ok=True)
        if ahead := missing[len(passed) :]:
            training.run(ahead, missing[-1])
    return runs.load(out)


def _prepared(
    clips: list[np.ndarray], rate: int, settings: SampleRNNSettings
) -> tuple[list[np.ndarray], int, float]:
    """The clips [n] at the run's rate with a joint peak of .98, that rate, and the factor to undo it."""
    if not clips:
        raise RunError("no clip was given", "give one or more")
    own = min(settings.rate, rate)
    clips = [resample(_mono(samples, rate), rate, own) for samples in clips]
    clips, peak = level_clips(clips)
    for clip in clips:
        if len(clip) * (1 - settings.held_out) < 2 * settings.window:
            problem = f"window is {settings.window} samples, too long for a clip of {len(clip)} samples"
            raise RunError(problem, "use a shorter window or a longer clip")
    return clips, own, peak


def _mono(samples: np.ndarray, rate: int) -> np.ndarray:
    """A clip as float32 [n]. Raises RunError for one that cannot be trained on."""
    if np.ndim(samples) != 1:
        raise RunError(f"samples have shape {np.shape(samples)}", "give mono, [n]")
    return check_clip(samples, rate)


def _open_folder(out: Path, config: dict[str, Any], clips: list[np.ndarray], resume: bool) -> None:
    """Make the run folder, or check that the one there holds the same run, if `resume` allows it."""
    if (out / runs.CONFIG).exists():
        if not resume:
            raise RunError(f"{out} already holds a run", "give --resume to go on, or another folder")
        old = runs.load(out)
        if [clip["sha256"] for clip in old.config["clips"]] != [clip["sha256"] for clip in config["clips"]]:
            raise RunError(f"{out} was trained on another clip", "choose another folder")
        for name, value in to_json(old.settings).items():
            ours = config["settings"][name]
            if name != "device" and ours != value:
                problem = f"{out} was begun with {name} {value!r}, not {ours!r}"
                raise RunError(problem, "use the same settings or another folder")
        return
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file", "choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    tensors = {f"clip-{i:04d}": torch.from_numpy(clip) for i, clip in enumerate(clips)}
    digests = {runs.CLIPS: write_tensors(out / runs.CLIPS, tensors)}
    write_json(out / runs.CONFIG, config | {DIGESTS: digests})


class _Training:
    """Network, optimiser, streams and their files.

    checkpoint: runs.CHECKPOINT, or runs.RETURN for a second training to epochs that the first passed.
    """

    def __init__(
        self,
        run: runs.SampleRNNRun,
        device: torch.device,
        progress: Callable[[SampleRNNProgress], None] | None,
        checkpoint: str = runs.CHECKPOINT,
    ) -> None:
        self.folder, self.settings, self.device, self.progress = run.folder, run.settings, device, progress
        self.checkpoint, self.returns = run.folder / checkpoint, checkpoint == runs.RETURN
        levels = [encode(clip, self.settings.quantisation) for clip in run.clips]
        learned, held_out = split(levels, self.settings)
        self.streams = Streams(learned, run.rate, self.settings)
        pieces = {"train": learned, "held_out": held_out}
        self.pieces = {name: scored_pieces(clips, self.settings) for name, clips in pieces.items() if clips}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            self.network = SampleRNN(self.settings).to(device)
        self.averaged = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.optimiser = torch.optim.Adam(self.network.parameters(), self.settings.learning_rate)
        self.states = self.network.start(self.settings.streams).detach().clone()
        self.epoch, self.elapsed, self.lines = 0, 0.0, 0
        if saved := read_state(self.checkpoint, f"delete {self.folder} to train the run again"):
            self._restore(saved)
        self.pending: list[str] = []
        if not self.returns:
            self._write_losses(self._read_losses()[: self.lines])  # so that no step stands twice

    def run(self, snapshots: list[int], epochs: int) -> None:
        """Train up to the last of `snapshots`, and write weights at each. epochs: the total to report."""
        began = saved = reported = time.monotonic()
        before, first, last = self.elapsed, self.epoch, snapshots[-1]
        with limited(torch.get_num_threads()):  # as many as before, but denormal numbers are zero
            if self.epoch == snapshots[0]:  # as a checkpoint may
                self._keep(self._scores())
            while self.epoch < last:
                bits = self._step()
                now = time.monotonic()
                self.elapsed = before + now - began
                record = {"epoch": self.epoch, "bits": round(bits, 5)}
                if self.epoch in snapshots or self.epoch % SCORED_EVERY == 0:
                    record |= self._scores()
                if not self.returns:
                    self.pending.append(json.dumps(record))
                if self.epoch in snapshots:
                    self._keep(record)
                if self.epoch == last or now - saved >= CHECKPOINT_SECONDS:
                    self._write_checkpoint()
                    saved = now
                if self.progress and (now - reported >= REPORT_SECONDS or self.epoch == last):
                    pace = (now - began) / (self.epoch - first)
                    left, share = (epochs - self.epoch) * pace, self.epoch / epochs
                    self.progress(SampleRNNProgress(self.epoch, epochs, bits, self.elapsed, left, share))
                    reported = now

    def _step(self) -> float:
        levels, fresh = self.streams.next()
        fresh = torch.from_numpy(fresh).to(self.device)[:, None]
        states = torch.where(fresh, self.network.start(self.settings.streams), self.states)
        bits, states = self.network.bits(torch.from_numpy(levels).to(self.device), states)
        self.optimiser.zero_grad()
        bits.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_norm)
        self.optimiser.step()
        self.states = states.detach()
        self.epoch += 1
        # a short past at first, so that the first weights are soon forgotten
        decay = min(self.settings.averaging, self.epoch / (10 + self.epoch))
        now = self.network.state_dict()
        torch._foreach_lerp_(list(self.averaged.values()), [now[name] for name in self.averaged], 1 - decay)
        return bits.item()

    def _keep(self, record: dict[str, float]) -> None:
        """Write the weights, and their scores if this epoch's line in losses.jsonl has none."""
        lines = self._read_losses()
        if self.epoch <= len(lines):
            lines[self.epoch - 1] = json.dumps(json.loads(lines[self.epoch - 1]) | record)
            self._write_losses(lines)
        name = weights_file(self.epoch)
        note_digest(self.folder, name, write_tensors(self.folder / name, self.averaged))

    def _scores(self) -> dict[str, float]:
        """Bits per sample of the averaged weights, on pieces of the learned and the held-out samples."""
        network = SampleRNN(self.settings).to(self.device)
        network.load_state_dict(self.averaged)
        scores = {}
        for name, levels in self.pieces.items():
            if levels is not None:
                with torch.inference_mode():
                    levels = torch.from_numpy(levels).to(self.device)
                    scores[name] = round(network.bits(levels, network.start(len(levels)))[0].item(), 5)
        return scores

    def _write_checkpoint(self) -> None:
        if self.pending:
            with open(self.folder / runs.LOSSES, "a") as file:
                file.writelines(f"{line}\n" for line in self.pending)
        self.lines += len(self.pending)
        self.pending.clear()
        state = {
            "epoch": self.epoch,
            "elapsed": self.elapsed,
            "lines": self.lines,
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "optimiser": self.optimiser.state_dict(),
            "states": self.states,
            "streams": self.streams.state(),
        }
        atomic.write(self.checkpoint, pack_state(state))

    def _read_losses(self) -> list[str]:
        """losses.jsonl: a line for each epoch."""
        file = self.folder / runs.LOSSES
        return file.read_text().splitlines() if file.exists() else []

    def _write_losses(self, lines: list[str]) -> None:
        atomic.write(self.folder / runs.LOSSES, "".join(f"{line}\n" for line in lines))

    def _restore(self, saved: dict[str, Any]) -> None:
        try:
            self.network.load_state_dict(saved["network"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.averaged = {name: saved["averaged"][name].to(self.device) for name in self.averaged}
            self.states = saved["states"].to(self.device)
            self.streams.restore(saved["streams"])
            self.epoch, self.elapsed, self.lines = saved["epoch"], saved["elapsed"], saved["lines"]
        except (KeyError, RuntimeError, ValueError) as error:
            problem = f"{self.checkpoint} was written by another version"
            raise RunError(problem, f"delete {self.folder} to train again") from error
