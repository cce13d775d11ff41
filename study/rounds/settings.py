"""The settings that a next round chooses from, and the plan of what it has to make.

A next round is planned in the study's own folder, with its seed, recordings and trained models, so nothing is
trained again; only its clips have names that no earlier one has, and with them seeds of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from caw.files import file_names
from study import backends
from study.backends import Cell, Task
from study.build import curation, originals, sources
from study.build.curation import Choice
from study.build.originals import RepetitionError
from study.build.plan import BuildPlan
from study.build.sources import FakeClip, Passage
from study.design import BRIDGE, Design, Set, Source
from study.folder import StudyFolder
from study.rounds.rule import Arm
from study.rounds.rule import Choice as Chosen

Grid = dict[Arm, list[Cell]]  # the cells of each setting: one for each training


def grid(design: Design, folder: StudyFolder, passages: Mapping[str, Passage]) -> Grid:
    """Every setting that some set of the study may hold, and new ones between those that are stated.

    New are strengths halfway between those of a source, and plans whose novelty is halfway between theirs;
    where there is only one, halfway to the farther end of the scale.
    """
    result: Grid = {}
    for cell in sources.cells(design, passages, sources.plans(design, folder)):
        if set_of(design, cell):
            result.setdefault(arm_of(cell), []).append(cell)
    known = dict(result)
    for cell in [*_new_strengths(known), *_new_plans(known)]:
        arm = replace(arm_of(cell), new=True)
        if set_of(design, cell, new=True) and arm_of(cell) not in known:
            result.setdefault(arm, []).append(cell)
    return result


def arm_of(clip: Cell | Mapping[str, str]) -> Arm:
    """The setting of a cell, or of a clip by its row of a key."""
    if isinstance(clip, Cell):
        return Arm(clip.source, clip.backend, clip.mode, clip.epochs, clip.plan, clip.strength)
    epochs, strength = clip["epochs"], clip.get("strength") or ""
    return Arm(
        clip["source"],
        clip["backend"],
        clip["mode"],
        int(epochs) if epochs else None,
        clip.get("plan") or "",
        float(strength) if strength else None,
    )


def set_of(design: Design, cell: Cell, *, new: bool = False) -> str:
    """The first set that clips of a cell fit into, "" where none takes them.

    new: the cell has a plan or a strength that no set can name, so the others of its kind decide.
    """
    for name, chosen in design.sets.items():
        unnamed = {"plan": None, "strength": None} if new else {}
        entries = [entry.model_copy(update=unnamed) for entry in chosen.cells]
        fits = not entries or any(entry.fits(cell) for entry in entries)
        if design.mode_of(name) == cell.mode and fits:
            return name
    return ""


def derived(design: Design, chosen: Iterable[Cell]) -> Design:
    """The design of a round: the sets that its clips need, with originals in the share of the first round."""
    fakes = Counter(set_of(design, cell) or set_of(design, cell, new=True) for cell in chosen)
    first = {name: one for name, one in design.sets.items() if fakes[name]}
    made = sum(one.fakes for one in design.sets.values()) or 1
    share = sum(one.originals for one in design.sets.values()) / made
    counts = _shared_out(round(share * fakes.total()), {name: fakes[name] for name in first}, share > 0)
    sets = {
        name: Set(fakes=fakes[name], originals=counts[name], mode=design.mode_of(name), seed=one.seed)
        for name, one in first.items()
    }
    more = [
        Source(file=file, name=f"more-{number}", modes=())
        for number, file in enumerate(design.more.recordings, start=1)
    ]
    listening = design.listening.model_copy(update={"practice": 0})
    return design.model_copy(
        update={"sets": sets, "sources": (*design.sources, *more), "listening": listening}
    )


def plan(
    design: Design,
    folder: StudyFolder,
    cells: Mapping[Arm, Sequence[Cell]],
    choices: Sequence[Chosen],
    *,
    mark: str,
    heard: Collection[str],
) -> tuple[BuildPlan, dict[str, str]]:
    """What a round has to make, and how each of its machine-made clips was chosen, by its name.

    design: from `derived`. mark: what the names of its clips begin with behind their cell's, as "2." for the
    second round. heard: the names of what the listener has heard, of which no original comes again.
    Raises DesignError, and RepetitionError where no recording has places enough that were not heard.
    """
    passages = sources.passages(design, folder)
    result, why = BuildPlan(passages=passages), {}
    drawn: Counter[Arm] = Counter()
    names: dict[Cell, list[str]] = {}
    for choice in choices:
        ways = cells[choice.arm]
        cell = ways[drawn[choice.arm] % len(ways)]  # the trainings take turns
        drawn[choice.arm] += 1
        names.setdefault(cell, []).append(f"{cell.name}-{mark}{len(names.get(cell, ())) + 1}")
        why[names[cell][-1]] = choice.why
    for cell, clips in names.items():
        table = design.backends.get(cell.backend, {})
        options, length = sources.backend_options(table), sources.clip_seconds(design)
        task = Task(cell, clips, length, design.study.seed, folder.models, options, folder.path)
        file = backends.file_of(cell.backend, table)
        sources.require_able(design, backends.get(file), task)
        result.tasks.append((file, task))
        name = set_of(design, cell) or set_of(design, cell, new=True)
        result.picks.setdefault(name, []).extend(clips)
    choice_of = {name: one for name, one in curation.read(folder).items() if one.out}
    choice_of |= {name: Choice(out=True) for name in heard}
    imports: list[FakeClip] = sources.imports(design, folder)
    songs = originals.available(design, passages, choice_of, imports)
    fakes = {
        name: {cell.source for cell, clips in names.items() if set(clips) & set(picked)}
        for name, picked in result.picks.items()
    }
    if originals.ACCEPTED in design.stimuli.accept and originals.shortage(design, songs, choice_of):
        choice_of = {name: one for name, one in choice_of.items() if name not in heard}  # heard again then
        songs = originals.available(design, passages, choice_of, imports)
    try:
        selection = originals.choose(design, songs, fakes, choice_of)
    except RepetitionError as error:
        what = f"no {sum(originals.counts(design).values())} originals are left that were not heard before"
        fix = "name more of the band's recordings in recordings under [more], or ask for fewer --clips"
        raise RepetitionError(error.file, error.key, error.value, what, fix) from None
    result.picks = {
        name: [*picked, *(one.name for one in selection.sets.get(name, ()))]
        for name, picked in result.picks.items()
    }
    taken = {name for picked in result.picks.values() for name in picked}
    result.originals = [one for one in selection.pool if one.name in taken]
    return result, why


def _shared_out(total: int, by: Mapping[str, int], at_least_one: bool) -> dict[str, int]:
    """A number shared out in proportion to others, by the largest remainders; where asked, 1 at least."""
    whole = sum(by.values()) or 1
    exact = {name: total * count / whole for name, count in by.items()}
    counts = {name: int(value) for name, value in exact.items()}
    for name in sorted(by, key=lambda one: counts[one] - exact[one])[: total - sum(counts.values())]:
        counts[name] += 1
    return {name: max(count, int(at_least_one)) for name, count in counts.items()}


def _new_strengths(known: Grid) -> list[Cell]:
    result = []
    for group in _groups(known, "VAR").values():
        stated = sorted({cell.strength for cell in group if cell.strength is not None})
        for strength in _between(stated):
            result += [replace(cell, strength=strength) for cell in group if cell.strength == stated[0]]
    return result


def _new_plans(known: Grid) -> list[Cell]:
    result = []
    for group in _groups(known, "UMG").values():
        planned = [cell for cell in group if cell.requested_plan is not None and cell.plan != BRIDGE]
        stated = {cell.requested_plan.novelty: cell.plan for cell in reversed(planned)}
        for novelty in _between(sorted(stated)):
            nearest = stated[min(stated, key=lambda value: abs(value - novelty))]
            for cell in planned:
                if cell.plan == nearest:
                    name = f"{nearest}_n{round(100 * novelty)}"
                    new = replace(cell.requested_plan, novelty=novelty)
                    result.append(replace(cell, plan=name, requested_plan=new))
    return result


def _groups(known: Grid, mode: str) -> dict[tuple, list[Cell]]:
    """The cells of a mode that differ in nothing but plan, strength and training; not those for songs."""
    groups: dict[tuple, list[Cell]] = {}
    for cell in (cell for cells in known.values() for cell in cells):
        if cell.mode == mode and not getattr(cell, "song", ""):
            groups.setdefault((cell.source, cell.backend, cell.epochs), []).append(cell)
    return groups


def _between(stated: Sequence[float]) -> list[float]:
    """Values halfway between neighbours, or between the only one and the farther end of 0 to 1."""
    ends = stated if len(stated) != 1 else [stated[0], 1.0 if stated[0] <= 0.5 else 0.0]
    return [round((one + other) / 2, 2) for one, other in pairwise(ends)]


def folder_name(listener: str, listener_id: int, number: int) -> str:
    """The name of a round's folder: its number and the listener's name, or who they are by number."""
    plain = file_names.plain(listener, 40)
    return f"{number}-{plain}" if plain == listener else f"{number}-{plain}-{listener_id}"
