"""What a build has to make, and which clips go into which set.

All of it follows from the design, the files that it names, its seed and the researcher's picks; nothing is
written here.
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
from study.build.sources import FakeClip, Passage, clip_seconds
from study.design import Design, DesignError, Set
from study.folder import PRACTICE, StudyFolder
from study.pool import ORIGINAL

_RECIPE = 1  # raise it when clips are made in another way than before


@dataclass
class BuildPlan:
    """Everything that a build has to make.

    Attributes
    ----------
    tasks : list of (str, Task)
        The file of a backend in study/backends, and what it is to make.
    originals : list of Original
        The excerpts that are cut into the pool.
    picks : dict of str to list of str
        The names of the clips in each set, by the set's name; "practice" is one of them.
    remarks : dict of str to str
        The researcher's words on imported clips, by the clip's name.
    notes : list of str
        What the researcher should know, one line each.
    passages : dict of str to Passage
        What models learn from, by the name of the source.
    """

    tasks: list[tuple[str, Task]] = field(default_factory=list)
    originals: list[Original] = field(default_factory=list)
    picks: dict[str, list[str]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    passages: dict[str, Passage] = field(default_factory=dict)


def make(design: Design, folder: StudyFolder) -> BuildPlan:
    """Plan a build.

    Parameters
    ----------
    design : Design
        The study's settings.
    folder : StudyFolder
        The study. Its sound files, plans and picks are read, and its record of the last build.

    Returns
    -------
    BuildPlan
        All that the sets need, whether it was made already or not.

    Raises
    ------
    DesignError
        If files are missing, unusable or too short, if there is no such backend or option, or if sets ask for
        more clips than there are.
    CurationError
        If picks fit no clip or set any more.
    """
    passages = sources.passages(design, folder)
    plan = BuildPlan(passages=passages)
    sources.check_backends(design, folder)
    grid = sources.cells(design, passages, sources.plans(design, folder))
    imports = sources.imports(design, folder)
    plan.notes += sources.doubtful_imports(imports, passages)
    choices = curation.read(folder)
    _make_picked_again(grid, choices)
    spare = _draw_sets(design, folder, plan, grid, imports, choices)
    _draw_practice(design, plan, grid, spare, {clip for clip, choice in choices.items() if choice.out})
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


def recipes_of(plan: BuildPlan) -> dict[str, str]:
    """For every clip of the plan, the digest of everything that decides how it sounds."""
    recipes: dict[str, str] = {}
    for file, task in plan.tasks:
        cell = task.cell
        facts = [file, cell.backend, cell.file_sha256, cell.start, cell.seconds, cell.mode, cell.epochs]
        facts += [cell.source, task.seconds, task.seed, backends.get(file).recipe(task)]
        facts += [cell.training] if cell.training > 1 else []  # the clips of a first one stay as they were
        facts += sources.plan_facts(cell)
        recipes |= {clip: _digest([*facts, clip]) for clip in task.names}
    for original in plan.originals:
        passage = original.passage
        facts = [ORIGINAL, passage.source, passage.sha256, original.start, original.seconds, original.mode]
        recipes[original.name] = _digest(facts)
    return recipes


def balanced(
    fakes: Sequence[FakeClip], count: int, dice: np.random.Generator, picked: Sequence[FakeClip] = ()
) -> list[FakeClip]:
    """Draw `count` of the fakes, as evenly as they allow.

    Evenly over sources, songs, backends, epochs, plans, strengths and trainings.

    picked: clips beside them that are chosen already; they count for the evenness.
    """
    taken = Counter(_group(fake) for fake in picked)
    groups: dict[tuple, list[FakeClip]] = {}
    for fake in fakes:
        groups.setdefault(_group(fake), []).append(fake)
    piles = [
        (group, [pile[index] for index in dice.permutation(len(pile))]) for group, pile in groups.items()
    ]
    drawn: list[FakeClip] = []
    while len(drawn) < count:
        filled = [(group, pile) for group, pile in piles if pile]
        fewest = min(taken[group] for group, _ in filled)
        filled = [(group, pile) for group, pile in filled if taken[group] == fewest]
        for index in dice.permutation(len(filled))[: count - len(drawn)]:
            group, pile = filled[index]
            drawn.append(pile.pop())
            taken[group] += 1
    return drawn


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps([_RECIPE, facts], sort_keys=True).encode()).hexdigest()[:16]


def _group(fake: FakeClip) -> tuple:
    cell = fake.cell
    return (cell.source, cell.backend, cell.epochs, cell.plan, cell.strength, cell.training)


def _make_picked_again(grid: dict[Cell, int], choices: Mapping[str, Choice]) -> None:
    """Let cells make as many clips as the picks name.

    A cell may have made more clips than the design asks for, because practice may have needed one.
    """
    for cell, clips in grid.items():
        prefix, numbers = f"{cell.name}-", [clips]
        for clip, choice in choices.items():
            number = clip.removeprefix(prefix)
            if choice.set_name and clip.startswith(prefix) and number.isdecimal() and len(number) < 5:
                numbers.append(int(number))
        grid[cell] = max(numbers)


def _draw_sets(
    design: Design,
    folder: StudyFolder,
    plan: BuildPlan,
    grid: Mapping[Cell, int],
    imports: Sequence[FakeClip],
    choices: Mapping[str, Choice],
) -> list[FakeClip]:
    """Choose each set's fakes: the picked ones, and the rest drawn. Returns the clips that are left over."""
    made = [FakeClip(_clip_name(cell, n), cell) for cell, clips in grid.items() for n in range(1, clips + 1)]
    picked = _picked(design, folder, {fake.name: fake for fake in [*imports, *made]}, imports, choices)
    used = {clip for clip, choice in choices.items() if choice.pick}  # by a set, or left out
    for name, chosen in design.sets.items():
        seed = design.study.seed if chosen.seed is None else chosen.seed
        dice = np.random.default_rng(seed_for(seed, "set", name))
        mode, first = design.mode_of(name), picked[name]
        imported = [fake for fake in imports if _fits(fake, mode, chosen) and fake.name not in used]
        count = chosen.imported - sum(fake in imports for fake in first)
        count = min(count, len(imported), chosen.fakes - len(first))
        first = [*first, *balanced(imported, count, dice, picked[name])]
        fitting = [fake for fake in made if _fits(fake, mode, chosen) and fake.name not in used]
        missing = chosen.fakes - len(first)
        if missing > len(fitting):
            kind = "picked or imported" if picked[name] else "imported"
            what = f"{missing} made clips are wanted beside {len(first)} {kind}"
            out = sum(choices.get(fake.name, Choice()).out for fake in (*imports, *made))
            what += f", the cells give {len(fitting)}"
            what += f" ({out} {'are' if out > 1 else 'is'} left out by hand)" if out else ""
            fix = "raise `clips` of a [[source]] or [[song]], import more, or lower `fakes`"
            raise design.error(("set", name, "fakes"), chosen.fakes, what, fix)
        plan.picks[name] = [fake.name for fake in [*first, *balanced(fitting, missing, dice, picked[name])]]
        used.update(plan.picks[name])
        if picked[name]:
            plan.notes.append(f"{name}: {len(picked[name])} of {chosen.fakes} fakes are picked by hand")
    return [fake for fake in made if fake.name not in used]


