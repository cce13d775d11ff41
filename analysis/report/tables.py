"""Tables of a report: answers and results in, table frames out. Nothing is computed here, only laid out."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis import conditions, song_answers
from analysis import formats as f
from analysis.report import comments
from analysis.report import songs as song_words
from analysis.results import (
    comparisons,
    confidence,
    discrimination,
    follow_up,
    individuals,
    own_questions,
    panel_models,
    quality,
    ratings,
    songs,
    stimuli,
    trainings,
)
from analysis.results.comparisons import (
    BACKENDS,
    EPOCHS,
    MODES,
    PLANS,
    SETS,
    SONGS,
    STRENGTHS,
    TRAININGS,
    TRUTH,
)
from analysis.results.outcomes import INSPIRED, JUDGED_REAL, KEPT, MUSICALITY, WOULD_USE
from analysis.results.result import CHECK, ORIGINALS, Result, find, groups, of_family
from analysis.results.stimuli import Panel
from analysis.table import ReportTable

LEVEL_WORDS = {"dont_know": "don't know"}
NEVER_TESTED = (individuals.CLIPS, individuals.LISTENERS, quality.FAMILY, ratings.MISSING, SETS, TRAININGS)
OWN_TABLE = (
    individuals.MODES,
    confidence.FAMILY,
    own_questions.LISTENERS,
    own_questions.ACCURACY,
)  # described, and shown apart
DESCRIPTIVE = (
    ratings.REAL,
    ratings.MEAN,
    ratings.SD,
    ratings.MEDIAN,
    INSPIRED.mean,
    KEPT.mean,
    WOULD_USE.mean,
    *songs.DESCRIBED,
    *follow_up.DESCRIBED,
    *own_questions.DESCRIBED,
    *(f"{ratings.INSPIRING} {level}" for level in ratings.LEVELS),
    ratings.OTHER,
)
SCALES = {  # what an estimate counts
    panel_models.CRITERION: "in units of d\N{PRIME}",
    JUDGED_REAL.difference: "share",
    INSPIRED.difference: "share",
    WOULD_USE.difference: "share",
    songs.DIFFERENCE: "share",
    follow_up.EUREKA.difference: "share",
    songs.OWN_LESS_OTHERS: "difference of shares",
    songs.OWN_LESS_OTHERS + CHECK: "difference of shares",
    MUSICALITY.difference: "points",
    panel_models.ORDINAL: "odds ratio",
    panel_models.INSPIRING_ODDS: "odds ratio",
    panel_models.ICC_CLIPS: "share of variance",
    panel_models.ICC_LISTENERS: "share of variance",
    **dict.fromkeys(panel_models.ICC_NESTS.values(), "share of variance"),
    panel_models.TREND.format(MUSICALITY.name): "points",
    panel_models.TREND.format(JUDGED_REAL.name): "share",
    panel_models.LEARNING: "log odds",
    panel_models.SPEED: "log seconds",
    comparisons.SIMILAR: "points",
    comparisons.PASSES: "balanced accuracy",
}
UNSAID = "not said"
INTERVAL = "95% interval"


def answers(frame: pd.DataFrame, group: str) -> ReportTable:
    """One listener's answers to one set, in the order heard, beside what the clips were."""
    part = frame[(frame["set"] == group) & ~frame["repeat"]].sort_values("position", kind="stable")
    columns = {
        "no.": part["position"],
        "clip": part["name"],
        "made by": part["backend"],
        "mode": part["mode"],
        "epochs": part["epochs"],
        **{column: part[column] for column in conditions.stated(part)},
        "truth": part["truth"],
        "verdict": part["verdict"],
        "easy to tell": part["difficulty"].replace(LEVEL_WORDS),
        "musicality": part["musicality"],
        "inspiring": part["inspiring"],
    }
    if "confidence" in part and part["confidence"].notna().any():
        columns["confidence"] = part["confidence"]
    if "kept" in part and part["kept"].notna().any():
        columns["kept"] = part["kept"].map({True: "kept", False: ""})
    if song_answers.asked(part):
        columns["songs"] = [song_words.said_of(row.to_frame().T) for _, row in part.iterrows()]
    for column, title in (
        ("inspiring_text", "inspiring, in words"),
        ("comment", "comment"),
        ("remark", "remark"),
    ):
        if column in part and part[column].notna().any():
            columns[title] = part[column]
    table = pd.DataFrame(columns).reset_index(drop=True)
    return ReportTable(f"clips_{group}", f"Set {group}, clip by clip", table, {"musicality": f.rating})


