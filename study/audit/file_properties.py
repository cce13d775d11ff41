"""What a stimulus file is from outside: the properties FORMAT, read without listening."""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import soundfile

from caw.files import sound_files
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
