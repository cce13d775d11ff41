"""The design of a study: study.toml as typed, frozen settings.

`load` reads the file and refuses unknown keys, wrong types and impossible numbers, each with one clear error.
Whether the files it names exist and hold enough sound is checked by `study.build.plan` when a study is built:
a study that is only served needs none of them.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from caw.files import atomic
from study import languages
from study.design import pairs as paired_task
from study.design import song_questions
from study.design import songs as song_tables
from study.design.checks import Checks
from study.design.errors import DesignError, KeyPath, SettingError, dotted, first_problem
from study.design.follow_up import FollowUp
from study.design.groups import Group, as_registered
from study.design.groups import problem as problem_of_groups
from study.design.next_rounds import More
from study.design.open_link import Ending, OpenLink
from study.design.own_questions import OwnQuestion, asked, problem_of
from study.design.pairs import Pairs
from study.design.researcher import Researcher
from study.design.settings import (
    BLOCKS,
    BRIDGE,
    FILE_NAME,
    LATER_FACTS,
    LATER_KEYS,
    LATER_TABLE_KEYS,
    LONGEST_DEFAULT_PASSAGE,
    PLAN_KEYS,
    Analysis,
    Block,
    CellFilter,
    Imported,
    ListeningSettings,
    Mode,
    PlanRequest,
    Questions,
    Recording,
    Set,
    SettingsTable,
    Source,
    Stimuli,
    StudySettings,
    as_tuple,
    default_questions,
)
from study.design.songs import Song
from study.design.toml_file import read, write_password
from study.folder import StudyFolder

if TYPE_CHECKING:
    from analysis.plan import AnalysisPlan

__all__ = ["BLOCKS", "BRIDGE", "FILE_NAME", "LATER_FACTS", "LATER_KEYS", "LONGEST_DEFAULT_PASSAGE"]
__all__ += ["PLAN_KEYS", "Analysis", "Block", "CellFilter", "Design", "DesignError", "Imported", "KeyPath"]
__all__ += ["ListeningSettings", "Mode", "OpenLink", "OwnQuestion", "PlanRequest", "Questions", "Recording"]
__all__ += ["Researcher", "Set", "SettingError", "Song", "Source", "Stimuli", "StudySettings"]
__all__ += ["analysis_plan", "as_built", "load", "parse"]
__all__ += ["write_password"]

DEFAULT_SETS = {"UMG": Set(), "VAR": Set(imported=2)}
_FIRST_TABLES = {"study", "sources", "backends", "imported", "sets", "stimuli", "listening", "questions"}
_FIRST_TABLES |= {"analysis", "researcher"}
_EARLIER_SECONDS, _EARLIER_ORIGINALS = 10.0, 2  # the defaults of studies that were built until November 2026


class Design(SettingsTable):
    """A whole study.toml, as `study.design.load` returns it.

    Attributes
    ----------
    study : StudySettings
    sources : tuple of Source
    backends : dict of str to dict
        The options of each [backend.NAME], which the backend itself checks.
    imported : tuple of Imported
    sets : dict of str to Set
        In the order of the file.
    stimuli : Stimuli
    listening : ListeningSettings
    questions : Questions
    own_questions : tuple of OwnQuestion
        In the order of the file.
    checks : Checks
    analysis : Analysis
    follow_up : FollowUp, optional
    groups : tuple of Group
    pairs : Pairs
    researcher : Researcher
    more : More
    open_link : OpenLink, optional
    songs : tuple of Song
    """

    study: StudySettings
    sources: Annotated[tuple[Source, ...], BeforeValidator(as_tuple)] = Field(default=(), alias="source")
    backends: dict[str, dict[str, Any]] = Field(default_factory=dict, alias="backend")
    imported: Annotated[tuple[Imported, ...], BeforeValidator(as_tuple)] = ()
    sets: dict[str, Set] = Field(default_factory=lambda: dict(DEFAULT_SETS), alias="set")
    stimuli: Stimuli = Stimuli()
    listening: ListeningSettings = ListeningSettings()
    questions: Questions = Field(default_factory=Questions)
    own_questions: Annotated[tuple[OwnQuestion, ...], BeforeValidator(as_tuple)] = Field(
        default=(), alias="question"
    )
    checks: Checks = Checks()
    analysis: Analysis = Analysis()
    follow_up: FollowUp | None = None
    groups: Annotated[tuple[Group, ...], BeforeValidator(as_tuple)] = Field(default=(), alias="group")
    pairs: Pairs = Pairs()
    researcher: Researcher = Field(default=Researcher(), exclude=True, repr=False)
    more: More = Field(default=More(), exclude=True, repr=False)
    open_link: OpenLink | None = Field(default=None, exclude=True, repr=False)
    songs: Annotated[tuple[Song, ...], BeforeValidator(as_tuple)] = Field(default=(), alias="song")

    _file: Path = PrivateAttr(default=Path(FILE_NAME))

    @model_validator(mode="before")
    @classmethod
    def _in_its_language(cls, tables: Any) -> Any:
        """Questions that are not worded get the words of the study's language."""
        if not isinstance(tables, dict) or not isinstance(tables.get("study"), dict):
            return tables
        language, worded = tables["study"].get("language", "en"), tables.get("questions", {})
        if language not in languages.languages() or not isinstance(worded, dict):
            return tables  # the fields themselves report it
        return tables | {"questions": default_questions(language) | worded}

    @property
    def recordings(self) -> tuple[Source | Song, ...]:
        """All that models learn from and that originals are cut from, the songs last."""
        return (*self.sources, *self.songs)

    def table_of(self, index: int) -> KeyPath:
        """The path of the table of one of the `recordings`."""
        sources = len(self.sources)
        return ("source", index) if index < sources else ("song", index - sources)

    def digest(self) -> str:
        """sha256 of the settings themselves: comments, order and spacing of the file do not count.

        A key that came with a later version counts where it is set to anything but its default, so that a
        study which listeners have begun goes on after an upgrade. Of the analysis plan only its oldest key
        counts: listeners hear nothing of it, and it has a digest of its own.
        """
        settings = self.model_dump(mode="json", by_alias=True)
        for source, stated in zip(settings["source"], self.sources, strict=True):
            for key in LATER_KEYS:
                if getattr(stated, key) == Source.model_fields[key].get_default(call_default_factory=True):
                    del source[key]
        for entry in (entry for one in settings["set"].values() for entry in one["cells"]):
            for key in LATER_FACTS:
                if entry[key] is None:
                    del entry[key]
        _leave_out_later(settings, self)
        settings["analysis"] = {"equivalence": self.analysis.equivalence}
        content = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def registered_groups(self) -> list[list[Any]] | None:
        """The groups of listeners as `Store.register_build` takes them."""
        return as_registered(self.groups, self.sets)

    def for_group(self, name: str | None) -> Design:
        """The design as the listeners of a group meet it: with their sets and their instructions."""
        group = next((group for group in self.groups if group.name == name), None)
        if group is None:
            return self
        heard = [one for block in group.blocks or (group.sets or tuple(self.sets),) for one in block]
        words = "\n\n".join(filter(None, (self.listening.instructions, group.instructions)))
        listening = self.listening.model_copy(update={"instructions": words})
        sets = {one: self.sets[one] for one in heard}
        return self.model_copy(update={"sets": sets, "listening": listening})

    @property
    def clip_questions(self) -> tuple[OwnQuestion, ...]:
        """What is asked of each clip besides the founding questions."""
        return (*asked(self.own_questions, "clip"), *song_questions.of(self))

    def mode_of(self, set_name: str) -> Mode:
        """The mode of a set's fakes: its own, or the one it is named after."""
        return self.sets[set_name].mode or set_name  # type: ignore[return-value]

    def error(self, path: KeyPath, value: Any, reason: str, fix: str) -> DesignError:
        """An error about the key at `path`, as ("source", 0, "file"), to be raised by the caller."""
        return DesignError(self._file, dotted(path), value, reason, fix)


