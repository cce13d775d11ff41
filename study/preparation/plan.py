"""What a build has to make, and which clips go into which set.

All of it follows from the design, the files it names, its seed and the researcher's picks; nothing is written
here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from caw import file_names
from study.design import Design, DesignError, Set
from study.folder import PRACTICE, StudyFolder
from study.preparation import backends, curation, material
from study.preparation.backends import Cell, Task, seed_for
from study.preparation.curation import Choice, CurationError
from study.preparation.excerpts import longest_overlap, place_excerpts
from study.preparation.material import ORIGINAL, Fake, Passage, clip_seconds


@dataclass(frozen=True)
class Original:
    """An excerpt of a passage, to be brought along as it is."""

    name: str
    passage: Passage
    start: float  # s into the file
    seconds: float
    mode: str  # of the set it is for


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
    passages = material.passages(design, folder)
    plan = Plan(passages=passages)
    material.check_backends(design, folder)
    grid = material.cells(design, passages)
    imports = material.imports(design, folder)
    plan.notes += material.doubtful_imports(imports, passages)
    choices = curation.read(folder)
    _reach_picked(grid, choices)
    spare = _draw_sets(design, folder, plan, grid, imports, choices)
    _draw_practice(design, plan, grid, spare, {clip for clip, one in choices.items() if one.out})
    _place_originals(design, plan, passages)
    for fake in imports:
        plan.tasks.append(("imported", _task(design, folder, fake.cell, [fake.name], {})))
    for cell, clips in grid.items():
        names = [_clip_name(cell, number) for number in range(1, clips + 1)]
        table = design.backends.get(cell.backend, {})
        task = _task(design, folder, cell, names, material.backend_options(table))
        file = backends.file_of(cell.backend, table)
        if cell.training > 1 and not backends.get(file).work(task):
            raise _untrained(design, cell)
        plan.tasks.append((file, task))
    plan.remarks = {entry.name: entry.remark for entry in design.imported}
    _require_unique(design, folder, plan)
    return plan


def balanced(
    fakes: Sequence[Fake], count: int, dice: np.random.Generator, picked: Sequence[Fake] = ()
) -> list[Fake]:
    """`count` of the fakes, as evenly over sources, backends, epochs and trainings as they allow; which ones
    is drawn.

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
    return (fake.cell.source, fake.cell.backend, fake.cell.epochs, fake.cell.training)


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
            what = f"{what}, the cells give {len(fitting)}{_left_out(choices)}"
            mend = "raise `clips` of a [[source]], import more, or lower `fakes`"
            raise design.error(("set", name, "fakes"), chosen.fakes, what, mend)
        plan.picks[name] = [fake.name for fake in [*first, *balanced(fitting, wanted, dice, picked[name])]]
        used.update(plan.picks[name])
        if picked[name]:
            plan.notes.append(f"{name}: {len(picked[name])} of {chosen.fakes} fakes are picked by hand")
    return [fake for fake in made if fake.name not in used]


def _left_out(choices: Mapping[str, Choice]) -> str:
    count = sum(choice.out for choice in choices.values())
    return f" ({count} {'are' if count > 1 else 'is'} left out by hand)" if count else ""


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
        if clip not in known:
            what = f"{clip} is picked into {choice.set_name}, but study.toml makes and imports no such clip"
            raise CurationError(f"{folder.picks}: {what}; {free}")
        cell = known[clip].cell
        epochs = "" if cell.epochs is None else str(cell.epochs)
        facts = {"backend": cell.backend, "mode": cell.mode, "epochs": epochs, "source": cell.source}
        if fault := curation.misfit(design, choice.set_name, clip, facts):
            raise CurationError(f"{folder.picks}: {fault}, or {free}")
        picked[choice.set_name].append(known[clip])
    for name in design.sets:
        if fault := curation.too_many(folder, design, name, choices, {fake.name for fake in imports}):
            raise CurationError(f"{folder.picks}: {fault}")
    return picked


def _fits(fake: Fake, mode: str, chosen: Set) -> bool:
    return fake.cell.mode == mode and (
        not chosen.cells
        or any(
            entry.source in (None, fake.cell.source)
            and entry.epochs in (None, fake.cell.epochs)
            and entry.backend in (None, fake.cell.backend)
            for entry in chosen.cells
        )
    )


def _draw_practice(
    design: Design, plan: Plan, grid: dict[Cell, int], spare: list[Fake], left_out: Collection[str]
) -> None:
    """Practice takes clips that no set holds; where none is left over, cells are asked for one more."""
    wanted = design.listening.practice - _practice_originals(design)
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
        had = len(drawn) + _practice_originals(design)
        plan.notes.append(
            f"practice has {had} clips instead of {design.listening.practice}: none is left over"
        )
    plan.picks[PRACTICE] = [fake.name for fake in drawn]


def _practice_originals(design: Design) -> int:
    return design.listening.practice // 2 if design.sources else 0


def _place_originals(design: Design, plan: Plan, passages: dict[str, Passage]) -> None:
    """Choose where originals are cut: side by side within a set, and apart across sets as far as it goes."""
    length = clip_seconds(design)
    taken: dict[str, list[float]] = {source: [] for source in passages}
    counts = {name: chosen.originals for name, chosen in design.sets.items()}
    counts[PRACTICE] = _practice_originals(design)
    for set_name, count in counts.items():
        if count and not passages:
            what, mend = "there is no [[source]] to cut them from", "add one, or set originals = 0"
            raise design.error(("set", set_name, "originals"), count, what, mend)
        dice = np.random.default_rng(seed_for(design.study.seed, ORIGINAL, set_name))
        order = [list(passages)[index] for index in dice.permutation(len(passages))]
        for source, share in Counter(order[index % len(order)] for index in range(count)).items():
            passage = passages[source]
            first, last = passage.start, passage.start + passage.seconds
            if set_name == PRACTICE and passage.file_seconds - last >= share * length:
                first, last = last, passage.file_seconds  # what no set can hold
            starts, overlap = place_excerpts(share, length, first, last, taken[source], dice)
            across = longest_overlap(starts, taken[source], length)
            told = f"{set_name}: originals from {source} ({passage.seconds:.1f} s)"
            if overlap > 0:
                plan.notes.append(f"{told} share up to {overlap:.1f} s, as {share} x {length:g} s do not fit")
            if across > 0:
                plan.notes.append(f"{told} share up to {across:.1f} s with those of another set")
            taken[source].extend(starts)
            mode = design.mode_of(next(iter(design.sets)) if set_name == PRACTICE else set_name)
            for number, start in enumerate(starts, start=1):
                original = Original(f"{source}-{ORIGINAL}-{set_name}-{number}", passage, start, length, mode)
                plan.originals.append(original)
                plan.picks[set_name].append(original.name)


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
        kept = [name for name in backends.get(file).keeps(task) if runs.setdefault(name, owner) != owner]
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
