"""[pairs]: the paired task, in which two clips stand side by side; and what does not go together with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from study.design.settings import Count, SettingsTable

if TYPE_CHECKING:
    from study.design import Design

PAIRED = "paired"  # listening.task
REAL, INSPIRING = "real", "inspiring"  # the questions of a pair


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
            path, fix = ("listening", "task"), 'write task = "paired", or delete the table [pairs]'
            raise design.error(
                path, design.listening.task, "asks for single clips, but there are [pairs]", fix
            )
        return
    _fits(design)
    single = "is for single clips, and this study asks about pairs"
    for table, key, off in (
        ("listening", "passes", 1),
        ("listening", "take_home", False),
        ("listening", "debrief", False),
        ("stimuli", "repeats", 0),
        ("questions", "confidence", False),
        ("analysis", "primary", "judged real"),
        ("analysis", "accuracy_bound", None),
        ("analysis", "musicality_bound", None),
        ("analysis", "equivalence", None),
        ("analysis", "exclude", ()),
    ):
        value = getattr(getattr(design, table), key)
        if value != off:
            raise design.error((table, key), value, single, 'delete it, or write task = "single"')

    if design.songs:
        fix = 'delete the tables [[song]], or write task = "single"'
        raise design.error(("song", 0, "name"), design.songs[0].name, single, fix)
    for index, question in enumerate(design.own_questions):
        if question.ask == "clip":
            fix = 'ask "before" or at the "end"'
            raise design.error(("question", index, "ask"), "clip", single, fix)


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
