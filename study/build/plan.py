"""What a build has to make, and which clips go into which set.

All of it follows from the design, the files it names, its seed and the researcher's picks; nothing is written
here.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from caw.files import file_names
from study import backends
from study.backends import Cell, Task, seed_for
from study.build import blinded_sets, curation, originals, sources
from study.build.curation import Choice, CurationError
from study.build.recordings import Original
from study.build.sources import Fake, Passage, clip_seconds
from study.design import LATER_FACTS, Design, DesignError, Set
from study.folder import PRACTICE, StudyFolder
from study.pool import ORIGIN, ORIGINAL, written

_RECIPE = 1  # raise it when clips are made in another way than before


@dataclass
class Plan:
    """The whole build. `picks`: set name (practice included) -> names in the pool."""

    tasks: list[tuple[str, Task]] = field(default_factory=list)  # (the backend's file, what it shall make)
    originals: list[Original] = field(default_factory=list)
    picks: dict[str, list[str]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)  # clip -> the researcher's words
    notes: list[str] = field(default_factory=list)  # what the researcher should know
    passages: dict[str, Passage] = field(default_factory=dict)  # by the name of their source


def make(design: Design, folder: StudyFolder) -> Plan:
    """Raises: DesignError for files that are missing, unusable or too short, for backends and options that
    there are none of, and for sets that ask for more clips than there are; CurationError for picks that fit
    no clip or set any more."""
    passages = sources.passages(design, folder)
    plan = Plan(passages=passages)
    sources.check_backends(design, folder)
    grid = sources.cells(design, passages, sources.plans(design, folder))
    imports = sources.imports(design, folder)
    plan.notes += sources.doubtful_imports(imports, passages)
    choices = curation.read(folder)
    _reach_picked(grid, choices)
    spare = _draw_sets(design, folder, plan, grid, imports, choices)
    _draw_practice(design, plan, grid, spare, {clip for clip, one in choices.items() if one.out})
    for fake in imports:
        plan.tasks.append(("imported", _task(design, folder, fake.cell, [fake.name], {})))
    for cell, clips in grid.items():
        names = [_clip_name(cell, number) for number in range(1, clips + 1)]
        table = design.backends.get(cell.backend, {})
        task = _task(design, folder, cell, names, sources.backend_options(table))
        file = backends.file_of(cell.backend, table)
        if cell.training > 1 and not backends.get(file).shared_job(task):
            raise _untrained(design, cell)
        sources.require_able(design, backends.get(file), task)
        plan.tasks.append((file, task))
    plan.remarks = {entry.name: entry.remark for entry in design.imported}
    plan = _with_originals(design, folder, plan, choices, imports)
    _require_unique(design, folder, plan)
    return plan


def recipes_of(todo: Plan) -> dict[str, str]:
    """For every clip of the plan, the digest of all that decides how it sounds."""
    recipes = {}
    for name, task in todo.tasks:
        cell = task.cell
        facts = [name, cell.backend, cell.file_sha256, cell.start, cell.seconds, cell.mode, cell.epochs]
        facts += [cell.source, task.seconds, task.seed, backends.get(name).recipe(task)]
        facts += [cell.training] if cell.training > 1 else []  # the clips of a first one stay what they were
        facts += sources.plan_facts(cell)
        recipes |= {clip: _digest([*facts, clip]) for clip in task.names}
    for original in todo.originals:
        passage = original.passage
        facts = [ORIGINAL, passage.source, passage.sha256, original.start, original.seconds, original.mode]
        recipes[original.name] = _digest(facts)
    return recipes


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps([_RECIPE, facts], sort_keys=True).encode()).hexdigest()[:16]


def balanced(
    fakes: Sequence[Fake], count: int, dice: np.random.Generator, picked: Sequence[Fake] = ()
) -> list[Fake]:
    """`count` of the fakes, as evenly over sources, backends, epochs, plans, strengths and trainings as they
    allow; which ones is drawn.

    picked: those beside them that are chosen already, and count for the evenness.
    """
    taken = Counter(_group(fake) for fake in picked)
    groups: dict[tuple, list[Fake]] = {}
    for fake in fakes:
        groups.setdefault(_group(fake), []).append(fake)
    piles = [
        (group, [pile[index] for index in dice.permutation(len(pile))]) for group, pile in groups.items()
    ]
    drawn: list[Fake] = []
    while len(drawn) < count:
        full = [(group, pile) for group, pile in piles if pile]
        fewest = min(taken[group] for group, _ in full)
        full = [(group, pile) for group, pile in full if taken[group] == fewest]
        for index in dice.permutation(len(full))[: count - len(drawn)]:
            group, pile = full[index]
            drawn.append(pile.pop())
            taken[group] += 1
    return drawn


def _group(fake: Fake) -> tuple:
    cell = fake.cell
    return (cell.source, cell.backend, cell.epochs, cell.plan, cell.strength, cell.training)


def _reach_picked(grid: dict[Cell, int], choices: Mapping[str, Choice]) -> None:
    """A cell may have made more clips than the design asks for, as practice may have wanted one: with one of
    them picked into a set, the cell makes so many again."""
    for cell, clips in grid.items():
        before, numbers = f"{cell.name}-", [clips]
        for clip, choice in choices.items():
            number = clip.removeprefix(before)
            if choice.set_name and clip.startswith(before) and number.isdecimal() and len(number) < 5:
                numbers.append(int(number))
        grid[cell] = max(numbers)


def _draw_sets(
    design: Design,
    folder: StudyFolder,
    plan: Plan,
    grid: dict[Cell, int],
    imports: list[Fake],
    choices: Mapping[str, Choice],
) -> list[Fake]:
    """Each set's fakes: the picked ones, and the rest drawn. Returns the made clips that are left over."""
    made = [Fake(_clip_name(cell, n), cell) for cell, clips in grid.items() for n in range(1, clips + 1)]
    picked = _picked(design, folder, {fake.name: fake for fake in [*imports, *made]}, imports, choices)
    used = {clip for clip, choice in choices.items() if choice.pick}  # by a set, or left out
    for name, chosen in design.sets.items():
        seed = design.study.seed if chosen.seed is None else chosen.seed
        dice = np.random.default_rng(seed_for(seed, "set", name))
        mode, first = design.mode_of(name), picked[name]
        brought = [fake for fake in imports if _fits(fake, mode, chosen) and fake.name not in used]
        more = chosen.imported - sum(fake in imports for fake in first)
        more = min(more, len(brought), chosen.fakes - len(first))
        first = [*first, *balanced(brought, more, dice, picked[name])]
        fitting = [fake for fake in made if _fits(fake, mode, chosen) and fake.name not in used]
        wanted = chosen.fakes - len(first)
        if wanted > len(fitting):
            kind = "picked or imported" if picked[name] else "imported"
            what = f"{wanted} made clips are wanted beside {len(first)} {kind}"
            out = sum(choices.get(fake.name, Choice()).out for fake in (*imports, *made))
            what += f", the cells give {len(fitting)}"
            what += f" ({out} {'are' if out > 1 else 'is'} left out by hand)" if out else ""
            mend = "raise `clips` of a [[source]], import more, or lower `fakes`"
            raise design.error(("set", name, "fakes"), chosen.fakes, what, mend)
        plan.picks[name] = [fake.name for fake in [*first, *balanced(fitting, wanted, dice, picked[name])]]
        used.update(plan.picks[name])
        if picked[name]:
            plan.notes.append(f"{name}: {len(picked[name])} of {chosen.fakes} fakes are picked by hand")
    return [fake for fake in made if fake.name not in used]


