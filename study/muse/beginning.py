"""The beginning of `study muse`: a new folder from a song, or going on in the one that is there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from caw import audio
from caw.files import atomic, file_names
from study.muse.folder import MUSE, OURS, MuseError, MuseFolder, Settings

SECONDS = 25.0  # of the song that are learned from, if not asked otherwise
EPOCHS = 600
CLIPS = 6
PLACE = 1 / 3  # of the song that is left before the passage: beginnings are often sparse
_CHANGEABLE = ("epochs", "clips", "language")  # in a folder that is there


def prepare(song: Path, path: Path | None = None, **asked: Any) -> tuple[MuseFolder, list[str]]:
    """The folder for a song, made or gone on with, and lines that say so.

    path: the folder; by default SONG-muse beside the song. asked: fields of `Settings`, None for those that
    nobody asked for. Nothing is made where the song cannot be used. Raises MuseError, and AudioError
    for the song.
    """
    folder = MuseFolder(path if path is not None else song.with_name(f"{song.stem}-muse"))
    asked = {key: value for key, value in asked.items() if value is not None}
    _require_ours(folder)
    if folder.toml.is_file():
        return folder, _go_on(folder, song, asked)
    return folder, _make(folder, song, asked)


def _require_ours(folder: MuseFolder) -> None:
    """Raise MuseError for a path that holds anything else."""
    path = folder.path
    if path.exists() and not path.is_dir():
        raise MuseError(f"{path}: is a file", "name a folder with --dir")
    if not path.is_dir() or folder.toml.is_file():
        return
    if (path / "study.toml").exists():
        raise MuseError(f"{path}: holds a study (study.toml)", "name another folder with --dir")
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in OURS)
    if others := [name for name in others if not name.endswith(atomic.TEMPORARY)]:
        what = f"{path}: holds other files, such as {file_names.shown(others[0])}, and no {MUSE}"
        raise MuseError(what, "name a new folder with --dir")


def _make(folder: MuseFolder, song: Path, asked: Mapping[str, Any]) -> list[str]:
    whole = audio.inspect(song).seconds
    seconds = min(asked.get("seconds", SECONDS), whole)
    start = asked.get("start", PLACE * max(0.0, whole - seconds))
    if start >= whole:
        raise MuseError(f"--start {start:g} lies behind the end of {song.name}", f"it has {whole:.1f} s")
    seconds = min(seconds, whole - start)
    settings = _checked(
        {"epochs": EPOCHS, "clips": CLIPS, "seed": secrets.randbelow(2**31)}
        | asked
        | {"song": file_names.shown(song.name), "sha256": atomic.sha256(song)}
        | {"start": round(start, 3), "seconds": round(seconds, 3)}
    )
    samples, rate = audio.read(song, start=settings.start, seconds=settings.seconds)
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.opened():  # two commands at once make one folder
        if not folder.toml.is_file():
            audio.write(folder.passage, audio.within_full_scale(samples, song.name), rate)
            folder.write_settings(settings)
    return [_passage(settings), f"{folder.path} holds all that is made; the same command goes on there."]


def _go_on(folder: MuseFolder, song: Path, asked: Mapping[str, Any]) -> list[str]:
    settings = folder.settings()
    if atomic.sha256(song) != settings.sha256:
        what = f"{folder.path}: was made from another song ({settings.song})"
        raise MuseError(what, "name a new folder with --dir")
    for name in ("start", "seconds"):
        if name in asked and abs(asked[name] - getattr(settings, name)) > 0.001:
            what = f"--{name} {asked[name]:g}: {folder.path} was made with {getattr(settings, name):g}"
            raise MuseError(what, f"leave --{name} out, or name a new folder with --dir")
    changes = {name: asked[name] for name in _CHANGEABLE if name in asked}
    changed = _checked(settings.model_dump() | changes)
    if changed != settings:
        with folder.opened():
            folder.write_settings(changed)
    return [_passage(changed), f"Going on in {folder.path}."]


def _passage(settings: Settings) -> str:
    first, last = (_clock(at) for at in (settings.start, settings.start + settings.seconds))
    return f"Learns from {first} to {last} of {settings.song}; --start and --seconds choose another passage."


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def _checked(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        bound = fault.get("ctx", {})
        least = next((bound[key] for key in ("ge", "gt") if key in bound), None)
        fix = (
            f"give {least:g} or more"
            if least is not None
            else f"give {bound.get('le', bound.get('expected'))} or less"
        )
        if "expected" in bound:
            fix = f"use {bound['expected']}"
        raise MuseError(f"--{fault['loc'][0]} is {fault['input']!r}", fix) from None
