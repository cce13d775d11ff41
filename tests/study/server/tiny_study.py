"""A study folder small enough to take in seconds: two sets of short clips, a key, a registered build."""

from __future__ import annotations

import csv
import hashlib
import random
import wave
from pathlib import Path

import numpy as np

from study import design as designs
from study.build import pairs
from study.folder import StudyFolder
from study.store.store import Store

ID_LETTERS = "abcdefghijklmnopqrstuvwxyz23456789"
TITLE = "Riffs in doubt"
EPOCHS = 351735173517  # no time, number of bytes or random word holds it by chance
TOML = """\
[study]
title = "{title}"
seed = 7
contact = "Ask Ida, room 4."
language = "{language}"

[set.UMG]
fakes = {fakes}
originals = {originals}

[set.VAR]
fakes = {fakes}
originals = {originals}

[stimuli]
seconds = {seconds}
rate = 16000

[listening]
practice = {practice}
{listening}
"""
KEY_COLUMNS = ("set", "stimulus_id", "name", "truth", "backend", "mode", "epochs", "source", "seed")
KEY_COLUMNS += ("run", "sha256")


def make_tiny_study(
    folder: Path,
    *,
    fakes: int = 1,
    originals: int = 1,
    practice: int = 1,
    seconds: float = 1.2,
    listening: str = "",
    language: str = "en",
) -> StudyFolder:
    """Writes the folder by hand, as `study build` would leave it, and registers the build."""
    study = StudyFolder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    study.toml.write_text(
        TOML.format(
            title=TITLE,
            fakes=fakes,
            originals=originals,
            practice=practice,
            seconds=seconds,
            listening=listening,
            language=language,
        )
    )
    dice = random.Random(3)
    rows, stimuli = [], {}
    for name, count in (("UMG", fakes + originals), ("VAR", fakes + originals), ("practice", practice)):
        stimuli[name] = ["".join(dice.choices(ID_LETTERS, k=8)) for _ in range(count)]
        for index, stimulus in enumerate(stimuli[name]):
            real = index < originals
            file = study.sets / name / f"{stimulus}.wav"
            write_clip(file, seconds, pitch=220 * 1.12 ** len(rows))
            rows.append(
                {
                    "set": name,
                    "stimulus_id": stimulus,
                    "name": f"S7_{name}_{index}_swampgroove",
                    "truth": "real" if real else "fake",
                    "backend": "original" if real else "jukebox" if index % 2 else "caw",
                    "mode": "VAR" if name == "VAR" else "UMG",
                    "epochs": "" if real else EPOCHS,
                    "source": "swampgroove.flac",
                    "seed": 90210 + index,
                    "run": f"runs/swampgroove-{index}",
                    "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                }
            )
    study.make_private()
    with study.key.open("w", newline="") as out:
        writer = csv.DictWriter(out, KEY_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    study.key.chmod(0o600)
    store = Store.for_folder(study)
    store.register_build(
        stimuli={name: stimuli[name] for name in ("UMG", "VAR")},
        practice=stimuli["practice"],
        key_sha256=hashlib.sha256(study.key.read_bytes()).hexdigest(),
        design_digest=designs.load(folder).digest(),
        file_format="wav",
        passes=designs.load(folder).listening.passes,
        groups=designs.load(folder).registered_groups,
        pairs=pairs.hands(designs.load(folder), rows),
    )
    store.close()
    return study


def write_clip(file: Path, seconds: float, pitch: float) -> None:
    """A quiet tone in a 16-bit WAV file of 16 kHz; every file is as long as the others, to the byte."""
    file.parent.mkdir(parents=True, exist_ok=True)
    moments = np.arange(round(16_000 * seconds)) / 16_000
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((2000 * np.sin(2 * np.pi * pitch * moments)).astype("<i2").tobytes())
