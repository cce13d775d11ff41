"""Training of a run, in a folder that survives being killed at any moment.

Scales that do not need each other train at the same time, one thread each. Every 20 s a checkpoint is written
that holds the state of every scale's trainer; a resumed training goes on from there and, on a CPU, ends with
the same weights to the last bit.
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
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from caw import run_folder, runs
from caw.audio import resample
from caw.cascade import Scale, length, pyramid
from caw.cascade import resample as resample_tensor
from caw.compose import plan as plan_files
from caw.compose import timeline as timelines
from caw.compose.plan import Plan
from caw.config import AdversarialSettings, FlowSettings, Settings, as_begun, from_json, preset, to_json
from caw.files import atomic
from caw.flow import score
from caw.flow.training import ScoreTrainer, WaveTrainer
from caw.paper.training import AdversarialTrainer
from caw.parallel import ScaleTraining, Steps, TrainingStep, divided, steps
from caw.run_folder import CHECKPOINT, CLIPS, CONFIG, DIGESTS, FINISHED, LOSSES, RunError

LOWEST_RATE = 500  # Hz; below it the first scale has nothing to work on
DEFAULT_RATE = 16000  # Hz
CHECKPOINT_SECONDS = 20.0  # between checkpoints: what a kill costs at most


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands: all its scales together, as several may train at once. Times in seconds."""

    scales: int
    finished: int  # scales
    epoch: int  # mean of all scales
    epochs: int
    losses: dict[str, float]  # of the last step
    elapsed: float
    remaining: float
    fraction: float


