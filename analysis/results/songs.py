"""In which songs listeners would use clips, whether clips made for a song suit it, and what they would take.

A clip that was made for a song is chosen for it or for another one. Three things make a clip be chosen for a
song: that the song is easy to add to, that the clip is liked, and that the two belong together. Only the last
says that making clips for a song is worth while. `own_less_others` takes the other two out: of each answer to
a clip that was made for one of several songs it takes whether the clip was chosen for that song, less the
share of the other such songs that it was chosen for; the mean of that, each song weighing the same, is 0
wherever choices do not depend on what clips were made for, however popular songs and clips are. Who would use
everything everywhere, or nothing, or one song for all, scores 0.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import formats as f
from analysis import song_answers
from analysis.models import mixed
from analysis.results import estimation, ratings, trainings
from analysis.results.outcomes import Outcome
from analysis.results.result import ALL, CHECK, MACHINE, ORIGINALS, Question, Result
from analysis.results.stimuli import LEAST_CLIPS, Panel, who
from analysis.song_answers import INGREDIENTS, NONE, ROLES
from analysis.tests import permutation

FAMILY = "song choices"
TAKEN = "taken from clips"
CHOSEN = "chosen for the song"
DIFFERENCE = f"{CHOSEN}, difference"
OWN_LESS_OTHERS = "chosen for its own song, less for the others"
FOR_IT, FOR_ANOTHER, FOR_NONE = "made for it", "made for another", "made for none"
MADE_FOR = (FOR_IT, FOR_ANOTHER, FOR_NONE, ORIGINALS)
TAKE, ROLE = "would take it", "would use it as"
MOMENTS = "moments named"
DESCRIBED = (CHOSEN, TAKE, ROLE, MOMENTS)  # names of results that test nothing
ONE_SONG = "clips were made for fewer than two songs, so there is no other song to compare with"
_LINEAR = f"{estimation.LMM}, listeners and clips"
_EXACT = "exact permutation of the songs that clips were made for"
_DRAWN = f"permutation of the songs that clips were made for, {permutation.EXACT_LIMIT} drawn"


def chosen_for(song: str) -> Outcome:
    """Whether an answer names this song among those that could use the clip."""
    return Outcome(f"chosen for {song}", song_answers.USE_IN, lambda cell: _names(cell, song))


def _names(cell: object, name: str) -> float | None:
    return float(name in song_answers.parts(cell)) if isinstance(cell, str) else None


def made_for(first: pd.DataFrame, song: str) -> pd.Series:
    """What the clip of each answer is to a song: one of `MADE_FOR`."""
    its = first["song"] if "song" in first else pd.Series(None, index=first.index, dtype=object)
    kind = pd.Series(FOR_NONE, index=first.index, dtype=object)
    kind = kind.mask(its.notna(), FOR_ANOTHER).mask(its == song, FOR_IT)
    return kind.mask(first["truth"] == "real", ORIGINALS)


def records(first: pd.DataFrame, panel: Panel) -> list[Result]:
    """Every figure on songs; none where nobody was asked. first: answers as of `stimuli.distinct`."""
    if not song_answers.asked(first):
        return []
    answered = first[first[song_answers.USE_IN].notna()]
    results = []
    for song in song_answers.songs(answered):
        outcome, labels = chosen_for(song), made_for(answered, song)
        there = [kind for kind in MADE_FOR if (labels == kind).any()]
        for kind in there:
            question = Question(FAMILY, CHOSEN, f"{song}: {kind}", panel.unit)
            results.append(ratings.mean(answered[labels == kind], outcome, question, panel))
        results += _compared(answered, song, outcome, labels, there, panel)
    results += [own_less_others(answered, panel), *_permuted(answered, panel)]
    return results + _taken(answered, panel)


def _compared(answered, song, outcome, labels, there, panel) -> list[Result]:
    """Clips made for a song against the others, of one model of all of them."""
    pairs = [(FOR_IT, kind) for kind in there if kind != FOR_IT] if FOR_IT in there else []
    counts = answered["clip"].groupby(labels).nunique()
    results, tested = [], []
    for pair in pairs:
        question = Question(FAMILY, DIFFERENCE, f"{song}: {' - '.join(pair)}", panel.unit)
        few = [kind for kind in pair if counts[kind] < LEAST_CLIPS and not panel.single_listener]
        if few:
            which = f"{f.plural(int(counts[few[0]]), 'clip')} {few[0]}"
            results.append(question.refuse(f"{which}; at least {LEAST_CLIPS} are needed"))
        else:
            tested.append((pair, question))
    estimates = estimation.contrasts(answered, outcome, labels, [pair for pair, _ in tested])
    for (_, question), estimate in zip(tested, estimates, strict=True):
        results.append(ratings.as_result(question, estimate, panel))
    return results


def matched(answered: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The answers to clips that were made for a song, and those songs in order.

    A column "own less others" has, of each answer, whether the clip was chosen for its own song less the
    share of the other songs that it was chosen for.
    """
    made = answered[answered["song"].notna()] if "song" in answered else answered.iloc[:0]
    songs = sorted(set(made["song"])) if len(made) else []
    if len(songs) < 2:
        return made, songs
    chosen = _choices(made, songs)
    own = chosen[np.arange(len(made)), made["song"].map(songs.index).to_numpy()]
    others = (chosen.sum(axis=1) - own) / (len(songs) - 1)
    return made.assign(**{"own less others": own - others}), songs


