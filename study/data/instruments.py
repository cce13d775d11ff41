"""The instruments of the bundled song, made of nothing but numbers: strings, amplifiers, drums, a room.

Strings are Karplus-Strong (Karplus and Strong 1983, "Digital synthesis of plucked-string and drum timbres")
with the damping and tuning of Jaffe and Smith (1983); the voice of the lead guitar and the organ are sums of
partials; drums are falling sines, partials without harmony, and noise. Every function returns samples [n] at
RATE, and draws only from the generator that it is given.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import signal

RATE = 32000  # Hz, of all synthesis; the song is twice as low
# How a drum sounds: modes (Hz, share, s to a thousandth), Hz that a stick's blow raises them by, noise.
SKINS = {
    "kick": (((52, 1.0, 0.34), (96, 0.25, 0.12)), 95, (0.10, 0.015, 1800, 6000)),
    "snare": (((186, 0.55, 0.16), (331, 0.35, 0.10)), 45, (0.80, 0.24, 900, 9500)),
    "rim": (((410, 0.5, 0.05), (1720, 0.5, 0.03)), 0, (0.25, 0.03, 1500, 7000)),
    "high": (((196, 1.0, 0.34), (312, 0.3, 0.16)), 42, (0.12, 0.05, 400, 5000)),
    "middle": (((147, 1.0, 0.42), (233, 0.3, 0.20)), 36, (0.12, 0.05, 300, 4500)),
    "floor": (((92, 1.0, 0.60), (148, 0.3, 0.26)), 26, (0.12, 0.06, 200, 4000)),
}
# Of metal: lowest and highest partial in Hz, s to a thousandth, share of noise, s that it swells.
METALS = {
    "hat": (3200, 13500, 0.10, 0.7, 0.0005),
    "open": (2800, 13500, 0.75, 0.7, 0.001),
    "ride": (1900, 12500, 1.10, 0.25, 0.0005),
    "bell": (1100, 9000, 0.90, 0.10, 0.0005),
    "crash": (900, 13500, 2.60, 0.55, 0.004),
    "china": (500, 11000, 1.50, 0.75, 0.003),
}
PARTIALS = 36  # of a piece of metal


def hertz(note: float) -> float:
    """The frequency of a MIDI note number."""
    return 440.0 * 2 ** ((note - 69) / 12)


def string(
    frequency: float,
    seconds: float,
    force: float,  # 0 to 1
    dice: np.random.Generator,
    *,
    sustain: float,  # s to a thousandth
    bright: float,  # Hz where the treble of a strong pluck ends
) -> np.ndarray:
    """A plucked string."""
    count, period = round(seconds * RATE), RATE / frequency
    delay = int(period - 0.75)
    fraction = period - 0.5 - delay  # of a sample that the loop waits beyond `delay` and its own averaging
    pluck = dice.uniform(-1, 1, delay) + 1.5 * signal.windows.gaussian(delay, delay / 9)
    pluck = np.roll(pluck - pluck.mean(), -round(delay * dice.uniform(0.3, 0.5)))
    place = max(1, round(delay * dice.uniform(0.11, 0.19)))  # where the plectrum strikes: these partials lack
    pluck = pluck - np.roll(pluck, place)
    corner = 100 * round(bright * (0.4 + 0.6 * force) * dice.uniform(0.9, 1.1) / 100)
    sound = np.zeros(delay + 2 + count + delay)  # what sounds stands after delay + 2 samples of silence
    sound[delay + 2 : 2 * delay + 2] = signal.sosfilt(lowpass(corner, 2), np.tile(pluck, 2))[delay:]
    loop = 10 ** (-3 / (frequency * sustain)) * np.convolve([1 - fraction, fraction], [0.5, 0.5])
    for first in range(2 * delay + 2, delay + 2 + count, delay):  # each period from the one before
        for more, share in enumerate(loop):
            before = first - delay - more
            sound[first : first + delay] += share * sound[before : before + delay]
    sound = sound[delay + 2 : delay + 2 + count]
    return force * released(sound / np.abs(sound[: 4 * delay]).max(), 0.012)


def sung(notes: np.ndarray, force: float, dice: np.random.Generator, *, roll: float) -> np.ndarray:
    """One sustained voice. notes: its pitch [n] as MIDI numbers. roll: partial k is 1 / k ** roll strong."""
    frequency = hertz(notes)
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    sound = np.zeros(len(notes))
    for partial in range(1, int(6500 / frequency.max()) + 1):
        sound += np.sin(partial * phase + dice.uniform(0, 2 * np.pi)) / partial**roll
    seconds = np.arange(len(notes)) / RATE
    swell = (1 - np.exp(-seconds / 0.006)) * (0.75 + 0.25 * np.exp(-seconds / 0.15))
    return force * released(0.5 * sound * swell, 0.03)


def bowed(start: float, end: float, seconds: float, dice: np.random.Generator) -> np.ndarray:
    """The pitch of a note that slides from one MIDI number to another and trembles once it stands."""
    count = round(seconds * RATE)
    time = np.arange(count) / RATE
    slide = start + (end - start) * (1 - np.exp(-time / 0.035))
    depth = 0.22 * np.clip((time - 0.22) / 0.3, 0, 1)
    return slide + depth * np.sin(2 * np.pi * dice.uniform(5.2, 6.0) * time + dice.uniform(0, 6)) - 0.02


def organ(note: float, seconds: float, force: float, dice: np.random.Generator) -> np.ndarray:
    """A drawbar organ's key, with the tremble of its rotating loudspeaker."""
    time = np.arange(round(seconds * RATE)) / RATE
    turn = 2 * np.pi * dice.uniform(5.6, 6.4) * time + dice.uniform(0, 2 * np.pi)
    sound = np.zeros(len(time))
    for partial, share in ((0.5, 0.35), (1, 1.0), (1.5, 0.3), (2, 0.55), (3, 0.3), (4, 0.22), (6, 0.08)):
        sway = 0.9 / RATE * partial * hertz(note) * np.sin(turn) * 0.4
        sound += share * np.sin(2 * np.pi * partial * hertz(note) * time + sway + dice.uniform(0, 6))
    swell = 1 - np.exp(-time / 0.03)
    return 0.3 * force * released(sound * swell * (1 + 0.18 * np.sin(turn)), 0.08)


