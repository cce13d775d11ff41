"""What a listener says of a clip and the songs of a study: which could use it, as what, what they would take.

In a table of answers each of these is one cell: the names of songs, or the roles, or the ingredients, with
"; " between them; and the moment that was meant, in seconds of the clip. An empty cell is no answer; that no
song could use the clip is an answer of its own, `NONE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

USE_IN, USE_AS, TAKE, MOMENT = "use_in", "use_as", "take", "moment"
COLUMNS = (USE_IN, USE_AS, TAKE, MOMENT)
NONE = "none of them"  # in use_in: no song could use the clip. No song bears this name: it holds spaces
ROLES = ("intro", "verse", "chorus", "bridge", "ending", "elsewhere")
INGREDIENTS = ("groove", "harmony", "melody", "sound", "form")
SEPARATOR = "; "
_LEVELS = {USE_AS: ROLES, TAKE: INGREDIENTS}


def parts(cell: object) -> tuple[str, ...]:
    """What a cell names, each once, in its order; () of an empty one.

    Examples
    --------
    >>> parts("verse; bridge;verse")
    ('verse', 'bridge')
    """
    if not isinstance(cell, str):
        return ()
    return tuple(dict.fromkeys(part for piece in cell.split(SEPARATOR.strip()) if (part := piece.strip())))


def cell_of(names: Iterable[str]) -> str | None:
    """The cell that names these; None where there are none.

    Examples
    --------
    >>> cell_of(["verse", "bridge"])
    'verse; bridge'
    """
    return SEPARATOR.join(names) or None


def songs(frame: pd.DataFrame) -> list[str]:
    """Every song that a clip was made for or that a listener could use one in, by name."""
    made = set(frame["song"].dropna()) if "song" in frame else set()
    named = {song for cell in frame[USE_IN].dropna() for song in parts(cell)} if USE_IN in frame else set()
    return sorted((made | named) - {NONE})


def asked(frame: pd.DataFrame) -> bool:
    """Whether anybody said which songs could use a clip."""
    return USE_IN in frame and bool(frame[USE_IN].notna().any())


def settle(frame: pd.DataFrame) -> None:
    """Bring the cells of a validated frame into one form, in place.

    Raises: ResponsesError for an unknown role or ingredient, and for songs beside `NONE`.
    """
    from analysis.cells import ResponsesError  # with pandas, which no server loads

    for column in (USE_IN, USE_AS, TAKE):
        if column not in frame:
            continue
        for row, cell in frame[column].items():
            names = parts(cell)
            if column == USE_IN and NONE in names and len(names) > 1:
                fix = f"leave out {NONE!r} or the songs"
                raise ResponsesError(f"{cell!r} names songs and {NONE!r}", fix, row=row, column=column)
            for name in names:
                if column in _LEVELS and name not in _LEVELS[column]:
                    fix = f"write some of {', '.join(_LEVELS[column])}, with a semicolon between them"
                    raise ResponsesError(f"{name!r} is none of them", fix, row=row, column=column)
            frame.at[row, column] = cell_of(names)