def _leave_out_later(settings: dict[str, Any], design: Design) -> None:
    """Take out what came with later versions and stands at its default."""
    for field, info in Design.model_fields.items():
        name = info.alias or field
        later = name in settings and field not in _FIRST_TABLES
        if later and getattr(design, field) == info.get_default(call_default_factory=True):
            del settings[name]
    for field, keys in LATER_TABLE_KEYS.items():
        table, defaults = getattr(design, field), type(getattr(design, field)).model_fields
        for key in keys:
            if getattr(table, key) == defaults[key].get_default(call_default_factory=True):
                settings.get(field, {}).pop(key, None)


def load(folder: Path | str) -> Design:
    """Read the design of a study.

    Parameters
    ----------
    folder : Path or str
        The study's folder, which holds study.toml.

    Returns
    -------
    Design
        The settings, with a default for each key that the file leaves out.

    Raises
    ------
    DesignError
        For the first problem of the file, with its key, its value and what to do.

    Notes
    -----
    Where the sets in the folder were built with the defaults of an earlier version, keys that the file leaves
    out keep those defaults, so that a study which listeners have begun goes on after an upgrade.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "study.toml").write_text('[study]\\ntitle = "Riffs"\\nseed = 7\\n')
    >>> design = load(folder)
    >>> design.study.title, design.stimuli.seconds, list(design.sets)
    ('Riffs', 20.0, ['UMG', 'VAR'])
    """
    file = Path(folder) / FILE_NAME
    try:
        tables, _ = read(file)
    except (FileNotFoundError, NotADirectoryError):
        raise DesignError(file, FILE_NAME, None, "no such file", "make one with `study init`") from None
    return as_built(parse(tables, file), _digest_at_build(file.parent))


