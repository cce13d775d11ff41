"""A study opened for analysis: its answers, tables, comparisons, charts and report, as a notebook shows them.

The command `study report` and the report's page go through here, too, so that a notebook and a report of the
same answers say the same.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import altair as alt
import pandas as pd

from analysis import pairs, responses
from analysis.plan import AnalysisPlan
from analysis.report import figures, inspiring_clips, own_questions, paired, report, sentences, songs
from analysis.report.report import ReportFacts
from analysis.results import comparisons, rounds, statistics
from analysis.results import pairs as results_of_pairs
from analysis.results.result import Result, to_frame
from caw.files import spreadsheet
from caw.problems import ProblemError

ANSWERS = Path("tables") / "answers.csv"  # in a report's folder
FAMILIES = {
    "truth": comparisons.TRUTH,
    "backend": comparisons.BACKENDS,
    "mode": comparisons.MODES,
    "epochs": comparisons.EPOCHS,
    "plan": comparisons.PLANS,
    "strength": comparisons.STRENGTHS,
    "song": comparisons.SONGS,
    "set": comparisons.SETS,
}
COLUMNS = ("backend", "mode", "epochs", "plan", "strength", "song", "set", "source", "run")


class StudyError(ProblemError):
    """A study that cannot be opened, or a question to it that has no answer."""


def open(source: str | PathLike | pd.DataFrame, *, plan: AnalysisPlan | None = None) -> Study | PairedStudy:
    """Open the answers of a listening study.

    Parameters
    ----------
    source
        A study's folder after its unblinding (``study report`` writes ``report/`` into it), a report's
        folder, or a table of answers: a CSV file or a data frame with at least the columns of
        ``case_study_2022.csv`` (see `analysis.responses.load`).
    plan
        What was settled before the data. Default: the plan that the study kept; of a table, none.

    Returns
    -------
    Study
        Or a `PairedStudy`, where two clips stood side by side.

    Raises
    ------
    StudyError
        Where there is no such folder or file, or the study is still blind.
    analysis.ResponsesError
        For a table that is not one of answers; it names the row, the column and the value.

    Examples
    --------
    >>> import analysis
    >>> study = analysis.open(analysis.founding())
    >>> study
    1 listener · 20 clips (16 machine-made, 4 originals) · 2 sets
    """
    facts = ReportFacts()
    if isinstance(source, pd.DataFrame):
        if pairs.is_paired(source):
            return PairedStudy(source if "real_side" in source else pairs.load(source), facts)
        frame = source if "repeat" in source else responses.load(source)
    else:
        folder = Path(source)
        if not folder.exists():
            raise StudyError(f"{folder} does not exist", "give a study's folder, or a table of answers")
        if folder.is_dir():
            there = [one for one in (folder / "report", folder) if (one / ANSWERS).exists()]
            if not there:
                why = f"{source} holds no unblinded answers"
                raise StudyError(why, f"run `study report {source}`, which closes and unblinds the study")
            folder = there[0]
            facts = _facts(folder)
        table = folder / ANSWERS if folder.is_dir() else folder
        if pairs.is_paired(spreadsheet.read(table).columns):
            return PairedStudy(pairs.load(table), facts)
        frame = responses.load(table)
    return Study(frame, replace(facts, plan=plan) if plan else facts)


def of(frame: pd.DataFrame, facts: ReportFacts) -> Study | PairedStudy:
    """The study of a loaded frame, of single clips or of pairs."""
    return PairedStudy(frame, facts) if pairs.is_paired(frame) else Study(frame, facts)


def _facts(folder: Path) -> ReportFacts:
    """What a report's folder says of its study; an older report says nothing."""
    if not (folder / report.FACTS).exists():
        return ReportFacts()
    known = json.loads((folder / report.FACTS).read_text(encoding="utf-8"))
    known = {field.name: known[field.name] for field in fields(ReportFacts) if field.name in known}
    sounds = {name: folder / path for name, path in known.get("stimuli", {}).items()}
    there = {name: path for name, path in sounds.items() if path.exists()}
    plan = AnalysisPlan.of(json.dumps(known["plan"])) if known.get("plan") else None
    return ReportFacts(**known | {"stimuli": there, "plan": plan})


