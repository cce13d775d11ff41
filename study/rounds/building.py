"""`study more`: choose, make, blind, seal and register a next round for one listener.

The key of what the listener has answered is read here, inside the program: it decides what is made, and
nothing of it is shown. Every step ends in one rename, so a round that was killed goes on where it stopped;
the listener has it once it is registered, in one transaction at the very end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import tomlkit

from caw.files import atomic
from caw.problems import ProblemError
from study import blinding, design
from study.audit.audit import Audit
from study.backends import seed_for
from study.build import blinded_sets, build, sources
from study.build.plan import BuildPlan
from study.build.progress import BuildProgress
from study.design import Design
from study.design.next_rounds import FEWEST
from study.engines import Engine
from study.engines.local import LocalEngine
from study.folder import ROUNDS, StudyFolder, make_private
from study.pool import ORIGINAL
from study.rounds import rule, settings
from study.store.sessions import account
from study.store.store import Store

RECORD = "rule.json"  # in private/ of a round: what was believed, and every draw
_NOTES = ("all clips: ", "loudness ")  # what these begin with names no clip
READ = "key read for a next round"  # in the study's log


class RoundError(ProblemError):
    """A next round that cannot be made as things stand."""


@dataclass(frozen=True)
class NextRound:
    """A next round: for whom, which, and how many of its clips were chosen how.

    made: clips that were added to its pool. audit: of new sets; None where they were there already.
    """

    listener: str
    number: int
    folder: StudyFolder
    sampled: int
    fresh: int
    originals: int
    made: int = 0
    audit: Audit | None = None


@dataclass(frozen=True)
class _Planned:
    round: NextRound
    design: Design
    plan: BuildPlan
    drawn: dict[str, str]
    record: dict[str, Any]


def more(
    folder: StudyFolder,
    listener: str,
    *,
    clips: int | None = None,
    fresh: float | None = None,
    dry_run: bool = False,
    progress: BuildProgress | None = None,
    engine: Engine | None = None,
) -> NextRound:
    """Make a next round for a listener who has finished, and give it to them.

    Parameters
    ----------
    folder : StudyFolder
        The study.
    listener : str
        Who it is for, as invited.
    clips : int, optional
        Machine-made clips; by default those of [more], or as many as the first set has.
    fresh : float, optional
        The share of them that is drawn evenly; by default that of [more].
    dry_run : bool, optional
        Choose, and make nothing.
    progress : BuildProgress, optional
        Where the round reports how far it is. It names no clip, as their names tell what was chosen.
    engine : Engine, optional
        Where clips are made. By default on this machine.

    Returns
    -------
    NextRound
        Whom it is for, its number, and its counts.

    Raises
    ------
    RoundError
        Where nothing that was answered tells what the listener likes, or nothing can be made.
    StoreError
        Where the listener is unknown or has not finished, or the study is closed.
    BlindingError
        Where a key is not the one that was sealed.
    DesignError, BuildError, CellsFailed, LeakError
        As of `study.build.build.build`.
    """
    stated = design.load(folder.require().path)
    listener = " ".join(listener.split())
    shown = _Discreet(progress)
    store = Store.for_folder(folder)
    try:
        listener_id, number = store.next_round(listener)
        sealed = store.build()
        if sealed is None or sealed.design_digest != stated.digest():
            what = "study.toml is not the one the study was built with"
            raise RoundError(f"{folder.toml}: {what}", f"put it back, or run `study build {folder.path}`")
        with _one_at_a_time(folder, shown, dry_run):
            store.log_event(account(), READ, f"{listener}, round {number}; by study more, shown to nobody")
            planned = _planned(folder, stated, store, listener, listener_id, number, clips, fresh)
            if dry_run:
                return planned.round
            made = _made(folder, planned, shown, engine or LocalEngine())
            ids = blinded_sets.ids_in_key(made.folder)
            store.register_round(
                listener,
                number=number,
                stimuli={name: ids[name] for name in planned.design.sets},
                key_sha256=blinding.seal(made.folder),
                folder=str(made.folder.path.relative_to(folder.path)),
            )
            return made
    finally:
        store.close()


class _Discreet(BuildProgress):
    """Progress that names no clip."""

    def __init__(self, other: BuildProgress | None) -> None:
        super().__init__(other.console if other else None)

    def begin(self, part: Any, cost: float, text: str, behind: float = 0.0) -> None:
        super().begin(part, cost, "make the clips", behind)

    def update(self, share: float, text: str, part: Any = None) -> None:
        super().update(share, "make the clips", part)

    def end(self, part: Any, text: str) -> None:
        super().end(part, text and "a part of the round")

    def note(self, text: str) -> None:
        if text.startswith(_NOTES):
            super().note(text)

    def warn(self, text: str) -> None:
        """Show nothing: a warning about sound names the clip."""


@contextmanager
def _one_at_a_time(folder: StudyFolder, progress: BuildProgress, dry_run: bool) -> Iterator[None]:
    if dry_run:
        yield
        return
    with build.working(folder, progress):
        yield


def _planned(
    folder: StudyFolder,
    stated: Design,
    store: Store,
    listener: str,
    listener_id: int,
    number: int,
    clips: int | None,
    fresh: float | None,
) -> _Planned:
    """What the round is to be, from what the listener has answered. Nothing is written."""
    key = [
        *blinding.read_key(folder, store.build().key_sha256),
        *blinding.keys_of_rounds(folder, store.rounds(listener_id)),
    ]
    heard = _heard(store, listener)
    met = {name for name, _ in heard}  # a group of listeners may hear some of the sets alone
    sets = {name: one for name, one in stated.sets.items() if name in met}
    stated = stated.model_copy(update={"sets": sets})
    rows = {(row["set"], row["stimulus_id"]): row for row in key}
    share = stated.more.fresh if fresh is None else fresh
    count = clips or stated.more.clips or max(FEWEST, next(iter(stated.sets.values())).fakes)
    passages = sources.passages(stated, folder)
    grid = settings.grid(stated, folder, passages)
    pilot = any(one.name == listener and one.pilot for one in store.listeners())
    outcomes = [
        (settings.arm_of(rows[answer["set"], answer["stimulus_id"]]), worth)
        for answer in store.answers(pilot=pilot)
        if answer["listener"] == listener
        and rows[answer["set"], answer["stimulus_id"]]["truth"] == "fake"
        and (worth := rule.reward(kept=answer["kept"], inspiring=answer["inspiring"])) is not None
    ]
    if not outcomes:
        what = f"{listener} has said of no machine-made clip whether it inspires, and has kept none"
        raise RoundError(what, "there is nothing to choose a next round by")
    if not grid:
        raise RoundError(f"{folder.path}: no [[source]] makes clips", "a round needs one")
    arms = list(grid)
    seed = seed_for(stated.study.seed, "round", listener, number)
    chosen = rule.choose(arms, outcomes, count, share, seed)
    cells = [grid[choice.arm][0] for choice in chosen]
    own = settings.derived(stated, cells)
    plan, drawn = settings.plan(
        own,
        folder,
        grid,
        chosen,
        mark=f"{number}.",
        heard={row["name"] for place, row in rows.items() if place in heard or row["backend"] == ORIGINAL},
    )
    place = StudyFolder(folder.path / ROUNDS / settings.folder_name(listener, listener_id, number))
    ways = [choice.why for choice in chosen]
    counts = ways.count(rule.SAMPLED), ways.count(rule.FRESH), len(plan.originals)
    record = {"listener": listener, "round": number} | rule.record(arms, outcomes, chosen, share, seed)
    return _Planned(NextRound(listener, number, place, *counts), own, plan, drawn, record)


def _heard(store: Store, listener: str) -> set[tuple[str, str]]:
    """Set and id of every clip that the listener has had, practice included."""
    everything = [*store.answers(practice=True), *store.answers(practice=True, pilot=True)]
    return {(row["set"], row["stimulus_id"]) for row in everything if row["listener"] == listener}


def _made(folder: StudyFolder, planned: _Planned, progress: BuildProgress, engine: Engine) -> NextRound:
    """The round in its folder: its record, its design, its clips, its sets and its sealed key."""
    place = planned.round.folder
    make_private(folder.path / ROUNDS)
    make_private(place.path)
    place.make_private()
    make_private(folder.models)
    if not place.models.is_symlink():
        place.models.symlink_to(os.path.relpath(folder.models, place.path))
    atomic.write(place.private / RECORD, json.dumps(planned.record, indent=1) + "\n", mode=0o600)
    atomic.write(place.toml, _as_toml(planned.design, folder), mode=0o600)

    def mark(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row[blinding.DRAWN] = planned.drawn.get(row["name"], "")

    blinded_sets.sweep(place)
    made, audit = build.make_sets(place, planned.design, planned.plan, progress, engine, before_sealing=mark)
    return replace(planned.round, made=made, audit=audit)


def _as_toml(own: Design, folder: StudyFolder) -> str:
    """The design of a round as the study.toml of its folder, from which sound files lie two folders up."""
    tables = own.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"more", "researcher"})
    for entry in [*tables.get("source", []), *tables.get("imported", []), *tables.get("song", [])]:
        entry["file"] = os.path.join("..", "..", entry["file"])  # an absolute path stays one
    head = (
        "# A next round of one listener, as `study more` derived it. It tells what was chosen: to look is\n"
    )
    return (
        head
        + "# to be unblinded to this round. Nothing is built or served from here.\n\n"
        + tomlkit.dumps(tables)
    )
