"""[[song]]: an unfinished song, and what clips that are made for it are to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator

from study.design.errors import SettingError
from study.design.settings import PLAN_KEYS, Mode, PlanRequest, Recording, Variant

if TYPE_CHECKING:
    from study.design import Design

SHORTEST = 4.0  # s of a passage: less does not say how the song goes
REWORK = "rework"
Lacks = Literal["bridge", "ending", "chorus", "verse", "intro", "rework"]
_NEEDED = {"bridge": ("before", "after"), "ending": ("before",), "intro": ("after",), REWORK: ("passage",)}
_POSSIBLE = _NEEDED | {"chorus": ("before", "after"), "verse": ("before", "after")}
_SHAPING = ("plan", "chords", "form", "novelty")  # keys of new bars, which a variation has none of


def _as_stretch(value: Any) -> Any:
    """Two moments of a file, the first before the second."""
    numbers = isinstance(value, list | tuple) and all(
        isinstance(one, int | float) and not isinstance(one, bool) for one in value
    )
    if not numbers or len(value) != 2:
        raise SettingError("is no passage", "write where it begins and ends, in s, as [12.0, 30.5]")
    begin, end = map(float, value)
    if not 0 <= begin < end or end == float("inf"):
        raise SettingError("does not end after it begins", "write [begin, end], in s from the file's start")
    if end - begin < SHORTEST:
        raise SettingError(f"lasts {end - begin:g} s", f"give {SHORTEST:g} s or more")
    return begin, end


Stretch = Annotated[tuple[float, float], BeforeValidator(_as_stretch)]


class Song(Recording):
    """[[song]]: an unfinished song that clips are made for.

    Each combination of training and epoch count, for a rework also of strength, is a cell.

    Attributes
    ----------
    title : str
        What listeners read; by default its name.
    lacks : {"bridge", "ending", "chorus", "verse", "intro", "rework"}
        What clips are to be: new bars for the gap, or variations of a passage.
    before, after : tuple of float, optional
        Where the passages around the gap begin and end, in s of the file, cut at bar lines. Models learn from
        them.
    passage : tuple of float, optional
        The passage that is reworked.
    """

    title: str = ""
    lacks: Lacks
    before: Stretch | None = None
    after: Stretch | None = None
    passage: Stretch | None = None

    @property
    def shown(self) -> str:
        """What listeners read."""
        return self.title or self.name

    @property
    def made_for(self) -> str:
        """The song that its clips are made for."""
        return self.name

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The mode of its clips: new music, or variations of a passage."""
        return ("VAR",) if self.lacks == REWORK else ("UMG",)

    @property
    def learnt(self) -> tuple[tuple[float, float], ...]:
        """What models learn from, in s of the file."""
        return tuple(one for one in (self.before, self.after, self.passage) if one is not None)

    @property
    def start(self) -> float:
        """Where the first passage that models learn from begins, in s."""
        return self.learnt[0][0]

    @property
    def seconds(self) -> float:
        """The length of the first passage that models learn from."""
        return self.learnt[0][1] - self.learnt[0][0]

    @property
    def plan_requests(self) -> dict[str, PlanRequest]:
        """The one plan of its clips, by the name that the key has for it."""
        own = {key: getattr(self, key) for key in PLAN_KEYS}
        return {variant.plan: PlanRequest(**own) for variant in self.variants(self.modes[0])[:1]}

    def variants(self, mode: Mode) -> list[Variant]:
        """The variants of this mode, which is among its `modes`."""
        if self.lacks != REWORK:
            return [Variant(self.lacks)]
        return [Variant(strength=strength) for strength in self.strength] or [Variant()]


def check(design: Design) -> None:
    """Raise DesignError for songs that say too little, or what contradicts itself."""
    sources = {source.name for source in design.sources}
    for index, song in enumerate(design.songs):
        path = ("song", index)
        if song.name in sources:
            fix = "give one of them another `name`"
            raise design.error((*path, "name"), song.name, "is the name of a [[source]], too", fix)
        if song.name in (other.name for other in design.songs[:index]):
            raise design.error((*path, "name"), song.name, "stands twice", "give one of them another `name`")
        stated = [key for key in ("before", "after", "passage") if getattr(song, key) is not None]
        wanted = _NEEDED.get(song.lacks, ())
        if missing := [key for key in wanted if key not in stated]:
            what = f"{_with_article(song.lacks)} needs it, and it is missing"
            raise design.error((*path, missing[0]), None, what, f"add {missing[0]} = [begin, end], in s")
        if not stated:
            fix = "add before = [begin, end] or after = [begin, end], in s, or both"
            what = f"{_with_article(song.lacks)} needs a passage beside it"
            raise design.error((*path, "before"), None, what, fix)
        for key in stated:
            if key not in _POSSIBLE[song.lacks]:
                what = f"{_with_article(song.lacks)} goes by {_named(_POSSIBLE[song.lacks])} alone"
                raise design.error((*path, key), list(getattr(song, key)), what, "delete this key")
        if song.before and song.after and song.before[1] > song.after[0]:
            what = f"begins before `before` ends, at {song.before[1]:g} s"
            fix = "let `after` begin where the gap ends, or swap the two"
            raise design.error((*path, "after"), list(song.after), what, fix)
        _check_keys(design, index)


def _check_keys(design: Design, index: int) -> None:
    song = design.songs[index]
    keys = _SHAPING if song.lacks == REWORK else ("strength",)
    for key in keys:
        if (value := getattr(song, key)) not in (None, ()):
            what = "is for new bars, and a rework has none"
            if song.lacks != REWORK:
                what = f"is for a rework, and this song lacks {_with_article(song.lacks)}"
            value = list(value) if isinstance(value, tuple) else value
            raise design.error(("song", index, key), value, what, "delete this key")


def _with_article(lacks: str) -> str:
    return f"an {lacks}" if lacks[0] in "aeiou" else f"a {lacks}"


def _named(keys: Iterable[str]) -> str:
    return " and ".join(f"`{key}`" for key in keys)
