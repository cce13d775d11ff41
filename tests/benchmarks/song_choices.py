"""How often clips made for a song seem to suit it when they do not, and how often it is seen when they do.

Run: python -m tests.benchmarks.song_choices [--studies 400]

A listener names a song for a clip with a probability that depends on the song's popularity, the clip's
appeal, the listener's generosity and own liking for the song, and how well clip and song happen to go
together; all of them vary. In a null study it does not depend on which song the clip was made for. The songs
have unequal numbers of clips, the popular one most. Prints the table of docs/song-questions.md.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import pandas as pd

from analysis import song_answers
from analysis.results import songs
from analysis.results.stimuli import Panel

POPULARITY = (1.2, -0.6, 0.0)  # of the songs, log odds
APPEAL, GENEROSITY, LIKING, TOGETHER = 1.0, 1.0, 0.7, 0.7  # standard deviations, log odds
SHARES = (0.5, 0.3, 0.2)  # of the clips, by song; with two songs the first has three fifths
LEVEL = 0.05
DESIGNS = [(1, 2, 16)]  # listeners, songs, clips
DESIGNS += [(listeners, *size) for size in ((2, 16), (2, 30), (3, 20)) for listeners in (8, 24)]


def study(listeners: int, count: int, clips: int, effect: float, dice: np.random.Generator) -> pd.DataFrame:
    """Answers of listeners to clips that were made for `count` songs."""
    names = [f"song{number}" for number in range(count)]
    sizes = np.round(np.array(SHARES[:count]) / sum(SHARES[:count]) * clips).astype(int)
    sizes[0] += clips - sizes.sum()
    made = np.repeat(np.arange(count), sizes)
    own = np.eye(count)[made]
    suits = dice.normal(0, APPEAL, clips)[:, None] + dice.normal(0, TOGETHER, (clips, count))
    suits = suits + np.array(POPULARITY[:count]) + effect * own - 0.5
    rows = []
    for listener in range(listeners):
        of_listener = dice.normal(0, GENEROSITY) + dice.normal(0, LIKING, count)
        chosen = dice.random((clips, count)) < 1 / (1 + np.exp(-(suits + of_listener)))
        for clip in range(clips):
            used = song_answers.cell_of(np.array(names)[chosen[clip]]) or song_answers.NONE
            rows.append((f"L{listener}", f"c{clip}", "fake", "caw", "UMG", None, names[made[clip]], used))
    columns = ["listener", "clip", "truth", "backend", "mode", "epochs", "song", "use_in"]
    return pd.DataFrame(rows, columns=columns)


def rejected(listeners: int, count: int, clips: int, effect: float, studies: int) -> tuple[float, float, int]:
    """The share of studies whose p is below LEVEL, of model or exact test and of the naive share, and how
    many refused."""
    hits, naive, refused = 0, 0, 0
    for seed in range(studies):
        frame = study(listeners, count, clips, effect, np.random.default_rng([seed, listeners, count, clips]))
        result = songs.own_less_others(frame, Panel(listeners))
        refused += result.refused
        hits += result.p is not None and result.p < LEVEL
        made, _ = songs.matched(frame)
        values = made["own less others"]  # every answer as a sample of its own
        spread = values.std(ddof=1) / math.sqrt(len(values))
        naive += bool(spread) and abs(values.mean() / spread) > 1.96
    return hits / studies, naive / studies, refused


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--effect", type=float, default=1.0, help="log odds, where clips suit their song")
    args = parser.parse_args()
    print("| listeners | songs | clips | rejected, no effect | pooled t, no effect | rejected, effect |")
    print("|---:|---:|---:|---:|---:|---:|")
    for listeners, count, clips in DESIGNS:
        null, naive, refused = rejected(listeners, count, clips, 0.0, args.studies)
        seen, _, _ = rejected(listeners, count, clips, args.effect, args.studies)
        assert not refused, "a design of these sizes is never refused"
        print(f"| {listeners} | {count} | {clips} | {null:.3f} | {naive:.3f} | {seen:.2f} |", flush=True)


if __name__ == "__main__":
    main()
