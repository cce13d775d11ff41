"""Which clips a round holds: sketches and a spread of kinds first, then what the choices ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from study.backends import seed_for
from study.muse.folder import KEPT, NOT_KEPT, Choice, PlannedClip, Round
from study.muse.kinds import KINDS, NAMES
from study.rounds import rule

FRESH = 0.25  # share of a round that is drawn evenly, whatever was kept
SKETCHES = ("new-bold", "variation-halfway", "bridge-close")  # made early in the training, quickest first
SPREAD = ("new-close", "bridge-bold", "chords", "variation-bold", "continuation-close", "tempo-faster")
EARLY, FIRST = "early", "first"  # why a clip is there, besides the rule's reasons


def first(kinds: Iterable[str], clips: int, seed: int, *, sketches: bool) -> Round:
    """The first round: sketches where the training has an early stop, and a spread of the possible kinds."""
    kinds = list(kinds)
    early = [kind for kind in SKETCHES if kind in kinds] if sketches else []
    order = [kind for kind in SPREAD if kind in kinds]
    order += [kind for kind in kinds if kind not in order]
    planned = [(kind, EARLY) for kind in early] + [(order[k % len(order)], FIRST) for k in range(clips)]
    return Round(1, _named(1, seed, [(kind, why, "") for kind, why in planned]))


def following(
    kinds: Iterable[str],
    rounds: Sequence[Round],
    choices: Mapping[str, Choice],
    clips: int,
    seed: int,
    press: str = "",
) -> Round:
    """The next round by `rule.choose`: a kept clip is worth 1, one not kept 0, any other says nothing."""
    number = len(rounds) + 1
    arms = [KINDS[kind].arm for kind in kinds]
    worth = {KEPT: 1.0, NOT_KEPT: 0.0}
    outcomes = [
        (KINDS[clip.kind].arm, worth[choices[clip.name].verdict])
        for each in rounds
        for clip in each.clips
        if clip.name in choices and choices[clip.name].verdict in worth
    ]
    own = seed_for(seed, "round", number)
    chosen = rule.choose(arms, outcomes, clips, FRESH, own)
    planned = []
    for choice in chosen:
        kind = NAMES[choice.arm]
        like = kept_like(kind, rounds, choices) if choice.why == rule.SAMPLED else ""
        planned.append((kind, choice.why, like))
    record = rule.record(arms, outcomes, chosen, FRESH, own)
    return Round(number, _named(number, seed, planned), press, record)


def kept_like(kind: str, rounds: Sequence[Round], choices: Mapping[str, Choice]) -> str:
    """The kept clip nearest to a kind: the newest of the same form, of the same kind if there is one."""
    kept = [
        clip
        for each in rounds
        for clip in each.clips
        if choices.get(clip.name, Choice()).verdict == KEPT and KINDS[clip.kind].form == KINDS[kind].form
    ]
    same = [clip for clip in kept if clip.kind == kind]
    return (same or kept or [PlannedClip("", "", 0, "")])[-1].name


def _named(number: int, seed: int, planned: Iterable[tuple[str, str, str]]) -> tuple[PlannedClip, ...]:
    clips = []
    for place, (kind, why, like) in enumerate(planned, start=1):
        name = f"{number}-{place}"
        clips.append(PlannedClip(name, kind, seed_for(seed, name), why, like))
    return tuple(clips)