def _picked(
    design: Design,
    folder: StudyFolder,
    known: Mapping[str, FakeClip],
    imports: Sequence[FakeClip],
    choices: Mapping[str, Choice],
) -> dict[str, list[FakeClip]]:
    """The clips picked into each set, by its name. Raises CurationError."""
    picked: dict[str, list[FakeClip]] = {name: [] for name in design.sets}
    for clip, choice in sorted(choices.items()):
        if not choice.set_name:
            continue
        if clip not in known:  # an original, or a clip of no study.toml any more: see `_with_originals`
            continue
        if problem := curation.misfit(design, choice.set_name, clip, known[clip].cell):
            fix = f"{problem.fix}, or free it with `study pick {folder.path} {clip} --clear`"
            raise CurationError(f"{folder.picks}: {problem.what}", fix)
        picked[choice.set_name].append(known[clip])
    real = choices.keys() - known.keys()
    imported = {fake.name for fake in imports}
    for name in design.sets:
        if problem := curation.too_many(folder, design, name, choices, imported, real):
            raise CurationError(f"{folder.picks}: {problem.what}", problem.fix)
    return picked


def _fits(fake: FakeClip, mode: str, chosen: Set) -> bool:
    return fake.cell.mode == mode and chosen.takes(fake.cell)


def _draw_practice(
    design: Design,
    plan: BuildPlan,
    grid: dict[Cell, int],
    spare: Sequence[FakeClip],
    left_out: Collection[str],
) -> None:
    """Choose practice clips that no set holds; where none is left over, cells make one more each."""
    real = originals.counts(design)[PRACTICE]
    count = design.listening.practice - real
    dice = np.random.default_rng(seed_for(design.study.seed, PRACTICE))
    drawn = balanced(spare, min(count, len(spare)), dice)
    cells = list(grid)
    while cells and len(drawn) < count:
        cell = cells[len(drawn) % len(cells)]
        grid[cell] += 1
        while _clip_name(cell, grid[cell]) in left_out:
            grid[cell] += 1
        drawn.append(FakeClip(_clip_name(cell, grid[cell]), cell))
    if len(drawn) < count:
        plan.notes.append(
            f"practice has {len(drawn) + real} clips instead of {design.listening.practice}: "
            "none is left over"
        )
    plan.picks[PRACTICE] = [fake.name for fake in drawn]


