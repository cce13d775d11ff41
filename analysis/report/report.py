"""The report of a listening study: one page that needs nothing else, with its tables and plots as files.

The page holds plots as inline SVG, sound as data and one script of ours, the only one that may run in it (it
plays pinned moments and opens every part for paper); every text in it is escaped. A report folder
is built beside its place and then put there in one step, so there is never half a report.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from analysis import formats as f
from analysis import plots, responses, web_page
from analysis.plan import AnalysisPlan
from analysis.report import (
    comments,
    estimands,
    figures,
    follow_up,
    further_rounds,
    inspiring_clips,
    methods,
    own_questions,
    sentences,
    songs,
    tables,
)
from analysis.results import checks, measured, rounds, sensitivity, statistics, stimuli
from analysis.results.measured import ClipMeasures
from analysis.results.result import Result, to_frame, to_json
from analysis.results.stimuli import Panel
from analysis.table import ReportTable, numeric
from caw.problems import ProblemError

PAGE = "index.html"
RESULTS = "statistics.json"
FACTS = "study.json"  # what `ReportFacts` holds besides results
OWN = {PAGE, RESULTS, FACTS, "tables", "plots"}
SOUND = {".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".mp3": "audio/mpeg"}
TITLE = "Listening study"
CHECKED = {  # what stands beside the statistics: by family its title, and what it is
    sensitivity.FAMILY: (
        "Sensitivity",
        "The main comparison again, without answers that may not be meant; their p are not corrected.",
    ),
    checks.FAMILY: (
        "Model checks",
        "Whether the models of the main comparison fit, and how far one listener or one clip carries it.",
    ),
}
MOST_ROWS = 400  # of a table on the page; its file has them all
HASH = re.compile("[0-9a-f]{32,}")


class ReportError(ProblemError):
    """A report that cannot be written where, or of what, was asked."""


@dataclass(frozen=True)
class ReportFacts:
    """What a study knows beside its answers. All optional; what is not given is not mentioned.

    title: the study's. stimuli: stimulus_id (or clip name) -> audio file, for the players. final_forms: one
    mapping per open answer, with listener, question and text. provenance: facts by name, or rows of a table.
    unfinished: listeners who had not finished. unblinding: the record of it, or several. settings: the
    study's own (tables stimuli, listening and questions of study.toml), for the methods section. plan: what
    was settled before the data; plan_told: since when, and whether it still stands. measures: what the clips
    measured, as `measured.of` takes it; {} where the study measured none. results: those of `rehearse` for
    the same answers; None: computed when written. follow_up: a mapping per kept clip, with what came of it
    and what the clip is, as `results.follow_up.attached` takes it.
    """

    title: str = ""
    stimuli: Mapping[str, Path] = field(default_factory=dict)
    final_forms: Sequence[Mapping[str, Any]] = ()
    provenance: Mapping[str, Any] | Sequence[Mapping[str, Any]] = field(default_factory=dict)
    unfinished: Sequence[str] = ()
    unblinding: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    settings: Mapping[str, Any] | None = None
    plan: AnalysisPlan | None = None
    plan_told: str = ""
    measures: Mapping[str, Any] | None = None
    results: Sequence[Result] | None = None
    follow_up: Sequence[Mapping[str, Any]] = ()


def rehearse(frame: pd.DataFrame, out: Path, *, facts: ReportFacts) -> ReportFacts:
    """All that can refuse a report of `frame` (as of `responses.load`) at `out`, before one is written.

    Nothing is written. Returns the facts with the results of these answers, for `write`. Raises as `write`.
    """
    check(Path(out).resolve(), facts)
    results, frame = _evaluated(frame, facts), rounds.first(frame)
    measured.of(facts.measures, stimuli.by_stimulus(frame))
    tables.everything(frame, results)
    clip_provenance(facts.provenance)
    return replace(facts, results=results)


def write(frame: pd.DataFrame, out: Path, *, facts: ReportFacts | None = None) -> Path:
    """Write the report on a study into a folder.

    Parameters
    ----------
    frame : pandas.DataFrame
        Answers, as of `responses.load` or as that takes them.
    out : Path
        A folder, new or of an earlier report, which is replaced in one step.
    facts : ReportFacts, optional
        What the study knows beside its answers.

    Returns
    -------
    Path
        Of index.html. Beside it are statistics.json, tables/ (CSV, Markdown, LaTeX) and plots/ (PNG, SVG).

    Raises
    ------
    ReportError
        Where `out` is a file or holds anything else than a report, where it cannot be written, and where a
        sound file of `facts` is missing or of an unknown kind.

    Examples
    --------
    >>> from analysis import responses
    >>> write(responses.founding(), Path("report")).name
    'index.html'
    """
    facts, out = facts or ReportFacts(), Path(out).resolve()
    _check_place(out)
    frame = frame if "repeat" in frame else responses.load(frame)
    results = _evaluated(frame, facts) if facts.results is None else list(facts.results)
    answers, frame = frame, rounds.first(frame)
    measures = measured.of(facts.measures, stimuli.by_stimulus(frame))
    parts = tables.everything(frame, results) + clip_provenance(facts.provenance)
    parts += [inspiring_clips.by_condition(frame), tables.certainty(results)]
    parts.append(estimands.table(results, facts.plan))
    own = own_questions.of(facts.settings)
    parts += songs.tables(results) + own_questions.tables(results, own)
    parts += follow_up.tables(facts.follow_up, results)
    parts += further_rounds.tables(answers)
    parts += measured.tables(measures) if measures else []
    drawn = figures.everything(frame, results, measures, own)

    def page(pictures: dict[str, dict[str, Any]]) -> str:
        return _page(frame, results, parts, pictures, facts, measures)

    return publish(out, answers, results, parts, drawn, facts, page)


def check(out: Path, facts: ReportFacts) -> None:
    """Raise ReportError where a report with these facts cannot be written to `out`; nothing is written."""
    _check_place(out)
    shutil.rmtree(_building(out))
    for name, path in facts.stimuli.items():
        sound({name: path}, name)


def publish(
    out: Path,
    frame: pd.DataFrame,
    results: list[Result],
    parts: list[ReportTable],
    drawn: Sequence[figures.Figure],
    facts: ReportFacts,
    page: Callable[[dict[str, dict[str, Any]]], str],
) -> Path:
    """Write a report's files and put them in their place in one step. Returns the path of its page.

    page: from the pictures, by the names of their figures, to the text of the page.
    """
    building = _building(out)
    try:
        _write_parts(building, frame, results, parts)
        (building / FACTS).write_text(_facts_as_json(facts, out), encoding="utf-8")
        pictures = {figure.name: _picture(figure, building / "plots") for figure in drawn}
        (building / PAGE).write_text(page(pictures), encoding="utf-8")
        for entry in building.rglob("*"):  # it tells truth; the folder itself is its owner's alone already
            entry.chmod(0o700 if entry.is_dir() else 0o600)
        _put(building, out)
    except OSError as error:
        raise ReportError(f"cannot write the report to {out}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out / PAGE


def _evaluated(frame: pd.DataFrame, facts: ReportFacts) -> list[Result]:
    own = own_questions.of(facts.settings)
    return statistics.evaluate(frame, plan=facts.plan, own=own, later=facts.follow_up)


def _building(out: Path) -> Path:
    """A new folder beside `out`, in which a report is built before it takes its place."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=".tmp", dir=out.parent))
    except OSError as error:
        raise ReportError(f"cannot write to {out.parent}: {error.strerror or error}") from None


