"""The design of a study: study.toml as typed, frozen settings.

`load` reads the file and refuses unknown keys, wrong types and impossible numbers, each with one clear error.
Whether the files it names exist and hold enough sound is checked by `study.build.plan` when a study is built:
a study that is only served needs none of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from caw.files import atomic
from study.design.errors import DesignError, KeyPath, SettingError, first_problem
from study.design.settings import (
    BLOCKS,
    BRIDGE,
    FILE_NAME,
    LATER_FACTS,
    LATER_KEYS,
    LONGEST_DEFAULT_PASSAGE,
    PLAN_KEYS,
    Analysis,
    Block,
    CellFilter,
    Design,
    Imported,
    ListeningSettings,
    Mode,
    PlanRequest,
    Questions,
    Researcher,
    Set,
    Source,
    Stimuli,
    StudySettings,
)
from study.design.toml_file import read, write_password
from study.folder import StudyFolder

if TYPE_CHECKING:
    from analysis.plan import AnalysisPlan

__all__ = ["BLOCKS", "BRIDGE", "FILE_NAME", "LATER_FACTS", "LATER_KEYS", "LONGEST_DEFAULT_PASSAGE"]
__all__ += ["PLAN_KEYS", "Analysis", "Block", "CellFilter", "Design", "DesignError", "Imported", "KeyPath"]
__all__ += ["ListeningSettings", "Mode", "PlanRequest", "Questions", "Researcher", "Set", "SettingError"]
__all__ += ["Source", "Stimuli", "StudySettings", "analysis_plan", "as_built", "load", "parse"]
__all__ += ["write_password"]

_EARLIER_SECONDS, _EARLIER_ORIGINALS = 10.0, 2  # the defaults of studies that were built until November 2026


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
    names = [entry.name for entry in design.imported]
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
            if entry.source is not None and entry.source not in seen:
                what, fix = "names no source of this study", f"sources are: {', '.join(seen) or 'none'}"
                raise design.error(("set", name, "cells", index, "source"), entry.source, what, fix)


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
    tables = {"study": StudySettings, "source": Source, "imported": Imported, "stimuli": Stimuli}
    tables |= {"listening": ListeningSettings, "questions": Questions, "set": Set}
    tables |= {"analysis": Analysis, "researcher": Researcher}
    model = tables.get(str(path[0])) if path else Design
    if "cells" in path:
        model = CellFilter
    if "plans" in path:
        model = PlanRequest
    return [field.alias or name for name, field in (model or Design).model_fields.items()]
