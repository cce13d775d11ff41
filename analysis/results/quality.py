"""Results about the data themselves: how much there is, what was heard, how long it took, in what order."""

from __future__ import annotations

import pandas as pd

from analysis.results import stimuli
from analysis.results.result import Question, Result
from analysis.results.stimuli import Panel

FAMILY = "data quality"
LISTENERS = "listeners"
ANSWERS = "answers"
CLIPS = "clips"
INCOMPLETE = "listeners who did not judge every clip"
UNPLAYED = "answers given without playing the clip"
PLAYS = "plays per answer, median"
RESPONSE = "response time in seconds, median"
HASTY = "answers within 2 seconds"
REPEATED = "hidden repeats judged as before"
ORDER = "different orders of the clips"
HASTY_SECONDS = 2.0
ODD = "answers with a value that cannot be, left empty"


def records(frame: pd.DataFrame) -> list[Result]:
    """Counts and medians that a reader needs to trust the rest. `frame` with repeats."""
    first, panel = frame[~frame["repeat"]], Panel.of(frame)
    clips = stimuli.by_stimulus(frame)
    judged = first.groupby("listener")["name"].size()
    results = [
        _count(LISTENERS, panel.listeners),
        _count(ANSWERS, len(first)),
        _count(CLIPS, len(clips)),
        _count(INCOMPLETE, int((judged < len(clips)).sum()), panel.listeners),
        _order(first, panel),
    ]
    results.append(_share(first, "plays", UNPLAYED, lambda plays: plays == 0))
    results.append(_median(first, "plays", PLAYS, "plays"))
    results.append(_median(first, "response_seconds", RESPONSE, "seconds"))
    results.append(_share(first, "response_seconds", HASTY, lambda seconds: seconds < HASTY_SECONDS))
    return [*results, _repeats(frame), *_odd(frame)]


def fixed_order(first: pd.DataFrame) -> bool:
    """True where every listener heard every clip at the same position of its set."""
    return bool((first.groupby(["set", "name"])["position"].nunique() <= 1).all())


def _count(name: str, count: int, total: int | None = None, note: str = "") -> Result:
    of = None if total is None else (count, total)
    return Question(FAMILY, name, method="count").result(
        float(count), n=total, of=of or (count, None), notes=(note,)
    )


def _order(first: pd.DataFrame, panel: Panel) -> Result:
    question = Question(FAMILY, ORDER, method="number of different orders")
    if first["position"].isna().any():
        return question.refuse("positions are not in the table")
    if panel.single_listener or fixed_order(first):
        who = (
            "one listener heard one order" if panel.single_listener else "every listener heard the same order"
        )
        return question.refuse(f"{who}, so order and clip cannot be told apart")
    orders = first.sort_values(["set", "position"]).groupby("listener")["name"].agg(tuple).nunique()
    return question.result(float(orders), n=panel.listeners)


def _known(first: pd.DataFrame, column: str):
    return first[column].dropna() if column in first else pd.Series(dtype=float)


def _share(first: pd.DataFrame, column: str, name: str, test) -> Result:
    known = _known(first, column)
    if known.empty:
        return Question(FAMILY, name).refuse(f"the table has no {column.replace('_', ' ')}")
    return _count(name, int(test(known).sum()), len(known))


def _median(first: pd.DataFrame, column: str, name: str, unit: str) -> Result:
    known = _known(first, column)
    if known.empty:
        return Question(FAMILY, name).refuse(f"the table has no {column.replace('_', ' ')}")
    question = Question(FAMILY, name, unit="answer", method=f"median and quartiles, {unit}")
    return question.result(known.median(), (known.quantile(0.25), known.quantile(0.75)), n=len(known))


def _odd(frame: pd.DataFrame) -> list[Result]:
    """How many answers lack a value because it was impossible, and which ones; [] where no table says."""
    if "left_empty" not in frame:
        return []
    named = frame["left_empty"].dropna()
    counts = named.str.split().explode().value_counts(sort=False)
    note = ", ".join(f"{column.replace('_', ' ')} of {count}" for column, count in counts.items())
    return [_count(ODD, len(named), len(frame), note)]


def _repeats(frame: pd.DataFrame) -> Result:
    again = frame[frame["repeat"]]
    if again.empty:
        return Question(FAMILY, REPEATED).refuse("no clip was presented twice")
    keys = ["listener", "set", "name"]
    pairs = again.merge(frame[~frame["repeat"]], on=keys, suffixes=("_again", ""))
    return _count(REPEATED, int((pairs["verdict_again"] == pairs["verdict"]).sum()), len(pairs))
