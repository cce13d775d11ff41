"""Bridges, endings, intros and added sections: new bars beside passages that stay as they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from caw.audio import resample
from caw.compose import bridging
from caw.compose.chords import NO_CHORD, NOTE_NAMES
from caw.compose.plan import Plan
from caw.compose.timeline import Timeline
from caw.config import LONGEST_DRAW
from caw.flow.passages import Passages, draw_beside
from caw.flow.scales import FlowScale, ScoreScale
from caw.measures import harmony
from caw.measures.spectra import TooShortError
from caw.run_folder import RunError, check_clip

BARS = (1, 256)  # least and most new bars
SHORTEST = 2.0  # seconds of a passage
FADE = 1.5  # seconds over which an ending falls silent at its very end
RISE = 0.005  # seconds over which an intro begins
EARLY = 0.02  # seconds before a bar line at which a clip is cut: the attack stays with its bar
PLACE = 2 / 3  # of a clip, about where a section is added
KEY_SECONDS = 30.0  # of a passage, from which its key is estimated


@dataclass(frozen=True)
class GuidedModel:
    """The parts of a trained run with which new bars are drawn.

    training_clips: gives the run's clips [channels, n], normalised as they were trained on.
    """

    scales: list[ScoreScale | FlowScale]
    rates: tuple[float, ...]
    peak: float  # the factor from the level of the normalised clips to that of passages
    training_clips: Callable[[], list[np.ndarray]]

    @property
    def rate(self) -> int:
        """Hz of what is drawn."""
        return int(self.rates[-1])

    @property
    def channels(self) -> int:
        """Of what is drawn."""
        return self.scales[-1].channels


@dataclass(frozen=True)
class NewBars:
    """New bars and the passages beside them, one after another."""

    samples: np.ndarray  # float32 [n] or [channels, n]: passage, new bars, passage
    rate: int  # Hz
    first: int  # sample at which the new bars begin
    last: int  # sample at which they end
    beats: np.ndarray  # seconds of the half beats about the new bars; empty where there is no beat
    remarks: tuple[str, ...] = ()  # for the user

    @property
    def new(self) -> np.ndarray:
        """The new bars alone."""
        return self.samples[..., self.first : self.last]


def draw(
    model: GuidedModel,
    before: np.ndarray | None,
    after: np.ndarray | None,
    rate: int,
    generator: torch.Generator,
    *,
    bars: int = 8,
    plan: Plan | None = None,
    ending: bool = False,
    bar: float | None = None,
    places: tuple[float | None, float | None] = (None, None),
) -> NewBars:
    """Draw new bars between two passages of a band, after one (`after` is None) or before one.

    Parameters
    ----------
    before, after : array [n] or [channels, n], or None
        The passages at `rate` Hz, of at least `SHORTEST` seconds. They are brought to the model's rate and
        channels, and are in the result sample for sample.
    bars : int
        How many new bars, in the passages' metre and tempo; of 2 s each where there is no beat.
    plan : Plan, optional
        Chords of the new bars, and novelty.
    ending : bool
        Whether the bars close, on the plan's last chord or on the tonic of the key.
    bar : float, optional
        Quarter notes in a bar, where they are known.
    places : (float or None, float or None)
        Quarter notes from a bar line to the end of the passage before, and to the beginning of the one after,
        where they are known. A passage is taken to be cut at a bar line where it is cut on a beat.

    Raises
    ------
    RunError
        For passages or a number of bars that cannot be used.
    """
    check_bars(bars)
    if ending and (after is not None or before is None):
        raise RunError("an ending follows one passage", "give no second one")
    sides = [
        None if passage is None else _matched(model, passage, rate, name)
        for passage, name in ((before, "before"), (after, "after"))
    ]
    if sides[0] is None and sides[1] is None:
        raise RunError("no passage was given", "give one before or after the new bars")
    remarks: list[str] = []
    material, own = model.scales[0].material, model.rate
    reach = round(bridging.ANALYSED * own)
    passages = [
        None
        if side is None
        else bridging.analyse_passage(side[:, -reach:] if not k else side[:, :reach], own, material)
        for k, side in enumerate(sides)
    ]
    if not material.has_beat or not all(p is None or p.timeline.has_beat for p in passages):
        remarks.append(f"no clear beat: the new part is {bars} phrases of {bridging.PHRASE:g} s")
    close = None
    if ending:
        close = _last_chord(model, plan, sides[0])
        remarks.append(f"ends on {close}")
    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))

    def new_layout() -> bridging.Bridge:
        return bridging.compose_bridge(
            *passages, material, bars, rng, plan=plan, close=close, bar=bar, places=places
        )

    layout = new_layout()
    seconds = layout.last - layout.first
    if seconds > LONGEST_DRAW:
        raise RunError(f"{bars} bars are {seconds:.0f} s", f"use fewer, at most {LONGEST_DRAW} s")
    new = _drawn(model, sides, layout, new_layout, generator)
    beats = layout.timeline.bounds if layout.timeline.has_beat else np.zeros(0)
    samples = np.concatenate([part for part in (sides[0], new, sides[1]) if part is not None], axis=1)
    if model.channels == 1:
        samples = samples[0]
    first = 0 if sides[0] is None else sides[0].shape[1]
    beats = beats + (first / own - layout.first)
    return NewBars(samples, own, first, first + new.shape[1], beats, tuple(remarks))


def check_bars(bars: int) -> None:
    """Raise RunError for a number of bars that is none, or out of range."""
    if isinstance(bars, bool) or not isinstance(bars, int) or not BARS[0] <= bars <= BARS[1]:
        raise RunError(f"bars is {bars!r}", f"use a whole number from {BARS[0]} to {BARS[1]}")


def add_section(
    model: GuidedModel, bars: int, generator: torch.Generator, *, clip: int = 0, plan: Plan | None = None
) -> NewBars:
    """A training clip with a new section inside, at the bar line next to two thirds of it.

    Songs often have a bridge there, after which the music from before it comes back. Raises RunError.
    """
    wave = model.training_clips()[clip] * np.float32(model.peak)
    seconds = wave.shape[1] / model.rate
    timeline = model.scales[0].guide.clips[clip]
    lines = timeline.bounds[timeline.phrases] - EARLY
    lines = lines[(lines >= SHORTEST) & (lines <= seconds - SHORTEST)]
    if not len(lines):
        raise RunError(
            f"the clip has {seconds:.1f} s and no bar line to add a section at", "use a longer one"
        )
    place = float(lines[np.argmin(np.abs(lines - PLACE * seconds))])
    cut = round(place * model.rate)
    section = draw(model, wave[:, :cut], wave[:, cut:], model.rate, generator, bars=bars, plan=plan)
    remark = f"the new section begins at {place:.2f} s of {seconds:.2f} s"
    return replace(section, remarks=(remark, *section.remarks))


def _matched(model: GuidedModel, samples: np.ndarray, rate: int, name: str) -> np.ndarray:
    """A passage [channels, n] at the model's rate and with its channels."""
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.ndim != 2 or len(samples) > 2:
        raise RunError(f"the passage {name} has shape {samples.shape}", "give [n], [1, n] or [2, n]")
    if rate < model.rate:
        raise RunError(
            f"the passage {name} has {rate} Hz, the run {model.rate}",
            f"give it at the run's rate or more, or train with --rate {rate}",
        )
    if samples.shape[1] < SHORTEST * rate:
        seconds = samples.shape[1] / rate
        raise RunError(f"the passage {name} is {seconds:.2f} s long", f"give {SHORTEST:g} s or more")
    check_clip(samples, rate)
    if len(samples) < model.channels:
        fix = "give it in stereo, or train without it"
        raise RunError(f"the passage {name} is mono, the run stereo", fix)
    if len(samples) > model.channels:
        samples = samples.mean(axis=0, keepdims=True)
    return samples if rate == model.rate else resample(samples, rate, model.rate)


