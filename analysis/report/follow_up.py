"""What a report says of the follow-up: what came of kept clips, song by song and in the listeners' words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import formats as f
from analysis.questionnaire import CAME_OF_IT
from analysis.results import follow_up
from analysis.results.result import ALL, MACHINE, ORIGINALS, Result, find
from analysis.results.stimuli import Panel
from analysis.table import ReportTable

INTERVAL = "95% interval"
NO_SONG = "no song named"
WORDS = {"nothing": "nothing", "idea": "an idea", "part": "a part", "song": "a finished song"}
METHODS = (
    "Days after they had finished, listeners heard the clips that they had kept once more, still blinded,"
    " and said of each whether nothing, an idea, a part of a song or a finished song had come of it. A "
    "part or a song counts as a Eureka. Rates of kept clips speak of clips that listeners chose "
    "themselves, so that groups of clips differ in who kept them as well as in how they were made; rates "
    "of heard clips count what was not kept as nothing, and kept clips that were not answered once as "
    "nothing and once as a Eureka (Manski 1990). There is no control for what would have come without any"
    " clip: originals among the kept clips are the nearest to one. Answers are the listeners' own word, "
    "given to somebody who hopes for a Eureka, and from memory. {how} The time until something came is "
    "described by the median of what was stated; no survival curve is drawn, as most times are not known "
    "and none was observed."
)
_PANEL = (
    "Rates and differences are of the crossed linear mixed models that the other shares have, from "
    f"{follow_up.LEAST_ANSWERS} answers on."
)
_ONE = "With one listener rates have Clopper and Pearson's intervals over the clips, for this listener only."


def methods(results: Iterable[Result]) -> list[str]:
    """The paragraph of the methods; none where there was no follow-up."""
    rate = find(results, follow_up.FAMILY, follow_up.EUREKA.mean, ALL)
    if rate is None:
        return []
    return [METHODS.format(how=_ONE if rate.unit.endswith("this listener only") else _PANEL)]


def sentences(results: Iterable[Result], panel: Panel) -> list[str]:
    """A sentence on the Eurekas; none where there was no follow-up."""
    results = list(results)
    rate = find(results, follow_up.FAMILY, follow_up.EUREKA.mean, ALL)
    if rate is None:
        return []
    kept = find(results, follow_up.FAMILY, follow_up.ASKED)
    if rate.refused:
        return [f"What came of the {kept.count} kept clips cannot be said yet: {rate.note}."]
    songs = find(results, follow_up.FAMILY, follow_up.LEVELS["song"], ALL)
    within = f.interval(rate.low, rate.high, f.percent)
    interval = f"; 95% interval {within}" if within else ""
    who = "with this listener" if panel.single_listener else "with these listeners"
    share = f.percent(rate.estimate)
    if share != f.percent(rate.count / rate.total):  # the model weighs listeners and clips, not answers
        share = f"{share} for listeners and clips like these"
    text = (
        f"A part or a finished song came of {f.few(rate.count)} of {rate.total} kept clips {who} "
        f"({share}{interval})"
    )
    text += f", a finished song of {f.few(songs.count)}" if songs.count else ""
    unknown = kept.count - rate.total
    text += f"; of {f.plural(unknown, 'more kept clip')} nobody has said anything yet" if unknown else ""
    return [f"{text}. What would have come without the clips is not known."]


def tables(rows: Sequence[Mapping[str, Any]], results: Iterable[Result]) -> list[ReportTable]:
    """Every kept clip, what came of them song by song, and the rates by groups; none without a follow-up."""
    if not rows:
        return []
    everything = pd.DataFrame([dict(row) for row in rows])
    whole = ReportTable("follow_up", "What came of every kept clip", everything)
    return [whole, _by_song(_final(rows)), _rates(list(results))]


def section(
    rows: Sequence[Mapping[str, Any]], results: Iterable[Result], panel: Panel
) -> dict[str, Any] | None:
    """What the page shows: the songs with what came of the clips for each; None without a follow-up."""
    results = list(results)
    if not rows or find(results, follow_up.FAMILY, follow_up.ASKED) is None:
        return None
    late = find(results, follow_up.FAMILY, follow_up.LATER)
    days = find(results, follow_up.FAMILY, follow_up.DAYS)
    when = ""
    if days is not None and not days.refused:
        when = (
            f"Of {f.plural(days.total, 'Eureka')} {days.count} say when: after {f.number(days.estimate, 0)} "
            "days in the median, from memory."
        )
    warning = ""
    if late is not None:
        warning = (
            f"{f.plural(late.count, 'answer')} of {late.total} came after the unblinding, when listeners may "
            "have known what the clips were."
        )
    rate = find(results, follow_up.FAMILY, follow_up.EUREKA.mean, ALL)
    known = rate is not None and not rate.refused
    return {"songs": _songs(_final(rows), panel), "when": when, "warning": warning, "known": known}


def _final(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows whose outcome counts, the greatest first."""
    counted = [dict(row) for row in rows if row.get("final") is True and row.get("outcome") in CAME_OF_IT]
    return sorted(counted, key=lambda row: -CAME_OF_IT.index(row["outcome"]))


