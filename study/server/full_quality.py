"""Clips as they were before they were blinded: those of the pool, or the recordings they were cut from.

A clip's rate, channels and length tell truth, and so does its name. All of it hangs on `Truth.of`, which
gives nothing before the study is unblinded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caw import audio
from caw.files import atomic, file_names
from study import blinding
from study.design import Design
from study.folder import StudyFolder
from study.languages import Words
from study.server.served import Served

_SAME = 2.0**-22  # between samples: the pool's 24 bits are rounded to 2**-24
Row = Mapping[str, str]  # of the key
Sound = tuple[np.ndarray, int]  # float32 [n] or [channels, n]; Hz


@dataclass(frozen=True)
class Truth:
    """What an unblinded study knows of its stimuli."""

    design: Design
    folder: StudyFolder
    key: Mapping[tuple[str, str], Row]  # by set and stimulus id
    record: Mapping[str, Any]  # of the build

    @classmethod
    def of(cls, study: Served) -> Truth | None:
        """None until the build that is served is unblinded, and where this machine does not have its key."""
        build = study.store.build()
        if build is None or build.key_sha256 not in {row["key_sha256"] for row in study.store.unblindings()}:
            return None
        try:
            key = blinding.read_key(study.folder, build.key_sha256)
            key += blinding.keys_of_rounds(study.folder, study.store.rounds())
        except blinding.BlindingError:
            return None
        record: dict[str, Any] = {"clips": {}, "originals": {}}
        for folder in (study.folder, *study.folder.rounds()):
            try:
                built = atomic.read_json(folder.build_record)
                record["clips"] |= built.get("clips", {})
                for set_name, chosen in built.get("originals", {}).items():
                    record["originals"].setdefault(set_name, []).extend(chosen)
            except (OSError, ValueError, AttributeError, TypeError):
                continue
        by_place = {(row["set"], row["stimulus_id"]): row for row in key}
        return cls(study.design, study.folder, by_place, record)

    def title(self, say: Words, number: int, row: Row) -> str:
        """The stem of a clip's file, as "song, clip 3 (VAR, caw, 700 epochs)"."""
        file = self._source(row["source"])
        song = file.stem if file else row["source"] or row["name"]
        what = [row["mode"], row["backend"]]
        what += [say("take_home.epochs", epochs=row["epochs"])] if row["epochs"] else []
        what += [say("take_home.plan", plan=row["plan"])] if row.get("plan") else []
        what += [say("take_home.strength", strength=row["strength"])] if row.get("strength") else []
        what = [say("take_home.original")] if row["truth"] == "real" else what
        return file_names.safe(say("take_home.clip", song=song, clip=number, what=", ".join(what)))

    def has(self, place: tuple[str, str]) -> bool:
        """Whether a stimulus's whole clip is there; `sound` checks whether it is the one that was built."""
        row = self.key.get(place)
        return row is not None and row["name"] in self.record.get("clips", {}) and self._pooled(row).is_file()

    def sound(self, row: Row) -> Sound | None:
        """The whole clip, with all channels of the recording or imported file that it was brought from.

        None where its file is gone or no longer the one that was built.
        """
        try:
            if atomic.sha256(self._pooled(row)) != self.record["clips"][row["name"]]:
                return None
            pooled = audio.read(self._pooled(row))
        except (OSError, ValueError, KeyError):
            return None
        return self._recorded(row, *pooled) or pooled

    def _recorded(self, row: Row, clip: np.ndarray, rate: int) -> Sound | None:
        """The piece of a sound file that `clip` is the mono mix of; None where there is none any more."""
        file, start, seconds = self._piece(row)
        if file is None:
            return None
        try:
            samples, own_rate = audio.read(file, start=start, seconds=seconds, mono=False)
        except (OSError, ValueError):
            return None
        mixed = samples.mean(axis=0, dtype=np.float32) if samples.ndim > 1 else samples
        peak = float(np.abs(mixed).max(initial=0.0))
        mixed = mixed * (np.abs(clip).max(initial=0.0) / peak if peak > 1.0 else 1.0)  # as the pool lowers it
        same = own_rate == rate and mixed.shape == clip.shape and np.allclose(mixed, clip, rtol=0, atol=_SAME)
        return (audio.within_full_scale(samples, file), rate) if same else None

    def _piece(self, row: Row) -> tuple[Path | None, float, float | None]:
        """File, start in s and length in s (None: to its end) of what was brought into the pool."""
        for entry in self.design.imported:
            if entry.name == row["name"]:
                return self.folder.path / entry.file, 0.0, None
        for one in self.record.get("originals", {}).get(row["set"], ()):
            if one["name"] == row["name"]:
                return self._source(one["passage"]), one["start"], one["seconds"]
        return None, 0.0, None

    def _source(self, name: str) -> Path | None:
        files = {source.name: self.folder.path / source.file for source in self.design.recordings}
        return files.get(name)

    def _pooled(self, row: Row) -> Path:
        places = [one.pool / f"{row['name']}.wav" for one in (self.folder, *self.folder.rounds())]
        return next((file for file in places if file.is_file()), places[0])
