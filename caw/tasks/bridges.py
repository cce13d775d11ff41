"""Bridges, endings, intros and added sections of a run: new bars beside passages that are not touched."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from caw import cascade, training_clips
from caw.audio import resample
from caw.compose import bridging
from caw.compose.chords import NO_CHORD, NOTE_NAMES
from caw.compose.plan import Plan
from caw.compose.timeline import Timeline
from caw.holding import Known
from caw.measures import harmony
from caw.measures.spectra import TooShortError
from caw.runs import LONGEST, Run, RunError

BARS = (1, 256)
SHORTEST = 2.0  # seconds of a passage
FADE = 1.5  # seconds over which an ending falls silent at its very end
RISE = 0.005  # seconds over which an intro begins
EARLY = 0.02  # seconds before a bar line at which a clip is cut: its attack stays with the bar
WHERE = 2 / 3  # of a clip, about where a section is added
KEY_SECONDS = 30.0  # of a passage, from which the key is heard


@dataclass(frozen=True)
class Made:
    """New bars and the passages they belong to, one after another."""

    samples: np.ndarray  # float32 [n] or [channels, n]: passage, new bars, passage
    rate: int  # Hz
    first: int  # sample at which the new bars begin
    last: int  # and where they end
    beats: np.ndarray  # seconds of the half beats about the new bars; empty where there is no beat
    remarks: tuple[str, ...] = ()  # for the person who asked

    @property
    def new(self) -> np.ndarray:
        """The new bars alone."""
        return self.samples[..., self.first : self.last]


def make(
    run: Run,
    before: np.ndarray | None,
    after: np.ndarray | None,
    rate: int,
    *,
    bars: int = 8,
    seed: int = 0,
    plan: Plan | None = None,
    ending: bool = False,
) -> Made:
    """New bars between two passages of a band, after one (`after` is None) or before one.

    before, after: [n] or [channels, n] at `rate` Hz, of at least SHORTEST seconds; brought to the run's rate
    and channels, and in the result sample for sample. bars: how many, in the passages' metre and tempo (2 s
    each where there is no beat). plan: chords of the new bars and novelty. ending: the bars close, on the
    plan's last chord or on the key's tonic. Raises: RunError.
    """
    run.require_guide("draw beside a passage")
    check_bars(bars)
    if ending and (after is not None or before is None):
        raise RunError("an ending follows one passage; give no second one")
    sides = [
        None if one is None else _at_run(run, one, rate, name)
        for one, name in ((before, "before"), (after, "after"))
    ]
    if sides[0] is None and sides[1] is None:
        raise RunError("no passage was given; give one before or after the new bars")
    remarks: list[str] = []
    material, own = run.scales[0].material, run.rate
    heard = round(bridging.ANALYSED * own)
    passages = [
        None
        if one is None
        else bridging.analyse_passage(one[:, -heard:] if not k else one[:, :heard], own, material)
        for k, one in enumerate(sides)
    ]
    if not material.has_beat or not all(p is None or p.timeline.has_beat for p in passages):
        remarks.append(f"no clear beat: the new part is {bars} phrases of {bridging.PHRASE:g} s")
    close = None
    if ending:
        close = _last_chord(run, plan, sides[0])
        remarks.append(f"ends on {close}")
    generator = run._generator(seed)
    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))

    def lay() -> bridging.Bridge:
        return bridging.compose_bridge(*passages, material, bars, rng, plan=plan, close=close)

    laid = lay()
    if laid.last - laid.first > LONGEST:
        raise RunError(f"{bars} bars are {laid.last - laid.first:.0f} s; use fewer, at most {LONGEST} s")
    new = _drawn(run, sides, laid, lay, generator)
    beats = laid.timeline.bounds if laid.timeline.has_beat else np.zeros(0)
    whole = [one for one in (sides[0], new, sides[1]) if one is not None]
    first = 0 if sides[0] is None else sides[0].shape[1]
    samples = np.concatenate(whole, axis=1)
    shaped = samples[0] if run.channels == 1 else samples
    return Made(shaped, own, first, first + new.shape[1], beats + (first / own - laid.first), tuple(remarks))


def check_bars(bars: int) -> None:
    """Raises: RunError for a number of bars that is none, or out of range."""
    if isinstance(bars, bool) or not isinstance(bars, int) or not BARS[0] <= bars <= BARS[1]:
        raise RunError(f"bars is {bars!r}; use a whole number from {BARS[0]} to {BARS[1]}")


def add_section(run: Run, bars: int = 8, *, seed: int = 0, clip: int = 0, plan: Plan | None = None) -> Made:
    """A training clip with a new section inside, at the bar line next to two thirds of it.

    There a bridge stands in a song: what was there before comes back after it. Raises: RunError.
    """
    run.require_guide("draw beside a passage")
    wave = run.learned_clips()[clip].numpy() * np.float32(run.config["peak"])
    seconds = wave.shape[1] / run.rate
    heard = run.scales[0].guide.clips[clip]
    lines = heard.bounds[heard.phrases] - EARLY
    lines = lines[(lines >= SHORTEST) & (lines <= seconds - SHORTEST)]
    if not len(lines):
        raise RunError(f"the clip has {seconds:.1f} s and no bar line to add a section at; use a longer one")
    at = float(lines[np.argmin(np.abs(lines - WHERE * seconds))])
    cut = round(at * run.rate)
    made = make(run, wave[:, :cut], wave[:, cut:], run.rate, bars=bars, seed=seed, plan=plan)
    place = f"the new section begins at {at:.2f} s of {seconds:.2f} s"
    return replace(made, remarks=(place, *made.remarks))


def _at_run(run: Run, samples: np.ndarray, rate: int, name: str) -> np.ndarray:
    """A passage [channels, n] as the run draws: at its rate, with its channels."""
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.ndim != 2 or len(samples) > 2:
        raise RunError(f"the passage {name} has shape {samples.shape}; give [n], [1, n] or [2, n]")
    if rate < run.rate:
        raise RunError(
            f"the passage {name} has {rate} Hz, the run {run.rate}; give it at the run's rate or more, "
            f"or train with --rate {rate}"
        )
    if samples.shape[1] < SHORTEST * rate:
        raise RunError(
            f"the passage {name} is {samples.shape[1] / rate:.2f} s long; give {SHORTEST:g} s or more"
        )
    training_clips.checked(samples, rate)
    if len(samples) < run.channels:
        raise RunError(f"the passage {name} is mono, the run stereo; give it in stereo, or train without it")
    if len(samples) > run.channels:
        samples = samples.mean(axis=0, keepdims=True)
    return samples if rate == run.rate else resample(samples, rate, run.rate)


def _last_chord(run: Run, plan: Plan | None, passage: np.ndarray) -> str:
    """The chord that an ending comes to rest on: the plan's last, or the tonic triad.

    The key is heard in the passage and the run's clips together; where none is clear, an open fifth on the
    pitch class that sounds most commits to nothing.
    """
    asked = [name for bar in (plan.bars() if plan else []) for name in bar.chords]
    if asked:
        return asked[-1]
    heard = [passage[:, -round(KEY_SECONDS * run.rate) :] / np.float32(run.config["peak"])]
    heard = np.concatenate([*heard, *(clip.numpy() for clip in run.learned_clips())], axis=1).mean(axis=0)
    try:
        key, shares = harmony.key(heard, run.rate), harmony.chroma(heard, run.rate)
    except TooShortError:
        return NO_CHORD
    if key is None:
        return f"{NOTE_NAMES[int(np.argmax(shares))]}5"
    return NOTE_NAMES[key[0]] + ("m" if key[1] == "minor" else "")


def _drawn(run: Run, sides: list[np.ndarray | None], laid: bridging.Bridge, lay, generator) -> np.ndarray:
    """The new bars [channels, n] at the run's level. lay: gives another walk over the same bars."""
    rate, peak = run.rate, np.float32(run.config["peak"])
    step = rate // math.gcd(*(int(r) for r in run.rates[1:]))  # samples after which all rates meet
    lead = round(bridging.LEAD * rate)
    parts, first = [], 0
    if sides[0] is not None:
        first = min(lead, sides[0].shape[1]) // step * step
        parts.append((0, torch.from_numpy(sides[0][:, -first:] / peak).to(run._device)))
    shift = laid.first - first / rate  # seconds by which whole steps fall short of what was laid
    last = first + max(step, round((laid.last - laid.first) * rate / step) * step)
    total = last
    if sides[1] is not None:
        tail = sides[1][:, :lead]
        parts.append((last, torch.from_numpy(tail / peak).to(run._device)))
        total = last + tail.shape[1]

    def another() -> Timeline:
        timeline = lay().timeline
        return timeline.changed(bounds=timeline.bounds - shift)

    known = Known(tuple(parts), rate, total)
    close = None if laid.close is None else laid.close - shift
    signal = cascade.beside(run.scales, known, generator, another, close)
    new = (signal.wave[:, first:last].cpu().numpy() * peak).astype(np.float32)
    if sides[1] is None and close is not None:
        count = min(round(FADE * rate), new.shape[1])
        new[:, -count:] *= (0.5 + 0.5 * np.cos(np.pi * (np.arange(count) + 1) / count)).astype(np.float32)
    if sides[0] is None:
        count = round(RISE * rate)
        new[:, :count] *= np.linspace(0, 1, count, endpoint=False, dtype=np.float32)
    highest = max(1.0, *(float(np.abs(side).max()) for side in sides if side is not None))
    return np.clip(new, -highest, highest)
