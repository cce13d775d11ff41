"""Measure inpainting, bandwidth extension and denoising against the outputs of the model's authors.

    python tests/benchmarks/other_tasks.py FOLDER [--seeds 3]

FOLDER holds `bandwidth/ID_lr|gt|ours|training.flac`, `inpainting/N-with_hole|real|ours.flac` and
`denoising/NAME_real|rec.flac`, from the authors' page; what is missing is left out. Prints Markdown.

- Extension: SNR in dB over the whole clip; LSD: mean over frames of the root mean square, over frequency, of
  the difference of natural-log powers (n_fft = hop = 2048, Hann); correlation of the envelopes (RMS of 16 ms)
  above the low rate's Nyquist frequency, and of their logarithms. Sinc is the low recording resampled.
- Inpainting: mean absolute difference in dB of log-mel spectrograms (`caw.measures.spectra.log_mel`) whose
windows touch the hole; random: the median over the clip's other pieces put in its place.
- Denoising: level in dB of 50 ms frames in silent gaps (the quietest 5 % of the input's): mean of the power,
  median, first percentile; music: the largest change in dB, over bands of 250 Hz, of the louder half's
  spectrum where the input exceeds the noise by 10 dB. Then white noise added to every clean clip at
  hand at 10 and 20 dB: the gain in SNR.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy import signal

from caw import audio
from caw.measures.spectra import log_mel
from caw.tasks.denoising import denoise
from caw.tasks.extension import learn
from caw.tasks.inpainting import inpaint

MEL_HOP = 0.016  # seconds, of `log_mel`
FRAME = 0.05  # seconds, of the levels in silent gaps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    extensions(options.folder / "bandwidth", options.seeds)
    inpaintings(options.folder / "inpainting", options.seeds)
    denoisings(options.folder / "denoising")
    known_noise(options.folder)


def extensions(folder: Path, seeds: int) -> None:
    table("extension", "seconds", "SNR", "LSD", "envelope", "log envelope")
    for path in sorted(folder.glob("*_gt.flac")):
        name = path.stem.removesuffix("_gt")
        truth, rate = audio.read(path)
        low, low_rate = audio.read(folder / f"{name}_lr.flac")
        material, _ = audio.read(folder / f"{name}_training.flac")
        theirs, _ = audio.read(folder / f"{name}_ours.flac")
        drawn, spent = [], []
        for seed in range(seeds):
            started = time.monotonic()
            drawn.append(learn(material, rate, low_rate, seed=seed).apply(low, seed=seed))
            spent.append(time.monotonic() - started)
        plain = audio.resample(low, low_rate, rate)
        for what, clips in {"sinc": [plain], "theirs": [theirs], "ours": drawn}.items():
            measured = np.mean([extension_measures(truth, clip, rate, low_rate) for clip in clips], axis=0)
            row(f"{name} {what}", np.mean(spent) if what == "ours" else np.nan, *measured)


def extension_measures(truth, found, rate, low_rate) -> tuple[float, ...]:
    count = min(len(truth), len(found))
    truth, found = (x[:count].astype(np.float64) for x in (truth, found))
    powers = [np.abs(signal.stft(x, rate, "hann", 2048, 0)[2] * 1024) ** 2 + 1e-10 for x in (truth, found)]
    lsd = np.sqrt(np.mean(np.log(powers[0] / powers[1]) ** 2, axis=0)).mean()
    high = signal.butter(8, 1.1 * low_rate / rate, "high", output="sos")
    hop = round(0.016 * rate)
    envelopes = []
    for x in (truth, found):
        band = signal.sosfiltfilt(high, x)[: count // hop * hop].reshape(-1, hop)
        envelopes.append(np.sqrt(np.mean(band**2, axis=1)))
    logs = [np.log(x + 1e-5) for x in envelopes]
    return snr(truth, found), lsd, np.corrcoef(*envelopes)[0, 1], np.corrcoef(*logs)[0, 1]


def inpaintings(folder: Path, seeds: int) -> None:
    table("inpainting", "seconds", "log-mel distance")
    for path in sorted(folder.glob("*-real.flac")):
        name = path.stem.removesuffix("-real")
        truth, rate = audio.read(path)
        holed, _ = audio.read(folder / f"{name}-with_hole.flac")
        theirs, _ = audio.read(folder / f"{name}-ours.flac")
        apart = np.nonzero(np.abs(truth - holed) > 1e-4)[0]
        start, end = int(apart[0]), int(apart[-1]) + 1
        row(f"{name} silence", np.nan, hole_distance(truth, holed, start, end, rate))
        others = []
        for place in range(0, len(truth) - (end - start), rate // 10):
            if place >= end or place + end - start <= start:
                other = truth.copy()
                other[start:end] = truth[place : place + end - start]
                others.append(hole_distance(truth, other, start, end, rate))
        row(f"{name} random piece", np.nan, np.median(others))
        row(f"{name} theirs", np.nan, hole_distance(truth, theirs, start, end, rate))
        for seed in range(seeds):
            started = time.monotonic()
            filled = inpaint(holed, rate, [(start / rate, end / rate)], seed=seed)
            spent = time.monotonic() - started
            row(f"{name} ours, seed {seed}", spent, hole_distance(truth, filled, start, end, rate))


def hole_distance(truth, found, start: int, end: int, rate: int) -> float:
    frames = slice(int(start / rate / MEL_HOP) + 2, int(end / rate / MEL_HOP) - 1)
    return float(np.abs(log_mel(found, rate)[:, frames] - log_mel(truth, rate)[:, frames]).mean())


def denoisings(folder: Path) -> None:
    table("denoising", "seconds", "gaps mean", "gaps median", "gaps 1 %", "music")
    for path in sorted(folder.glob("*_real.flac")):
        given, rate = audio.read(path)
        theirs, _ = audio.read(path.with_name(path.name.replace("_real", "_rec")))
        started = time.monotonic()
        ours = denoise(given, rate)
        spent = time.monotonic() - started
        size = round(FRAME * rate)
        clips = {"input": given, "theirs": theirs, "ours": ours}
        frames = {what: frames_of(clip, size) for what, clip in clips.items()}
        level = np.mean(frames["input"] ** 2, axis=1)
        gaps, loud = level <= np.quantile(level, 0.05), level >= np.median(level)
        for what, cut in frames.items():
            decibels = 10 * np.log10(np.mean(cut[gaps] ** 2, axis=1) + 1e-12)
            levels = 10 * np.log10(np.mean(cut[gaps] ** 2)), np.median(decibels), np.quantile(decibels, 0.01)
            changed = music_change(frames["input"], cut, gaps, loud, rate)
            row(f"{path.stem} {what}", spent if what == "ours" else np.nan, *levels, changed)


def music_change(before, after, gaps, loud, rate: int) -> float:
    spectra = [np.mean(np.abs(np.fft.rfft(x * np.hanning(x.shape[1]))) ** 2, axis=0)
               for x in (before[loud], after[loud], before[gaps])]  # fmt: skip
    bands = np.arange(0, 0.9 * rate / 2, 250) * before.shape[1] / rate
    here, there, noise = (np.add.reduceat(x, bands.astype(int)) for x in spectra)
    music = here > 10 * noise
    return float(np.abs(10 * np.log10(there / (here - noise)))[music].max())


def known_noise(folder: Path) -> None:
    table("known noise", "10 dB", "20 dB")
    rng = np.random.default_rng(0)
    for path in sorted([*folder.glob("umg/*_real.flac"), *folder.glob("inpainting/*-real.flac")]):
        clean, rate = audio.read(path)
        gains = []
        for decibels in (10, 20):
            noise = rng.standard_normal(len(clean))
            noisy = clean + noise * np.std(clean) * 10 ** (-decibels / 20)
            gains.append(snr(clean, denoise(noisy, rate)) - decibels)
        row(path.stem, *gains)


def snr(truth, found) -> float:
    return float(10 * np.log10(np.sum(truth**2) / np.sum((found - truth) ** 2)))


def frames_of(samples: np.ndarray, size: int) -> np.ndarray:
    return samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)


def table(*columns: str) -> None:
    print("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")


def row(name: str, *values: float) -> None:
    print(f"| {name} | " + " | ".join("" if np.isnan(v) else f"{v:.2f}" for v in values) + " |", flush=True)


if __name__ == "__main__":
    main()
