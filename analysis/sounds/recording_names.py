"""What names of recordings say: split, song, section, mode and epochs. Heuristics, stated in `RULES`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePosixPath

NO_SPLIT = "-"
SPLITS = {
    "training": {"train", "training"},
    "testing": {"test", "tests", "testing"},
    "validation": {"val", "valid", "validation", "validating", "dev"},
}
UMG, VAR, UNCLEAR = "UMG", "VAR", "verse or VAR"
MODES = {"umg": UMG, "unconditional": UMG, "var": VAR, "variation": VAR, "variations": VAR}


def _words(text: str) -> set[str]:
    return set(text.split())


SECTIONS = _words(
    "intro verse prechorus chorus postchorus refrain bridge interlude instrumental solo outro ending strophe "
    "zwischenspiel"
)
# Only after the name or number of a song, as in S1_V; elsewhere a V is a V, and The End a song.
SHORT = {"ch": "chorus", "pc": "prechorus", "br": "bridge", "in": "intro", "out": "outro", "end": "ending"}
SHORT |= {"c": "chorus", "b": "bridge", "i": "intro", "o": "outro", "e": "ending", "vs": "verse"}
SHORT |= {word: word for word in _words("riff theme hook drop break breakdown coda tag vers schluss ende")}
# Words at a name's end that tell the pieces of one song apart.
PIECES = {*SECTIONS, *MODES} | _words(
    "vocals vocal drums bass other accompaniment mix mixture master stereo mono part section segment seg "
    "excerpt chunk loop take passage real fake original generated gt rec seed demo draft rough bounce "
    "version export copy final ep epoch epochs"
)
# Words that name no song.
PLAIN = _words(
    "audio sound sounds wav wavs flac mp3 stems clip clips songs song track tracks data dataset music "
    "recordings recording file files untitled"
)
FEWEST_EPOCHS, MOST_EPOCHS = 50, 99_999  # a number alone in this range beside a mode is its epochs
RULES = (
    "Split: the nearest folder, the given one included, with train(ing), test(ing) or val(id, idation), dev "
    f"as a word of its name; {NO_SPLIT} where there is none.",
    "Song: S, Song or Track with its number where the name or a folder begins so (S1_V, S3 ending). "
    "Otherwise the file's name without numbers and words at its end that tell the pieces of a song apart "
    "(take, part, verse, mix, vocals, real, fake, UMG, 2000ep and the like); where nothing is left, the "
    "nearest folder that is neither a split nor a plain word such as audio or stems. Capitals, signs and "
    "leading zeros part no songs: Blue Moon and blue_moon are one.",
    "Part: section, mode and epochs in the name, or in the nearest folder that has them. After a song's "
    "number, or a name that other files have, too, letters count: C or CH chorus, B bridge, PC prechorus, I "
    "intro, O outro, U UMG. V is VAR with epochs beside it, or where that song has UMG but no VAR and no "
    "section; verse where it has VAR, or sections and no UMG; otherwise "
    f"{UNCLEAR!r}. A number of {FEWEST_EPOCHS} or more beside a mode is epochs.",
)
_NUMBERED = re.compile(r"(?:s|song|track|lied|stück)[\s_-]*\d+(?![^\W_])", re.IGNORECASE)
_LETTERED = re.compile(r"(.*\w)[\s_\-.(]+([^\W\d_]+)\d*\)?")
_EPOCHS = re.compile(r"(?:ep|epochs?)(\d+)|(\d+)(?:ep|epochs?)", re.IGNORECASE)
_SPOKEN = ((r"pre[\s_-]+chorus", "prechorus"), (r"post[\s_-]+chorus", "postchorus"))
_SPOKEN += ((r"middle[\s_-]*(?:8|eight)", "middle8"), (r"(\d+)[\s_-]+(?=ep\b|ep_|epochs?)", r"\1"))
_SPOKEN += ((r"\b(epochs?|ep)[\s_-]+(?=\d)", r"\1"),)


@dataclass(frozen=True)
class RecordingName:
    """What a recording's name says; "" and None where it says nothing."""

    split: str
    song: str
    section: str = ""
    mode: str = ""  # UMG, VAR, or "verse or VAR" where a V may be either
    epochs: int | None = None


def read(names: Sequence[str], top: str = "") -> list[RecordingName]:
    """What relative names with / say, each in the company of the others. top: the folder they are in."""
    begun = _lettered(names)
    parsed = [_alone(name, top, begun.get(name, "")) for name in names]
    spelled: dict[str, str] = {}
    parsed = [replace(one, song=spelled.setdefault(same(one.song), one.song)) for one in parsed]
    company: dict[str, list[RecordingName]] = {}
    for one in parsed:
        company.setdefault(one.song, []).append(one)
    return [_decided(one, company[one.song]) for one in parsed]


def split_of(name: str, top: str = "") -> str:
    """training, testing, validation or "-", by the nearest folder of a relative name; `top` comes last."""
    folders = [*reversed(PurePosixPath(name).parts[:-1]), top]
    return next(filter(None, map(_split, folders)), NO_SPLIT)