def as_built(design: Design, digest: str | None) -> Design:
    """The design with earlier defaults, where sets with this digest were built from just that one."""
    earlier = _with_earlier_defaults(design)
    return earlier if earlier.digest() == digest else design


def _with_earlier_defaults(design: Design) -> Design:
    """The design with the defaults that keys had when stimuli lasted 10 s and sets held 2 originals."""
    stimuli, sets = design.stimuli, design.sets
    if "seconds" not in stimuli.model_fields_set:
        stimuli = stimuli.model_copy(update={"seconds": _EARLIER_SECONDS})
    sets = {
        name: one
        if "originals" in one.model_fields_set
        else one.model_copy(update={"originals": _EARLIER_ORIGINALS})
        for name, one in sets.items()
    }
    return design.model_copy(update={"stimuli": stimuli, "sets": sets})


def _digest_at_build(folder: Path) -> str | None:
    """The digest of the design that the sets in the folder were built from; None where none is recorded."""
    try:
        return atomic.read_json(StudyFolder(folder).build_record)["design_digest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def analysis_plan(file: Path) -> AnalysisPlan:
    """The plan of the table [analysis] of a TOML file, which need hold nothing else of a study.

    Raises: DesignError for its first fault, with its key, its value and what to do.
    """
    try:
        tables, _ = read(file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DesignError(file, file.name, None, reason, "name a file with a table [analysis]") from None
    if "analysis" not in tables:
        fix = "add it, with primary, accuracy_bound, musicality_bound or exclude"
        raise DesignError(file, "analysis", None, "there is no such table", fix)
    try:
        return Analysis.model_validate(tables["analysis"]).plan()
    except ValidationError as error:
        errors = [one | {"loc": ("analysis", *one["loc"])} for one in error.errors()]
        raise first_problem(errors, file, _known_keys) from None


def parse(tables: dict[str, Any], file: Path = Path(FILE_NAME)) -> Design:
    """The design that parsed tables describe; errors name `file`. Raises: DesignError."""
    try:
        design = Design.model_validate(tables)
    except ValidationError as error:
        raise first_problem(error.errors(), file, _known_keys) from None
    design._file = file
    _check_names(design)
    if fault := problem_of_groups(design.groups, design.sets):
        raise design.error(*fault)
    paired_task.check(design)
    song_tables.check(design)
    if unmet := design.checks.unmet(design.analysis.exclude, design.stimuli.repeats):
        name, fix = unmet
        path = ("analysis", "exclude")
        raise design.error(path, name, "is a check that this study does not make", f"{fix}, or leave it out")
    if problem := problem_of(design.own_questions):
        index, key, value, reason, fix = problem
        raise design.error(("question", index, key), value, reason, fix)
    song_questions.check(design)
    return design


def _check_names(design: Design) -> None:
    """Names must tell clips and sets apart; a set must know its mode."""
    seen: dict[str, Source] = {}
    for index, source in enumerate(design.sources):
        here, first = ("source", index, "name"), seen.setdefault(source.name, source)
        if (first.file, first.start, first.seconds) != (source.file, source.start, source.seconds):
            fix = "give both the same `file`, `start` and `seconds`, or one another `name`"
            raise design.error(here, source.name, "names two different passages", fix)
        if source.backend in (other.backend for other in design.sources[:index] if other.name == source.name):
            fix = "join the two tables or give one another `name`"
            raise design.error(here, source.name, "stands twice with the same backend", fix)
        _check_modes(design, index)
    names, songs = [entry.name for entry in design.imported], [song.name for song in design.songs]
    for index, name in enumerate(names):
        if name in names[:index]:
            fix = "give one of them another `name`"
            raise design.error(("imported", index, "name"), name, "stands twice", fix)
    if not design.sets:
        raise design.error(("set",), None, "there is no set", "add [set.UMG] or [set.VAR]")
    for name, chosen in design.sets.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", name) or name == "practice":
            fix = "use letters, digits, '_' and '-' (`practice` is taken)"
            raise design.error(("set", name), None, f"{name!r} cannot name a set", fix)
        if chosen.mode is None and name not in ("UMG", "VAR"):
            fix = 'add mode = "UMG" or mode = "VAR"'
            raise design.error(("set", name), None, "does not say which mode its fakes are of", fix)
        for index, entry in enumerate(chosen.cells):
            if entry.source is not None and entry.source not in (*seen, *songs):
                what, fix = "names no source of this study", f"sources are: {', '.join(seen) or 'none'}"
                raise design.error(("set", name, "cells", index, "source"), entry.source, what, fix)
            if entry.song and entry.song not in songs:
                what, fix = "names no song of this study", f"songs are: {', '.join(songs) or 'none'}"
                raise design.error(("set", name, "cells", index, "song"), entry.song, what, fix)


def _check_modes(design: Design, index: int) -> None:
    """A plan shapes new music alone, and a strength variations alone."""
    source = design.sources[index]
    for mode, keys in (("UMG", (*PLAN_KEYS, "plans", "bridge")), ("VAR", ("strength",))):
        for key in keys:
            value = getattr(source, key)
            if value in (None, (), {}, False):
                continue
            path, stated = ("source", index, key), None if key == "plans" else value
            if mode not in source.modes:
                fix = f'add "{mode}" to `modes`, or delete this key'
                raise design.error(
                    path, stated, f"is for {mode}, which is not among this source's modes", fix
                )
            if key in PLAN_KEYS and source.plans:
                raise design.error(path, stated, "stands beside `plans`", "make it one of them")


def _known_keys(path: KeyPath) -> list[str]:
    """The keys that the table at `path` may hold."""
    tables: dict[str, type[BaseModel]] = {
        "study": StudySettings,
        "source": Source,
        "song": Song,
        "imported": Imported,
        "question": OwnQuestion,
        "checks": Checks,
        "stimuli": Stimuli,
    }
    tables |= {"listening": ListeningSettings, "questions": Questions, "set": Set}
    tables |= {"group": Group, "analysis": Analysis, "researcher": Researcher, "pairs": Pairs}
    tables |= {"open_link": OpenLink, "follow_up": FollowUp, "more": More}
    model = tables.get(str(path[0])) if path else Design
    if "cells" in path:
        model = CellFilter
    if "plans" in path:
        model = PlanRequest
    if path[:1] == ("open_link",) and len(path) > 1:
        model = Ending
    return [field.alias or name for name, field in (model or Design).model_fields.items()]
