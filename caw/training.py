"""Training of a run in a folder that survives being killed at any moment.

Scales that do not need each other train at the same time, one thread each.
"""

from __future__ import annotations

import dataclasses
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

from caw import runs
from caw import shared_checkpoint as trunks
from caw.audio import resample
from caw.compose import plan as plan_files
from caw.compose.plan import Plan
from caw.config import AdversarialSettings, Settings, as_begun, from_json, to_json
from caw.files import atomic
from caw.parallel import Job, Step, divided, steps
from caw.pyramid import scale_rates
from caw.trainers import Trainer, costs, independent, trainers_for
from caw.training_clips import checked, levelled

LOWEST_RATE = 500  # Hz; below it the first scale has nothing to work on
DEFAULT_RATE = 16000  # Hz
CHECKPOINT_SECONDS = 20.0  # between checkpoints: what a kill costs at most


@dataclass(frozen=True)
class Progress:
    """Where a training stands: all its scales together, as several may train at once. Times in seconds."""

    scales: int
    finished: int  # scales
    epoch: int  # mean of all scales
    epochs: int
    losses: dict[str, float]  # of the step just done
    elapsed: float
    remaining: float
    fraction: float


def train(
    samples: np.ndarray | Sequence[np.ndarray],
    rate: int,
    out: str | Path,
    *,
    settings: Settings,
    source: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
    resume: bool = False,
    trunk: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    plan: Plan | Sequence[Plan | None] | None = None,
    album: Sequence[np.ndarray] = (),
) -> runs.Run:
    """Train on a clip, or on several of one band, and leave a run folder.

    samples: mono [n] or [channels, n] at `rate` Hz, at any level; or a list of such clips of equally many
    channels, which keep their levels to each other. source: facts about the clip for `config.json`, or a
    list of them. resume: go on with an unfinished run of the same clips and settings in `out` (a finished
    one is returned as it is); on a CPU the weights end up the same as without the interruption.
    trunk: a file through which trainings that differ in their epochs share steps (`caw.shared_checkpoint`):
    this one begins where an earlier one ended that is no longer, and leaves its own end for longer ones.
    plan: what is known of the clip's beats, metre and chords (a list: of each clip), heard if not given.
    album: more of the band's recordings, like `samples` and at the same rate, which the first
    `settings.album_epochs` epochs learn from as well; draws and variations are of the clips alone.
    Errors: `runs.RunError` for a clip that cannot be trained on or a folder that does not fit.
    """
    out = Path(out)
    runs.choose_device(settings.device)  # refused before there is a folder
    if trunk and not settings.shares_steps:
        told = f"trainings of preset {settings.preset} by this schedule share no steps"
        raise runs.RunError(f"{told}; give no trunk, or use preset fast")
    given = list(samples) if isinstance(samples, list | tuple) else [samples]
    sources = [source] if source is None or isinstance(source, dict) else list(source)
    clips, clip_rate, peak = _prepare(given, rate, settings)
    more = _album(album, rate, clip_rate, len(clips[0]), peak, settings)
    plans = _plans(plan, len(clips), settings)
    waves = [torch.from_numpy(clip) for clip in clips]
    config = {
        "settings": to_json(settings),
        "rates": list(scale_rates(waves[0], clip_rate, settings)),
        "channels": len(clips[0]),
        "peak": peak,
        "clips": [
            {
                "samples": clip.shape[-1],
                "sha256": hashlib.sha256(clip.tobytes()).hexdigest(),
                "source": (sources[i] if i < len(sources) else None) or {},
            }
            for i, clip in enumerate(clips)
        ],
        "versions": runs.versions(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if any(plans):
        config["plans"] = [None if one is None else plan_files.to_document(one) for one in plans]
    if more:
        config["album"] = [hashlib.sha256(one.tobytes()).hexdigest() for one in more]
    if resume and (out / runs.CONFIG).exists():
        settings = as_begun(settings, runs.load(out).config["settings"])
        config["settings"] = to_json(settings)
    _open_folder(out, config, waves, resume, trunk)
    run = runs.load(out)
    if run.complete:
        return run
    workers = _workers(settings, len(run.rates))
    with divided(workers):
        # a run may go on on another device than it began on
        learned = _Learned(waves, plans, [torch.from_numpy(one) for one in more])
        _Training(dataclasses.replace(run, settings=settings), learned, workers, progress, trunk).run()
    return runs.load(out)


def _prepare(given: list[np.ndarray], rate: int, settings: Settings) -> tuple[list[np.ndarray], int, float]:
    """The clips [channels, n] at the run's rate with a joint peak of 0.98, that rate, and the factor back."""
    if not given:
        raise runs.RunError("no clip was given; give one or more")
    clips = [_with_channels(samples, rate) for samples in given]
    channels = {len(c) for c in clips}
    if len(channels) > 1:
        told = " and ".join(str(n) for n in sorted(channels))
        raise runs.RunError(f"the clips have {told} channels; give clips of equally many")
    if isinstance(settings, AdversarialSettings) and (len(clips) > 1 or channels != {1}):
        raise runs.RunError("preset paper trains on one mono clip; give one, mono, or use preset fast")
    clip_rate = min(settings.rate or DEFAULT_RATE, rate)
    if clip_rate != rate:
        clips = [resample(c, rate, clip_rate) for c in clips]
    clips, peak = levelled(clips)
    return clips, clip_rate, peak


def _album(
    album: Sequence[np.ndarray], rate: int, clip_rate: int, channels: int, peak: float, settings: Settings
) -> list[np.ndarray]:
    """The album's recordings [channels, n] at the run's rate, as loud to the clips as they were."""
    if album and isinstance(settings, AdversarialSettings):
        raise runs.RunError("preset paper learns from one clip alone; give no album, or use preset fast")
    more = [_with_channels(samples, rate) for samples in album]
    if any(len(one) != channels for one in more):
        raise runs.RunError(f"the clip has {channels} channels and the album others; give it in as many")
    if clip_rate != rate:
        more = [resample(one, rate, clip_rate) for one in more]
    return [np.ascontiguousarray(one / peak, dtype=np.float32) for one in more]


def _plans(plan: Plan | Sequence[Plan | None] | None, clips: int, settings: Settings) -> list[Plan | None]:
    """A plan or none for each clip."""
    plans = [plan] * clips if plan is None or isinstance(plan, Plan) else list(plan)
    if any(plans) and not getattr(settings, "guide", False):
        raise runs.RunError(f"preset {settings.preset} without a guide learns no plan; leave the plan out")
    if len(plans) != clips or (clips > 1 and isinstance(plan, Plan)):
        raise runs.RunError(f"there are {clips} clips; give a plan for each of them")
    return plans


def _with_channels(samples: np.ndarray, rate: int) -> np.ndarray:
    """A clip as float32 [channels, n]. Raises: RunError for one that cannot be trained on."""
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or len(samples) > 2:
        raise runs.RunError(f"samples have shape {samples.shape}; give [n], [1, n] or [2, n]")
    if rate < LOWEST_RATE:
        raise runs.RunError(f"the clip has {rate} Hz; give one of {LOWEST_RATE} Hz or more")
    return checked(samples, rate)


def _open_folder(
    out: Path, config: dict[str, Any], clips: list[torch.Tensor], resume: bool, trunk: Path | None
) -> None:
    """A new run folder, or the old one where `resume` asks for it and everything fits."""
    if (out / runs.CONFIG).exists():
        if not resume:
            raise runs.RunError(f"{out} already holds a run; give --resume to go on, or another folder")
        old = runs.load(out).config
        if [c["sha256"] for c in old["clips"]] != [c["sha256"] for c in config["clips"]]:
            raise runs.RunError(f"{out} was trained on another clip; choose another folder")
        for key, what in (("plans", "plan"), ("album", "album")):
            if old.get(key) != config.get(key):
                raise runs.RunError(f"{out} was begun with another {what}; give that one, or another folder")
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
    tensors = {runs.clip_name(i): clip for i, clip in enumerate(clips)}
    config |= {runs.DIGESTS: {runs.CLIPS: runs.write_tensors(out / runs.CLIPS, tensors)}}
    (out / runs.CHECKPOINT).unlink(missing_ok=True)  # from a beginning that was cut short
    if trunk and (begun := trunks.begin(trunk, out, config)):
        config |= {"begun": begun}
    runs.write_json(out / runs.CONFIG, config)


def _workers(settings: Settings, scales: int) -> int:
    """How many scales train at the same time."""
    if not independent(settings):
        return 1
    if runs.choose_device(settings.device).type == "cuda":
        return scales
    return min(scales, torch.get_num_threads())


@dataclass(frozen=True)
class _Learned:
    """What a training learns from: clips and album [channels, n] at the run's rate, plans of the clips."""

    clips: list[torch.Tensor]
    plans: list[Plan | None]
    album: list[torch.Tensor]


class _Training:
    """The loop over all scales, with its files."""

    def __init__(
        self,
        run: runs.Run,
        learned: _Learned,
        workers: int,
        progress: Callable[[Progress], None] | None,
        trunk: Path | None = None,
    ) -> None:
        self.run_ = run
        self.trunk = trunk
        self.workers = workers
        self.progress = progress
        self.folder, settings = run.folder, run.settings
        self.device = runs.choose_device(settings.device)
        fix = "delete it to train the run again"
        self.checkpoint = runs.read_state(self.folder / runs.CHECKPOINT, fix) or {}
        rates = tuple(run.rates)
        scales: list[Any] = [None] * len(rates)
        clips, album = ([c.to(self.device) for c in some] for some in (learned.clips, learned.album))
        makers = trainers_for(clips, rates, scales, settings, learned.plans, album)
        saved = self.checkpoint.get("scales", {})
        self.jobs = []
        for index, make in enumerate(makers):
            epoch, state = saved.get(index, {}).get("epoch", 0), saved.get(index, {}).get("trainer")
            job = Job(index, settings.epochs, epoch, self._maker(make, state), state=state)
            if saved.get(index, {}).get("saved"):
                job.scale = scales[index] = runs.load_scale(
                    self.folder, settings, rates, index, self.device, run.config
                )
                job.scale.critic_state = self.checkpoint.get("carried")
            self.jobs.append(job)
        self.scales = scales
        self.losses = _Losses(self.folder / runs.LOSSES, self.checkpoint.get("lines", 0))
        self.clock = _Clock(self.checkpoint.get("elapsed", 0.0), costs(settings, rates))

    def run(self) -> None:
        """Train what is not trained yet."""
        settings, saved = self.run_.settings, time.monotonic()
        self.clock.begin(self.jobs)
        open_jobs = [job for job in self.jobs if job.scale is None]
        with steps(open_jobs, self.scales, self.workers, self.device) as stream:
            try:
                for step in stream:
                    self._record(step)
                    if step.finished:
                        runs.save_scale(self.folder, step.job.index, step.job.scale)
                        step.job.state = step.job.trainer.state_dict() if self.trunk else None
                        step.job.trainer = None
                    elif self.progress:
                        self.progress(self.clock.at(self.jobs, settings.epochs, step.losses))
                    if step.finished or time.monotonic() - saved >= CHECKPOINT_SECONDS:
                        self._write_checkpoint(stream)
                        saved = time.monotonic()
            except KeyboardInterrupt:
                if stream.threads:  # which end their steps; a step in this thread was cut in two
                    self._write_checkpoint(stream)
                raise
        endings = [job.state for job in self.jobs]
        if self.trunk and all(endings):
            trunks.leave(self.trunk, self.folder, self.run_.config, endings, self.clock.elapsed())
        runs.write_json(
            self.folder / runs.FINISHED,
            {
                "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "seconds": round(self.clock.elapsed(), 1),
                "device": str(self.device),
                "workers": self.workers,
                "threads": torch.get_num_threads(),  # of each
            },
        )
        (self.folder / runs.CHECKPOINT).unlink(missing_ok=True)

    def _maker(self, make: Callable[[], Any], state: dict[str, Any] | None) -> Callable[[], Any]:
        def made():
            trainer = make()
            if state:
                _restore(trainer, state, self.folder)
            return trainer

        return made

    def _record(self, step: Step) -> None:
        if not step.finished:
            rate = self.run_.rates[step.job.index]
            record = {"scale": step.job.index, "rate": rate, "epoch": step.epoch, **step.losses}
            self.losses.add(record)

    def _write_checkpoint(self, stream) -> None:
        with stream.paused() as pending:  # between two steps of every scale
            for step in pending:
                self._record(step)
            self.losses.flush()
            done = [job for job in self.jobs if job.scale is not None]
            state = {
                "scales": {
                    job.index: {
                        "epoch": job.epoch,
                        "saved": job.scale is not None and job.trainer is None,
                        "trainer": job.trainer.state_dict() if job.trainer else job.state,
                    }
                    for job in self.jobs
                },
                "carried": getattr(done[-1].scale, "critic_state", None) if done else None,
                "lines": self.losses.lines,
                "elapsed": self.clock.elapsed(),
            }
            content = runs.packed(state)
        atomic.write(self.folder / runs.CHECKPOINT, content)


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
    """Elapsed and remaining time, each scale's steps counted by their cost."""

    def __init__(self, before: float, costs: list[float]) -> None:
        self.before = before
        self.costs = costs
        self.start = time.monotonic()
        self.first = 0.0

    def begin(self, jobs: list[Job]) -> None:
        """From here on steps are timed."""
        self.start = time.monotonic()
        self.first = self._share(jobs)

    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.start

    def at(self, jobs: list[Job], epochs: int, losses: dict[str, float]) -> Progress:
        share = self._share(jobs)
        speed = (share - self.first) / max(1e-9, time.monotonic() - self.start)
        epoch = sum(job.epoch for job in jobs) // len(jobs)
        finished = sum(job.epoch == epochs for job in jobs)
        left = max(0.0, 1 - share) / speed if speed > 0 else 0.0
        return Progress(len(jobs), finished, epoch, epochs, losses, self.elapsed(), left, share)

    def _share(self, jobs: list[Job]) -> float:
        return sum(c * job.epoch / job.epochs for c, job in zip(self.costs, jobs, strict=True))