def _with_originals(
    design: Design,
    folder: StudyFolder,
    plan: BuildPlan,
    choices: Mapping[str, Choice],
    imports: Sequence[FakeClip],
) -> BuildPlan:
    """The plan with its originals: those of the sets in the folder where nothing else changed, or new ones.

    Raises DesignError where the recordings have too few places, and CurationError for picks of clips that do
    not exist.
    """
    source_of = {name: task.cell.source for _, task in plan.tasks for name in task.names}
    picks = {clip: choice for clip, choice in choices.items() if choice.pick and clip not in source_of}
    for placed in (blinded_sets.originals_of(folder, plan.passages), _placed_before(design, folder, plan)):
        if placed is not None and _agree(design, placed, picks):
            built = _with_places(plan, placed, [one for chosen in placed.values() for one in chosen])
            if blinded_sets.are_current(folder, blinded_sets.recipe(design, built.picks, recipes_of(built))):
                return built
    songs = originals.available(design, plan.passages, choices, imports)
    places = {place.name for song in songs for place in song.places}
    for clip, choice in picks.items():
        if choice.set_name and clip not in places:
            what = f"{clip} is picked into {choice.set_name}, but study.toml makes and imports no such clip"
            fix = f"free it with `study pick {folder.path} {clip} --clear`"
            raise CurationError(f"{folder.picks}: {what}", fix)
    fakes = {set_name: {source_of[name] for name in names} for set_name, names in plan.picks.items()}
    selection = originals.choose(design, songs, fakes, choices)
    whole = _with_places(plan, selection.sets, selection.pool)
    whole.notes += selection.notes
    return whole


def _agree(design: Design, placed: Mapping[str, Sequence[Original]], picks: Mapping[str, Choice]) -> bool:
    """Whether originals are as many as the design asks for, and as the researcher has picked them."""
    names = {set_name: {one.name for one in chosen} for set_name, chosen in placed.items()}
    counts = {name: count for name, count in originals.counts(design).items() if count}
    if counts != {set_name: len(chosen) for set_name, chosen in names.items() if chosen}:
        return False
    everywhere = set().union(*names.values())
    return all(
        clip not in everywhere if choice.out else clip in names.get(choice.set_name, ())
        for clip, choice in picks.items()
    )


def _placed_before(design: Design, folder: StudyFolder, plan: BuildPlan) -> dict[str, list[Original]] | None:
    built = folder.build_record.is_file()
    return originals.place_as_before(design, plan.passages) if built else None