def _picked(
    design: Design,
    folder: StudyFolder,
    known: Mapping[str, Fake],
    imports: Sequence[Fake],
    choices: Mapping[str, Choice],
) -> dict[str, list[Fake]]:
    """The clips picked into each set, by name. Raises: CurationError."""
    picked: dict[str, list[Fake]] = {name: [] for name in design.sets}
    for clip, choice in sorted(choices.items()):
        if not choice.set_name:
            continue
        free = f"free it with `study pick {folder.path} {clip} --clear`"
        if clip not in known:  # an original, or of no study.toml any more: see `_require_known`
            continue
        cell = known[clip].cell
        facts = {name: written(getattr(cell, name)) for name in (*ORIGIN[:4], *LATER_FACTS)}
        if fault := curation.misfit(design, choice.set_name, clip, facts):
            raise CurationError(f"{folder.picks}: {fault}, or {free}")
        picked[choice.set_name].append(known[clip])
    real = choices.keys() - known.keys()
    for name in design.sets:
        if fault := curation.too_many(folder, design, name, choices, {fake.name for fake in imports}, real):
            raise CurationError(f"{folder.picks}: {fault}")
    return picked


def _fits(fake: Fake, mode: str, chosen: Set) -> bool:
    return fake.cell.mode == mode and chosen.takes(fake.cell)