def drum(name: str, force: float, dice: np.random.Generator) -> np.ndarray:
    """One blow on a drum or a cymbal."""
    return _metal(name, force, dice) if name in METALS else _skin(name, force, dice)


def _skin(name: str, force: float, dice: np.random.Generator) -> np.ndarray:
    modes, raised, (noise, fades, low, high) = SKINS[name]
    longest = max(*(fade for _, _, fade in modes), fades)
    time = np.arange(round(1.2 * longest * RATE)) / RATE
    sound, tuned = np.zeros(len(time)), dice.uniform(0.985, 1.015)
    for frequency, share, fade in modes:
        bend = raised * force * 0.018 * (1 - np.exp(-time / 0.018))  # cycles that the blow adds
        angle = 2 * np.pi * (tuned * frequency * time + bend)
        sound += share * np.sin(angle + dice.uniform(-0.15, 0.15)) * 10 ** (-3 * time / fade)
    hiss = signal.sosfilt(bandpass(low, high), dice.standard_normal(len(time)))
    sound += (0.6 + 0.4 * force) * noise * hiss * 10 ** (-3 * time / fades)
    sound[: RATE // 400] += 0.5 * force * dice.uniform(-1, 1, RATE // 400) * np.linspace(1, 0, RATE // 400)
    return force * sound


def _metal(name: str, force: float, dice: np.random.Generator) -> np.ndarray:
    low, high, fade, noise, swell = METALS[name]
    count = round(1.1 * fade * RATE)
    time, struck = np.arange(count) / RATE, np.zeros(count)
    struck[0] = 1.0
    shape = np.random.default_rng(len(name))  # the same piece of metal each time, struck elsewhere
    frequencies = np.exp(shape.uniform(np.log(low), np.log(high), PARTIALS))
    fades = fade * (low / frequencies) ** 0.35 * shape.uniform(0.6, 1.0, PARTIALS)
    sound = np.zeros(count)
    for frequency, lasts in zip(frequencies, fades, strict=True):
        share = dice.uniform(0.3, 1.0) * np.exp(-0.7 * (1 - force) * frequency / 6000)
        angle, phase, fall = 2 * np.pi * frequency / RATE, dice.uniform(0, 6.3), 10 ** (-3 / (lasts * RATE))
        above = share * np.array([np.sin(phase), fall * np.sin(angle - phase)])
        sound += signal.lfilter(above, [1.0, -2 * fall * np.cos(angle), fall**2], struck)
    hiss = signal.sosfilt(bandpass(low, min(high, 0.47 * RATE)), dice.standard_normal(count))
    sound = (1 - noise) * sound / np.sqrt(PARTIALS / 4) + noise * 1.4 * hiss * 10 ** (-3.6 * time / fade)
    stick = np.exp(-time / 0.0015) * dice.standard_normal(count)
    return force * released((1 - np.exp(-time / swell)) * sound + 0.3 * force * stick, 0.02)


def amplified(dry: np.ndarray, drive: float, *, low: float, high: float, bite: float) -> np.ndarray:
    """What a guitar amplifier and its cabinet make of `dry`: an uneven soft clipper between two filters.

    drive: gain into the clipper. low, high: Hz where the cabinet begins and ends. bite: dB at 2.4 kHz.
    """
    tight = signal.sosfilt(highpass(110, 1), dry)
    driven = signal.resample_poly(drive * tight, 2, 1)  # harmonics above RATE / 2 would come back mirrored
    clipped = signal.resample_poly(np.tanh(driven + 0.18) - np.tanh(0.18), 1, 2)
    through = signal.sosfilt(np.vstack([highpass(low, 2), lowpass(high, 4)]), clipped)
    return signal.sosfilt(bell(2400, bite), signal.sosfilt(bell(420, -3.0), through))


def doubled(dry: np.ndarray, seconds: float, depth: float, turns: float) -> np.ndarray:
    """A chorus: the sound beside itself, late by `seconds` and swaying by `depth` of it, `turns` a second."""
    time = np.arange(len(dry))
    late = seconds * RATE * (1 + depth * np.sin(2 * np.pi * turns * time / RATE))
    return 0.7 * dry + 0.5 * np.interp(time - late, time, dry, left=0.0)


def room(seconds: float, bright: float, seed: int) -> np.ndarray:
    """The impulse response of a room, [n]: some walls, then a tail of noise that grows dull."""
    dice = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tail = dice.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    dull = signal.sosfilt(lowpass(0.4 * bright, 1), tail)
    mixed = tail * np.exp(-time / 0.12) + dull * (1 - np.exp(-time / 0.12))
    mixed[: round(0.011 * RATE)] = 0
    for wall in dice.uniform(0.008, 0.06, 9):
        mixed[round(wall * RATE)] += dice.uniform(2, 5) * np.exp(-wall / 0.03)
    mixed = signal.sosfilt(np.vstack([highpass(180, 2), lowpass(bright, 1)]), mixed)
    return mixed / np.sqrt(np.sum(mixed**2))


def levelled(sound: np.ndarray, threshold: float, ratio: float) -> np.ndarray:
    """Compressed: above the threshold (root mean square of 60 ms) decibels grow `ratio` times slower."""
    slow = np.exp(-1 / (0.06 * RATE))
    power = signal.lfilter([1 - slow], [1.0, -slow], sound**2)
    over = np.maximum(np.sqrt(power) / threshold, 1.0)
    return sound * over ** (1 / ratio - 1)


def released(sound: np.ndarray, seconds: float) -> np.ndarray:
    """The sound, let go over its last `seconds`."""
    count = min(len(sound), round(seconds * RATE))
    sound[len(sound) - count :] *= np.cos(np.linspace(0, np.pi / 2, count)) ** 2
    return sound


@functools.cache
def lowpass(corner: float, order: int) -> np.ndarray:
    return signal.butter(order, corner, "lowpass", fs=RATE, output="sos")


@functools.cache
def highpass(corner: float, order: int) -> np.ndarray:
    return signal.butter(order, corner, "highpass", fs=RATE, output="sos")


@functools.cache
def bandpass(low: float, high: float) -> np.ndarray:
    return signal.butter(2, (low, high), "bandpass", fs=RATE, output="sos")


def bell(centre: float, decibels: float) -> np.ndarray:
    """A peak or a dip of one octave (R. Bristow-Johnson's "Audio EQ cookbook")."""
    gain, angle = 10 ** (decibels / 40), 2 * np.pi * centre / RATE
    width = np.sin(angle) / (2 * 1.4)
    above = np.array([1 + width * gain, -2 * np.cos(angle), 1 - width * gain])
    below = np.array([1 + width / gain, -2 * np.cos(angle), 1 - width / gain])
    return np.concatenate([above, below])[None] / below[0]
