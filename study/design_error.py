"""What is wrong with a study.toml, in one line: file, line, key, value, what, mend."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from study.toml_location import line_of

KeyPath = tuple[str | int, ...]


class DesignError(ValueError):
    """One fault of a study.toml: where it stands, what it says, and how to mend it."""

    def __init__(self, file: Path, line: int, key: str, value: Any, what: str, mend: str):
        self.file, self.line, self.key, self.value, self.what, self.mend = file, line, key, value, what, mend
        told = "" if value is None else f" = {shown(value)}"
        super().__init__(f"{file}:{line}: {key}{told}: {what}; {mend}")


class Wrong(ValueError):
    """Raised by validators: what is wrong and its mend, to be given a file and a line by `translated`."""

    def __init__(self, what: str, mend: str):
        super().__init__(what)
        self.what, self.mend = what, mend


def translated(
    faults: list[dict], file: Path, text: str, known_keys: Callable[[KeyPath], list[str]]
) -> DesignError:
    """The first fault that pydantic found, in our words. `known_keys`: what the table at a path may hold.

    Where a key is missing and its table has an unknown one, that is named: most likely a slip of the first.
    """
    fault = faults[0]
    if fault["type"] == "missing":
        unknown = (other for other in faults if other["type"] == "extra_forbidden")
        fault = next((other for other in unknown if other["loc"][:-1] == fault["loc"][:-1]), fault)
    path = tuple(part for part in fault["loc"] if part not in ("function-before", "function-after"))
    value, kind, context = fault["input"], fault["type"], fault.get("ctx", {})
    what, mend = fault["msg"][0].lower() + fault["msg"][1:], "see the comments that `study init` writes"
    if kind == "extra_forbidden":
        known = known_keys(path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        what = "unknown key"
        mend = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    elif kind == "missing":
        what, mend, value = "is missing", "add it", None
    elif isinstance(context.get("error"), Wrong):
        what, mend = context["error"].what, context["error"].mend
    elif kind in _MENDS:
        what, mend = f"is {_kind_of(value)}", _MENDS[kind]
        if kind == "tuple_type" and isinstance(value, dict):
            mend = f"write [[{dotted(path)}]], in two brackets"
    elif "literal" in kind:
        what, mend = "is not one of the choices", f"write one of {context['expected']}"
    elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        bound = next(iter(context.values()))
        words = {"greater_than": "above", "less_than": "below", "greater_than_equal": "at least"}
        what, mend = "is out of range", f"it must be {words.get(kind, 'at most')} {bound:g}"
    elif kind == "string_too_short":
        what, mend = "is empty", "write some text"
    elif kind == "finite_number":
        what, mend = "is no number", "write a finite number"
    if isinstance(value, dict):
        value = None
    return DesignError(file, line_of(text, path), dotted(path), value, what, mend)


_MENDS = {
    "int_type": "write a whole number, as 3",
    "int_from_float": "write a whole number, as 3",
    "float_type": "write a number, as 2.5",
    "string_type": 'write text in quotes, as "text"',
    "bool_type": "write true or false",
    "tuple_type": "write a list in brackets, as [1, 2]",
    "dict_type": "write a table, as [name]",
    "model_type": "write a table, as [name] ([[name]] for sources and imported clips)",
}


def _kind_of(value: Any) -> str:
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "text", dict: "a table"}
    return kinds.get(type(value), "a list" if isinstance(value, list | tuple) else type(value).__name__)


def dotted(path: KeyPath) -> str:
    """("source", 0, "epochs", 1) -> source[1].epochs[2], counted from 1 as people count."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value as it is written in the file, cut short."""
    text = " ".join(json.dumps(value, default=str, ensure_ascii=False).split())
    return text if len(text) <= 60 else text[:57] + "..."
