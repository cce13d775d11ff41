"""What a source asks of its clips: the plans they follow, bridges, strengths of variation, the band's album.

A plan is read when a build is planned, so that what cannot be read is said before hours of training, and it
goes with its cell to whichever machine makes the clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.backends import Backend, Cell, Task
from study.design import BRIDGE, LATER_KEYS, PLAN_KEYS, Asked, Design, KeyPath
from study.folder import StudyFolder

if TYPE_CHECKING:
    from caw.compose.plan import Plan

Plans = Mapping[tuple[int, str], "Plan | None"]  # by the source's index and the plan's name
_KEYS = [key for key in LATER_KEYS if key != "trainings"]
_NO_COMPOSER = "the backend {} follows no plan, makes no bridge, has no strength and learns from no album"


def check(design: Design, index: int, backend: Backend) -> None:
    """Raises: DesignError where a source asks for what its backend cannot do."""
    source = design.sources[index]
    stated = [key for key in _KEYS if getattr(source, key) not in (None, (), {}, False)]
    if not stated:
        return
    options = {key: value for key, value in design.backends.get(source.backend, {}).items() if key != "uses"}
    composes = getattr(backend, "composes", None)
    if why_not := composes(options) if composes else _NO_COMPOSER.format(source.backend):
        value = getattr(source, stated[0])
        fix = 'delete this key, or take the backend "caw" with the preset "fast"'
        raise design.error(("source", index, stated[0]), _shown(value), why_not, fix)


def require_able(design: Design, backend: Backend, task: Task) -> None:
    """Raises: DesignError where runs of an earlier version cannot make what a task asks for."""
    outdated = getattr(backend, "outdated", None)
    if outdated is None or (why_not := outdated(task)) is None:
        return
    cell = task.cell
    index = [(source.name, source.backend) for source in design.sources].index((cell.source, cell.backend))
    source = design.sources[index]
    key = "bridge" if cell.plan == BRIDGE else "strength" if cell.strength is not None else "plans"
    if key == "plans" and not source.plans:
        key = next(key for key in PLAN_KEYS if getattr(source, key) is not None)
    raise design.error(("source", index, key), _shown(getattr(source, key)), *why_not)


def plans(design: Design, folder: StudyFolder) -> Plans:
    """The plans of each source; None for one that asks for nothing, so that the model draws it by itself.

    Raises: DesignError for a file that cannot be read, and for chords, metres and forms that mean nothing.
    """
    read: dict[tuple[int, str], Plan | None] = {}
    for index, source in enumerate(design.sources):
        for name, asked in source.asked.items():
            here = ("source", index, "plans", name) if source.plans else ("source", index)
            read[index, name] = _read(design, here, asked, folder)
    return read


def _read(design: Design, here: KeyPath, asked: Asked, folder: StudyFolder) -> Plan | None:
    stated = {key: value for key in PLAN_KEYS if (value := getattr(asked, key)) is not None}
    if not stated:
        return None
    from caw.compose import plan
    from study.build.material import said

    try:
        return plan.read(folder.path / asked.plan) if asked.plan else plan.Plan.from_options(**stated)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        fix = "name a plan's file, as `caw plan` writes it"
        raise design.error((*here, "plan"), asked.plan, why, fix) from None
    except ValueError as error:  # PlanError, ChordError
        key = next((key for key in stated if key in str(error)), next(iter(stated)))
        file = Path(Path(asked.plan).name) if asked.plan else None
        raise design.error((*here, key), stated[key], *said(error, file)) from None


def facts(cell: Cell) -> list[Any]:
    """All that a cell is asked for besides its passage, mode and epochs, as JSON; [] where that is nothing.

    What was heard in a clip is a remark that decides nothing.
    """
    asked: dict[str, Any] = {"plan": cell.plan, "strength": cell.strength}
    asked["album"] = [one.sha256 for one in cell.album]
    if cell.asked is not None:
        from caw.compose import plan

        asked["content"] = {**plan.to_document(cell.asked), "heard": None}
    stated = {key: value for key, value in asked.items() if value not in ("", None, [])}
    return [stated] if stated else []


def _shown(value: Any) -> Any:
    return None if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
