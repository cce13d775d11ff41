"""[[group]] of a study.toml: groups of listeners who hear different parts of the study, or other words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from study.design.errors import SettingError
from study.design.settings import Name, SettingsTable, Text, as_tuple


def _as_blocks(value: Any) -> Any:
    """Lists of lists as tuples of tuples."""
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


class Group(SettingsTable):
    """[[group]]: what one group of listeners hears. Each listener belongs to one group.

    Attributes
    ----------
    name : str
        Its name in results; listeners never see it.
    sets : tuple of str
        The sets that it hears, in balanced orders; all sets where it is empty.
    blocks : tuple of tuple of str
        In place of `sets`: blocks of sets that come one after the other, each in balanced orders.
    share : int
        How many listeners it gets for each one of a group with a share of 1.
    instructions : str
        Shown on its welcome page, after those of the study.
    """

    name: Name
    sets: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)] = ()
    blocks: Annotated[tuple[tuple[Text, ...], ...], BeforeValidator(_as_blocks)] = ()
    share: Annotated[int, Field(ge=1, le=100)] = 1
    instructions: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Group:
        if self.sets and self.blocks:
            raise SettingError("has both `sets` and `blocks`", "delete one of them")
        if any(not block for block in self.blocks):
            raise SettingError("has an empty block", "name a set in it, or delete it")
        heard = [name for block in self.blocks or (self.sets,) for name in block]
        if len(set(heard)) < len(heard):
            twice = next(name for name in heard if heard.count(name) > 1)
            raise SettingError(f"names the set {twice!r} twice", "write each set once")
        return self


def problem(groups: Sequence[Group], sets: Mapping[str, Any]) -> tuple[tuple, Any, str, str] | None:
    """The first fault of groups that each is right by itself: key, value, what is wrong and the fix."""
    names = [group.name.casefold() for group in groups]
    for index, group in enumerate(groups):
        if names.index(names[index]) < index:
            return ("group", index, "name"), group.name, "stands twice", "give one of them another `name`"
        for name in (name for block in group.blocks or (group.sets,) for name in block):
            if name not in sets:
                key = ("group", index, "blocks" if group.blocks else "sets")
                return key, name, "names no set of this study", f"sets are: {', '.join(sets)}"
    heard = {name for group in groups for block in group.blocks or (group.sets or sets,) for name in block}
    for name in sets if groups else ():
        if name not in heard:
            fix = "add it to the `sets` of a [[group]], or delete the set"
            return ("set", name), None, "is heard by no group", fix
    return None


def as_registered(groups: Sequence[Group], sets: Mapping[str, Any]) -> list[list[Any]] | None:
    """What the database holds of groups: [name, share, blocks of sets] of each; None without groups."""
    blocks = [[list(block) for block in group.blocks] or [list(group.sets or sets)] for group in groups]
    return [[group.name, group.share, one] for group, one in zip(groups, blocks, strict=True)] or None
