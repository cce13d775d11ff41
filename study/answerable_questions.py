"""Which questions a design can answer, and what the others would need.

It follows from study.toml alone: how many clips of each backend, mode and epoch count its sets hold at least,
how many originals, sources, trainings and listeners. The least counts are those that the report goes by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import comb

from study.design import Design

ALPHA = 0.05  # the level that results are tested at
Wanted = Callable[["Group"], bool]


@dataclass(frozen=True)
class ResearchQuestion:
    """A question of the study. `why_not` is "" where the design can answer it; `fix` says what would help."""

    text: str
    why_not: str = ""
    fix: str = ""

    @property
    def line(self) -> str:
        return f"  no   {self.text} {self.why_not}; {self.fix}" if self.why_not else f"  yes  {self.text}"


@dataclass(frozen=True)
class Group:
    """Machine-made clips of which a set takes as many as of every other such group."""

    mode: str
    source: str
    backend: str
    epochs: int | None
    training: int = 1
    plan: str = ""
    strength: float | None = None
    song: str = ""


@dataclass(frozen=True)
class Draw:
    """A set's clips: `sure` of each group, and one more of each of `rest` groups among the `open` ones."""

    sure: Counter[Group]
    open: frozenset[Group]
    rest: int

    def least(self, wanted: Wanted) -> int:
        """How many clips of the groups that are wanted it holds at least."""
        others = sum(not wanted(group) for group in self.open)
        return sum(n for group, n in self.sure.items() if wanted(group)) + max(0, self.rest - others)


def lines(design: Design) -> list[str]:
    """The questions with yes or no, one line each, below a heading; [] where there are no clips yet."""
    if not design.recordings and not design.imported:
        return []
    fakes, originals = _fakes(design), _originals(design)
    head = f"With {fakes} machine-made clips and {originals} originals, can the report answer this?"
    return [head, *(question.line for question in questions(design))]


def questions(design: Design) -> list[ResearchQuestion]:
    """Every question of the study, in the order of the report."""
    from analysis.results import stimuli

    drawn = draws(design)
    backends = {group.backend: _of(backend=group.backend) for group in _groups(drawn)}
    modes = {group.mode: _of(mode=group.mode) for group in _groups(drawn)}
    return [
        _detection(design, stimuli.LEAST_CLIPS),
        *_against_originals(design, stimuli),
        _contrast("backends", backends, drawn, stimuli),
        _contrast("modes", modes, drawn, stimuli),
        *_epochs(drawn, stimuli),
        _trained_anew(design, stimuli.LEAST_TRAININGS),
        _other_listeners(design),
    ]


def draws(design: Design) -> list[Draw]:
    """What each set holds at least: of its imported clips, and of those that are made for it."""
    made = {
        Group(mode, source.name, source.backend, epochs, training, *way, source.made_for): source.clips
        for source in design.recordings
        for mode in source.modes
        for epochs in source.epochs or (None,)
        for training in range(1, source.trainings + 1)
        for way in source.variants(mode)
    }
    brought = Counter(Group(one.mode, one.source, one.backend, one.epochs) for one in design.imported)
    result = []
    for name, chosen in design.sets.items():
        wanted = chosen.fakes
        for stock, most in ((brought, chosen.imported), (made, wanted)):
            here = {
                group: clips
                for group, clips in stock.items()
                if group.mode == design.mode_of(name) and chosen.takes(group)
            }
            draw = _drawn(here, min(wanted, most))
            wanted -= draw.sure.total() + draw.rest
            for group in here:
                stock[group] -= draw.sure[group] + (draw.rest > 0 and group in draw.open)
            result.append(draw)
    return result


def _drawn(stock: Mapping[Group, int], count: int) -> Draw:
    sure: Counter[Group] = Counter()
    while True:
        still = [group for group, clips in stock.items() if sure[group] < clips]
        if not still or count < len(still):
            return Draw(sure, frozenset(still), count if still else 0)
        sure.update(still)
        count -= len(still)


def smallest_p(fakes: int, originals: int) -> float:
    """The two-sided p of Fisher's exact test where one listener gets every clip right."""
    ways = comb(fakes + originals, originals)
    return min(1.0, (2 if fakes == originals else 1) / ways)


def _detection(design: Design, least: int) -> ResearchQuestion:
    text = "Can listeners tell machine-made clips from originals?"
    fakes, originals = _fakes(design), _originals(design)
    if design.listening.listeners == 1:
        if (p := smallest_p(fakes, originals)) < ALPHA:
            return ResearchQuestion(text)
        why_not = f"One listener with every clip right reaches p = {p:.2g}, and below {ALPHA:g} is needed"
        return ResearchQuestion(text, why_not, "raise `originals` of the sets")
    return _both(text, fakes, originals, least)


def _both(text: str, fakes: int, originals: int, least: int) -> ResearchQuestion:
    if min(fakes, originals) >= least:
        return ResearchQuestion(text)
    key = "originals" if originals < least else "fakes"
    why_not = f"There are {fakes} machine-made clips and {originals} originals, {least} of each are needed"
    return ResearchQuestion(text, why_not, f"raise `{key}` of the sets")