def _last_chord(model: GuidedModel, plan: Plan | None, passage: np.ndarray) -> str:
    """The chord that an ending comes to rest on: the plan's last, or the tonic triad.

    The key is estimated from the passage and the run's clips together. Where none is clear, an open fifth on
    the pitch class that sounds most commits to nothing.
    """
    chords = [name for bar in (plan.bars() if plan else []) for name in bar.chords]
    if chords:
        return chords[-1]
    end = passage[:, -round(KEY_SECONDS * model.rate) :] / np.float32(model.peak)
    sound = np.concatenate([end, *model.training_clips()], axis=1).mean(axis=0)
    try:
        key, shares = harmony.key(sound, model.rate), harmony.chroma(sound, model.rate)
    except TooShortError:
        return NO_CHORD
    if key is None:
        return f"{NOTE_NAMES[int(np.argmax(shares))]}5"
    return NOTE_NAMES[key[0]] + ("m" if key[1] == "minor" else "")


def _drawn(
    model: GuidedModel,
    sides: list[np.ndarray | None],
    layout: bridging.Bridge,
    new_layout: Callable[[], bridging.Bridge],
    generator: torch.Generator,
) -> np.ndarray:
    """The new bars [channels, n] at the passages' level. new_layout: gives another walk over the bars."""
    rate, peak, device = model.rate, np.float32(model.peak), model.scales[0].bands.mean.device
    step = rate // math.gcd(*(int(r) for r in model.rates[1:]))  # samples after which all rates meet
    lead = round(bridging.LEAD * rate)
    parts, first = [], 0
    if sides[0] is not None:
        first = min(lead, sides[0].shape[1]) // step * step
        parts.append((0, torch.from_numpy(sides[0][:, -first:] / peak).to(device)))
    shift = layout.first - first / rate  # seconds by which whole steps fall short of the layout
    last = first + max(step, round((layout.last - layout.first) * rate / step) * step)
    total = last
    if sides[1] is not None:
        tail = sides[1][:, :lead]
        parts.append((last, torch.from_numpy(tail / peak).to(device)))
        total = last + tail.shape[1]

    def new_timeline() -> Timeline:
        timeline = new_layout().timeline
        return timeline.changed(bounds=timeline.bounds - shift)

    close = None if layout.close is None else layout.close - shift
    signal = draw_beside(model.scales, Passages(tuple(parts), rate, total), generator, new_timeline, close)
    new = (signal.wave[:, first:last].cpu().numpy() * peak).astype(np.float32)
    if sides[1] is None and close is not None:
        count = min(round(FADE * rate), new.shape[1])
        new[:, -count:] *= (0.5 + 0.5 * np.cos(np.pi * (np.arange(count) + 1) / count)).astype(np.float32)
    if sides[0] is None:
        count = round(RISE * rate)
        new[:, :count] *= np.linspace(0, 1, count, endpoint=False, dtype=np.float32)
    return new