def _choices(made: pd.DataFrame, songs: list[str]) -> np.ndarray:
    """Whether each answer names each song, [answers, songs]."""
    return np.array([[_names(cell, song) for song in songs] for cell in made[song_answers.USE_IN]])


def own_less_others(answered: pd.DataFrame, panel: Panel) -> Result:
    """Whether clips are chosen for the song that they were made for more often than for the other songs.

    Of several listeners: the mean of the songs' means of a linear mixed model. Of one: the exact permutation
    of the songs that clips were made for, which describes these clips and has no interval.
    """
    question = Question(FAMILY, OWN_LESS_OTHERS, ALL, panel.unit)
    made, songs = matched(answered)
    if len(songs) < 2:
        return question.refuse(ONE_SONG)
    if panel.single_listener:
        return _permutation(question, made, songs, panel)
    counts = made.groupby("song")["clip"].nunique()
    if counts.min() < LEAST_CLIPS:
        which = f"{f.plural(int(counts.min()), 'clip')} made for {counts.idxmin()}"
        return question.refuse(f"{which}; at least {LEAST_CLIPS} are needed")
    values = made["own less others"]
    nests = trainings.nests(made)  # sources are the songs, which are constants here
    kept = [place for place, kind in enumerate(nests.kinds) if kind != "sources"]
    kinds = [nests.kinds[place] for place in kept]
    fixed = {song: (made["song"] == song).astype(float) for song in songs}
    try:
        fit = mixed.linear(values, fixed, *who(made), nests=[nests.groups[place] for place in kept])
    except mixed.NoSpreadError:
        means = values.groupby(made["song"]).mean()
        return question.result(means.mean(), n=made["clip"].nunique(), notes=(estimation.EXPLAINED,))
    except (mixed.MixedModelError, np.linalg.LinAlgError) as error:
        return question.refuse(f"not fitted: {error}")
    mean = fit.contrast(dict.fromkeys(songs, 1 / len(songs)))
    low, high = mean.interval()
    method = f"{_LINEAR}{''.join(f' and {kind}' for kind in kinds)} random, each song weighing the same"
    question = Question(FAMILY, OWN_LESS_OTHERS, ALL, panel.unit, method)
    notes = (f"for these {len(songs)} songs; 0 is chance", panel.reach)
    ends = (max(low, -1.0), min(high, 1.0))
    return question.result(mean.estimate, ends, mean.p, notes=notes, n=made["clip"].nunique())


def _permuted(answered: pd.DataFrame, panel: Panel) -> list[Result]:
    """Beside the model of a panel: the permutation of clips, for these listeners alone."""
    made, songs = matched(answered)
    if panel.single_listener or len(songs) < 2:
        return []
    question = Question(FAMILY, OWN_LESS_OTHERS + CHECK, ALL, panel.unit)
    return [_permutation(question, made, songs, panel, "of clips, for these listeners alone")]


def _permutation(question: Question, made, songs: list[str], panel: Panel, note: str = "") -> Result:
    chosen = pd.DataFrame(_choices(made, songs), index=made.index).groupby(made["clip"]).mean()
    others = (chosen.sum(axis=1).to_numpy()[:, None] - chosen.to_numpy()) / (len(songs) - 1)
    labels = made.groupby("clip")["song"].first().reindex(chosen.index).map(songs.index)
    test = permutation.matched(chosen.to_numpy() - others, labels)
    question = Question(question.family, question.name, ALL, panel.unit, _EXACT if test.exact else _DRAWN)
    notes = (f"for these {len(songs)} songs; 0 is chance", note)
    if test.smallest_p >= 0.05:
        least = f"no test: no labels of these clips could reach p < .05 (smallest {test.smallest_p:.2g})"
        return question.result(test.estimate, notes=(least, *notes), n=len(chosen))
    return question.result(test.estimate, None, test.p, notes=notes, n=len(chosen))


def _taken(answered: pd.DataFrame, panel: Panel) -> list[Result]:
    """What listeners would take from clips, as what they would use them, and how many moments they named."""
    results = []
    for truth, group in (("fake", MACHINE), ("real", ORIGINALS)):
        part = answered[answered["truth"] == truth]
        used = part[part[song_answers.USE_IN] != NONE]
        of = ((TAKE, song_answers.TAKE, INGREDIENTS, part), (ROLE, song_answers.USE_AS, ROLES, used))
        for name, column, levels, rows in of:
            if column not in rows or rows[column].isna().all():
                continue
            filled = rows.assign(**{column: rows[column].fillna("")})
            for level in levels:
                outcome = Outcome(f"{name} {level}", column, lambda cell, level=level: _names(cell, level))
                question = Question(TAKEN, name, f"{group}: {level}", panel.unit)
                results.append(ratings.mean(filled, outcome, question, panel))
        if song_answers.MOMENT in part and len(part):
            named = int(part[song_answers.MOMENT].notna().sum())
            question = Question(TAKEN, MOMENTS, group, "answer", "count")
            results.append(question.result(float(named), of=(named, len(part))))
    return results
