"""What a source asks of its clips: the plans they follow, bridges, strengths of variation, the band's album.

A plan is read when a build is planned, so that what cannot be read is said before hours of training, and it
goes with its cell to whichever machine makes the clips.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from study.design import LATER_KEYS, PLAN_KEYS, Asked, Design, KeyPath
from study.folder import StudyFolder
from study.preparation.backends import Backend, Cell

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


def plans(design: Design, folder: StudyFolder) -> Plans:
    """The plans of each source; None for one that asks for nothing, so that the model draws it by itself.

    Raises: DesignError for a file that cannot be read, and for chords, metres and forms that mean nothing.
    """
    found: dict[tuple[int, str], Plan | None] = {}
    for index, source in enumerate(design.sources):
        for name, asked in source.asked.items():
            here = ("source", index, "plans", name) if source.plans else ("source", index)
            found[index, name] = _read(design, here, asked, folder)
    return found


def _read(design: Design, here: KeyPath, asked: Asked, folder: StudyFolder) -> Plan | None:
    stated = {key: value for key in PLAN_KEYS if (value := getattr(asked, key)) is not None}
    if not stated:
        return None
    from caw.compose import plan

    from study.preparation.material import said

    file = folder.path / asked.plan if asked.plan else None
    try:
        return plan.read(file) if file else plan.Plan.from_options(**stated)
    except ValueError as error:  # PlanError, ChordError
        key = next((key for key in stated if key in str(error)), next(iter(stated)))
        raise design.error((*here, key), stated[key], *said(error, file)) from None


def facts(cell: Cell) -> list[Any]:
    """All that a cell is asked for besides its passage, mode and epochs, as JSON; [] for nothing.

    What a plan leaves at its default is left out, so that clips stay what they are when plans can hold more.
    """
    asked = {"plan": cell.plan, "strength": cell.strength, "content": content(cell.asked)}
    asked["album"] = [one.sha256 for one in cell.album]
    stated = {key: value for key, value in asked.items() if value not in ("", None, [], {})}
    return [stated] if stated else []


def content(value: Any) -> Any:
    """A plan, or any part of it, as JSON. What was heard in a clip is a remark and decides nothing."""
    if dataclasses.is_dataclass(value):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {
            field.name: content(one)
            for field, one in fields
            if one != field.default and field.name != "heard"
        }
    if isinstance(value, list | tuple):
        return [content(one) for one in value]
    return value


def _shown(value: Any) -> Any:
    return None if isinstance(value, dict) else list(value) if isinstance(value, tuple) else value
