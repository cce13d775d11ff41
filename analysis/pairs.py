"""The answers to pairs of clips as one tidy, validated frame.

One row is one listener's answer to one pair. The frame has what `study.reporting` joins of the export and the
key: of either clip of a pair its name and all that was true of it, in columns that begin with `first_` and
`second_` as they stood before the listener.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis import cells, responses
from analysis.cells import ResponsesError
from caw.files import spreadsheet

REAL, INSPIRING = "real", "inspiring"  # the questions
SIDES = ("first", "second")
FACTS = ("name", "truth", "backend", "mode", "epochs", "source", "run", "plan", "strength")  # of either clip
REQUIRED = ("listener", "set", "question", "position", "choice")
REQUIRED += tuple(f"{side}_{fact}" for side in SIDES for fact in FACTS[:5])
MEASURED = ("plays", "seconds_heard", "seconds_played")
OPTIONAL = ("part", "pair", "comment", "response_seconds")
OPTIONAL += tuple(f"{side}_{fact}" for side in SIDES for fact in (*FACTS[5:], "id", *MEASURED))
_LEVELS = {"question": (REAL, INSPIRING), "choice": SIDES}
_LEVELS |= {f"{side}_{name}": responses.LEVELS[name] for side in SIDES for name in ("truth", "mode")}
_WHOLE = {"position": 1, "part": 0, "pair": 1}
_WHOLE |= {f"{side}_{name}": least for side in SIDES for name, least in (("epochs", 1), ("plays", 0))}
_NUMBERS = {"response_seconds"} | {f"{side}_{name}" for side in SIDES for name in (*MEASURED[1:], "strength")}
_FILLED = ("listener", "set", "question", "choice")
_FILLED += tuple(f"{side}_{fact}" for side in SIDES for fact in ("name", "truth", "backend"))


def load(source: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Read and validate a table of answers to pairs.

    Parameters
    ----------
    source : path or pandas.DataFrame
        A CSV file or a frame with the columns `REQUIRED`, and any of `OPTIONAL`; others are carried along.

    Returns
    -------
    pandas.DataFrame
        One row per listener and pair: besides, `real_side`, "first" or "second", of pairs of the question
        "real".

    Raises
    ------
    ResponsesError
        With row, column, value and fix, for missing columns, unknown levels, and pairs that their question
        cannot be asked of.
    """
    if isinstance(source, pd.DataFrame):
        raw = source.set_axis(range(1, len(source) + 1), axis="index")
        return _validated(raw)
    path = Path(source)
    try:
        table = spreadsheet.read(path, (*REQUIRED, *OPTIONAL))
        raw = pd.DataFrame(table.rows, index=table.numbers, columns=table.columns, dtype=object)
        return _validated(raw)
    except ResponsesError as error:
        raise ResponsesError.of(error, path) from None
    except spreadsheet.TableError as error:
        raise ResponsesError.of(error) from None


def is_paired(columns) -> bool:
    """Whether a table with these columns is one of pairs."""
    return {"choice", "first_name", "second_name"} <= set(columns)


def _validated(raw: pd.DataFrame) -> pd.DataFrame:
    missing = [column for column in REQUIRED if column not in raw]
    if missing:
        fix = f"it needs the columns {', '.join(REQUIRED)}"
        raise ResponsesError(f"the table lacks {', '.join(missing)}", fix, column=missing[0])
    if raw.empty:
        raise ResponsesError("the table has a header and no answers")
    frame = pd.DataFrame(index=raw.index)
    for column in [*REQUIRED, *(name for name in OPTIONAL if name in raw)]:
        if column in _LEVELS:
            frame[column] = cells.levels(raw, column, _LEVELS[column])
        elif column in _WHOLE:
            numbers = cells.numbers(raw, column, _WHOLE[column], None, whole=True)
            frame[column] = pd.array(numbers, dtype="Int64")
        elif column in _NUMBERS:
            frame[column] = pd.array(cells.numbers(raw, column, 0.0, None), dtype="float64")
        else:
            frame[column] = cells.text(raw, column)
    for column in raw.columns.difference([*frame.columns, "real_side"], sort=False):
        frame[column] = raw[column].to_numpy()
    for column in _FILLED:
        empty = frame[column].isna()
        if empty.any():
            raise ResponsesError("is empty", "fill it in", row=int(empty.idxmax()), column=column)
    reals = sum((frame[f"{side}_truth"] == "real").astype(int) for side in SIDES)
    wanted = frame["question"].map({REAL: 1, INSPIRING: 0})
    if (odd := reals != wanted).any():
        row = int(odd.idxmax())
        what = f"is asked of a pair with {f'{reals[row]} real clips'}"
        fix = "pairs have one real clip where it is asked which is real, and else none"
        raise ResponsesError(what, fix, row=row, column="question")
    if (odd := frame["first_name"] == frame["second_name"]).any():
        raise ResponsesError(
            "is the first clip, too", "correct it", row=int(odd.idxmax()), column="second_name"
        )
    side = frame["first_truth"].map({"real": "first", "fake": "second"})
    frame["real_side"] = side.where(frame["question"] == REAL, None).astype(object)
    return frame.reset_index(drop=True)


def of_question(frame: pd.DataFrame, question: str) -> pd.DataFrame:
    """The answers to one question."""
    return frame[frame["question"] == question]


def of_real(frame: pd.DataFrame) -> pd.DataFrame:
    """The pairs of a real and a machine-made clip.

    With `right` (0, 1), `order` (+.5 where the real clip stood first, else -.5), `real_clip` and `fake_clip`
    (names), and the facts of the machine-made clip.
    """
    part = of_question(frame, REAL).copy()
    first = part["real_side"] == "first"
    part["right"] = (part["choice"] == part["real_side"]).astype(float)
    part["order"] = first.map({True: 0.5, False: -0.5}).astype(float)
    for fact in FACTS:
        if f"first_{fact}" in part:
            part[fact] = part[f"second_{fact}"].where(first, part[f"first_{fact}"])
    part["real_clip"] = part["first_name"].where(first, part["second_name"])
    part["fake_clip"] = part["second_name"].where(first, part["first_name"])
    return part


def clips_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Every clip once: set, name and its facts."""
    facts = [fact for fact in (*FACTS, "id") if f"first_{fact}" in frame]
    sides = [
        frame[["set", *(f"{side}_{fact}" for fact in facts)]].set_axis(["set", *facts], axis=1)
        for side in SIDES
    ]
    return pd.concat(sides).drop_duplicates(["set", "name"]).reset_index(drop=True)
