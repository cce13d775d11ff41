"""What the names of recordings tell: split and song. Heuristics; `RULES` states them for readers."""

from __future__ import annotations

import re
from pathlib import Path

NO_SPLIT = "-"
SPLITS = {
    "training": {"train", "training"},
    "testing": {"test", "tests", "testing"},
    "validation": {"val", "valid", "validation", "validating", "dev"},
}
# Words at a name's end that tell the pieces of one song apart.
PIECES = {"vocals", "vocal", "drums", "bass", "other", "accompaniment", "instrumental", "mix", "mixture"}
PIECES |= {"master", "stereo", "mono", "intro", "verse", "prechorus", "chorus", "bridge", "solo", "outro"}
PIECES |= {"part", "section", "segment", "seg", "excerpt", "chunk", "loop", "take", "passage"}
PIECES |= {"real", "fake", "original", "gt", "rec", "umg", "var", "seed"}
# Words that name no song.
PLAIN = {"audio", "sound", "sounds", "wav", "wavs", "flac", "mp3", "stems", "clip", "clips", "songs", "song"}
PLAIN |= {
    "track",
    "tracks",
    "data",
    "dataset",
    "music",
    "recordings",
    "recording",
    "file",
    "files",
    "untitled",
}
RULES = (
    "Split: the nearest folder, the given one included, with train(ing), test(ing) or val(id, idation), dev "
    f"as a word of its name; {NO_SPLIT} where there is none.",
    "Song: the file's name without numbers and words at its end that tell the pieces of a song apart (take, "
    "part, verse, mix, vocals, real, fake and the like). Where nothing is left, the nearest folder that is "
    "neither a split nor a plain word such as audio or stems.",
)


def split_of(name: str, top: str = "") -> str:
    """training, testing, validation or "-", by the nearest folder of a relative name; `top` comes last."""
    for folder in [*reversed(Path(name).parts[:-1]), top]:
        if kind := _split(folder):
            return kind
    return NO_SPLIT


def song_of(name: str) -> str:
    """The song that a file belongs to, by its relative name."""
    path = Path(name)
    parts = re.split(r"([\s_\-.()]+)", path.stem)  # words and, between them, what parts them
    while parts and (not parts[-1] or parts[-1].isdigit() or _is_piece(parts[-1])):
        parts = parts[:-2]
    if parts:
        rest = "".join(parts)
        return path.stem if _plain(rest) else rest  # "Track 2" is no piece of a song called "Track"
    for folder in reversed(path.parts[:-1]):
        if not _split(folder) and (not _plain(folder) or re.search(r"\d", folder)):
            return folder
    return path.stem


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts if part]


def _split(folder: str) -> str:
    words = set(re.split(r"[^a-z]+", folder.lower()))
    return next((kind for kind, known in SPLITS.items() if words & known), "")


def _is_piece(word: str) -> bool:
    return re.sub(r"\d+$", "", word.lower()) in PIECES


def _plain(text: str) -> bool:
    words = [word for word in re.split(r"[\W_\d]+", text.lower()) if word]
    return all(word in PLAIN or word in PIECES for word in words)
