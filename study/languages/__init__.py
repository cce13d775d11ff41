"""The words of the pages, one plain catalogue file per language: en.toml, de.toml.

Every catalogue has the same keys and the same {places}; a new language is a new file beside them and its
name in `study.design.StudySettings.language`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any


class Words:
    """One language's catalogue: `words("clip.title", clip=1, clips=10)`."""

    def __init__(self, language: str, texts: Mapping[str, Any]) -> None:
        self.language = language
        self.texts = dict(texts)

    def __call__(self, key: str, /, **values: object) -> str:
        """The text under a dotted key, its {places} filled in. Raises KeyError for an unknown key."""
        return self.texts[key].format(**values)

    def count(self, key: str, number: int, /, **values: object) -> str:
        """The form of a text that fits the number: `key`.one or `key`.many."""
        return self(f"{key}.{'one' if number == 1 else 'many'}", **values)

    def group(self, table: str) -> dict[str, str]:
        """All texts of one table as they stand, places included: what a component of the browser fills in."""
        start = f"{table}."
        return {key.removeprefix(start): text for key, text in self.texts.items() if key.startswith(start)}

    def number(self, value: float, form: str = "g") -> str:
        """A number as this language writes it: 1.5 or 1,5."""
        return format(value, form).replace(".", self("language.decimal"))

    def listed(self, things: Sequence[str]) -> str:
        """Things as one phrase: "one, two and three"."""
        if len(things) < 2:
            return "".join(things)
        return ", ".join(things[:-1]) + self("language.list_and") + things[-1]


@cache
def words(language: str) -> Words:
    """The catalogue of a language, by its code. Raises FileNotFoundError where there is none."""
    text = files("study.languages").joinpath(f"{language}.toml").read_text("utf-8")
    return Words(language, _flat(tomllib.loads(text)))


def languages() -> list[str]:
    """The codes of all languages that have a catalogue."""
    names = (file.name for file in files("study.languages").iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in table.items():
        key = f"{above}{name}"
        flat |= _flat(value, f"{key}.") if isinstance(value, dict) else {key: value}
    return flat
