"""Answers of an online form, as Google Forms exports them, in the table that `study report --from` reads.

A mapping file says what each column asks, what the words of the form mean, and what each clip was. Forms have
a row for each clip, in which the listener names it, or a row for each listener, with the questions once for
each clip. Nothing is guessed: a name or a word that the mapping does not hold is refused, with its row.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BeforeValidator, Field, ValidationError, field_validator

from analysis import responses
from analysis.cells import FINAL, ResponsesError
from analysis.questionnaire import FIELDS
from caw.files import spreadsheet
from caw.problems import ProblemError
from study.design.errors import DesignError, KeyPath, SettingError, first_problem
from study.design.settings import Epochs, Mode, SettingsTable, Text, as_tuple
from study.design.toml_file import read
from study.pool import ORIGINAL

CLIP, ANY = "clip", "*"
MARK = "{clip}"  # in a column's heading: the clip's name, or one of the names it is `written` as
ASKED = tuple(field.name for field in FIELDS)
_FREE = {"inspiring": "inspiring_text"}  # where an answer that is none of the levels is quoted
_FACTS = ("name", "set", "backend", "mode", "epochs", "source")
COLUMNS = ("listener", "set", "position", "name", "truth", "backend", "mode", "epochs", "source", *ASKED)


class FormError(ProblemError):
    """An export and a mapping that do not fit."""


class FormSettings(SettingsTable):
    """[form]: how the export is laid out.

    Attributes
    ----------
    rows : {"clips", "listeners"}
        Whether a row is one listener's answers to one clip, or all answers of one listener.
    listener : str
        The heading of the column that names listeners; without one there is a single listener.
    keep : {"first", "last"}, optional
        Which of several answers of a listener to one clip counts; without it they are refused.
    """

    rows: Literal["clips", "listeners"] = "clips"
    listener: str = ""
    keep: Literal["first", "last"] | None = None


class FormClip(SettingsTable):
    """[[clip]]: a clip of the form, in the order in which it was heard.

    Attributes
    ----------
    name, set : str
        Its name in the results, and the set that it was heard in.
    backend : str
        The system that made it, or "original".
    mode : {"UMG", "VAR"}
        That of the clip; for an original that of its set.
    epochs : int, optional
    source : str
        The recording that it was made or cut from.
    written : tuple of str
        Other names for it in the form, as a listener mistyped them.
    """

    name: Text
    set: Text
    backend: Text
    mode: Mode
    epochs: Epochs | None = None
    source: str = ""
    written: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)] = ()


class FormMapping(SettingsTable):
    """A whole mapping file.

    Attributes
    ----------
    form : FormSettings
    columns : dict of str to str
        The heading of each question's column by what it asks: "clip" or a name of `ASKED`.
    words : dict of str to dict of str to str
        By question: what the form's words mean; "*" stands for any other word.
    final : tuple of str
        Headings of the questions after the last clip.
    clips : tuple of FormClip
    """

    form: FormSettings = FormSettings()
    columns: dict[str, Text]
    words: dict[str, dict[str, str]] = Field(default_factory=dict)
    final: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)] = ()
    clips: Annotated[tuple[FormClip, ...], BeforeValidator(as_tuple), Field(min_length=1)] = Field(alias=CLIP)

    @field_validator("columns", "words")
    @classmethod
    def _questions(cls, table: dict[str, Any]) -> dict[str, Any]:
        for name in table:
            if name not in (CLIP, *ASKED):
                raise SettingError(f"{name!r} is no question", f"questions are {', '.join((CLIP, *ASKED))}")
        return table

    @field_validator("words")
    @classmethod
    def _meanings(cls, words: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for name, meanings in words.items():
            for word, meaning in meanings.items():
                levels = responses.LEVELS.get(name)
                if levels and meaning not in (*levels, ""):
                    fix = f"write one of {', '.join(levels)}, or an empty text for no answer"
                    raise SettingError(f"{word!r} of {name} cannot mean {meaning!r}", fix)
        return words

    @field_validator("clips")
    @classmethod
    def _apart(cls, clips: tuple[FormClip, ...]) -> tuple[FormClip, ...]:
        owner: dict[str, FormClip] = {}
        for clip in clips:
            for name in (clip.name, *clip.written):
                if owner.setdefault(_plain(name), clip) is not clip:
                    raise SettingError(f"{name!r} names two clips", "give each clip names of its own")
        return clips


def read_mapping(file: Path) -> FormMapping:
    """The mapping of a file. Raises: DesignError for its first fault, with its key, its value and the fix."""
    try:
        tables, _ = read(file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DesignError(file, file.name, None, reason, "name the form's mapping file") from None
    try:
        mapping = FormMapping.model_validate(tables)
    except ValidationError as error:
        raise first_problem(error.errors(), file, _known_keys) from None
    if "verdict" not in mapping.columns:
        raise DesignError(file, "columns.verdict", None, "is missing", "name the column that asks for it")
    if mapping.form.rows == "clips" and CLIP not in mapping.columns:
        fix = 'name the column in which listeners write the clip, or set form.rows = "listeners"'
        raise DesignError(file, "columns.clip", None, "is missing", fix)
    return mapping


def import_form(export: Path, mapping_file: Path, out: Path) -> int:
    """Write the answers of a form's export as a table of answers.

    Parameters
    ----------
    export : Path
        The form's answers as CSV.
    mapping_file : Path
        The mapping, a TOML file.
    out : Path
        The table to be written, for `study report --from`.

    Returns
    -------
    int
        How many answers it holds.

    Raises
    ------
    FormError, TableError, DesignError
        Before anything is written, for whatever the mapping does not explain.
    """
    for read_from in (export, mapping_file):
        if out.exists() and read_from.exists() and out.samefile(read_from):
            raise FormError(f"{out}: would be written over", "choose another file with --out")
    try:
        form = _Form(read_mapping(mapping_file), export)
    except OSError as error:
        raise FormError(f"{export}: {error.strerror or error}", "name the CSV file of the form") from None
    answers = form.answers()
    columns = [*COLUMNS, *(f"{FINAL}{question}" for question in form.mapping.final)]
    rows = [answer.cells for answer in answers]
    try:
        responses.load(pd.DataFrame(rows, columns=columns))
    except ResponsesError as error:
        place = {"row": answers[error.row - 1].row if error.row else None, "column": error.column}
        raise ResponsesError(error.reason, error.problem.fix, path=export, **place) from None
    spreadsheet.write(out, columns, rows, mode=0o600)
    return len(rows)


@dataclass(frozen=True)
class _Answer:
    """One listener's answers to one clip, and the row of the export that holds them."""

    row: int
    cells: dict[str, Any]


