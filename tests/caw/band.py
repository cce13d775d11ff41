"""A synthesised band of known tempo, metre and chords, for tests of what finds or keeps them."""

import numpy as np

RATE = 16000
CHORDS = ((0, 4, 7), (5, 9, 12), (7, 11, 14), (9, 12, 16))


def band(
    tempo: float,
    beats_per_bar: int,
    seconds: float = 20.0,
    *,
    offbeat: float | None = None,
    rate: int = RATE,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Samples [n] and the beats in seconds: a kick on each first beat, a chord a bar, a hat on every beat.

    offbeat: where in the beat another hat comes, as 0.5, or 0.667 for swing.
    """
    dice, count, period = np.random.default_rng(seed), round(seconds * rate), 60 / tempo
    sound, beats = 0.003 * dice.standard_normal(count), np.arange(0.13, seconds, 60 / tempo)

    def add(at: float, wave: np.ndarray) -> None:
        first = round(at * rate)
        part = wave[: max(0, count - first)]
        sound[first : first + len(part)] += part

    long, short = np.arange(round(period * rate)) / rate, np.arange(round(0.03 * rate)) / rate
    for number, beat in enumerate(beats):
        bar, place = divmod(number, beats_per_bar)
        if place == 0:
            add(beat, 0.5 * np.sin(2 * np.pi * 60 * long) * np.exp(-12 * long))
        pitches = [220 * 2 ** (step / 12) for step in CHORDS[bar % len(CHORDS)]]
        add(beat, 0.1 * sum(np.sin(2 * np.pi * hz * long) for hz in pitches) * np.exp(-3 * long))
        for hat in (0.0,) if offbeat is None else (0.0, offbeat * period):
            add(beat + hat, 0.12 * dice.standard_normal(len(short)) * np.exp(-150 * short))
    return sound.astype(np.float32), beats


def plucks(seconds: float = 12.0, *, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Notes that come when they like, 0.2 to 1 s apart: no beat. [n]"""
    dice, time = np.random.default_rng(seed), np.arange(round(seconds * rate)) / rate
    sound, at = 0.003 * dice.standard_normal(len(time)), 0.1
    while at < seconds - 0.1:
        age = np.maximum(time - at, 0)
        pitch = 220 * 2 ** (dice.integers(12) / 12)
        shape = np.minimum(age / 0.005, 1) * np.exp(-4 * age)
        sound += 0.2 * shape * np.sin(2 * np.pi * pitch * age)
        at += dice.uniform(0.2, 1.0)
    return sound.astype(np.float32)