def _with_places(
    plan: BuildPlan, placed: Mapping[str, Sequence[Original]], pool: Iterable[Original]
) -> BuildPlan:
    """The plan with these originals in its sets and in its pool."""
    names = [*plan.picks, *(name for name in placed if name not in plan.picks)]
    picks = {name: [*plan.picks.get(name, ()), *(one.name for one in placed.get(name, ()))] for name in names}
    return replace(plan, originals=list(pool), picks=picks, notes=list(plan.notes))


def _clip_name(cell: Cell, number: int) -> str:
    return f"{cell.name}-{number}"


def _task(design: Design, folder: StudyFolder, cell: Cell, names: list[str], options: dict) -> Task:
    return Task(cell, names, clip_seconds(design), design.study.seed, folder.models, options, folder.path)


def _untrained(design: Design, cell: Cell) -> DesignError:
    """The error for several trainings with a backend that trains nothing here."""
    index = sources.index_of(design, cell)
    what, fix = f"the backend {cell.backend} trains no model here", "delete this key, and raise `clips`"
    path = (*design.table_of(index), "trainings")
    return design.error(path, design.recordings[index].trainings, what, fix)


def _require_unique(design: Design, folder: StudyFolder, plan: BuildPlan) -> None:
    """Raise DesignError where two clips, or the training runs of two sources, would have one name.

    Names are joined from parts with "-", and the parts may contain it themselves. An import may have the name
    of a clip that is made here.
    """
    _require_apart(design, folder)
    taken = {original.name: "an original" for original in plan.originals}
    owners: dict[str, tuple] = {}  # source, backend and training of each name in models/
    for file, task in plan.tasks:
        if file == "imported":
            continue
        cell = task.cell
        owner = (cell.source, cell.backend, cell.training)
        shared = [
            name for name in backends.get(file).artifacts(task) if owners.setdefault(name, owner) != owner
        ]
        if doubles := [name for name in task.names if name in taken]:
            what = f"its clip {doubles[0]} by {cell.backend} would bear the name of {taken[doubles[0]]}"
        elif shared:
            other, by, _ = owners[shared[0]]
            what = f"its models/{shared[0]} by {cell.backend} would be that of source {other!r} by {by}, too"
        else:
            description = f"one that is {cell.mode} of source {cell.source!r} by {cell.backend}"
            taken |= dict.fromkeys(task.names, description)
            continue
        path = (*design.table_of(sources.index_of(design, cell)), "name")
        raise design.error(path, cell.source, what, f"give the {path[0]} another `name`")
    for index, entry in enumerate(design.imported):
        if entry.name in taken:
            what, fix = "is the name of a clip that is made here", "give it another `name`"
            raise design.error(("imported", index, "name"), entry.name, what, fix)


def _require_apart(design: Design, folder: StudyFolder) -> None:
    """Raise DesignError for names that differ by case alone.

    Such names are one file on many disks, and the later clip would overwrite the first. What lies side by
    side already, in a study that was built on another disk, may stay so.
    """
    groups = {
        "set": (list(design.sets), folder.sets, ""),
        "source": (list(dict.fromkeys(source.name for source in design.recordings)), folder.pool, "*"),
        "imported": ([entry.name for entry in design.imported], folder.pool, ".wav"),
    }
    seen: dict[str, str] = {}
    for table, (names, place, suffix) in groups.items():
        seen = {} if table == "source" else seen  # names of sets are not in the pool
        for index, name in enumerate(names):
            other = seen.setdefault(file_names.same(name), name)
            if other == name or (any(place.glob(f"{name}{suffix}")) and any(place.glob(f"{other}{suffix}"))):
                continue
            what, fix = f"differs from {other!r} by case alone", "give one of them another name"
            if table == "set":
                raise design.error(("set", name), None, what, fix)
            if table == "source":
                index = [source.name for source in design.recordings].index(name)
                raise design.error((*design.table_of(index), "name"), name, what, fix)
            raise design.error((table, index, "name"), name, what, fix)
