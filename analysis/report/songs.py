"""What a report says of songs: which clips could be used in them, as what, and what listeners would take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from analysis import formats as f
from analysis import song_answers
from analysis.report.comments import Pin
from analysis.results import songs
from analysis.results.outcomes import WOULD_USE
from analysis.results.result import ALL, MACHINE, Result, find
from analysis.results.stimuli import Panel
from analysis.table import ReportTable

INTERVAL = "95% interval"
MOST_USES = 3  # listeners whose use of a clip stands on its card
METHODS = (
    "Of every clip they said which of the study's songs could use it, or none of them; as what; what they "
    "would take from it (groove, harmony, melody, sound, form); and at which moment. The share of answers "
    "that would use a clip is estimated and compared as the other outcomes are. Whether clips are chosen for "
    "the song that they were made for is measured within answers: whether the clip was chosen for its own "
    "song, less the share of the other songs with clips of their own that it was chosen for, each song "
    "weighing the same. That is 0 where choices do not depend on what clips were made for, whichever songs "
    "and clips are popular. {how}"
)
_PANEL = (
    "It is the mean of the songs' means of a linear mixed model by REML with listeners and clips random, for "
    "these songs, checked by permuting the songs that clips were made for."
)
_ONE = "Its p is of the exact permutation of the songs that clips were made for."


def methods(frame: pd.DataFrame) -> str:
    """The paragraph of the methods; "" where nobody was asked. frame: loaded answers."""
    how = _ONE if Panel.of(frame).single_listener else _PANEL
    return METHODS.format(how=how) if song_answers.asked(frame) else ""


def sentences(results: Iterable[Result], panel: Panel) -> list[str]:
    """A sentence for the songwriter: how often machine-made clips would be used, and whether in their own
    song; none where nobody was asked."""
    results = list(results)
    used = find(results, "truth", WOULD_USE.mean, MACHINE)
    if used is None or used.refused:
        return []
    within = f.interval(used.low, used.high, f.percent)
    interval = f"; 95% interval {within}" if within else ""
    if panel.single_listener:
        text = f"The listener would use {f.few(used.count)} of {used.total} machine-made clips in a song "
    else:
        text = f"{used.count} of {used.total} answers would use a machine-made clip in a song "
    return [f"{text}({f.percent(used.estimate)}{interval}). {_own(results)}".strip()]


def _own(results: list[Result]) -> str:
    own = find(results, songs.FAMILY, songs.OWN_LESS_OTHERS, ALL)
    if own is None:
        return ""
    if own.refused:
        return f"Whether clips suit the song that they were made for cannot be said: {own.note}."
    points = f"{f.number(100 * abs(own.estimate), 0)} percentage points"
    ends = f.interval(own.low, own.high, lambda value: f.number(100 * value, 0))
    within = f"95% interval {ends}; " if ends else ""
    if own.p is None:
        return f"For their own song clips were chosen {points} {_way(own)} than for the others, untested."
    shown = f"({within}p {f.p_value(own.p)})"
    if own.p >= 0.05:
        return (
            "These answers do not show that clips are chosen more often for the song that they were made "
            f"for than for the others: {points} {_way(own)} {shown}."
        )
    return (
        f"Clips were chosen {_way(own)} for the song that they were made for than for the others, by "
        f"{points} {shown}."
    )


def _way(own: Result) -> str:
    return "more often" if own.estimate >= 0 else "less often"


def tables(results: Iterable[Result]) -> list[ReportTable]:
    """How often each song was chosen, by what the clips were made for, and what was taken; none unasked."""
    results = list(results)
    chosen = [r for r in results if (r.family, r.name) == (songs.FAMILY, songs.CHOSEN)]
    if not chosen:
        return []
    rows = [
        dict(zip(("song", "clips are"), r.group.split(": ", 1), strict=True)) | _numbers(r) for r in chosen
    ]
    named = {songs.TAKE: "taken", songs.ROLE: "used as"}
    taken = [
        {"question": named[r.name]}
        | dict(zip(("clips are", "answer"), r.group.split(": ", 1), strict=True))
        | _numbers(r)
        for r in results
        if r.family == songs.TAKEN and r.name in named
    ]
    made = [
        ReportTable("song_choices", "Which songs could use the clips", pd.DataFrame(rows), shown=_shown(rows))
    ]
    if taken:
        title = "What listeners would take from the clips, and as what they would use them"
        made.append(ReportTable("taken", title, pd.DataFrame(taken), shown=_shown(taken)))
    return made


def _numbers(r: Result) -> dict[str, Any]:
    return {
        "clips": r.n,
        "count": r.count,
        "of": r.total,
        "share": r.estimate,
        "low": r.low,
        "high": r.high,
    }


def _shown(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a reader sees them."""
    lines = []
    for row in rows:
        words = {name: value for name, value in row.items() if isinstance(value, str)}
        counted = "" if row["share"] is None else f"{row['count']}/{row['of']} ({f.percent(row['share'])})"
        interval = f.interval(row["low"], row["high"], f.percent)
        lines.append(words | {"clips": f.whole(row["clips"]), "answers": counted, INTERVAL: interval})
    return pd.DataFrame(lines)


def said_of(answers: pd.DataFrame) -> str:
    """What was said of one clip and the songs, in a line: how many would use it in which; "" if unasked."""
    if not song_answers.asked(answers):
        return ""
    if len(answers) == 1:
        return _use(answers.iloc[0])
    counts = Counter(song for cell in answers[song_answers.USE_IN] for song in song_answers.parts(cell))
    counts.pop(song_answers.NONE, None)
    answered = int(answers[song_answers.USE_IN].notna().sum())
    named = ", ".join(f"{song} {count}" for song, count in sorted(counts.items(), key=lambda one: -one[1]))
    return f"{named} of {answered}" if named else f"none of them ({f.plural(answered, 'answer')})"


def uses(answers: pd.DataFrame) -> list[dict[str, Any]]:
    """The first listeners who would use a clip or take something from it: words, and a pin on the moment."""
    if not song_answers.asked(answers):
        return []
    lines = []
    for _, answer in answers.iterrows():
        moment = answer.get(song_answers.MOMENT)
        pins = [] if moment is None or pd.isna(moment) else [Pin(int(moment), "")]
        words = _use(answer)
        if pins or words not in ("", song_answers.NONE):
            lines.append({"listener": answer["listener"], "words": [words], "pins": pins})
    return lines[:MOST_USES]


def _use(answer: pd.Series) -> str:
    """One answer in words: "dune as bridge, takes groove and sound"."""
    used, roles, taken = (
        song_answers.parts(answer.get(column))
        for column in (song_answers.USE_IN, song_answers.USE_AS, song_answers.TAKE)
    )
    words = " and ".join(used)
    if roles and used != (song_answers.NONE,):
        words += f" as {' or '.join(roles)}"
    return ", ".join(filter(None, [words, f"takes {' and '.join(taken)}" if taken else ""]))
