"""A walk over a clip's bars: which of them new music is modelled on, bar by bar.

From where it stands, a walk goes on to the next bar or jumps to one whose predecessor sounds alike, as in
Schoedl et al. 2000 ("Video textures") and `caw.mosaic`; here no sound is copied, only what the model is asked
for: pitch classes, loudness and accents.
"""

from __future__ import annotations

import numpy as np

from caw.compose.timeline import Timeline

SLOTS = 8  # moments of a bar that are compared
SHARPNESS = 0.12  # of the choice among jumps, in median distances between bars
WILDER = 0.2  # added to it by a novelty of 1
RECENT = 4  # bars that a jump does not go back to, where there are others
UNFIT = 20.0  # what a bar of another length than the wanted one costs, in the same distances
CHORD_WEIGHT = 3.0  # how much a bar's likeness to the asked pitch classes counts, in the same distances


class Walk:
    """The bars (or phrases) of one or more clips, and how alike they are."""

    def __init__(self, clips: list[Timeline]) -> None:
        self.clips = clips
        self.bars: list[tuple[int, int, int]] = []  # clip, first unit, past the last
        for index, clip in enumerate(clips):
            ends = [*clip.phrases[1:], clip.units]
            self.bars += [(index, int(a), int(b)) for a, b in zip(clip.phrases, ends, strict=True)]
        usual = np.median([last - first for _, first, last in self.bars])
        whole = [bar for bar in self.bars if bar[2] - bar[1] >= 0.75 * usual]
        self.bars = whole or self.bars
        self.alike = self._distances()

    def __len__(self) -> int:
        return len(self.bars)

    @property
    def lengths(self) -> np.ndarray:
        """Units of each bar."""
        return np.array([last - first for _, first, last in self.bars])

    def draw(
        self,
        count: int,
        novelty: float,
        rng: np.random.Generator,
        chroma: np.ndarray | None = None,
        lengths: np.ndarray | None = None,
    ) -> list[int]:
        """`count` bars, as indices of `bars`. novelty: from 0 (in order) to 1 (a jump at every bar line).

        chroma: [count, 12] pitch classes that are asked for, rows of zeros where none are.
        lengths: int [count] units that each bar should have.
        """
        wish = np.zeros((count, len(self.bars)))
        unfit = np.zeros((count, len(self.bars)), bool)
        if lengths is not None:
            unfit = self.lengths != np.asarray(lengths)[:, None]
        if chroma is not None:
            wish = CHORD_WEIGHT * np.asarray(chroma) @ self._chroma().T
        here = self._pick(wish[0] - UNFIT * unfit[0], rng)
        walked = [here]
        for place in range(1, count):
            goes_on = here + 1 < len(self.bars) and self.bars[here + 1][0] == self.bars[here][0]
            goes_on = goes_on and not wish[place].any() and not unfit[place, here + 1]
            if goes_on and rng.random() >= novelty:
                here += 1
            else:
                here = self._jump(here, walked, novelty, wish[place] - UNFIT * unfit[place], rng)
            walked.append(here)
        return walked

    def _jump(self, here: int, walked: list[int], novelty: float, wish: np.ndarray, rng) -> int:
        spread = SHARPNESS + WILDER * novelty
        before = np.maximum(np.arange(len(self.bars)) - 1, 0)
        liked = wish - self.alike[here, before] / spread
        if here + 1 < len(self.bars):
            liked = liked - 0.5 * self.alike[here + 1] / spread
        barred = np.zeros(len(self.bars), bool)
        barred[[here, *walked[-RECENT:]]] = True
        if here + 1 < len(self.bars) and not (wish > 0).any():
            barred[here + 1] = True
        if not barred.all():
            liked = np.where(barred, -np.inf, liked)
        return self._pick(liked, rng)

    @staticmethod
    def _pick(liked: np.ndarray, rng: np.random.Generator) -> int:
        weights = np.exp(liked - liked.max())
        return int(rng.choice(len(liked), p=weights / weights.sum()))

    def _chroma(self) -> np.ndarray:
        rows = [self.clips[clip].chroma[a:b].mean(axis=0) for clip, a, b in self.bars]
        return np.array([row / max(np.linalg.norm(row), 1e-9) for row in rows])

    def _distances(self) -> np.ndarray:
        """[bars, bars], in median distances: pitch classes, level of the bands and accents count alike."""
        total = np.zeros((len(self.bars), len(self.bars)))
        for name in ("chroma", "sound", "accents"):
            rows = []
            for clip, first, last in self.bars:
                slots = first + np.arange(SLOTS) * (last - first) // SLOTS
                rows.append(getattr(self.clips[clip], name)[slots].ravel())
            rows = np.array(rows)
            squares = np.sum(rows**2, axis=1)
            apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0))
            others = apart[~np.eye(len(rows), dtype=bool)]
            total += apart / max(float(np.median(others)) if others.size else 1.0, 1e-6)
        return total / 3