def _against_originals(design: Design, stimuli) -> Iterable[ResearchQuestion]:
    fakes, originals = _fakes(design), _originals(design)
    yield _both("Do they rate one kind above the other?", fakes, originals, stimuli.LEAST_CLIPS)
    text, least = "Is that safe where originals vary more than machine-made clips?", stimuli.LEAST_ORIGINALS
    why_not = f"With {originals} originals the test finds too many differences by chance"
    yield (
        ResearchQuestion(text)
        if originals >= least
        else ResearchQuestion(text, why_not, _raise_originals(least))
    )
    text, least = "Do machine-made clips pass as real?", stimuli.LEAST_EQUIVALENCE
    if originals < least:
        yield ResearchQuestion(text, f"{originals} originals cannot show it", _raise_originals(least))
    elif (plan := design.analysis.plan()).accuracy_bound is None and plan.musicality_bound is None:
        why_not = "No bound says which difference counts as none"
        yield ResearchQuestion(text, why_not, "set one under [analysis] before anybody answers")
    elif design.listening.listeners == 1:
        yield ResearchQuestion(text, "One listener cannot show it", "invite more, and raise `listeners`")
    else:
        yield ResearchQuestion(text)


def _raise_originals(least: int) -> str:
    return f"raise `originals` to {least} in all sets together"


def _contrast(kind: str, levels: Mapping[str, Wanted], drawn: list[Draw], stimuli) -> ResearchQuestion:
    """Whether the levels, as each of the backends, can be compared with each other."""
    text = f"Do {kind} differ from each other?"
    if len(levels) < 2:
        why_not = f"All clips are of {next(iter(levels))}" if levels else "No clip states one"
        return ResearchQuestion(text, why_not, f"add another of the {kind}")
    counts = {name: sum(draw.least(wanted) for draw in drawn) for name, wanted in levels.items()}
    least = stimuli.LEAST_CLIPS
    if few := [f"{count} of {name}" for name, count in counts.items() if count < least]:
        why_not = f"Sets are sure to hold {' and '.join(few)}, {least} of each are needed"
        return ResearchQuestion(text, why_not, f"raise `fakes` and `clips`, or take fewer sources or {kind}")
    sources = [{group.source for group in _groups(drawn) if wanted(group)} for wanted in levels.values()]
    fewest = stimuli.LEAST_TRAININGS
    if any(names != sources[0] for names in sources) and min(map(len, sources)) < fewest:
        why_not = f"They come from different sources, and a source cannot be told from one of the {kind}"
        return ResearchQuestion(text, why_not, f"give all the same sources, or each {fewest} or more")
    return ResearchQuestion(text)


def _epochs(drawn: list[Draw], stimuli) -> Iterable[ResearchQuestion]:
    """Whether epoch counts can be compared, and whether there are enough of them for a trend.

    Of the backend that has most of them: an epoch of one system is not an epoch of another.
    """
    stated: dict[str, set[int]] = {}
    for group in _groups(drawn):
        if group.epochs is not None:
            stated.setdefault(group.backend, set()).add(group.epochs)
    name, counts = max(stated.items(), key=lambda one: len(one[1]), default=("", set()))
    levels = {f"{epochs} epochs": _of(backend=name, epochs=epochs) for epochs in sorted(counts)}
    compared = _contrast("epoch counts", levels, drawn, stimuli)
    yield compared
    text, least = "Does it get better with more epochs?", stimuli.LEAST_LEVELS
    if len(levels) < least:
        why_not = f"A trend needs {least} epoch counts, there are {len(levels)}"
        yield ResearchQuestion(text, why_not, "name more in `epochs`; those of one training share its steps")
    else:
        yield ResearchQuestion(text, compared.why_not, compared.fix)


def _trained_anew(design: Design, least: int) -> ResearchQuestion:
    """Whether the results hold how trainings differ from each other."""
    text = "Do results hold for models that are trained anew?"
    models: Counter[str] = Counter()
    for source in design.recordings:
        if source.epochs and source.modes:
            models[source.backend] += source.trainings
    if few := [f"{count} of {name}" for name, count in models.items() if count < least]:
        why_not = f"Trainings: {' and '.join(few)}, {least} of each are needed"
        return ResearchQuestion(text, why_not, f"set `trainings` = {least} in [[source]], or add sources")
    return ResearchQuestion(text)


def _other_listeners(design: Design) -> ResearchQuestion:
    text, listeners = "Do results hold for other listeners?", design.listening.listeners
    if listeners is None:
        why_not = "Answers of one listener speak of that one alone, and the number planned is not stated"
        return ResearchQuestion(text, why_not, "set `listeners` under [listening]")
    if listeners == 1:
        why_not = "Answers of one listener speak of that one alone"
        return ResearchQuestion(text, why_not, "invite more, and raise `listeners` under [listening]")
    return ResearchQuestion(text)


def _groups(drawn: Iterable[Draw]) -> list[Group]:
    return [group for draw in drawn for group in dict.fromkeys([*draw.sure, *draw.open])]


def _of(**values: object) -> Wanted:
    return lambda group: all(getattr(group, key) == value for key, value in values.items())


def _fakes(design: Design) -> int:
    return sum(chosen.fakes for chosen in design.sets.values())


def _originals(design: Design) -> int:
    return sum(chosen.originals for chosen in design.sets.values())