def clips(frame: pd.DataFrame, results: Iterable[Result], group: str) -> ReportTable:
    """A panel's answers to one set, one row per clip, the most convincing first."""
    by_name, rows = of_family(results, individuals.CLIPS), []
    part = frame[frame["set"] == group]
    remarks = part.groupby("name")["remark"].first() if "remark" in part else {}
    used = {name: song_words.said_of(rows) for name, rows in part[~part["repeat"]].groupby("name")}
    pinned = {name: comments.pinned(rows) for name, rows in part.groupby("name")} if "comment" in part else {}
    levels = inspiring_said(frame)
    answered = part.loc[~part["repeat"], ["name"]].assign(answer=part["inspiring"].fillna(UNSAID))
    counts = answered.groupby("name")["answer"].value_counts().to_dict()
    shown = stimuli.by_stimulus(frame)  # of all sets: labels are made unique over all of them
    for clip in shown[shown["set"] == group].itertuples():
        real, mean = by_name[ratings.REAL, clip.label], by_name[ratings.MEAN, clip.label]
        rows.append(
            {
                "clip": clip.name,
                "made by": clip.backend,
                "mode": clip.mode,
                "epochs": clip.epochs,
                **{column: getattr(clip, column) for column in conditions.stated(part)},
                "truth": clip.truth,
                "judged real": real.estimate,
                "low": real.low,
                "high": real.high,
                "listeners": real.n,
                "musicality": mean.estimate,
                "rated by": mean.n,
                **{f"inspiring {answer}": counts.get((clip.name, answer), 0) for answer in levels},
                "songs": used.get(clip.name) or None,
                "pinned": pinned.get(clip.name) or None,
                "remark": remarks.get(clip.name),
            }
        )
    table = pd.DataFrame(rows).sort_values("judged real", ascending=False, kind="stable", ignore_index=True)
    unsaid = [column for column in ("songs", "pinned", "remark") if table[column].isna().all()]
    table = table.drop(columns=unsaid)
    written = {"judged real": f.percent, "low": f.percent, "high": f.percent, "musicality": f.rating}
    return ReportTable(f"clips_{group}", f"Set {group}, clip by clip", table, written)


def inspiring_said(frame: pd.DataFrame) -> list[str]:
    """What was answered to "inspiring", so that the counts of a row add up to its answers.

    Always yes, maybe and no; other, and that nothing was said, only where it occurs.
    """
    first = frame.loc[~frame["repeat"], "inspiring"]
    other = ["other"] if (first == "other").any() else []
    return [*ratings.LEVELS, *other, *([UNSAID] if first.isna().any() else [])]


def by_group(results: Iterable[Result], family: str, title: str) -> ReportTable:
    """How each group of a family was judged: verdicts, musicality and inspiring, with intervals.

    Below groups of machine-made clips stands the row of the originals.
    """
    results, rows, key = list(results), [], _singular(family)
    places = [(family, group) for group in groups(results, family, ratings.REAL)]
    if places and family not in (TRUTH, SETS) and ORIGINALS in groups(results, TRUTH, ratings.REAL):
        places.append((TRUTH, ORIGINALS))
    for family, group in places:
        real = find(results, family, ratings.REAL, group)
        mean, sd, median = (
            find(results, family, n, group) for n in (ratings.MEAN, ratings.SD, ratings.MEDIAN)
        )
        kept = find(results, family, KEPT.mean, group)
        inspired = {
            level: find(results, family, f"{ratings.INSPIRING} {level}", group) for level in ratings.LEVELS
        }
        counts = {level: result and result.count for level, result in inspired.items()}
        other = find(results, family, ratings.OTHER, group)
        counts["other"] = other.count if other else 0
        counts[UNSAID] = real.total - sum(filter(None, counts.values()))
        rows.append(
            {
                key: group,
                "clips": real.n,
                "judged real": real.estimate,
                "low": real.low,
                "high": real.high,
                "count": real.count,
                "of": real.total,
                "musicality mean": mean.estimate,
                "mean low": mean.low,
                "mean high": mean.high,
                "SD": sd and sd.estimate,
                "median": median and median.estimate,
                "rated clips": mean.n,
                **counts,
                "kept": kept and kept.count,
                "kept of": kept and kept.total,
            }
        )
    for answer in ("other", UNSAID):  # a column only where it occurs
        if not any(row[answer] for row in rows):
            rows = [{key: value for key, value in row.items() if key != answer} for row in rows]
    table = pd.DataFrame(rows, columns=None if rows else [key])
    shown = pd.DataFrame([_group_line(key, row) for row in rows])
    return ReportTable(f"by_{key}", title, table, shown=shown)


