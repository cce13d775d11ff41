"""[pairs]: the paired task, in which two clips stand side by side; and what does not go together with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from study.design.errors import KeyPath
from study.design.settings import Analysis, Count, Questions, SettingsTable, default_questions

if TYPE_CHECKING:
    from study.design import Design

PAIRED = "paired"  # listening.task
REAL, INSPIRING = "real", "inspiring"  # the questions of a pair
_SINGLE_KEYS = {  # by table, what means something for single clips alone
    "listening": ("passes", "take_home", "debrief", "in_place"),
    "stimuli": ("repeats",),
    "questions": tuple(key for key in Questions.model_fields if key != "final"),
    "analysis": tuple(Analysis.model_fields),
}


class Pairs(SettingsTable):
    """[pairs]: how many pairs a listener hears of each set, and what is asked beside the choice.

    Attributes
    ----------
    real : int
        Pairs of a real and a machine-made clip: which is real?
    inspiring : int
        Pairs of two machine-made clips: which inspires more?
    comment : bool
        Whether listeners may write about a pair.
    """

    real: Count = 3
    inspiring: Count = 4
    comment: bool = True


def check(design: Design) -> None:
    """Refuse pairs that no set can give, and settings that mean nothing for pairs. Raises: DesignError."""
    paired = design.listening.task == PAIRED
    if not paired:
        if design.pairs != Pairs():
            what, fix = (
                "asks for single clips, but there are [pairs]",
                'write task = "paired", or delete [pairs]',
            )
            raise design.error(("listening", "task"), design.listening.task, what, fix)
        return
    _fits(design)
    for path, value in _of_single_clips(design):
        what, fix = "is for single clips, and this study asks about pairs", f"delete {_named(path)}"
        raise design.error(path, value, what, f'{fix}, or write task = "single"')


def _of_single_clips(design: Design) -> Iterator[tuple[KeyPath, Any]]:
    """What is set and means nothing for pairs: its key, and its value where one tells more."""
    worded = default_questions(design.study.language)
    for table, keys in _SINGLE_KEYS.items():
        settings = getattr(design, table)
        for key in keys:
            default = type(settings).model_fields[key].get_default(call_default_factory=True)
            off = worded.get(key, default) if table == "questions" else default
            if (value := getattr(settings, key)) != off:
                yield (table, key), value
    if design.follow_up is not None:  # no clip of a pair can be kept
        yield ("follow_up",), None
    if design.more != type(design.more)():
        yield ("more",), None
    named = ("group", [group.name for group in design.groups]), ("song", [song.name for song in design.songs])
    for kind, names in named:
        for index, name in enumerate(names):
            yield (kind, index, "name"), name
    for index, question in enumerate(design.own_questions):
        if question.ask == "clip":
            yield ("question", index, "ask"), "clip"


def _named(path: KeyPath) -> str:
    """What to delete, in words."""
    if path[0] in ("group", "song"):
        return f"the tables [[{path[0]}]]"
    if path[0] == "question":
        return 'the question, ask it "before" or at the "end"'
    return "it" if len(path) > 1 else f"the table [{path[0]}]"


def _fits(design: Design) -> None:
    real, inspiring = design.pairs.real, design.pairs.inspiring
    if real + inspiring == 0:
        raise design.error(("pairs", "real"), 0, "leaves no pair to ask about", "raise `real` or `inspiring`")
    for name, chosen in design.sets.items():
        pairs = chosen.fakes * chosen.originals
        if real > pairs:
            what = f"set {name} has {chosen.originals} originals and {chosen.fakes} fakes: {pairs} pairs"
            raise design.error(("pairs", "real"), real, what, "lower it, or raise `originals` or `fakes`")
        pairs = chosen.fakes * (chosen.fakes - 1) // 2
        if inspiring > pairs:
            what = f"set {name} has {chosen.fakes} fakes: {pairs} pairs"
            raise design.error(("pairs", "inspiring"), inspiring, what, "lower it, or raise `fakes`")


def notes(design: Design) -> list[str]:
    """What a researcher should know of the pairs before listeners hear them."""
    if design.listening.task != PAIRED:
        return []
    lines = []
    for name, chosen in design.sets.items():
        fewest = min(chosen.originals, chosen.fakes)
        if design.pairs.real > fewest:
            times = -(-design.pairs.real // fewest)
            lines.append(
                f"set {name}: {design.pairs.real} pairs of {fewest} originals or fakes, so a listener hears "
                f"clips up to {times} times, and may know them again; `originals` and `fakes` of "
                f"{design.pairs.real} avoid it"
            )
    return lines