def _songs(rows: Sequence[Mapping[str, Any]], panel: Panel) -> list[dict[str, Any]]:
    """Song by song, the furthest first: each clip of which anything came, with the listener's words."""
    songs: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if row["outcome"] == CAME_OF_IT[0] and not row.get("words"):
            continue
        name = NO_SONG if row["outcome"] == CAME_OF_IT[0] else row.get("song") or NO_SONG
        made = "original" if row["truth"] == "real" else f"{row['backend']}, {row['mode']}"
        days = row.get("days")
        came = WORDS[row["outcome"]]
        if days is not None and not pd.isna(days):
            came += f", after {f.plural(int(days), 'day')}"
        about = {"clip": row["name"], "made": made, "came": came, "words": row.get("words") or ""}
        about["listener"] = "" if panel.single_listener else row["listener"]
        songs.setdefault(name, []).append(about)
    ends = [name for name in songs if name != NO_SONG] + [NO_SONG] * (NO_SONG in songs)
    return [{"name": name, "clips": songs[name]} for name in ends]


def _by_song(rows: Sequence[Mapping[str, Any]]) -> ReportTable:
    """How many ideas, parts and finished songs came of clips, by the song that listeners name."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        if row["outcome"] != CAME_OF_IT[0]:
            name = row.get("song") or NO_SONG
            counts.setdefault(name, dict.fromkeys(CAME_OF_IT[1:], 0))[row["outcome"]] += 1
    table = [{"song": name, **{WORDS[level]: n for level, n in by.items()}} for name, by in counts.items()]
    columns = ["song", *(WORDS[level] for level in CAME_OF_IT[1:])]
    return ReportTable(
        "follow_up_songs", "What came of kept clips, by song", pd.DataFrame(table, columns=columns)
    )


def _rates(results: list[Result]) -> ReportTable:
    """The rates of every group, of kept and of heard clips."""
    rows = []
    for r in results:
        rate = r.family.startswith(follow_up.FAMILY) and r.name == follow_up.EUREKA.mean
        if not rate or r.refused:
            continue
        idea = find(results, r.family, follow_up.IDEA.mean, r.group)
        heard = find(results, r.family, follow_up.HEARD.mean, r.group)
        ends = [
            find(results, r.family, one.mean, r.group)
            for one in (follow_up.HEARD_LEAST, follow_up.HEARD_MOST)
        ]
        of_heard = (
            f.percent(heard.estimate)
            if heard
            else " to ".join(f.percent(end.estimate) for end in ends if end)
        )
        rows.append(
            {
                "kind": r.family.removeprefix(f"{follow_up.FAMILY}, ") if "," in r.family else "all clips",
                "group": {ALL: "all", MACHINE: MACHINE, ORIGINALS: ORIGINALS}.get(r.group, r.group),
                "followed up": r.total,
                "Eureka": r.count,
                "rate": r.estimate,
                INTERVAL: f.interval(r.low, r.high, f.percent),
                "at least an idea": idea.count if idea else None,
                "of heard clips": of_heard,
            }
        )
    columns = [
        "kind",
        "group",
        "followed up",
        "Eureka",
        "rate",
        INTERVAL,
        "at least an idea",
        "of heard clips",
    ]
    table = pd.DataFrame(rows, columns=columns)
    return ReportTable("follow_up_rates", "Eureka rates", table, {"rate": f.percent})