class Study:
    """The answers of a study and what follows from them. Made by `analysis.open`.

    Attributes and methods give data frames and Altair charts, which a notebook displays. Nothing is computed
    before it is asked for, and nothing twice.
    """

    def __init__(self, frame: pd.DataFrame, facts: ReportFacts | None = None) -> None:
        self._answers, self._facts = frame, facts or ReportFacts()
        self._frame = rounds.first(frame)  # what all but the results on next rounds is of

    def __repr__(self) -> str:
        return sentences.subtitle(self._frame)

    @property
    def answers(self) -> pd.DataFrame:
        """One row per listener and clip, hidden repeats among them, as of `analysis.responses.load`.

        Verdicts are "real" or "fake", musicality is 0 to 10, times are in seconds; what was not answered is
        missing.

        Examples
        --------
        >>> len(analysis.open(analysis.founding()).answers)
        20
        """
        return self._answers.copy()

    @cached_property
    def _results(self) -> list[Result]:
        return list(self._facts.results or self._evaluated())

    def _evaluated(self) -> list[Result]:
        own = own_questions.of(self._facts.settings)
        return statistics.evaluate(self._answers, plan=self._facts.plan, own=own, later=self._facts.follow_up)

    @property
    def results(self) -> pd.DataFrame:
        """Every estimate, test and count, one a row, and what was not computed with its reason.

        Columns as the fields of `analysis.results.Result`: family, name, group; estimate, low and high (95 %
        interval unless `level` says otherwise), p and p_holm; n of which unit; method and note.

        Examples
        --------
        >>> results = analysis.open(analysis.founding()).results
        >>> results.query("name == 'balanced accuracy'")["estimate"].item()
        0.84375
        """
        return to_frame(self._results)

    @property
    def summary(self) -> list[str]:
        """The sentences that a report opens with: taken for real? told apart? any good?

        Examples
        --------
        >>> len(analysis.open(analysis.founding()).summary)
        3
        """
        return sentences.summary(self._frame, self._results)

    @property
    def by_epochs(self) -> pd.DataFrame:
        """How machine-made clips of each epoch count were judged, the originals below; see `by`.

        Examples
        --------
        >>> len(analysis.open(analysis.founding()).by_epochs)
        6
        """
        return self.by("epochs")

    @property
    def by_mode(self) -> pd.DataFrame:
        """How machine-made clips of each mode (UMG, VAR) were judged, the originals below; see `by`.

        Examples
        --------
        >>> len(analysis.open(analysis.founding()).by_mode)
        3
        """
        return self.by("mode")

    @property
    def by_backend(self) -> pd.DataFrame:
        """How the clips of each backend were judged, the originals below; see `by`.

        Examples
        --------
        >>> len(analysis.open(analysis.founding()).by_backend)
        3
        """
        return self.by("backend")

    def by(self, *columns: str) -> pd.DataFrame:
        """How machine-made clips were judged, by one or several columns, and the originals below them.

        Parameters
        ----------
        columns
            Of "epochs", "mode", "backend", "plan", "strength", "song", "set", "source", "run".

        Returns
        -------
        pandas.DataFrame
            A row per combination that occurs: how many clips and answers; of judged real, musicality (0 to
            10), inspiring (yes or maybe) and kept the mean with the ends of its 95 % interval, as of
            `analysis.results.estimation.mean`, and of shares the count and what it is of.

        Raises
        ------
        StudyError
            For another column, or one that the table lacks.

        Examples
        --------
        >>> table = analysis.open(analysis.founding()).by("epochs", "mode")
        >>> list(table.columns[:4])
        ['epochs', 'mode', 'clips', 'answers']
        """
        for column in columns or ("",):
            if column not in COLUMNS or column not in self._frame:
                known = ", ".join(name for name in COLUMNS if name in self._frame)
                raise StudyError(f"clips cannot be grouped by {column!r}", f"choose of {known}")
        return inspiring_clips.by_condition(self._frame, columns).frame

    def compare(self, column: str, outcome: str | None = None) -> pd.DataFrame:
        """Every group of a column against the originals and against every other.

        Parameters
        ----------
        column
            "truth", "backend", "mode", "epochs", "plan", "strength" or "song".
        outcome
            "judged real", "musicality" or "inspiring, yes or maybe"; default: all of them.

        Returns
        -------
        pandas.DataFrame
            A row per comparison: the difference of means with its 95 % interval, p, p by Holm within the
            outcome, what it was computed by, and notes; or the reason why nothing was.

        Raises
        ------
        StudyError
            For another column or outcome.

        Examples
        --------
        >>> found = analysis.open(analysis.founding()).compare("truth", "judged real")
        >>> round(found["difference"].item(), 4)
        -0.6875
        """
        if column not in FAMILIES or column == "set":
            known = "truth, backend, mode, epochs, plan, strength or song"
            raise StudyError(f"{column!r} is not compared", f"choose {known}")
        names = {one.name: one.difference for one in comparisons.COMPARED}
        if outcome is not None and outcome not in names:
            raise StudyError(f"{outcome!r} is not compared", f"choose of {', '.join(names)}")
        requested = [names[outcome]] if outcome else list(names.values())
        rows = [r for r in self._results if r.family == FAMILIES[column] and r.name in requested]
        names = {"name": "outcome", "group": "groups", "estimate": "difference"}
        frame = to_frame(rows).rename(columns=names)
        return frame[["outcome", "groups", "difference", "low", "high", "p", "p_holm", "n", "method", "note"]]

    @property
    def follow_up(self) -> pd.DataFrame:
        """What came of every kept clip: a row per listener and clip, beside what the clip is.

        Columns: listener, set, name, truth, backend, mode and what else describes the clip; outcome (nothing,
        idea, part or song; missing where nobody has said), song, days and words as the listener gave them,
        and when. Empty where the study had no follow-up.

        Examples
        --------
        >>> len(analysis.open(analysis.founding()).follow_up)
        0
        """
        return pd.DataFrame([dict(row) for row in self._facts.follow_up])

    @property
    def song_choices(self) -> pd.DataFrame:
        """How often each song was named among those that could use a clip, by what the clips were made for.

        A row per song and kind of clips: their count, the answers that name the song, of how many, the share
        and the ends of its 95 % interval. Empty where listeners were not asked.

        Examples
        --------
        >>> len(analysis.open(analysis.founding()).song_choices)
        0
        """
        made = [table.frame for table in songs.tables(self._results) if table.name == "song_choices"]
        return made[0] if made else pd.DataFrame()

    @property
    def own_questions(self) -> dict[str, pd.DataFrame]:
        """What the study's own questions brought, table by table, as the report shows it.

        "who_listened" (the answers before the study), "asked_at_the_end", "own_questions" (on clips, with
        95 % intervals) and "accuracy_by_answer"; only those that there are.

        Examples
        --------
        >>> analysis.open(analysis.founding()).own_questions
        {}
        """
        made = own_questions.tables(self._results, own_questions.of(self._facts.settings))
        return {table.name: table.frame for table in made}

    @property
    def plots(self) -> list[str]:
        """The names of the charts that fit these answers, for `plot`.

        Examples
        --------
        >>> analysis.open(analysis.founding()).plots[:2]
        ['scorecard', 'counts']
        """
        return [figure.name for figure in self._figures]

    @cached_property
    def _figures(self) -> list[figures.Figure]:
        return figures.everything(self._frame, self._results, own=own_questions.of(self._facts.settings))

    def plot(self, name: str, width: int = 640) -> alt.TopLevelMixin:
        """A chart of the report.

        Parameters
        ----------
        name
            One of `plots`, as "dose", "fooling", "musicality", "inspiring", "scorecard".
        width
            In pixels.

        Returns
        -------
        altair.Chart or a composition of charts

        Raises
        ------
        StudyError
            For a chart that these answers do not have.

        Examples
        --------
        >>> chart = analysis.open(analysis.founding()).plot("dose")
        >>> "$schema" in chart.to_dict()
        True
        """
        chosen = [figure for figure in self._figures if figure.name == name]
        if not chosen:
            known = ", ".join(self.plots)
            raise StudyError(f"there is no chart {name!r} of these answers", f"choose of {known}")
        return chosen[0].draw(width=width)

    def report(self, out: str | PathLike, *, title: str = "") -> Path:
        """Write the whole report, as ``study report`` does: a page, tables, plots and results.

        Parameters
        ----------
        out
            A folder, new or of an earlier report, which is replaced in one step.
        title
            Of the page; default: the study's.

        Returns
        -------
        pathlib.Path
            Of its index.html.

        Raises
        ------
        analysis.report.ReportError
            Where `out` is a file, or holds anything else than a report.

        Examples
        --------
        >>> analysis.open(analysis.founding()).report("out").name
        'index.html'
        """
        facts = replace(self._facts, results=self._results, title=title or self._facts.title)
        return report.write(self._answers, Path(out), facts=facts)