def _check_place(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ReportError(f"{out} is a file", "name a folder for the report")
    others = sorted({entry.name for entry in out.iterdir()} - OWN) if out.is_dir() else []
    if others:
        raise ReportError(
            f"{out} holds {others[0]!r}, which is no part of a report", "name a new or empty folder"
        )


def _put(building: Path, out: Path) -> None:
    """Put the finished folder in its place; an old report stands until the new one does."""
    if not out.exists():
        os.rename(building, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}-", suffix=".old", dir=out.parent))
    os.rename(out, old / out.name)
    try:
        os.rename(building, out)
    except OSError:
        os.rename(old / out.name, out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _write_parts(folder: Path, frame: pd.DataFrame, results: list[Result], parts: list[ReportTable]) -> None:
    (folder / RESULTS).write_text(to_json(results), encoding="utf-8")
    (folder / "tables").mkdir()
    (folder / "plots").mkdir()
    for table in [
        *parts,
        ReportTable("answers", "All answers", frame),
        ReportTable("results", "All results", to_frame(results)),
    ]:
        table.write(folder / "tables")


def _facts_as_json(facts: ReportFacts, out: Path) -> str:
    """The facts for `analysis.notebook.open`: sound files by their way from the report's folder."""
    known = asdict(replace(facts, results=None, stimuli={}))
    known["stimuli"] = {name: os.path.relpath(path, out) for name, path in facts.stimuli.items()}
    return json.dumps(known, indent=1, ensure_ascii=False, default=str) + "\n"


def _picture(figure: figures.Figure, folder: Path) -> dict[str, Any]:
    """Draw a figure into its files, and for a wide and a narrow page, which shows the one that fits."""
    wide, narrow = (plots.render(figure.draw(width=width)) for width in (plots.WIDE, plots.NARROW))
    plots.save(wide, folder / figure.name)
    drawings = {
        size: Markup(plots.inline(svg, f"{figure.name}-{size}"))
        for size, svg in (("wide", wide), ("narrow", narrow))
    }
    return {"name": figure.name, "caption": figure.caption, "alt": figure.alt, **drawings}


def _page(
    frame: pd.DataFrame,
    results: list[Result],
    parts: list[ReportTable],
    pictures: dict[str, dict[str, Any]],
    facts: ReportFacts,
    measures: ClipMeasures | None,
) -> str:
    panel, named = Panel.of(frame), {table.name: table for table in parts}
    paragraphs = methods.paragraphs(frame, facts.settings)
    paragraphs += [*follow_up.methods(results), *further_rounds.methods(results)]
    sets = _sets(frame, results, named, facts)
    leading = inspiring_clips.leading(frame)
    _move_players([*leading.clips, *leading.originals], sets)
    players = {(part["name"], clip["clip"]): clip["player"] for part in sets for clip in part["clips"]}
    return web_page.render(
        "report.html.j2",
        script=web_page.REPORT_SCRIPT,
        numeric=numeric,
        most_rows=MOST_ROWS,
        most_open=inspiring_clips.MOST_OPEN,
        title=facts.title or TITLE,
        subtitle=sentences.subtitle(frame),
        one=panel.single_listener,
        summary=[
            *sentences.summary(frame, results),
            *follow_up.sentences(results, panel),
            *further_rounds.sentences(results),
        ],
        follow_up=follow_up.section(facts.follow_up, results, panel),
        reach=sentences.reach(panel),
        counting=sentences.counting(frame, results),
        trained=sentences.trained(frame),
        unfinished=list(facts.unfinished),
        inspired=sentences.inspired(results),
        leading=leading,
        sets=sets,
        tables=named,
        figures=pictures,
        statistics=_statistics([r for r in results if r.family not in CHECKED], panel),
        checked=[
            (title, text, _statistics([r for r in results if r.family == family], panel))
            for family, (title, text) in CHECKED.items()
        ],
        final_forms=comments.final_answers(facts.final_forms or responses.final_answers(frame)),
        methods=paragraphs,
        references=methods.references(paragraphs),
        provenance=known_facts(facts),
        left_empty=sentences.left_empty(results),
        measured=measured.line(measures) if measures else "",
        measurable=facts.measures is not None,
        comments_by_clip=[] if panel.single_listener else comments.by_clip(named["comments"].frame, players),
    )


def _sets(
    frame: pd.DataFrame, results: list[Result], named: dict[str, ReportTable], facts: ReportFacts
) -> list[dict[str, Any]]:
    """The clip tables: one dict per set, with a dict per clip for the page."""
    first = frame[~frame["repeat"]]
    heard = first.drop_duplicates(["set", "name"]).set_index(["set", "name"])
    sets, count = [], 0
    for name in dict.fromkeys(frame["set"]):
        table = named[f"clips_{name}"]
        rows = table.cells().to_dict("records")
        for row, values in zip(rows, table.frame.to_dict("records"), strict=True):
            clip = heard.loc[(name, row["clip"])]
            row["right"] = row.get("verdict") == row["truth"]
            row["share"] = (
                None if pd.isna(values["musicality"]) else round(float(values["musicality"]) * 10, 1)
            )
            levels, row["pins"] = comments.split(row.get("comment") or "")
            row["words"] = [words for words in (row.get("inspiring, in words"), levels) if words]
            if "pinned" in row:
                row["words"], row["pins"] = comments.moments(row["pinned"])
            row["sound"] = sound(facts.stimuli, clip.get("stimulus_id"), row["clip"])
            count += 1
            row["player"] = f"sound-{count}" if row["sound"] else ""
        line = sentences.set_line(results, name)
        levels = tables.inspiring_said(frame)
        sets.append({"name": name, "table": table, "clips": rows, "line": line, "levels": levels})
    return sets


def _move_players(opening: list[dict[str, Any]], sets: list[dict[str, Any]]) -> None:
    """Put the players of the clips that a report opens with beside them; the clip tables then lead there."""
    rows = {(part["name"], row["clip"]): row for part in sets for row in part["clips"]}
    for clip in opening:
        row = rows[clip["set"], clip["clip"]]
        clip |= {"sound": row["sound"], "player": row["player"]}
        row["sound"] = None
        for quote in (*clip["quotes"], *clip["uses"]):
            quote["player"] = row["player"]


def sound(stimuli: Mapping[str, Path], *keys: str | None) -> str | None:
    """The clip's file as a data URI, by stimulus_id or name; None where the study gave none."""
    path = next((Path(stimuli[key]) for key in keys if key in stimuli), None)
    if path is None:
        return None
    if path.suffix.lower() not in SOUND:
        raise ReportError(f"{path} is no sound a browser plays", f"known are {', '.join(SOUND)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReportError(f"cannot read the stimulus {path}: {error.strerror or error}") from None
    return f"data:{SOUND[path.suffix.lower()]};base64,{base64.b64encode(content).decode('ascii')}"


def _statistics(results: list[Result], panel: Panel) -> list[dict[str, Any]]:
    """The statistics as the page shows them, by question. What holds for all of them is said once, above."""
    chosen = tables.inferential(results)
    return [
        {
            "family": family,
            "rows": [
                {
                    "name": r.name if r.group == "all" else f"{r.name}: {r.group}",
                    "numbers": tables.in_numbers(r),
                    "scale": tables.SCALES.get(r.name, ""),
                    "n": f.whole(r.n),
                    "method": r.method.replace(", listeners and clips random", ""),  # said above
                    "note": "; ".join(_own_notes(r, panel)),
                }
                for r in chosen
                if r.family == family
            ],
        }
        for family in dict.fromkeys(r.family for r in chosen)
    ]


def _own_notes(result: Result, panel: Panel) -> list[str]:
    """A result's unit and notes, without what is said of all results of this panel."""
    unit = [] if result.unit in ("", panel.unit) else [f"unit: {result.unit}"]
    return [*unit, *(note for note in result.notes if note != panel.reach)]


def clip_provenance(provenance: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> list[ReportTable]:
    """Provenance that was given as rows, one per clip: whole in its file, with short hashes on the page."""
    if isinstance(provenance, Mapping) or not provenance:
        return []
    table = ReportTable(
        "provenance", "Provenance of every clip", pd.DataFrame([dict(row) for row in provenance])
    )
    short = table.cells().map(
        lambda cell: f"{cell[:12]}\N{HORIZONTAL ELLIPSIS}" if HASH.fullmatch(cell) else cell
    )
    return [replace(table, shown=short)]


def known_facts(facts: ReportFacts) -> list[tuple[str, str]]:
    """Facts by name, then what made this report."""
    known = facts.provenance if isinstance(facts.provenance, Mapping) else {}
    rows = [(str(name), str(value)) for name, value in known.items() if value not in (None, "")]
    if facts.plan_told:
        rows.append(("analysis plan", facts.plan_told))
    records = facts.unblinding or []
    for record in [records] if isinstance(records, Mapping) else records:
        text = ", ".join(f"{name} {value}" for name, value in record.items() if value not in (None, ""))
        rows.append(("unblinded", text))
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("numpy", "scipy", "pandas", "altair")
    )
    return [
        *rows,
        ("report written", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("software", f"eureka-study {_version()}, {versions}"),
    ]


def _version() -> str:
    try:
        return metadata.version("eureka-study")
    except metadata.PackageNotFoundError:
        return "(not installed)"
