"""Mosaic: new music and variations from a clip's own pieces, without training.

The clip is cut at its half beats (at its onsets where no beat is clear), and played on in another order: a
jump leads to a moment of the same metrical place whose sound before and after is alike, as in Schoedl et al.
2000 ("Video textures") and Jehan 2005 ("Creating music by listening"). All that is heard was in the clip: it
is the control that a learned model has to beat. Arrays in, arrays out, no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caw import beats, features
from caw.beats import Grid
from caw.mosaic import joining, path, pieces
from caw.mosaic.joining import Join, Piece
from caw.mosaic.pieces import Pieces

SHORTEST = 2.0  # seconds of clip
LONGEST_CLIP = 1200.0  # seconds
SECONDS = (0.5, 3600.0)  # of output
TEMPO = (30.0, 300.0)  # beats per minute that may be named
BEATS_PER_BAR = (2, 16)
RUN = (1, 256)  # beats that may be named: what a variation weighs up grows with it, for each beat of the clip
RUN_SECONDS = 2.0  # longest run where there are no bars
USUAL_BAR = 4  # beats, where bars cannot be told
STRUCK = 0.7  # onset from which a unit begins with an attack
LEAD = 0.03  # seconds before the first attack
SILENT, LOUDEST = 1e-4, 1e4  # full scale is 1


class MosaicError(ValueError):
    """A clip or an option that cannot be used; the message quotes the value and says the mend."""


@dataclass(frozen=True)
class Mosaic:
    """A clip that was cut, to draw from any number of times."""

    samples: np.ndarray  # float32 [channels, n]
    rate: int  # Hz
    pieces: Pieces
    longest: int  # units of the clip that may follow each other

    @property
    def grid(self) -> Grid:
        return self.pieces.grid

    def generate(self, seconds: float, *, seed: int = 0) -> np.ndarray:
        """New music [channels, n] of `seconds`, from a bar's beginning. The same seed gives the same samples.

        Raises: MosaicError for a length out of SECONDS or a negative seed.
        """
        return self.joined(self.plan(seconds, seed=seed), round(seconds * self.rate))[0]

    def vary(self, *, seed: int = 0) -> np.ndarray:
        """A variation [channels, n] as long as the clip: its harmony and onsets, played by other pieces."""
        return self.joined(self.plan(None, seed=seed), self.samples.shape[1])[0]

    def plan(self, seconds: float | None, *, seed: int = 0) -> list[Piece]:
        """What `generate` (or `vary`, for None) puts together."""
        if seed < 0:
            raise MosaicError(f"seed is {seed!r}; use a whole number of 0 or more")
        bounds, rng = np.rint(self.grid.bounds * self.rate).astype(int), np.random.default_rng(seed)
        if seconds is None:
            runs = path.variation(self.pieces, self.longest, rng)
            at = bounds[np.cumsum([0, *(run.count for run in runs)])]
        else:
            check_options(seconds=seconds)
            runs = path.walk(self.pieces, seconds, self.longest, rng)
            lengths = [bounds[run.first + run.count] - bounds[run.first] for run in runs]
            at = np.cumsum([min(round(LEAD * self.rate), bounds[runs[0].first]), *lengths])
        struck, plan, soft = self.pieces.rhythm[:, 0] >= STRUCK, [], True
        for run, here, after in zip(runs, at, at[1:], strict=False):
            first, last = run.first, run.first + run.count
            soft = soft and not struck[first]
            plan.append(Piece(int(bounds[first]), int(bounds[last]), int(here), int(after - here), soft))
            soft = not struck[min(last, self.grid.units - 1)]  # a long fade would show it
        return plan

    def joined(self, plan: list[Piece], count: int) -> tuple[np.ndarray, list[Join]]:
        """The sound [channels, count] of a plan, and its joins. Raises: MosaicError where that is silence."""
        sound, joins = joining.assemble(self.samples, self.rate, plan, count)
        fade = min(round(joining.END_FADE * self.rate), count // 4)
        rise = np.linspace(0, 1, fade, endpoint=False, dtype=np.float32)
        sound[:, :fade] *= rise
        sound[:, count - fade :] *= rise[::-1]
        if max(sound.max(), -sound.min()) < SILENT:
            raise MosaicError(
                "the clip is silent for so long that silence came out; cut it to where it sounds"
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
    """Analyse a clip and cut it.

    samples: [n] or [channels, n] at `rate` Hz. run: the longest stretch of the clip that may be heard as it
    is, in beats (in notes where there is no beat); by default a bar, or about 2 s. beats_per_bar, tempo
    (beats a minute, to 10 %): found where not given. Raises: MosaicError for a clip that is too short, too
    long, silent or broken, and for options out of range.
    """
    check_options(run=run, beats_per_bar=beats_per_bar, tempo=tempo)
    samples = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if samples.ndim != 2:
        raise MosaicError(f"samples have shape {samples.shape}; give [n] or [channels, n]")
    seconds = samples.shape[1] / rate
    if seconds < SHORTEST:
        raise MosaicError(f"the clip is {seconds:.2f} s long; give at least {SHORTEST:g} s")
    if seconds > LONGEST_CLIP:
        raise MosaicError(f"the clip is {seconds:.0f} s long; cut a passage of at most {LONGEST_CLIP:g} s")
    if not np.isfinite(samples).all():
        raise MosaicError("the clip holds NaN or infinite samples; export it again")
    mono = samples.mean(axis=0)
    peak = float(np.abs(mono).max())
    if peak < SILENT:
        if np.abs(samples).max() >= SILENT:
            raise MosaicError("the clip's channels cancel when they are mixed; give one of them")
        raise MosaicError("the clip is silent; give a clip with sound")
    if peak > LOUDEST:
        raise MosaicError(f"the clip reaches {peak:.3g}; export it with a full scale of 1")
    frames = features.analyse(mono, rate)
    found = beats.grid(frames, tempo=tempo, beats_per_bar=beats_per_bar)
    if run is not None:
        longest = run * found.per_beat
    elif found.kind == "beats":
        longest = round((found.per_bar or USUAL_BAR) * found.per_beat)
    else:
        longest = max(1, round(RUN_SECONDS / float(np.diff(found.bounds).mean())))
    return Mosaic(samples, rate, pieces.cut(frames, found, longest), longest)


def generate(samples: np.ndarray, rate: int, seconds: float, *, seed: int = 0, **options) -> np.ndarray:
    """New music of `seconds` from a clip [n] or [channels, n], of its channels. Options as in `cut`."""
    return cut(samples, rate, **options).generate(seconds, seed=seed).reshape(*np.shape(samples)[:-1], -1)


def vary(samples: np.ndarray, rate: int, *, seed: int = 0, **options) -> np.ndarray:
    """A variation of a clip [n] or [channels, n], of its shape. Options as in `cut`."""
    return cut(samples, rate, **options).vary(seed=seed).reshape(np.shape(samples))


def check_options(*, run=None, beats_per_bar=None, tempo=None, seconds=None) -> None:
    """Raises: MosaicError for an option of `cut` out of range, and for `seconds` of new music that are."""
    low, high = RUN
    whole = isinstance(run, int) and not isinstance(run, bool)
    if run is not None and not (whole and low <= run <= high):
        raise MosaicError(f"run is {run!r}; use a whole number of beats from {low} to {high}")
    low, high = BEATS_PER_BAR
    if beats_per_bar is not None and not (isinstance(beats_per_bar, int) and low <= beats_per_bar <= high):
        raise MosaicError(f"beats_per_bar is {beats_per_bar!r}; use a whole number from {low} to {high}")
    low, high = TEMPO
    known = isinstance(tempo, int | float) and not isinstance(tempo, bool)
    if tempo is not None and not (known and low <= tempo <= high):
        raise MosaicError(f"tempo is {tempo!r}; use {low:g} to {high:g} beats a minute")
    low, high = SECONDS
    if seconds is not None and not low <= seconds <= high:
        raise MosaicError(f"seconds is {seconds!r}; use {low:g} to {high:g}")