def song_of(name: str) -> str:
    """The song that a file belongs to, by its relative name."""
    path = PurePosixPath(name)
    folders = list(reversed(path.parts[:-1]))
    begun = _NUMBERED.match(path.stem)
    if begun and (begun[0] != path.stem or not _plain(path.stem)):
        return begun[0]
    if numbered := next(filter(None, map(_NUMBERED.match, folders)), None):
        return numbered[0]
    if rest := _without_pieces(path.stem):
        return path.stem if _plain(rest) else rest  # "Track 2" is no piece of a song called "Track"
    for folder in folders:
        if not _split(folder) and (not _plain(folder) or re.search(r"\d", folder)):
            return _without_pieces(folder) or folder
    return path.stem


def same(song: str) -> str:
    """A song's name without what parts no songs: capitals, signs between words, zeros before a number."""
    words = re.findall(r"[^\W\d_]+|\d+", song.casefold())
    return " ".join(word.lstrip("0") or word for word in words) or song


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part.lower()) for part in parts if part]


def _lettered(names: Sequence[str]) -> dict[str, str]:
    """Names that are the name of a song and a letter or two, as Blue_CH -> its song, where other files are of
    that song; so Plan_B alone is a song."""
    songs = Counter(same(song_of(name)) for name in names)
    ends = {name: end for name in names if (end := _LETTERED.fullmatch(PurePosixPath(name).stem))}
    ends = {name: end[1] for name, end in ends.items() if end[2].lower() in {*SHORT, "v", "u"}}
    sharing = songs + Counter(map(same, ends.values()))
    return {name: song for name, song in ends.items() if sharing[same(song)] > 1}


def _alone(name: str, top: str, begun: str) -> RecordingName:
    """What a name says by itself; a V that is a verse or VAR stays so. begun: the song, where it is known."""
    path, parts = PurePosixPath(name), {"section": "", "mode": "", "epochs": None}
    short = bool(begun) or any(map(_NUMBERED.match, [path.stem, *path.parts[:-1]]))
    for part in [path.stem.removeprefix(begun), *reversed(path.parts[:-1])]:
        if not _split(part):
            parts = {key: parts[key] or value for key, value in _part(part, short, parts["mode"]).items()}
    return RecordingName(split_of(name, top), begun or song_of(name), **parts)


def _part(text: str, short: bool, mode: str) -> dict[str, str | int | None]:
    """Section, mode and epochs of a file's stem or a folder's name. mode: what is known of it already."""
    for pattern, spoken in _SPOKEN:
        text = re.sub(pattern, spoken, text, flags=re.IGNORECASE)
    rest = text[begun.end() :] if (begun := _NUMBERED.match(text)) else text
    words = re.findall(r"[^\W_]+", rest.lower())
    section, epochs = "", None
    for word, following in pairwise([*words, ""]):
        plain, number = re.fullmatch(r"(.*?)(\d*)", word).groups()
        if tagged := _EPOCHS.fullmatch(word):
            epochs = int(tagged[1] or tagged[2])
        elif MODES.get(plain) or (short and plain == "u"):
            mode = MODES.get(plain, UMG)
        elif short and plain == "v":
            mode = mode or UNCLEAR
        elif word == "middle8":
            section = "middle 8"
        elif plain in SECTIONS or (short and plain in SHORT):
            number = number or (following if following.isdecimal() and len(following) == 1 else "")
            section = f"{SHORT.get(plain, plain)} {number}".strip()
    if mode and epochs is None:
        bare = [int(word) for word in words if word.isdecimal() and len(word) <= len(str(MOST_EPOCHS))]
        epochs = next((number for number in bare if number >= FEWEST_EPOCHS), None)
    return {"section": section, "mode": mode, "epochs": epochs}


def _decided(one: RecordingName, company: Iterable[RecordingName]) -> RecordingName:
    """A V, which may be a verse or VAR, by its epochs or by what else there is of its song."""
    if one.mode != UNCLEAR:
        return one
    modes, sections = {other.mode for other in company}, any(other.section for other in company)
    if one.epochs or (UMG in modes and VAR not in modes and not sections):
        return replace(one, mode=VAR)
    if VAR in modes or (sections and UMG not in modes):
        return replace(one, mode="", section="verse")
    return one


def _without_pieces(text: str) -> str:
    """A name without the words at its end that tell the pieces of a song apart."""
    parts = re.split(r"([\s_\-.()]+)", text)  # words and, between them, what parts them
    while parts and (not parts[-1] or parts[-1].isdigit() or _is_piece(parts[-1])):
        parts = parts[:-2]
    return "".join(parts)


def _split(folder: str) -> str:
    words = set(re.split(r"[^a-z]+", folder.lower()))
    return next((kind for kind, known in SPLITS.items() if words & known), "")


def _is_piece(word: str) -> bool:
    return bool(_EPOCHS.fullmatch(word)) or re.sub(r"\d+$", "", word.lower()) in PIECES | {
        "middle",
        "pre",
        "post",
    }


def _plain(text: str) -> bool:
    words = [word for word in re.split(r"[\W_\d]+", text.lower()) if word]
    return all(word in PLAIN or word in PIECES for word in words)
