"""The error of a study.toml, as one line: file, key, value, what is wrong, what to do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from caw.problems import ProblemError

KeyPath = tuple[str | int, ...]


class DesignError(ProblemError):
    """One problem of a study.toml.

    Parameters
    ----------
    file : Path
        The file that holds it.
    key : str
        Where it stands: the path of the key, as ``source[1].epochs``, or the line where the text is no TOML.
    value : object
        What is written there. None where nothing is, or where the value would not help.
    reason : str
        What is wrong with it.
    fix : str
        What to do about it.

    Examples
    --------
    >>> print(DesignError(Path("study.toml"), "source[1].clips", 0, "is out of range", "give 1 or more"))
    study.toml: source[1].clips = 0: is out of range; give 1 or more
    """

    def __init__(self, file: Path, key: str, value: Any, reason: str, fix: str):
        self.file, self.key, self.value, self.reason, self.fix = file, key, value, reason, fix
        setting = key if value is None else f"{key} = {shown(value)}"
        super().__init__(f"{file}: {setting}: {reason}", fix)

    def __reduce__(self) -> tuple:
        return type(self), (self.file, self.key, self.value, self.reason, self.fix)


class SettingError(ProblemError):
    """Raised by a validator, which knows neither file nor key; `first_problem` adds them."""


def first_problem(
    errors: Sequence[Mapping[str, Any]], file: Path, known_keys: Callable[[KeyPath], list[str]]
) -> DesignError:
    """The first of pydantic's errors, in the words of this project.

    `known_keys` gives the keys that the table at a path may hold. Where a key is missing and its table has an
    unknown one, the unknown one is reported: most likely it is the missing one with a typing mistake.
    """
    error = errors[0]
    if error["type"] == "missing":
        unknown = (other for other in errors if other["type"] == "extra_forbidden")
        error = next((other for other in unknown if other["loc"][:-1] == error["loc"][:-1]), error)
    path = tuple(part for part in error["loc"] if part not in ("function-before", "function-after"))
    value, kind, context = error["input"], error["type"], error.get("ctx", {})
    reason, fix = error["msg"][0].lower() + error["msg"][1:], "see the comments that `study init` writes"
    if kind == "extra_forbidden":
        known = known_keys(path[:-1])
        near = difflib.get_close_matches(str(path[-1]), known, n=1)
        reason = "unknown key"
        fix = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
    elif kind == "missing":
        reason, fix, value = "is missing", "add it", None
    elif isinstance(context.get("error"), SettingError):
        problem = context["error"].problem
        reason, fix = problem.what, problem.fix
    elif kind in _FIXES:
        reason, fix = f"is {_kind_of(value)}", _FIXES[kind]
        if kind == "tuple_type" and isinstance(value, dict):
            fix = f"write [[{dotted(path)}]], in two brackets"
    elif "literal" in kind:
        reason, fix = "is not one of the choices", f"write one of {context['expected']}"
    elif kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        bound = next(iter(context.values()))
        words = {"greater_than": "above", "less_than": "below", "greater_than_equal": "at least"}
        reason, fix = "is out of range", f"it must be {words.get(kind, 'at most')} {bound:g}"
    elif kind == "string_too_short":
        reason, fix = "is empty", "write some text"
    elif kind == "finite_number":
        reason, fix = "is no number", "write a finite number"
    return DesignError(file, dotted(path), None if isinstance(value, dict) else value, reason, fix)


_FIXES = {
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
    """The path of a key as people write and count it.

    Examples
    --------
    >>> dotted(("source", 0, "epochs", 1))
    'source[1].epochs[2]'
    """
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def shown(value: Any) -> str:
    """A value as it is written in the file, cut to 60 characters."""
    text = " ".join(json.dumps(value, default=str, ensure_ascii=False).split())
    return text if len(text) <= 60 else text[:57] + "..."