def _draw_practice(
    design: Design, plan: Plan, grid: dict[Cell, int], spare: list[Fake], left_out: Collection[str]
) -> None:
    """Practice takes clips that no set holds; where none is left over, cells are asked for one more."""
    real = originals.wanted(design)[PRACTICE]
    wanted = design.listening.practice - real
    dice = np.random.default_rng(seed_for(design.study.seed, PRACTICE))
    drawn = balanced(spare, min(wanted, len(spare)), dice)
    cells = list(grid)
    while cells and len(drawn) < wanted:
        cell = cells[len(drawn) % len(cells)]
        grid[cell] += 1
        while _clip_name(cell, grid[cell]) in left_out:
            grid[cell] += 1
        drawn.append(Fake(_clip_name(cell, grid[cell]), cell))
    if len(drawn) < wanted:
        had = len(drawn) + real
        plan.notes.append(
            f"practice has {had} clips instead of {design.listening.practice}: none is left over"
        )
    plan.picks[PRACTICE] = [fake.name for fake in drawn]


def _with_originals(
    design: Design,
    folder: StudyFolder,
    plan: Plan,
    choices: Mapping[str, Choice],
    imports: Sequence[Fake],
) -> Plan:
    """The plan with its originals: those of the sets that are built where nothing else has changed, or chosen
    anew.

    Raises: DesignError where the recordings do not suffice; CurationError for picks of what there is not.
    """
    made = {name: task.cell.source for _, task in plan.tasks for name in task.names}
    picks = {clip: choice for clip, choice in choices.items() if choice.pick and clip not in made}
    for placed in (blinded_sets.originals_of(folder, plan.passages), _placed_before(design, folder, plan)):
        if placed is not None and _agree(design, placed, picks):
            built = _taking(plan, placed, [one for chosen in placed.values() for one in chosen])
            if blinded_sets.are_current(folder, blinded_sets.recipe(design, built.picks, recipes_of(built))):
                return built
    songs = originals.available(design, plan.passages, choices, imports)
    places = {place.name for song in songs for place in song.places}
    for clip, choice in picks.items():
        if choice.set_name and clip not in places:
            what = f"{clip} is picked into {choice.set_name}, but study.toml makes and imports no such clip"
            mend = f"free it with `study pick {folder.path} {clip} --clear`"
            raise CurationError(f"{folder.picks}: {what}; {mend}")
    fakes = {set_name: {made[name] for name in names} for set_name, names in plan.picks.items()}
    chosen = originals.choose(design, songs, fakes, choices)
    whole = _taking(plan, chosen.sets, chosen.pool)
    whole.notes += chosen.notes
    return whole


def _agree(design: Design, placed: Mapping[str, Sequence[Original]], picks: Mapping[str, Choice]) -> bool:
    """Whether originals are as many as the design wants, and as the researcher has picked them."""
    names = {set_name: {one.name for one in chosen} for set_name, chosen in placed.items()}
    counts = {name: count for name, count in originals.wanted(design).items() if count}
    if counts != {set_name: len(chosen) for set_name, chosen in names.items() if chosen}:
        return False
    everywhere = set().union(*names.values())
    return all(
        clip not in everywhere if choice.out else clip in names.get(choice.set_name, ())
        for clip, choice in picks.items()
    )


