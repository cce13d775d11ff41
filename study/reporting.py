"""From answers and the sealed key to the frame for the analysis: the one place where truth meets answers.

Opening the key is an act of its own: it is refused while listeners may still answer, needs the very key that
was sealed at build, and is logged with who and why before anything is shown. All that can refuse a report is
tried before, in memory, so that no study is opened for nothing. Pilots count nowhere in it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from caw.cli.command_line import stage
from caw.files import atomic, spreadsheet
from caw.problems import ProblemError
from study import blinding, design, pool
from study.build import curation, measuring
from study.design import LATER_FACTS, Design, DesignError
from study.folder import PRACTICE, StudyFolder
from study.pool import ORIGINAL
from study.store.sessions import account

_TRUTH = ("name", "truth", "backend", "mode", "epochs", "source", "run")

if TYPE_CHECKING:
    from analysis.plan import PlanStatus
    from study.store.store import Store


class ReportingError(ProblemError):
    """A report or an export that cannot be written as things stand."""


def report(
    folder: StudyFolder,
    *,
    unfinished: bool = False,
    who: str = "",
    reason: str = "study report",
    out: Path | None = None,
    title: str = "",
) -> Path:
    """Unblind a study, close it for good, and write its report.

    Parameters
    ----------
    folder : StudyFolder
        The study.
    unfinished : bool, optional
        Report although listeners have not finished.
    who : str, optional
        Who unblinds, for the study's log; by default the account that runs this program.
    reason : str, optional
        Why, for the study's log.
    out : Path, optional
        The folder for the report; by default report/ in the study's folder.
    title : str, optional
        The report's title; by default the study's.

    Returns
    -------
    Path
        The report's index.html.

    Raises
    ------
    ReportingError, BlindingError, StoreError, DesignError, FolderError, CurationError, ResponsesError
        Before anything is closed or logged.

    Notes
    -----
    The unblinding is logged before the report is written. All that can refuse a report is tried before, in
    memory, so that no study is opened for nothing.
    """
    from analysis import notebook, responses
    from analysis.report import paired
    from analysis.report import report as single
    from analysis.report.report import ReportFacts
    from study.store import recruits
    from study.store.store import Store

    settings = design.load(folder.require().path)
    store = Store.for_folder(folder)
    try:
        sealed = store.build()
        if sealed is None:
            raise ReportingError(f"{folder.path}: nothing is built yet", f"run `study build {folder.path}`")
        recruits.expire_all(store.engine, settings.open_link)
        waiting = _unfinished(store)
        if waiting and not unfinished and store.closed_at() is None:
            what = f"{len(waiting)} listeners have not finished ({', '.join(waiting[:5])})"
            raise ReportingError(f"{folder.path}: {what}", "wait, or unblind anyway with --unfinished")
        if not (answers := store.answers()):
            raise ReportingError(
                f"{folder.path}: there are no answers yet", "invite listeners and wait for them"
            )
        if sealed.design_digest != settings.digest():
            what = "study.toml is not the one the study was built and answered with"
            raise ReportingError(f"{folder.toml}: {what}", f"put it back, or run `study build {folder.path}`")
        out = out or folder.report
        remarks = clip_remarks(folder, settings)
        key = [row for row in blinding.read_key(folder, sealed.key_sha256) if row["set"] != PRACTICE]
        key += blinding.keys_of_rounds(folder, store.rounds())
        forms = store.final_forms()
        frame = _frame(folder, responses.with_final_answers(answers, forms), key, remarks)
        stands = plan_standing(settings, store)
        facts = ReportFacts(
            title=title or settings.study.title,
            stimuli={row["stimulus_id"]: folder.stimulus(row["set"], row["stimulus_id"]) for row in key},
            final_forms=forms,
            provenance=provenance(folder, key),
            unfinished=waiting,
            settings=settings.model_dump(mode="json", by_alias=True),
            measures=measuring.read(folder),
            plan=stands.plan,
            plan_told=stands.sentence,
            follow_up=came_of_clips(store, settings, key),
        )
        _announce(frame)
        rehearse = single.rehearse if sealed.pairs is None else paired.rehearse
        facts = rehearse(frame, out, facts=facts)  # the last that can refuse, and all of it in memory alone
        store.log_unblinding(who or account(), reason, sealed.key_sha256)  # closes the study as well
        last = store.answers(), store.final_forms()
        if last != (answers, forms):  # whoever has not finished went on until it was closed
            frame = _frame(folder, responses.with_final_answers(*last), key, remarks)
            facts = replace(facts, results=None, final_forms=last[1])
        if (later := came_of_clips(store, settings, key)) != facts.follow_up:
            facts = replace(facts, results=None, follow_up=later)
        facts = replace(facts, unblinding=store.unblindings())
        return notebook.of(frame, facts).report(out)
    finally:
        store.close()


def report_from_table(table: Path, out: Path, *, title: str = "", plan: Path | None = None) -> Path:
    """Write the same report for a table of results.

    Parameters
    ----------
    table : Path
        A CSV file with the columns of case_study_2022.csv at least.
    out : Path
        The folder for the report.
    title : str, optional
        The report's title.
    plan : Path, optional
        A study.toml, or a file with its table [analysis] alone: the analysis plan.

    Returns
    -------
    Path
        The report's index.html.

    Raises
    ------
    DesignError, ResponsesError
    """
    from analysis import notebook, responses
    from analysis.report.report import ReportFacts

    facts = ReportFacts(title=title)
    if plan is not None:
        chosen = design.analysis_plan(plan)
        stands = f"analysis plan of {plan.name}, sha256 {chosen.sha256}; when it was set is not known here"
        facts = replace(facts, plan=chosen, plan_told=stands)
    frame = responses.load(table)
    _announce(frame)
    return notebook.Study(frame, facts).report(out)


def _announce(frame: pd.DataFrame) -> None:
    """On a terminal alone: elsewhere a refusal that follows is to be the only line."""
    if sys.stderr.isatty():
        stage(f"Working out the results of {len(frame)} answers and writing the report")


def plan_standing(settings: Design, store: Store) -> PlanStatus:
    """How the analysis plan of study.toml compares with the one stored when the first listener began."""
    from analysis.plan import standing

    stated, begun = settings.analysis, store.has_answers()
    return standing(stated.plan(), store.kept_plan(), begun=begun, old_bound=stated.equivalence)


def plan_sentence(folder: StudyFolder) -> str:
    """The sentence of `study export` and `study report` on the analysis plan; "warning:" begins a warning."""
    from study.store.store import Store

    try:
        settings = design.load(folder.path)
    except DesignError as error:
        return f"warning: the analysis plan is not looked at: {error}"
    store = Store.for_folder(folder)
    try:
        stands = plan_standing(settings, store)
    finally:
        store.close()
    return f"warning: {stands.sentence}" if stands.warning else stands.sentence


def joined(
    answers: Sequence[Mapping[str, Any]],
    key: Sequence[Mapping[str, str]],
    remarks: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One row per answer, with the truth of its stimulus: the frame that analysis.responses.load takes.

    Raises: ReportingError for an answer to a stimulus that the key does not hold.
    """
    truths = {(row["set"], row["stimulus_id"]): row for row in key}
    rows = []
    for answer in answers:
        truth = truths.get((answer["set"], answer["stimulus_id"]))
        if truth is None:
            what = f"the answer to {answer['set']}/{answer['stimulus_id']} has no row in the key"
            raise ReportingError(what, "put the key back that was sealed at build")
        known = (name for name in (*_TRUTH, *LATER_FACTS, blinding.DRAWN) if name in truth)
        facts = {name: truth[name] or None for name in known}
        rows.append(dict(answer) | facts | {"remark": (remarks or {}).get(truth["name"]) or None})
    frame = pd.DataFrame(rows)
    frame["epochs"] = pd.to_numeric(frame["epochs"]).astype("Int64")
    if "strength" in frame:
        frame["strength"] = pd.to_numeric(frame["strength"])
    return frame