def _group_line(key: str, row: dict) -> dict[str, str]:
    """One group as a reader sees it."""
    levels = [answer for answer in (*ratings.LEVELS, "other", UNSAID) if answer in row]
    return {
        key: row[key],
        "clips": str(row["clips"]),
        "judged real": f"{row['count']}/{row['of']} ({f.percent(row['judged real'])})",
        INTERVAL: f.interval(row["low"], row["high"], f.percent),
        "musicality, mean": f.number(row["musicality mean"]),
        "mean, 95% interval": f.interval(row["mean low"], row["mean high"]),
        "SD": f.number(row["SD"]),
        "median": f.number(row["median"], 1),
        "clips rated": str(row["rated clips"]),
        f"inspiring {' / '.join(levels)}": " / ".join(f.whole(row[answer]) for answer in levels),
        "kept": "" if row["kept"] is None else f"{row['kept']}/{row['kept of']}",
    }


def _singular(family: str) -> str:
    names = {TRUTH: "truth", BACKENDS: "backend", MODES: "mode", EPOCHS: "epochs", SETS: "set"}
    return (names | conditions.COLUMNS | {TRAININGS: "training"})[family]


def statistics(results: Iterable[Result]) -> ReportTable:
    """Every estimate with inference, test and agreement that was computed."""
    rows = inferential(results)
    about = {
        "question": [r.family for r in rows],
        "result": [r.name for r in rows],
        "of": [r.group for r in rows],
        "counted in": [SCALES.get(r.name, "") for r in rows],
        "n": [r.n for r in rows],
        "unit": [r.unit for r in rows],
        "method": [r.method for r in rows],
        "note": [r.note for r in rows],
    }
    return inference("statistics", "Statistics", rows, about, before=("question", "result", "of"))


def inference(
    name: str, title: str, rows: list[Result], about: dict[str, list], *, before: tuple[str, ...]
) -> ReportTable:
    """Estimates with their intervals and p, a row each: how every table of them is laid out.

    about: the other columns; those named `before` stand before the numbers, a unit after the estimate.
    """
    numbers = {
        "estimate": [r.estimate for r in rows],
        **{name: about[name] for name in ("counted in",) if name in about},
        "low": [r.low for r in rows],
        "high": [r.high for r in rows],
        "p": [r.p for r in rows],
        "p (Holm)": [r.p_holm for r in rows],
    }
    after = [column for column in about if column not in (*before, *numbers)]
    table = pd.DataFrame(about | numbers)[[*before, *numbers, *after]]
    shown = ReportTable("", "", table, {"n": f.whole}).cells()
    for column, written in pd.DataFrame([in_numbers(r) for r in rows]).items():
        shown["low" if column == INTERVAL else column] = written
    shown = shown.drop(columns="high").rename(columns={"low": INTERVAL})
    return ReportTable(name, title, table, shown=shown)


def in_numbers(result: Result) -> dict[str, str]:
    """A result's estimate, interval and p as a reader sees them, by column; "" for what it has none of."""
    other = f" ({result.level:.0%})" if result.level != 0.95 and result.low is not None else ""
    return {
        "estimate": "" if result.estimate is None else f.number(result.estimate),
        INTERVAL: f.interval(result.low, result.high) + other,
        "p": "" if result.p is None else f.p_value(result.p),
        "p (Holm)": "" if result.p_holm is None else f.p_value(result.p_holm),
    }


def inferential(results: Iterable[Result]) -> list[Result]:
    """The results that are neither descriptions of a group or clip, nor counts, nor refused."""
    described = {*DESCRIPTIVE, *discrimination.COUNTS}
    apart = (*NEVER_TESTED, *OWN_TABLE)
    return [r for r in results if not r.refused and r.family not in apart and r.name not in described]


