"""A trained run: the model that is loaded from a run folder, and what it draws."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caw import cascade
from caw.compose import plan as plan_files
from caw.compose.arranging import varied
from caw.compose.plan import Plan
from caw.compose.transcription import transcribe
from caw.config import LONGEST_DRAW, Settings, SettingsError, from_json
from caw.parallel import drawing
from caw.run_folder import (
    CLIPS,
    CONFIG,
    FINISHED,
    RunError,
    choose_device,
    clip_name,
    load_scale,
    read_config,
    read_tensors,
    scale_file,
)
from caw.tasks import bridges

KEEP = ("rhythm", "harmony")  # of which a variation may keep one alone


@dataclass(frozen=True)
class Run:
    """A trained run. It is made by `caw.train` and read back by `caw.load`.

    Arrays are float32 at the level of the training clips, of shape [n], or [channels, n] for a run that was
    trained on more than one channel. The same call with the same seed gives the same samples.

    Attributes
    ----------
    folder : Path
        The run folder.
    settings : Settings
        The settings of its training.
    config : dict
        The content of its `config.json`.
    """

    folder: Path
    settings: Settings
    config: dict[str, Any]

    @property
    def rate(self) -> int:
        """Hz of everything that this run draws."""
        return int(self.config["rates"][-1])

    @property
    def rates(self) -> list[float]:
        """Hz of each scale, ascending; of a score, its frames per second."""
        return self.config["rates"]

    @property
    def channels(self) -> int:
        """Channels of the training clips and of everything that this run draws."""
        return self.config["channels"]

    @property
    def clips(self) -> int:
        """How many clips the run was trained on."""
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
        """Draw new music in the manner of the training clips (unconditional generation, UMG).

        Parameters
        ----------
        seconds : float, optional
            Length, from 0.1 to 3600 s. By default that of the plan's bars or, without these, that of the
            first training clip.
        seed : int
            Of everything random.
        plan : caw.compose.plan.Plan, optional
            Tempo, metre, form, chords, loudness and density. What it leaves open is drawn from the clips.

        Returns
        -------
        array
            round(rate * seconds) samples.

        Raises
        ------
        RunError
            For an impossible length or seed, an unfinished or damaged run, or a plan for a run that was
            trained without a guide.

        Notes
        -----
        The score is drawn first and the waveforms after it, from coarse to fine (Greshler, Shaham and
        Michaeli 2021, section 3), by flow matching (Lipman et al. 2023) in presets fast and standard.
        """
        if seconds is not None and not (np.isfinite(seconds) and 0.1 <= seconds <= LONGEST_DRAW):
            raise RunError(f"seconds is {seconds!r}", f"use a length from 0.1 to {LONGEST_DRAW:g}")
        generator = self._generator(seed)
        if seconds is None and (plan is None or not plan.sections):
            seconds = self.seconds
        if plan is not None:
            self.require_guide("follow a plan")
        if not self.guided:
            return self._samples(cascade.generate(self.scales, seconds or self.seconds, generator))
        timeline = self.scales[0].arranged(plan or Plan(), seconds, generator)
        length = seconds or min(timeline.seconds, LONGEST_DRAW)
        return self._samples(cascade.generate(self.scales, length, generator, timeline))

    def vary(
        self,
        *,
        seed: int = 0,
        strength: float | None = None,
        clip: int = 0,
        plan: Plan | None = None,
        keep: str | None = None,
    ) -> np.ndarray:
        """Draw a variation of a training clip: its structure is kept, its details are drawn anew (VAR).

        Parameters
        ----------
        seed : int
            Of everything random.
        strength : float, optional
            From 0 to 1, how far the music goes from the clip's (presets fast and standard). 0 keeps score and
            lowest waveform, as the published model does; 1 keeps the clip's beats and chords alone. By
            default the run's own setting. A run without a guide varies the lowest waveform alone.
        clip : int
            Index of the training clip.
        plan : caw.compose.plan.Plan, optional
            Chords, loudness and density that replace the clip's, bar by bar.
        keep : {"rhythm", "harmony"}, optional
            Keep only one of these; the other is drawn, or follows the plan. By default both are kept.

        Returns
        -------
        array
            As long as the clip.

        Raises
        ------
        RunError
            For an impossible strength, clip, seed or `keep`, an unfinished or damaged run, or a plan or
            `keep` for a run that was trained without a guide.
        """
        if strength is not None and not 0 <= strength <= 1:
            raise RunError(f"strength is {strength!r}", "use a number from 0 to 1")
        if keep not in (None, *KEEP):
            raise RunError(f"keep is {keep!r}", f"use {' or '.join(KEEP)}")
        if plan is not None:
            self.require_guide("follow a plan")
        if keep:
            self.require_guide("follow keep")
        generator, originals = self._generator(seed), self.pyramid(clip)
        strength = self.settings.variation if strength is None and self.guided else strength
        if not self.guided:
            return self._samples(cascade.vary(self.scales, originals, generator, strength))
        timeline = varied(self.scales[0].guide.clips[clip], self.scales[0].material, plan, keep, strength)
        return self._samples(cascade.vary(self.scales, originals, generator, strength, timeline))

    def reconstruct(self, *, clip: int = 0) -> np.ndarray:
        """Draw a training clip as the model reconstructs it, encoded to its noise and drawn again.

        Parameters
        ----------
        clip : int
            Index of the training clip.

        Returns
        -------
        array
            As long as the clip.

        Raises
        ------
        RunError
            For a clip that the run does not have, or an unfinished or damaged run.
        """
        scales, originals = self.scales, self.pyramid(clip)
        timeline = scales[0].guide.clips[clip] if self.guided else None
        with drawing():
            return self._samples(cascade.reconstruct(scales, originals, timeline)[-1])

    def plan(self, clip: int = 0) -> Plan:
        """The tempo, metre, bars and chords of a training clip.

        Parameters
        ----------
        clip : int
            Index of the training clip.

        Returns
        -------
        caw.compose.plan.Plan
            The plan that the run was trained with, or what is heard in the clip.
        """
        record = (self.config.get("plans") or [None] * self.clips)[clip]
        if record is not None:
            return plan_files.from_document(record)
        return transcribe(self.training_clips()[clip].numpy(), self.rate)

    def bridge(self, before: np.ndarray, after: np.ndarray, rate: int, **options) -> np.ndarray:
        """Draw new bars between two passages, which stay as they are.

        Parameters
        ----------
        before, after : array [n] or [channels, n]
            The passages at `rate` Hz, of 2 s or more, cut at bar lines.
        rate : int
            Hz, at least the run's.
        **options
            As of `beside`: `bars`, how many new bars in the passages' metre and tempo (default 8; of 2 s each
            where there is no beat), `seed` of everything random (default 0), and `plan`, a
            `caw.compose.plan.Plan` with chords of the new bars and novelty.

        Returns
        -------
        array
            The passage before, the new bars and the passage after, at the run's rate.

        Raises
        ------
        RunError
            For passages or a number of bars that cannot be used, or a run that was trained without a guide.

        Notes
        -----
        The passages are held on the way from noise to music (Lugmayr et al. 2022, "RePaint"). `beside` also
        says where the new bars are.
        """
        return self.beside(before, after, rate, **options).samples

    def continue_(self, before: np.ndarray, rate: int, *, ending: bool = False, **options) -> np.ndarray:
        """Draw new bars after a passage, which stays as it is.

        Parameters
        ----------
        before, rate
            As in `bridge`.
        ending : bool
            Whether the bars close, on the plan's last chord or on the tonic of the key.
        **options
            As in `bridge`, which also says what is raised.

        Returns
        -------
        array
            The passage and the new bars, at the run's rate.
        """
        return self.beside(before, None, rate, ending=ending, **options).samples

    def intro(self, after: np.ndarray, rate: int, **options) -> np.ndarray:
        """Draw new bars before a passage, which stays as it is.

        Parameters
        ----------
        after, rate
            As in `bridge`.
        **options
            As in `bridge`, which also says what is raised.

        Returns
        -------
        array
            The new bars and the passage, at the run's rate.
        """
        return self.beside(None, after, rate, **options).samples

    def add_section(
        self, bars: int = 8, *, seed: int = 0, clip: int = 0, plan: Plan | None = None
    ) -> np.ndarray:
        """A training clip with a new section inside, at the bar line next to two thirds of it.

        Parameters
        ----------
        bars, seed, plan
            As in `bridge`, which also says what is raised.
        clip : int
            Index of the training clip.

        Returns
        -------
        array
            The clip with the new bars in it.
        """
        return self.with_section(bars, seed=seed, clip=clip, plan=plan).samples

    def beside(
        self, before: np.ndarray | None, after: np.ndarray | None, rate: int, *, seed: int = 0, **options
    ) -> bridges.NewBars:
        """As `bridge`, `continue_` and `intro`; the result also says where the new bars are."""
        return bridges.draw(self.guided_model, before, after, rate, self._generator(seed), **options)

    def with_section(
        self, bars: int = 8, *, seed: int = 0, clip: int = 0, plan: Plan | None = None
    ) -> bridges.NewBars:
        """As `add_section`; the result also says where the new bars are."""
        return bridges.add_section(self.guided_model, bars, self._generator(seed), clip=clip, plan=plan)

    @property
    def guided(self) -> bool:
        """Whether the run was trained with a guide, so that its music follows plans."""
        return getattr(self.settings, "guide", False)

    def require_guide(self, ability: str) -> None:
        """Raise RunError where there is no guide; the message says that the run lacks this ability."""
        if not self.guided:
            raise RunError(
                f"{self.folder} was trained without a guide and cannot {ability}",
                "train the clip again, with preset fast or standard",
            )

    @cached_property
    def guided_model(self) -> bridges.GuidedModel:
        """The parts of the run with which `caw.tasks.bridges` draws."""
        self.require_guide("draw beside a passage")
        return bridges.GuidedModel(
            self.scales,
            tuple(self.rates),
            self.config["peak"],
            lambda: [clip.numpy() for clip in self.training_clips()],
        )

    @cached_property
    def scales(self) -> list[cascade.Scale]:
        """The trained scales, ready to draw."""
        if not self.complete:
            raise RunError(f"{self.folder} is not trained to the end", "run caw train again with --resume")
        rates = tuple(self.rates)
        return [
            load_scale(self.folder, self.settings, rates, index, self._device, self.config)
            for index in range(len(rates))
        ]

    def pyramid(self, clip: int = 0) -> list[cascade.Signal]:
        """A training clip as every scale sees it."""
        if not 0 <= clip < self.clips:
            raise RunError(f"clip is {clip}", f"this run was trained on {self.clips}, counted from 0")
        wave = self.training_clips()[clip].to(self._device)
        bands = getattr(self.scales[0], "bands", None)
        with drawing():  # the resampler's last bits depend on the number of threads, too
            return cascade.pyramid(wave, tuple(self.rates), bands.measure(wave) if bands else None)

    def training_clips(self) -> list[torch.Tensor]:
        """The training clips [channels, n] at the run's rate, with a joint peak of 0.98."""
        tensors = read_tensors(self.folder / CLIPS, self.config)
        try:
            return [tensors[clip_name(index)] for index in range(self.clips)]
        except KeyError as error:
            raise RunError(f"{self.folder / CLIPS} lacks {error}", "train the run again") from None

    @property
    def _device(self) -> torch.device:
        """A run that was trained on a GPU also draws where there is none."""
        return choose_device("cpu" if self.settings.device == "cpu" else "auto")

    @staticmethod
    def _generator(seed: int) -> torch.Generator:
        if not 0 <= seed < 2**63:
            raise RunError(f"seed is {seed!r}", "use a whole number from 0 to 2^63 - 1")
        return torch.Generator().manual_seed(seed)

    def _samples(self, signal: cascade.Signal) -> np.ndarray:
        wave = (signal.wave * self.config["peak"]).cpu().numpy().astype(np.float32)
        return wave[0] if self.channels == 1 else wave


def load(folder: str | Path) -> Run:
    """Load the run in a folder that `caw.train` made.

    Parameters
    ----------
    folder : str or Path
        The run folder. An unfinished run can be loaded, but draws nothing.

    Returns
    -------
    Run
        Its weights are read when they are first needed.

    Raises
    ------
    RunError
        Where the folder is no run folder, or a file in it is missing or damaged; the message names it.
    """
    folder = Path(folder)
    config_file = folder / CONFIG
    if not config_file.is_file():
        raise RunError(f"{folder} is no run folder: it has no {CONFIG}", "make one with caw train")
    config = read_config(config_file)
    try:
        run = Run(folder, from_json(config["settings"]), config)
        run.channels, run.seconds  # noqa: B018  both raise where the file is of another version
        needed = [CLIPS] + ([scale_file(i) for i in range(len(config["rates"]))] if run.complete else [])
    except (LookupError, TypeError, SettingsError) as error:
        reason = str(error) if isinstance(error, SettingsError) else f"no {error}"
        raise RunError(f"{config_file} is of another version ({reason})", "train the run again") from error
    for name in needed:
        if not (folder / name).is_file():
            raise RunError(f"{folder} lacks {name}", "restore it or train the run again")
    return run