def train(
    samples: np.ndarray | Sequence[np.ndarray],
    rate: int,
    out: str | Path,
    *,
    settings: Settings | None = None,
    source: dict[str, Any] | Sequence[dict[str, Any]] | None = None,
    resume: bool = False,
    shared_checkpoint: Path | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
    plan: Plan | Sequence[Plan | None] | None = None,
    album: Sequence[np.ndarray] = (),
) -> runs.Run:
    """Train on a clip, or on several clips of one band, and leave a run folder.

    Parameters
    ----------
    samples : array [n] or [channels, n], or a list of such arrays
        The clip, of 2 s or more, at any level; or clips of equally many channels, which keep their levels to
        each other.
    rate : int
        Sampling rate of the clips in Hz, 500 or more.
    out : str or Path
        The run folder to make.
    settings : Settings, optional
        As `preset` gives them; by default preset fast.
    source : dict or list of dict, optional
        Facts about each clip that are noted in `config.json`.
    resume : bool
        Whether to go on with an unfinished run of the same clips and settings in `out`. A finished one is
        returned as it is. On a CPU the weights end up the same as without the interruption.
    shared_checkpoint : Path, optional
        A file through which trainings that differ in their epochs share steps (`caw.run_folder`). This one
        begins where an earlier and shorter one ended, and leaves its own end for longer ones.
    progress : callable, optional
        Called with a `TrainingProgress` after every step.
    plan : Plan or list of Plan, optional
        What is known of each clip's beats, metre and chords; by default they are heard.
    album : list of arrays
        More of the band's recordings, like `samples` and at the same rate. The first `settings.album_epochs`
        epochs learn from them as well; draws and variations are of the clips alone.

    Returns
    -------
    Run
        The finished run.

    Raises
    ------
    RunError
        For a clip that cannot be trained on, or a folder that holds something else.

    Notes
    -----
    Presets fast and standard learn by flow matching (Lipman et al. 2023, equation 23), preset paper as
    published (Greshler, Shaham and Michaeli 2021, section 3 and supplementary A). docs/model.md compares.

    Examples
    --------
    >>> from caw import audio, preset, train
    >>> samples, rate = audio.read("song.wav", seconds=25)  # doctest: +SKIP
    >>> run = train(samples, rate, "runs/song", settings=preset("fast", seed=1))  # doctest: +SKIP
    >>> run.generate(30.0, seed=7).shape  # doctest: +SKIP
    (480000,)
    """
    out, settings = Path(out), settings or preset()
    run_folder.choose_device(settings.device)  # refused before there is a folder
    if shared_checkpoint and not settings.shares_steps:
        raise RunError(
            f"trainings of preset {settings.preset} by this schedule share no steps",
            "give no shared checkpoint, or use preset fast",
        )
    inputs = list(samples) if isinstance(samples, list | tuple) else [samples]
    sources = [source] if source is None or isinstance(source, dict) else list(source)
    clips, clip_rate, peak = _prepare(inputs, rate, settings)
    more = _prepare_album(album, rate, clip_rate, len(clips[0]), peak, settings)
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
        "versions": run_folder.versions(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    if any(plans):
        config["plans"] = [None if one is None else plan_files.to_document(one) for one in plans]
    if more:
        config["album"] = [hashlib.sha256(one.tobytes()).hexdigest() for one in more]
    if resume and (out / CONFIG).exists():
        settings = as_begun(settings, runs.load(out).config["settings"])
        config["settings"] = to_json(settings)
    _open_folder(out, config, waves, resume, shared_checkpoint)
    run = runs.load(out)
    if run.complete:
        return run
    workers = _workers(settings, len(run.rates))
    with divided(workers):
        data = _TrainingData(waves, plans, [torch.from_numpy(one) for one in more])
        run = dataclasses.replace(run, settings=settings)  # the device may be another than it was begun on
        _Training(run, data, workers, progress, shared_checkpoint).run()
    return runs.load(out)


def scale_rates(clip: Tensor, rate: int, settings: Settings) -> tuple[float, ...]:
    """The scales' rates in Hz for a clip [channels, n], ascending, the clip's own rate last.

    Flow matching begins with the score, so its first rate is that of the score's frames. For the published
    recipe the first is the lowest rate at which the mean square of the peak-normalised clip reaches
    `first_energy` (Greshler et al. 2021, supplementary A).
    """
    rates = tuple(r for r in settings.scales if r < rate) + (rate,)
    if not isinstance(settings, AdversarialSettings):
        return (score.RATE, *rates)
    seconds = clip.shape[-1] / rate
    for index, candidate in enumerate(rates):
        low = resample_tensor(clip, rate, candidate, length(candidate, seconds))
        if low.square().mean() >= settings.first_energy:
            return rates[index:]
    return tuple(r for r in rates if r >= settings.fallback_scale) or rates[-1:]


def _prepare(clips: list[np.ndarray], rate: int, settings: Settings) -> tuple[list[np.ndarray], int, float]:
    """The clips [channels, n] at the run's rate with a joint peak of 0.98, that rate, and the factor back."""
    if not clips:
        raise RunError("no clip was given", "give one or more")
    clips = [_with_channels(samples, rate) for samples in clips]
    channels = {len(c) for c in clips}
    if len(channels) > 1:
        counts = " and ".join(str(n) for n in sorted(channels))
        raise RunError(f"the clips have {counts} channels", "give clips of equally many")
    if isinstance(settings, AdversarialSettings) and (len(clips) > 1 or channels != {1}):
        raise RunError("preset paper trains on one mono clip", "give one, mono, or use preset fast")
    clip_rate = min(settings.rate or DEFAULT_RATE, rate)
    if clip_rate != rate:
        clips = [resample(c, rate, clip_rate) for c in clips]
    clips, peak = run_folder.level_clips(clips)
    return clips, clip_rate, peak


def _prepare_album(
    album: Sequence[np.ndarray], rate: int, clip_rate: int, channels: int, peak: float, settings: Settings
) -> list[np.ndarray]:
    """The album's recordings [channels, n] at the run's rate, which keep their levels to the clips."""
    if album and isinstance(settings, AdversarialSettings):
        raise RunError("preset paper learns from one clip alone", "give no album, or use preset fast")
    album = [_with_channels(samples, rate) for samples in album]
    if any(len(one) != channels for one in album):
        raise RunError(f"the clip has {channels} channels and the album others", "give it in as many")
    if clip_rate != rate:
        album = [resample(one, rate, clip_rate) for one in album]
    return [np.ascontiguousarray(one / peak, dtype=np.float32) for one in album]


def _plans(plan: Plan | Sequence[Plan | None] | None, clips: int, settings: Settings) -> list[Plan | None]:
    """A plan or None for each clip."""
    plans = [plan] * clips if plan is None or isinstance(plan, Plan) else list(plan)
    if any(plans) and not getattr(settings, "guide", False):
        raise RunError(f"preset {settings.preset} without a guide learns no plan", "leave the plan out")
    if len(plans) != clips or (clips > 1 and isinstance(plan, Plan)):
        raise RunError(f"there are {clips} clips", "give a plan for each of them")
    return plans


def _with_channels(samples: np.ndarray, rate: int) -> np.ndarray:
    """A clip as float32 [channels, n]. Raises RunError for one that cannot be trained on."""
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or len(samples) > 2:
        raise RunError(f"samples have shape {samples.shape}", "give [n], [1, n] or [2, n]")
    if rate < LOWEST_RATE:
        raise RunError(f"the clip has {rate} Hz", f"give one of {LOWEST_RATE} Hz or more")
    return run_folder.check_clip(samples, rate)


def _open_folder(
    out: Path, config: dict[str, Any], clips: list[Tensor], resume: bool, shared_checkpoint: Path | None
) -> None:
    """Make a new run folder, or check that everything fits where `resume` asks for the one that is there."""
    if (out / CONFIG).exists():
        if not resume:
            raise RunError(f"{out} already holds a run", "give --resume to go on, or another folder")
        _check_same(out, runs.load(out).config, config)
        return
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file", "choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    tensors = {run_folder.clip_name(i): clip for i, clip in enumerate(clips)}
    config |= {DIGESTS: {CLIPS: run_folder.write_tensors(out / CLIPS, tensors)}}
    (out / CHECKPOINT).unlink(missing_ok=True)  # from a beginning that was cut short
    if shared_checkpoint and (begun := run_folder.begin_from(shared_checkpoint, out, config)):
        config |= {"begun": begun}
    run_folder.write_json(out / CONFIG, config)


def _check_same(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise RunError where the run in `out` was begun with another configuration."""
    if [c["sha256"] for c in old["clips"]] != [c["sha256"] for c in new["clips"]]:
        raise RunError(f"{out} was trained on another clip", "choose another folder")
    for key, what in (("plans", "plan"), ("album", "album")):
        if old.get(key) != new.get(key):
            raise RunError(f"{out} was begun with another {what}", "give that one, or another folder")
    ours, theirs = from_json(new["settings"]), from_json(old["settings"])
    for name, value in vars(theirs).items():
        if name != "device" and getattr(ours, name, None) != value:
            raise RunError(
                f"{out} was begun with {name} {value!r}, not {getattr(ours, name, None)!r}",
                "use the same settings or another folder",
            )


def _workers(settings: Settings, scales: int) -> int:
    """How many scales train at the same time: of the published recipe one, as it needs the scales below."""
    if isinstance(settings, AdversarialSettings):
        return 1
    if run_folder.choose_device(settings.device).type == "cuda":
        return scales
    return min(scales, torch.get_num_threads())


def _costs(settings: Settings, rates: tuple[float, ...]) -> list[float]:
    """About how long a step of each scale takes, as shares of 1."""
    if isinstance(settings, AdversarialSettings):
        widths = [settings.first_channels] + [settings.channels] * (len(rates) - 1)
        weights = [rate * width**2 for rate, width in zip(rates, widths, strict=True)]
    else:
        weights = [float(settings.score_steps)] + [1.0] * (len(rates) - 1)
    return [w / sum(weights) for w in weights]


@dataclass(frozen=True)
class _TrainingData:
    """Clips and album [channels, n] at the run's rate, and the plans of the clips."""

    clips: list[Tensor]
    plans: list[Plan | None]
    album: list[Tensor]

    def to(self, device: torch.device) -> _TrainingData:
        """The same on another device."""
        clips, album = ([wave.to(device) for wave in waves] for waves in (self.clips, self.album))
        return _TrainingData(clips, self.plans, album)


class Trainer(Protocol):
    """What the loop needs of a scale's trainer, which holds everything that a checkpoint needs."""

    def step(self, epoch: int) -> dict[str, float]: ...

    def finish(self) -> Scale: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def _makers(
    data: _TrainingData, rates: tuple[float, ...], scales: list[Scale | None], settings: Settings
) -> list[Callable[[], Trainer]]:
    """For each scale a function that makes its trainer, from its seed.

    scales: the finished ones by index, as they come. The published recipe needs those below.
    """
    if isinstance(settings, FlowSettings):
        return _flow_makers(data, rates, settings)
    originals = pyramid(data.clips[0], rates, None)
    return [
        lambda index=index: AdversarialTrainer(originals, rates, scales[:index], settings)
        for index in range(len(rates))
    ]


def _flow_makers(
    data: _TrainingData, rates: tuple[float, ...], settings: FlowSettings
) -> list[Callable[[], Trainer]]:
    own, waves = len(data.clips), [*data.clips, *data.album]
    bands = score.Bands.of(data.clips, int(rates[-1]), settings.bands).to(data.clips[0].device)
    pyramids = [pyramid(wave, rates, bands.measure(wave)) for wave in waves]
    heard = None
    if settings.guide:
        plans = [*data.plans, *[None] * len(data.album)]
        heard = [
            timelines.analyse(wave.cpu().numpy(), int(rates[-1]), plan)
            for wave, plan in zip(waves, plans, strict=True)
        ]
    makers: list[Callable[[], Trainer]] = [
        lambda: ScoreTrainer([p[0].score for p in pyramids], bands, settings, rates, heard, own)
    ]
    for index in range(1, len(rates)):
        makers.append(lambda index=index: WaveTrainer(pyramids, rates, index, bands, settings, own))
    return makers


class _Training:
    """The loop over the steps of all scales, with its files."""

    def __init__(
        self,
        run: runs.Run,
        data: _TrainingData,
        workers: int,
        progress: Callable[[TrainingProgress], None] | None,
        shared_checkpoint: Path | None = None,
    ) -> None:
        self.run_ = run
        self.shared_checkpoint = shared_checkpoint
        self.workers = workers
        self.progress = progress
        self.folder, settings = run.folder, run.settings
        self.device = run_folder.choose_device(settings.device)
        fix = "delete it to train the run again"
        checkpoint = run_folder.read_state(self.folder / CHECKPOINT, fix) or {}
        rates = tuple(run.rates)
        self.scales: list[Any] = [None] * len(rates)
        self.trainings = []
        for index, make in enumerate(_makers(data.to(self.device), rates, self.scales, settings)):
            saved = checkpoint.get("scales", {}).get(index, {})
            state = saved.get("trainer")
            training = ScaleTraining(
                index, settings.epochs, saved.get("epoch", 0), self._restoring(make, state), state=state
            )
            if saved.get("saved"):
                training.scale = self.scales[index] = run_folder.load_scale(
                    self.folder, settings, rates, index, self.device, run.config
                )
                training.scale.critic_state = checkpoint.get("carried")
            self.trainings.append(training)
        self.losses = _LossFile(self.folder / LOSSES, checkpoint.get("lines", 0))
        self.clock = _Clock(checkpoint.get("elapsed", 0.0), _costs(settings, rates))

    def run(self) -> None:
        """Train what is not trained yet."""
        settings, saved = self.run_.settings, time.monotonic()
        self.clock.begin(self.trainings)
        unfinished = [training for training in self.trainings if training.scale is None]
        with steps(unfinished, self.scales, self.workers, self.device) as stream:
            try:
                for step in stream:
                    self._record(step)
                    if step.finished:
                        self._finish(step.training)
                    elif self.progress:
                        self.progress(self.clock.progress(self.trainings, settings.epochs, step.losses))
                    if step.finished or time.monotonic() - saved >= CHECKPOINT_SECONDS:
                        self._write_checkpoint(stream)
                        saved = time.monotonic()
            except KeyboardInterrupt:
                if stream.threads:  # which end their steps; a step in this thread was cut in two
                    self._write_checkpoint(stream)
                raise
        states = [training.state for training in self.trainings]
        if self.shared_checkpoint and all(states):
            run_folder.leave_shared(
                self.shared_checkpoint, self.folder, self.run_.config, states, self.clock.elapsed()
            )
        run_folder.write_json(
            self.folder / FINISHED,
            {
                "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "seconds": round(self.clock.elapsed(), 1),
                "device": str(self.device),
                "workers": self.workers,
                "threads": torch.get_num_threads(),  # of each
            },
        )
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def _restoring(self, make: Callable[[], Trainer], state: dict[str, Any] | None) -> Callable[[], Trainer]:
        """A function that makes a trainer and restores its state."""

        def restored() -> Trainer:
            trainer = make()
            try:
                if state:
                    trainer.load_state_dict(state)
            except (KeyError, RuntimeError, ValueError) as error:
                raise RunError(
                    f"{self.folder / CHECKPOINT} was written by another version",
                    f"delete {self.folder} to train again",
                ) from error
            return trainer

        return restored

    def _record(self, step: TrainingStep) -> None:
        if not step.finished:
            index = step.training.index
            self.losses.add(
                {"scale": index, "rate": self.run_.rates[index], "epoch": step.epoch, **step.losses}
            )

    def _finish(self, training: ScaleTraining) -> None:
        run_folder.save_scale(self.folder, training.index, training.scale)
        training.state = training.trainer.state_dict() if self.shared_checkpoint else None
        training.trainer = None

    def _write_checkpoint(self, stream: Steps) -> None:
        with stream.paused() as pending:  # between two steps of every scale
            for step in pending:
                self._record(step)
            self.losses.flush()
            done = [training for training in self.trainings if training.scale is not None]
            state = {
                "scales": {
                    training.index: {
                        "epoch": training.epoch,
                        "saved": training.scale is not None and training.trainer is None,
                        "trainer": training.trainer.state_dict() if training.trainer else training.state,
                    }
                    for training in self.trainings
                },
                "carried": getattr(done[-1].scale, "critic_state", None) if done else None,
                "lines": self.losses.lines,
                "elapsed": self.clock.elapsed(),
            }
            content = run_folder.pack_state(state)
        atomic.write(self.folder / CHECKPOINT, content)


class _LossFile:
    """losses.jsonl, cut back to the checkpoint's line on resume so that no step stands in it twice."""

    def __init__(self, path: Path, lines: int) -> None:
        self.path = path
        self.lines = lines
        self.pending: list[str] = []
        old = path.read_text().splitlines()[:lines] if path.exists() else []
        atomic.write(path, "".join(f"{line}\n" for line in old))

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

    def begin(self, trainings: list[ScaleTraining]) -> None:
        """From here on steps are timed."""
        self.start = time.monotonic()
        self.first = self._share(trainings)

    def elapsed(self) -> float:
        return self.before + time.monotonic() - self.start

    def progress(
        self, trainings: list[ScaleTraining], epochs: int, losses: dict[str, float]
    ) -> TrainingProgress:
        share = self._share(trainings)
        speed = (share - self.first) / max(1e-9, time.monotonic() - self.start)
        epoch = sum(training.epoch for training in trainings) // len(trainings)
        finished = sum(training.epoch == epochs for training in trainings)
        left = max(0.0, 1 - share) / speed if speed > 0 else 0.0
        return TrainingProgress(len(trainings), finished, epoch, epochs, losses, self.elapsed(), left, share)

    def _share(self, trainings: list[ScaleTraining]) -> float:
        return sum(c * t.epoch / t.epochs for c, t in zip(self.costs, trainings, strict=True))