def came_of_clips(store: Store, settings: Design, key: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """What came of every kept clip so far, each with its truth; [] where the study asks for nothing later.

    `unblinded` says of each answer whether it came after the key was opened.

    Raises: ReportingError for a clip that the key does not hold.
    """
    from study.store import follow_up

    opened = min((row["at"] for row in store.unblindings()), default=None)
    truths = {(row["set"], row["stimulus_id"]): row for row in key}
    rows = []
    for row in follow_up.answers(store.engine, settings.follow_up):
        truth = truths.get((row["set"], row["stimulus_id"]))
        if truth is None:
            what = f"the kept clip {row['set']}/{row['stimulus_id']} has no row in the key"
            raise ReportingError(what, "put the key back that was sealed at build")
        facts = {name: truth[name] or None for name in (*_TRUTH, *LATER_FACTS) if name in truth}
        made_for = {"made_for": facts.pop("song")} if "song" in facts else {}  # `song` is what it came into
        late = opened is not None and row["answered_at"] is not None and row["answered_at"] > opened
        rows.append({"listener": row["listener"], "set": row["set"], **facts, **made_for, **row})
        rows[-1]["unblinded"] = late
    return rows


def joined_pairs(answers: Sequence[Mapping[str, Any]], key: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """One row per answer to a pair, with the truth of both stimuli: the frame that analysis.pairs.load takes.

    Raises: ReportingError for an answer to a stimulus that the key does not hold.
    """
    truths = {(row["set"], row["stimulus_id"]): row for row in key}
    rows = []
    for answer in answers:
        facts: dict[str, Any] = {}
        for side in ("first", "second"):
            stimulus = answer[f"{side}_id"]
            truth = truths.get((answer["set"], stimulus))
            if truth is None:
                what = f"the answer to {answer['set']}/{stimulus} has no row in the key"
                raise ReportingError(what, "put the key back that was sealed at build")
            known = (name for name in (*_TRUTH, *LATER_FACTS) if name in truth)
            facts |= {f"{side}_{name}": truth[name] or None for name in known}
        rows.append(dict(answer) | facts)
    return pd.DataFrame(rows)


def clip_remarks(folder: StudyFolder, settings: Design) -> dict[str, str]:
    """The researcher's remark on each clip, with a rating as "7 of 10" before it.

    Remarks made on the pool come first, then those of study.toml on imported clips, then those of
    pool/pool.csv.

    Raises: CurationError.
    """
    remarks = {row["name"]: row.get("remark", "") for row in pool.rows(folder)}
    remarks |= {entry.name: entry.remark for entry in settings.imported if entry.remark}
    for clip, choice in curation.read(folder).items():
        chosen = choice if choice.remark is not None else replace(choice, remark=remarks.get(clip))
        remarks[clip] = chosen.words
    return remarks


def provenance(folder: StudyFolder, key: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Where each stimulus came from: its row of the key, with what the pool knows besides; where any clip was
    picked by hand or left out, also whether each was "picked" or "drawn". Raises: CurationError.
    """
    choices = curation.read(folder)
    curated = any(choice.pick for choice in choices.values())
    made_of = {row["name"]: row for place in (*folder.rounds(), folder) for row in pool.rows(place)}
    rows = []
    for row in key:
        made = made_of.get(row["name"], {})
        more = {name: made.get(name, "") for name in ("made_at", "start", "gain_db")}
        picked = choices.get(row["name"], curation.Choice()).set_name == row["set"]
        how = {"chosen": "picked" if picked else "drawn"} if curated else {}
        rows.append(dict(row) | more | how | {"pool_sha256": made.get("sha256", "")})
    return sorted(rows, key=lambda row: (row["set"], row["backend"] == ORIGINAL, row["name"]))


def export(folder: StudyFolder, out: Path, *, pilot: bool = False) -> int:
    """Write all answers so far, without truth.

    Parameters
    ----------
    folder : StudyFolder
        The study.
    out : Path
        The file: Parquet where its name ends in .parquet, else CSV. In CSV, text that a spreadsheet would run
        as a formula gets an apostrophe in front.
    pilot : bool, optional
        Write the answers of pilots, and no others.

    Returns
    -------
    int
        How many answers there are. Each row has its listener's final answers as well, in columns that
        `analysis.responses.load` knows.

    Raises
    ------
    ReportingError
        Where there are no answers yet.
    """
    from analysis import responses
    from study.store.store import Store

    store = Store.for_folder(folder.require())
    try:
        answers = store.answers(pilot=pilot)
        forms = store.final_forms(pilot=pilot)
    finally:
        store.close()
    if not answers:
        whose = " of pilots" if pilot else ""
        raise ReportingError(f"{folder.path}: there are no answers{whose} yet", "nothing was written")
    answers = responses.with_final_answers(answers, forms)
    if out.suffix.lower() == ".parquet":
        atomic.write(out, spreadsheet.as_parquet(answers), mode=0o600)
    else:
        spreadsheet.write(out, list(answers[0]), answers, mode=0o600)
    return len(answers)


def _frame(
    folder: StudyFolder,
    answers: Sequence[Mapping[str, Any]],
    key: Sequence[Mapping[str, str]],
    remarks: Mapping[str, str],
) -> pd.DataFrame:
    """The validated frame of the analysis. Raises: ReportingError naming the answer that has no meaning."""
    from analysis import pairs, responses

    if "choice" in answers[0]:
        return pairs.load(joined_pairs(answers, key))
    try:
        return responses.load(joined(answers, key, remarks))
    except responses.ResponsesError as error:
        if error.row is None:
            raise
        odd, column = answers[error.row - 1], error.column or ""
        place = f"{folder.path}: {odd['listener']}'s answer to {odd['set']}/{odd['stimulus_id']}"
        raise ReportingError(
            f"{place}: {column} {odd.get(column)!r} means nothing, and without it there is no answer",
            "put a backup in the place of the database with `study restore-backup`",
        ) from error


def _unfinished(store: Store) -> list[str]:
    """Who is invited and has not ended: whoever may still answer must not do so after the unblinding."""
    people = store.listeners(pilot=False)
    return [one.name for one in people if one.awaited]
