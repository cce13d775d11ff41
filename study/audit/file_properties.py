"""Properties of stimulus files that are read without listening: their format, and the orders they lie in."""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from caw.files import sound_files
from study.audit.findings import AuditedFile, Finding, shown_range
from study.audit.leak_test import ALL_SETS
from study.audit.properties import FORMAT, OUTER, Property
from study.folder import STIMULUS_ID

OF_FOLDERS = ("order in the folder", "order of writing")  # of two folders they say how each was filled


def measure_format(file: Path) -> dict[str, int | float | str]:
    """The properties FORMAT of one file, except those that need the other files or the key."""
    facts, info = file.stat(), sound_files.survey(file)
    return {
        "suffix": file.suffix,
        "container": info.format,
        "file size": facts.st_size,
        "duration": info.frames / info.rate,
        "samples": info.frames,
        "rate": info.rate,
        "bit depth": info.subtype,
        "channels": info.channels,
        "chunks": chunks(file),
        "changed": facts.st_mtime_ns / 1e9,
        "name length": len(file.stem),
        "permissions": oct(facts.st_mode & 0o777),
        "owner": f"{facts.st_uid}:{facts.st_gid}",
    }


def chunks(file: Path) -> str:
    """Names of a file's parts that are neither its format nor its sound, as "LIST bext"; "" for none.

    These are RIFF chunks for WAV, and metadata blocks beyond the first (the stream's format) for FLAC. For
    other files they are ID3 tags, and what libsndfile reads as tags where it knows the container.
    """
    content, names = file.read_bytes(), []
    if content[:4] == b"RIFF":
        place = 12
        while place + 8 <= len(content):
            name, length = struct.unpack("<4sI", content[place : place + 8])
            if name not in (b"fmt ", b"data"):
                names.append(name.decode("latin-1"))
            place += 8 + length + length % 2
        if place < len(content):
            names.append("rest")
    elif content[:4] == b"fLaC":
        place, last = 4, False
        while not last and place + 4 <= len(content):
            last, kind = bool(content[place] & 0x80), content[place] & 0x7F
            length = int.from_bytes(content[place + 1 : place + 4], "big")
            vendor_only = kind == 4 and content[place + 4 + length - 4 : place + 4 + length] == bytes(4)
            if kind != 0 and not vendor_only:
                names.append(f"block{kind}")
            place += 4 + length
    else:
        with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(os.fsencode(file)) as opened:
            names += sorted(opened.copy_metadata())  # what libsndfile cannot open is compared by its kind
        names += ["ID3"] * (content[:3] == b"ID3") + ["ID3v1"] * (content[-128:-125] == b"TAG")
    return " ".join(names)


def name_words(files: Sequence[Path], real: Sequence[bool]) -> list[str]:
    """For each file the words of its name that all clips of its kind share, and no clip of the other kind.

    The random ids of a build contain no words. Names of songs may, but not the same in all of one kind.
    """
    words = [_words(file.stem) for file in files]
    telling: dict[bool, set[str]] = {}
    for kind in (True, False):
        own = [one for one, is_real in zip(words, real, strict=True) if is_real == kind]
        others = [one for one, is_real in zip(words, real, strict=True) if is_real != kind]
        shared = set.intersection(*own) if own else set()
        telling[kind] = shared - set().union(*others) if others else set()
    return [" ".join(sorted(telling[is_real])) for is_real in map(bool, real)]


def _words(stem: str) -> set[str]:
    if STIMULUS_ID.fullmatch(stem):
        return set()
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}", stem)}


def check_formats(
    clips: Sequence[AuditedFile], facts: Mapping[Path, Mapping], loose: bool
) -> tuple[list[Finding], list[Property]]:
    """Findings of format, and the properties that vary and are to be tested as form is.

    clips: all files. facts: from `measure_format`, by the file. loose: as of `audit.run`.
    """
    real = np.array([clip.real for clip in clips], bool)
    words = name_words([clip.file for clip in clips], list(real))
    compressed = any(clip.file.suffix == ".flac" for clip in clips)
    findings, varying = [], []
    for entry in FORMAT:
        if entry.name == "name words":
            values: list = words
        elif entry.name == "bytes":
            values = ["as sealed" if clip.as_sealed else "changed since" for clip in clips]
        else:
            values = [facts[clip.file][entry.name] for clip in clips]
        if entry.name == "file size" and compressed and not loose:
            continue  # it is tested: COMPRESSED
        kinds = [
            {value for value, is_real in zip(values, real, strict=True) if is_real == kind} for kind in (1, 0)
        ]
        verdict = "same" if len(set(values)) <= 1 else "leak"
        if entry.name == "bytes" and "changed since" in values:
            verdict = "leak"
        if entry.name == "chunks" and values and values[0] and not loose:
            verdict = "leak"
        if loose and verdict == "leak" and (kinds[0] & kinds[1] or min(map(len, kinds)) > 1):
            verdict = "unclear"
            if entry.name in OUTER:
                varying.append(replace(entry, kind="form", fix=_loose_fix(entry)))
                continue
        fix = (_loose_fix(entry) if loose else entry.fix) if verdict == "leak" else ""
        shown = [shown_range(sorted(kind)) for kind in kinds]
        rest = (None, None, None, None, verdict, fix, entry.noticed_by)
        findings.append(Finding(ALL_SETS, str(entry), "format", *shown, *rest))
    return findings, varying


def _loose_fix(entry: Property) -> str:
    return f"bring all files to one {entry.name} before they are heard, as `study build` does by [stimuli]"


def outer_numbers(facts: Mapping) -> dict[str, float]:
    """The properties OUTER, from those of `measure_format`."""
    return {name: float(facts[name]) for name in OUTER}


def file_orders(clips: Sequence[AuditedFile]) -> dict[str, np.ndarray]:
    """The properties ORDER of clips that are sorted by name; of presentation only where every clip has it."""
    stats = [clip.file.stat() for clip in clips]
    listing = {
        folder: {file.name: place for place, file in enumerate(folder.iterdir())}
        for folder in {clip.file.parent for clip in clips}
    }
    result = {
        "order of names": np.arange(len(clips), dtype=float),
        "order in the folder": np.array([float(listing[one.file.parent][one.file.name]) for one in clips]),
        "order of writing": np.array([float(facts.st_ctime_ns) for facts in stats]),
    }
    for name, values in (
        ("order of presentation", [clip.presented for clip in clips]),
        ("times presented", [clip.times for clip in clips]),
    ):
        if None not in values:
            result[name] = np.array(values, float)
    return result