class _Form:
    """An export with the mapping that explains it. Raises OSError where it cannot be read."""

    def __init__(self, mapping: FormMapping, export: Path) -> None:
        self.mapping, self.export = mapping, export
        self.table = spreadsheet.read(export, list(mapping.columns.values()), repeated=True)
        names = {_plain(name): clip for clip in mapping.clips for name in (clip.name, *clip.written)}
        self.clips: dict[str, FormClip] = names

    def answers(self) -> list[_Answer]:
        """The answers that count, each with its position within the listener's set. Raises: FormError."""
        everything = list(self._rows())
        first: dict[tuple[str, str], _Answer] = {}
        for answer in reversed(everything) if self.mapping.form.keep == "last" else everything:
            key = (answer.cells["listener"], answer.cells["name"])
            if key in first and self.mapping.form.keep is None:
                what = f"row {answer.row}: {key[0]} answered {key[1]!r} in row {first[key].row} already"
                raise self._error(what, 'delete one of them, or set form.keep = "last" in the mapping')
            first.setdefault(key, answer)
        positions: dict[tuple[str, str], int] = {}
        counted = [one for one in everything if first[one.cells["listener"], one.cells["name"]] is one]
        for answer in counted:
            part = (answer.cells["listener"], answer.cells["set"])
            positions[part] = answer.cells["position"] = positions.get(part, 0) + 1
        if not counted:
            raise self._error("there is no answer to any clip", "check `columns` in the mapping")
        return counted

    def _rows(self) -> Iterator[_Answer]:
        columns = {name: heading for name, heading in self.mapping.columns.items() if name != CLIP}
        for number, record in zip(self.table.numbers, self.table.records(), strict=True):
            shared = {"listener": self._listener(record, number)}
            shared |= {f"{FINAL}{one}": self._cell(record, one) for one in self.mapping.final}
            if self.mapping.form.rows == "clips":
                asked = {name: self._cell(record, heading) for name, heading in columns.items()}
                written = self._cell(record, self.mapping.columns[CLIP])
                if written or any(asked.values()):
                    yield self._answer(number, self._clip(written, number), asked, shared)
                continue
            for place, clip in enumerate(self.mapping.clips):
                asked = {
                    name: self._cell(record, self._heading(heading, clip, place))
                    for name, heading in columns.items()
                }
                if any(asked.values()):  # else this listener was not asked about it
                    yield self._answer(number, clip, asked, shared)

    def _answer(
        self, number: int, clip: FormClip, asked: Mapping[str, str], shared: Mapping[str, str]
    ) -> _Answer:
        facts = {name: getattr(clip, name) for name in _FACTS}
        facts["truth"] = "real" if clip.backend.casefold() == ORIGINAL else "fake"
        return _Answer(number, dict(shared) | facts | self._meant(asked))

    def _listener(self, record: Mapping[str, str], number: int) -> str:
        column = self.mapping.form.listener
        name = self._cell(record, column) if column else responses.ONE_LISTENER
        if not name:
            what = f"row {number}: the column {column!r} names no listener"
            raise self._error(what, "fill it in, or delete the row")
        return name

    def _heading(self, heading: str, clip: FormClip, place: int) -> str:
        """The heading of a question about a clip, where a row holds several clips."""
        if MARK not in heading:
            return spreadsheet.again(heading, place)
        named = [heading.replace(MARK, one) for one in (clip.name, *clip.written)]
        return next((one for one in named if one in self.table.columns), named[0])

    def _cell(self, record: Mapping[str, str], heading: str) -> str:
        if heading not in record:
            near = difflib.get_close_matches(heading, list(record), n=1, cutoff=0.5)
            fix = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(map(repr, record))}"
            raise self._error(f"there is no column {heading!r}, which the mapping names", fix)
        return record[heading].strip()

    def _clip(self, written: str, number: int) -> FormClip:
        if clip := self.clips.get(_plain(written)):
            return clip
        near = difflib.get_close_matches(_plain(written), list(self.clips), n=1, cutoff=0.5)
        fix = f"if it is {self.clips[near[0]].name!r}, add it there" if near else "add it to a [[clip]]"
        what = f"row {number}: no clip of the mapping is written {written!r}"
        raise self._error(what, f"{fix} as `written`, or delete the row")

    def _meant(self, asked: Mapping[str, str]) -> dict[str, str | None]:
        """What the form's words mean; where any other word has a meaning, the word itself is quoted."""
        meant: dict[str, str | None] = dict.fromkeys(ASKED)
        for name, cell in asked.items():
            words = {_plain(word): meaning for word, meaning in self.mapping.words.get(name, {}).items()}
            levels = {_plain(level) for level in responses.LEVELS.get(name, ())}
            if not cell or _plain(cell) in words or ANY not in words or _plain(cell) in levels:
                meant[name] = words.get(_plain(cell), cell) or None
                continue
            meant[name] = words[ANY] or None
            if name in _FREE and words[ANY] == "other":
                meant[_FREE[name]] = cell
        return meant

    def _error(self, what: str, fix: str) -> FormError:
        return FormError(f"{self.export}: {what}", fix)


def _plain(text: str) -> str:
    """A name or a word without capitals and doubled spaces, in which two that look alike are one."""
    return spreadsheet.plain(text).casefold()


def _known_keys(path: KeyPath) -> list[str]:
    model = {"form": FormSettings, CLIP: FormClip}.get(str(path[0]) if path else "", FormMapping)
    return [field.alias or name for name, field in model.model_fields.items()]