class PairedStudy:
    """The answers of a study of pairs and what follows from them. Made by `analysis.open`."""

    def __init__(self, frame: pd.DataFrame, facts: ReportFacts | None = None) -> None:
        self._frame, self._facts = frame, facts or ReportFacts()

    def __repr__(self) -> str:
        return paired.subtitle(self._frame)

    @property
    def pairs(self) -> pd.DataFrame:
        """One row per listener and pair, as of `analysis.pairs.load`."""
        return self._frame.copy()

    @cached_property
    def _results(self) -> list[Result]:
        known = self._facts.results
        own = own_questions.of(self._facts.settings)
        return list(results_of_pairs.evaluate(self._frame, own) if known is None else known)

    @property
    def results(self) -> pd.DataFrame:
        """Every estimate, test and count, as of `Study.results`."""
        return to_frame(self._results)

    @property
    def summary(self) -> list[str]:
        """The sentences that a report opens with."""
        return paired.summary(self._frame, self._results)

    @property
    def plots(self) -> list[str]:
        """The names of the charts that fit these answers, for `plot`."""
        return [figure.name for figure in paired.figures(self._results)]

    def plot(self, name: str, width: int = 640) -> alt.TopLevelMixin:
        """A chart of the report, "right_answers" or "preferences". Raises StudyError for another one."""
        for figure in paired.figures(self._results):
            if figure.name == name:
                return figure.draw(width=width)
        known = ", ".join(self.plots)
        raise StudyError(f"there is no chart {name!r} of these answers", f"choose of {known}")

    def report(self, out: str | PathLike, *, title: str = "") -> Path:
        """Write the whole report, as ``study report`` does; as `Study.report`."""
        facts = replace(self._facts, results=self._results, title=title or self._facts.title)
        return paired.write(self._frame, Path(out), facts=facts)