def not_computed(results: Iterable[Result]) -> ReportTable:
    """What was not computed and why; analyses that share a reason share a row."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for r in results:
        if (
            r.refused
            and r.family not in NEVER_TESTED
            and r.name not in DESCRIPTIVE
            and not r.name.endswith(CHECK)
        ):
            what = r.name if r.group == "all" else f"{r.name} ({r.group})"
            reasons.setdefault((r.family, r.note), []).append(what)
    table = pd.DataFrame(
        [(family, "; ".join(what), note) for (family, note), what in reasons.items()],
        columns=["question", "analysis", "why not"],
    )
    return ReportTable("not_computed", "What was not computed, and why", table)


def listeners(results: Iterable[Result]) -> ReportTable:
    """Each listener of a panel, described: rates, balanced accuracy, d' and c."""
    by_name = of_family(results, individuals.LISTENERS)
    names = (
        individuals.HIT_RATE,
        discrimination.FALSE_ALARM,
        discrimination.BALANCED,
        discrimination.D_PRIME,
        discrimination.CRITERION,
    )
    rows = [
        {"listener": listener, "clips": result.n}
        | {key: by_name[key, listener].estimate for key in names if (key, listener) in by_name}
        for (name, listener), result in by_name.items()
        if name == discrimination.D_PRIME
    ]
    written = {**dict.fromkeys(names[:3], f.percent), **dict.fromkeys(names[3:], f.number)}
    table = pd.DataFrame(rows, columns=["listener", "clips", *names])
    return ReportTable("listeners", "Listeners, one by one (described, not tested)", table, written)


def missing(results: Iterable[Result]) -> ReportTable:
    """Answers that were not given, by truth, and the bounds they set on the means of musicality."""
    rows = [
        (r.name, r.group, r.estimate, r.total, r.low, r.high) for r in results if r.family == ratings.MISSING
    ]
    columns = ["what", "of", "value", "out of", "lowest", "highest"]
    return ReportTable(
        "missing_answers",
        "Missing answers",
        pd.DataFrame(rows, columns=columns),
        {"value": f.rating, "out of": f.whole, "lowest": f.number, "highest": f.number},
    )


def data_quality(results: Iterable[Result]) -> ReportTable:
    """Counts and medians that a reader needs to trust the rest."""
    rows = [
        (r.name, r.estimate, r.total, f.interval(r.low, r.high, f.rating), r.note)
        for r in results
        if r.family == quality.FAMILY
    ]
    columns = ["what", "value", "out of", "quartiles", "note"]
    table = pd.DataFrame(rows, columns=columns)
    return ReportTable("data_quality", "Data quality", table, {"value": f.rating, "out of": f.whole})


def everything(frame: pd.DataFrame, results: Iterable[Result]) -> list[ReportTable]:
    """All tables of a report, in its order."""
    results, panel = list(results), Panel.of(frame)
    sets = list(dict.fromkeys(frame["set"]))
    per_set = [
        answers(frame, name) if panel.single_listener else clips(frame, results, name) for name in sets
    ]
    grouped = [
        by_group(results, TRUTH, "Machine-made and original"),
        by_group(results, EPOCHS, "By epochs"),
        by_group(results, MODES, "By mode"),
        by_group(results, BACKENDS, "By backend"),
        by_group(results, SETS, "By set"),
    ]
    for family, title in ((PLANS, "By plan"), (STRENGTHS, "By strength"), (SONGS, "By song")):
        if groups(results, family, ratings.REAL):
            grouped.append(by_group(results, family, title))
    if trainings.repeated(frame):
        grouped.append(by_group(results, TRAININGS, "By training"))
    rest = [statistics(results), not_computed(results), missing(results), data_quality(results)]
    rest.append(comments.table(frame))
    return [*per_set, *grouped, *rest, *([] if panel.single_listener else [listeners(results)])]


def certainty(results: Iterable[Result]) -> ReportTable:
    """How confident listeners were when right and when wrong, and how often they were right at each level."""
    rows = [r for r in results if r.family == confidence.FAMILY and not r.refused]
    table = pd.DataFrame(
        [(r.name, r.estimate, r.low, r.high, r.count, r.total) for r in rows],
        columns=["what", "value", "low", "high", "count", "of"],
    )
    lines = []
    for r in rows:
        share = r.name.startswith(confidence.RIGHT_AT)
        counted = f.whole(r.count) if r.name in (confidence.WHEN_RIGHT, confidence.WHEN_WRONG) else ""
        value = f"{r.count}/{r.total} ({f.percent(r.estimate)})" if share else f.number(r.estimate)
        lines.append((r.name, value, f.interval(r.low, r.high, f.percent), counted))
    shown = pd.DataFrame(lines, columns=["what", "value", "95% interval", "answers"])
    return ReportTable("confidence", "Confidence", table, shown=shown)
