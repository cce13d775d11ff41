"""Folders of `study muse`: one to train in within seconds, and one whose first round is made already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from caw import audio
from caw.compose import plan as plans
from caw.compose.plan import Plan
from study.muse import beginning, kinds, rounds
from study.muse.folder import MadeClip, MuseFolder

RATE = 4000
MODEL = {
    "scales": [1000, 2000], "bands": 40, "score_channels": 8, "score_layers": 3, "score_crop": 1.0,
    "channels": 8, "layers": 3, "finer_layers": 2, "crop": 1.0, "finer_crop": 0.5,
    "score_draw_steps": 2, "draw_steps": 2, "finer_draw_steps": 1,
}  # fmt: skip
HEARD = replace(
    Plan.from_options(chords="Em C G D", bpm=120.0, metre="4/4"), beats=tuple(k / 2 for k in range(17))
)


def riff(path: Path, seconds: float = 8.0) -> Path:
    """A sound file with plucked notes over a beat."""
    time = np.arange(round(seconds * RATE)) / RATE
    dice = np.random.default_rng(5)
    signal = np.zeros_like(time)
    for beat in np.arange(0, seconds, 0.25):
        age, on = np.clip(time - beat, 0, None), time >= beat
        signal += on * np.exp(-age * 9) * np.sin(2 * np.pi * dice.choice([110.0, 146.8, 164.8, 220.0]) * age)
        signal += on * np.exp(-age * 60) * 0.2 * dice.standard_normal(len(time))
    audio.write(path, (0.6 * signal / np.abs(signal).max()).astype(np.float32), RATE)
    return path


def new_folder(path: Path, **asked) -> MuseFolder:
    """A folder in which nothing is made yet."""
    path.mkdir(exist_ok=True)
    asked = {"epochs": 4, "clips": 3, "model": MODEL} | asked
    return beginning.prepare(riff(path / "riff.wav"), path / "riff-muse", **asked)[0]


def made_folder(path: Path, **asked) -> MuseFolder:
    """A folder whose first round is made, of clips that are a second of noise."""
    folder = new_folder(path, **asked)
    plans.write(folder.plan, HEARD)
    folder.add_round(rounds.first(kinds.KINDS, folder.settings().clips, 1, sketches=False))
    make_round(folder)
    return folder


def make_round(folder: MuseFolder) -> None:
    """Make what is missing of all rounds."""
    for each in folder.rounds():
        for clip in each.clips:
            if folder.clip(clip.name) is None:
                noise = np.random.default_rng(clip.seed).uniform(-0.3, 0.3, RATE).astype(np.float32)
                audio.write(folder.sound(clip.name), noise, RATE)
                plans.write(folder.plan_of(clip.name), HEARD)
                folder.add_clip(
                    MadeClip(clip.name, RATE, 1.0, 4, 0.0, 1.0, bpm=120.0, metre="4/4", chart="Em C G D")
                )
