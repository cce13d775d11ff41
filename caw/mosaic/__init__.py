"""Mosaic: new music and variations from a clip's own pieces, without training.

The clip is cut into units at its half beats (at its onsets where no beat is clear), which are put in another
order (`selection`) and joined (`concatenation`). A jump leads to a moment of the same metrical place whose
sound before and after is alike, as in Schoedl et al. 2000 ("Video textures") and Jehan 2005 ("Creating music
by listening"). All that sounds was in the clip: a mosaic is the control that a learned model has to beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caw import beats, features
from caw.beats import BeatGrid
from caw.mosaic import concatenation, selection
from caw.mosaic.concatenation import Join, Segment
from caw.mosaic.selection import Units
from caw.problems import ProblemError

SHORTEST = 2.0  # seconds of clip
LONGEST_CLIP = 1200.0  # seconds
SECONDS = (0.5, 3600.0)  # of output
TEMPO = (30.0, 300.0)  # beats per minute that may be named
BEATS_PER_BAR = (2, 16)
RUN = (1, 256)  # beats that may be named; the search for a variation grows with it
RUN_SECONDS = 2.0  # longest run where there are no bars
USUAL_BAR = 4  # beats, where bars cannot be told
ATTACK = 0.7  # onset strength from which a unit begins with an attack
LEAD = 0.03  # seconds before the first attack
SILENT, LOUDEST = 1e-4, 1e4  # full scale is 1


class MosaicError(ProblemError):
    """A clip or an option that cannot be used."""


@dataclass(frozen=True)
class Mosaic:
    """A clip that is cut into units, to generate from any number of times."""

    samples: np.ndarray  # float32 [channels, n]
    rate: int  # Hz
    units: Units
    longest: int  # units of the clip that may follow each other

    @property
    def grid(self) -> BeatGrid:
        return self.units.grid

    def generate(self, seconds: float, *, seed: int = 0) -> np.ndarray:
        """New music [channels, n] of `seconds` that begins with a bar; a seed always gives the same samples.

        Raises MosaicError for a length outside SECONDS or a negative seed.
        """
        return self.joined(self.plan(seconds, seed=seed), round(seconds * self.rate))[0]

    def vary(self, *, seed: int = 0) -> np.ndarray:
        """A variation [channels, n] as long as the clip, with its harmony and onsets but other units."""
        return self.joined(self.plan(None, seed=seed), self.samples.shape[1])[0]

    def plan(self, seconds: float | None, *, seed: int = 0) -> list[Segment]:
        """The segments that `generate` (or `vary`, if `seconds` is None) joins."""
        if seed < 0:
            raise MosaicError(f"seed is {seed!r}", "use a whole number of 0 or more")
        bounds, rng = np.rint(self.grid.bounds * self.rate).astype(int), np.random.default_rng(seed)
        if seconds is None:
            runs = selection.variation(self.units, self.longest, rng)
            at = bounds[np.cumsum([0, *(run.count for run in runs)])]
        else:
            check_options(seconds=seconds)
            runs = selection.random_walk(self.units, seconds, self.longest, rng)
            lengths = [bounds[run.first + run.count] - bounds[run.first] for run in runs]
            at = np.cumsum([min(round(LEAD * self.rate), bounds[runs[0].first]), *lengths])
        attacked, plan, soft = self.units.rhythm[:, 0] >= ATTACK, [], True
        for run, here, after in zip(runs, at, at[1:], strict=False):
            first, last = run.first, run.first + run.count
            soft = soft and not attacked[first]
            plan.append(Segment(int(bounds[first]), int(bounds[last]), int(here), int(after - here), soft))
            soft = not attacked[min(last, self.grid.units - 1)]  # a long fade would let the attack through
        return plan

    def joined(self, plan: list[Segment], count: int) -> tuple[np.ndarray, list[Join]]:
        """The sound [channels, count] of a plan, and its joins. Raises MosaicError where that is silent."""
        sound, joins = concatenation.concatenate(self.samples, self.rate, plan, count)
        fade = min(round(concatenation.END_FADE * self.rate), count // 4)
        rise = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        sound[:, :fade] *= rise
        sound[:, count - fade :] *= rise[::-1]
        if max(sound.max(), -sound.min()) < SILENT:
            raise MosaicError(
                "the clip is silent for so long that silence came out", "cut it to where it sounds"
            )
        return sound, joins


def cut(
    samples: np.ndarray,
    rate: int,
    *,
    run: int | None = None,
    beats_per_bar: int | None = None,
    tempo: float | None = None,
) -> Mosaic:
    """Analyse a clip and cut it into units.

    Parameters
    ----------
    samples : array [n] or [channels, n]
        The clip, 2 s to 20 min long.
    rate : int
        Its sampling rate in Hz.
    run : int, optional
        The longest stretch of the clip that may sound as it is, in beats, or in notes where there is no beat;
        a bar, or about 2 s, if not given.
    beats_per_bar : int, optional
        Estimated if not given.
    tempo : float, optional
        Beats a minute, to 10 %; estimated if not given.

    Returns
    -------
    Mosaic

    Raises
    ------
    MosaicError
        For a clip that is too short, too long, silent or broken, and for options out of range.
    """
    check_options(run=run, beats_per_bar=beats_per_bar, tempo=tempo)
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.ndim != 2:
        raise MosaicError(f"samples have shape {samples.shape}", "give [n] or [channels, n]")
    seconds = samples.shape[1] / rate
    if seconds < SHORTEST:
        raise MosaicError(f"the clip is {seconds:.2f} s long", f"give at least {SHORTEST:g} s")
    if seconds > LONGEST_CLIP:
        raise MosaicError(f"the clip is {seconds:.0f} s long", f"cut a passage of at most {LONGEST_CLIP:g} s")
    if not np.isfinite(samples).all():
        raise MosaicError("the clip holds NaN or infinite samples", "export it again")
    mono = samples.mean(axis=0)
    peak = float(np.abs(mono).max())
    if peak < SILENT:
        if np.abs(samples).max() >= SILENT:
            raise MosaicError("the clip's channels cancel when they are mixed", "give one of them")
        raise MosaicError("the clip is silent", "give a clip with sound")
    if peak > LOUDEST:
        raise MosaicError(f"the clip reaches {peak:.3g}", "export it with a full scale of 1")
    frames = features.analyse(mono, rate)
    grid = beats.beat_grid(frames, tempo=tempo, beats_per_bar=beats_per_bar)
    if run is not None:
        longest = run * grid.per_beat
    elif grid.kind == "beats":
        longest = round((grid.per_bar or USUAL_BAR) * grid.per_beat)
    else:
        longest = max(1, round(RUN_SECONDS / float(np.diff(grid.bounds).mean())))
    return Mosaic(samples, rate, selection.cut(frames, grid, longest), longest)


def generate(samples: np.ndarray, rate: int, seconds: float, *, seed: int = 0, **options) -> np.ndarray:
    """New music from a clip, without training.

    Parameters
    ----------
    samples : array [n] or [channels, n]
        The clip.
    rate : int
        Its sampling rate in Hz.
    seconds : float
        Length of the new music, 0.5 to 3600.
    seed : int
        The same seed gives the same samples.
    **options
        `run`, `beats_per_bar` and `tempo`, as for `cut`.

    Returns
    -------
    array, float32 [m] or [channels, m]

    Raises
    ------
    MosaicError
        For a clip or an option that cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> clip = np.random.default_rng(0).standard_normal(5 * 8000) * np.tile(np.linspace(1, 0, 4000), 10)
    >>> generate(clip, 8000, 3.0).shape
    (24000,)
    """
    return cut(samples, rate, **options).generate(seconds, seed=seed).reshape(*np.shape(samples)[:-1], -1)


def vary(samples: np.ndarray, rate: int, *, seed: int = 0, **options) -> np.ndarray:
    """A variation of a clip [n] or [channels, n], of the same shape; parameters as for `generate`."""
    return cut(samples, rate, **options).vary(seed=seed).reshape(np.shape(samples))


def check_options(*, run=None, beats_per_bar=None, tempo=None, seconds=None) -> None:
    """Raise MosaicError for an option of `cut` or a length of new music that is out of range."""
    low, high = RUN
    whole = isinstance(run, int) and not isinstance(run, bool)
    if run is not None and not (whole and low <= run <= high):
        raise MosaicError(f"run is {run!r}", f"use a whole number of beats from {low} to {high}")
    low, high = BEATS_PER_BAR
    if beats_per_bar is not None and not (isinstance(beats_per_bar, int) and low <= beats_per_bar <= high):
        raise MosaicError(f"beats_per_bar is {beats_per_bar!r}", f"use a whole number from {low} to {high}")
    low, high = TEMPO
    number = isinstance(tempo, int | float) and not isinstance(tempo, bool)
    if tempo is not None and not (number and low <= tempo <= high):
        raise MosaicError(f"tempo is {tempo!r}", f"use {low:g} to {high:g} beats a minute")
    low, high = SECONDS
    if seconds is not None and not low <= seconds <= high:
        raise MosaicError(f"seconds is {seconds!r}", f"use {low:g} to {high:g}")