def _placed_before(design: Design, folder: StudyFolder, plan: Plan) -> dict[str, list[Original]] | None:
    built = folder.build_record.is_file()
    return originals.place(design, plan.passages) if built else None


def _taking(plan: Plan, placed: Mapping[str, Sequence[Original]], pool: Iterable[Original]) -> Plan:
    """The plan with these originals in its sets and in its pool."""
    names = [*plan.picks, *(name for name in placed if name not in plan.picks)]
    picks = {name: [*plan.picks.get(name, ()), *(one.name for one in placed.get(name, ()))] for name in names}
    return replace(plan, originals=list(pool), picks=picks, notes=list(plan.notes))


def _clip_name(cell: Cell, number: int) -> str:
    return f"{cell.name}-{number}"


def _task(design: Design, folder: StudyFolder, cell: Cell, names: list[str], options: dict) -> Task:
    return Task(cell, names, clip_seconds(design), design.study.seed, folder.models, options, folder.path)


def _untrained(design: Design, cell: Cell) -> DesignError:
    """For several trainings of what trains nothing here."""
    here = (cell.source, cell.backend)
    index = [(source.name, source.backend) for source in design.sources].index(here)
    what, mend = f"the backend {cell.backend} trains no model here", "delete this key, and raise `clips`"
    value = design.sources[index].trainings
    return design.error(("source", index, "trainings"), value, what, mend)


def _require_unique(design: Design, folder: StudyFolder, plan: Plan) -> None:
    """Names are joined from parts that may hold the joint themselves: two clips, or the training runs of two
    sources, must not come to one name. An import may bear the name of a clip that is made here."""
    _require_apart(design, folder, plan)
    taken = {original.name: "an original" for original in plan.originals}
    runs: dict[str, tuple] = {}  # name in models/ -> source, backend and training
    for file, task in plan.tasks:
        if file == "imported":
            continue
        cell = task.cell
        told = f"{cell.mode} of source {cell.source!r} by {cell.backend}"
        owner = (cell.source, cell.backend, cell.training)
        kept = [name for name in backends.get(file).artifacts(task) if runs.setdefault(name, owner) != owner]
        if doubled := [name for name in task.names if name in taken]:
            what = f"its clip {doubled[0]} by {cell.backend} would bear the name of {taken[doubled[0]]}"
        elif kept:
            other, by, _ = runs[kept[0]]
            what = f"its models/{kept[0]} by {cell.backend} would be that of source {other!r} by {by}, too"
        else:
            taken |= dict.fromkeys(task.names, f"one that is {told}")
            continue
        index = [(source.name, source.backend) for source in design.sources].index(owner[:2])
        raise design.error(("source", index, "name"), cell.source, what, "give the source another `name`")
    for index, entry in enumerate(design.imported):
        if entry.name in taken:
            what, mend = "is the name of a clip that is made here", "give it another `name`"
            raise design.error(("imported", index, "name"), entry.name, what, mend)


def _require_apart(design: Design, folder: StudyFolder, plan: Plan) -> None:
    """Names that differ by case alone are one file on many disks: the later clip would overwrite the first.

    What lies there side by side already, in a study that was built on another disk, may stay so.
    """
    groups = {
        "set": (list(design.sets), folder.sets, ""),
        "source": (list(dict.fromkeys(source.name for source in design.sources)), folder.pool, "*"),
        "imported": ([entry.name for entry in design.imported], folder.pool, ".wav"),
    }
    seen: dict[str, str] = {}
    for table, (names, place, suffix) in groups.items():
        seen = {} if table == "source" else seen  # names of sets are not in the pool
        for index, name in enumerate(names):
            other = seen.setdefault(file_names.same(name), name)
            if other == name or (any(place.glob(f"{name}{suffix}")) and any(place.glob(f"{other}{suffix}"))):
                continue
            what, mend = f"differs from {other!r} by case alone", "give one of them another name"
            path = ("set", name) if table == "set" else (table, _index(design, table, name, index), "name")
            raise design.error(path, None if table == "set" else name, what, mend)


def _index(design: Design, table: str, name: str, index: int) -> int:
    return [source.name for source in design.sources].index(name) if table == "source" else index
