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
from study.audit.findings import Finding, Heard, shown_range
from study.audit.leak_test import ALL_SETS
from study.audit.properties import FORMAT, OUTER, Property
from study.folder import STIMULUS_ID


def measure_format(file: Path) -> dict[str, int | float | str]:
    """The properties FORMAT of one file, but for those that need the other files or the key."""
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

    RIFF chunks for WAV, metadata blocks beyond the first (the stream's format) for FLAC, ID3 and what
    libsndfile, where it knows the container, reads as tags for other files.
    """
    content, found = file.read_bytes(), []
    if content[:4] == b"RIFF":
        place = 12
        while place + 8 <= len(content):
            name, length = struct.unpack("<4sI", content[place : place + 8])
            if name not in (b"fmt ", b"data"):
                found.append(name.decode("latin-1"))
            place += 8 + length + length % 2
        if place < len(content):
            found.append("rest")
    elif content[:4] == b"fLaC":
        place, last = 4, False
        while not last and place + 4 <= len(content):
            last, kind = bool(content[place] & 0x80), content[place] & 0x7F
            length = int.from_bytes(content[place + 1 : place + 4], "big")
            vendor_only = kind == 4 and content[place + 4 + length - 4 : place + 4 + length] == bytes(4)
            if kind != 0 and not vendor_only:
                found.append(f"block{kind}")
            place += 4 + length
    else:
        with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(os.fsencode(file)) as opened:
            found += sorted(opened.copy_metadata())  # what libsndfile cannot open is compared by its kind
        found += ["ID3"] * (content[:3] == b"ID3") + ["ID3v1"] * (content[-128:-125] == b"TAG")
    return " ".join(found)


def name_words(files: Sequence[Path], real: Sequence[bool]) -> list[str]:
    """For each file the words of its name that all clips of its kind share and none of the other kind has.

    The random ids of a build hold no words; names of songs may, but not the same in all of one kind.
    """
    words = [_words(file.stem) for file in files]
    telling: dict[bool, set[str]] = {}
    for kind in (True, False):
        own = [found for found, is_real in zip(words, real, strict=True) if is_real == kind]
        others = [found for found, is_real in zip(words, real, strict=True) if is_real != kind]
        shared = set.intersection(*own) if own else set()
        telling[kind] = shared - set().union(*others) if others else set()
    return [" ".join(sorted(telling[is_real])) for is_real in map(bool, real)]


def _words(stem: str) -> set[str]:
    if STIMULUS_ID.fullmatch(stem):
        return set()
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}", stem)}


OF_FOLDERS = ("order in the folder", "order of writing")  # of two folders they say how those were filled


def check_formats(
    clips: Sequence[Heard], facts: Mapping[Path, Mapping], loose: bool
) -> tuple[list[Finding], list[Property]]:
    """Findings of format, and the properties that vary and are to be tested as form is."""
    real = np.array([heard.real for heard in clips], bool)
    words = name_words([heard.file for heard in clips], list(real))
    compressed = any(heard.file.suffix == ".flac" for heard in clips)
    findings, varying = [], []
    for wanted in FORMAT:
        if wanted.name == "name words":
            values: list = words
        elif wanted.name == "bytes":
            values = ["as sealed" if heard.as_sealed else "changed since" for heard in clips]
        else:
            values = [facts[heard.file][wanted.name] for heard in clips]
        if wanted.name == "file size" and compressed and not loose:
            continue  # it is tested: COMPRESSED
        kinds = [
            {value for value, is_real in zip(values, real, strict=True) if is_real == kind} for kind in (1, 0)
        ]
        verdict = "same" if len(set(values)) <= 1 else "leak"
        if wanted.name == "bytes" and "changed since" in values:
            verdict = "leak"
        if wanted.name == "chunks" and values and values[0] and not loose:
            verdict = "leak"
        if loose and verdict == "leak" and (kinds[0] & kinds[1] or min(map(len, kinds)) > 1):
            verdict = "unclear"
            if wanted.name in OUTER:
                varying.append(replace(wanted, kind="form", mend=_loose_mend(wanted)))
                continue
        mend = (_loose_mend(wanted) if loose else wanted.mend) if verdict == "leak" else ""
        shown = [shown_range(sorted(kind)) for kind in kinds]
        judged = (None, None, None, None, verdict, mend, wanted.noticed_by)
        findings.append(Finding(ALL_SETS, str(wanted), "format", *shown, *judged))
    return findings, varying


def _loose_mend(wanted: Property) -> str:
    return f"bring all files to one {wanted.name} before they are heard, as `study build` does by [stimuli]"


def outer_numbers(facts: Mapping) -> dict[str, float]:
    return {name: float(facts[name]) for name in OUTER}


def file_orders(clips: Sequence[Heard]) -> dict[str, np.ndarray]:
    """ORDER's values for clips sorted by name; those of presentation only where every clip has them."""
    stats = [heard.file.stat() for heard in clips]
    listing = {
        folder: {found.name: place for place, found in enumerate(folder.iterdir())}
        for folder in {heard.file.parent for heard in clips}
    }
    found = {
        "order of names": np.arange(len(clips), dtype=float),
        "order in the folder": np.array([float(listing[one.file.parent][one.file.name]) for one in clips]),
        "order of writing": np.array([float(facts.st_ctime_ns) for facts in stats]),
    }
    for name, values in (
        ("order of presentation", [heard.presented for heard in clips]),
        ("times presented", [heard.times for heard in clips]),
    ):
        if None not in values:
            found[name] = np.array(values, float)
    return found
