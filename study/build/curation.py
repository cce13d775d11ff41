"""What the researcher thinks of the clips in the pool, and which sets they shall be in: private/picks.csv.

This is a file and not a part of the database for three reasons: the database never holds the name of a clip,
clips are picked before there is anything to register, and `study build` reads the file without a server. The
file only grows: each change adds a row with who made it and when, and for each property of a clip the last
row counts. It is written whole beside itself and renamed, so that a crash leaves the rows as they were.
"""

from __future__ import annotations

import fcntl
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from caw.files import spreadsheet
from caw.problems import Problem, ProblemError
from study import pool
from study.design import Design
from study.folder import StudyFolder
from study.pool import ORIGINAL, Origin

if TYPE_CHECKING:
    from study.backends import Cell

COLUMNS = ("at", "who", "clip", "what", "value")
INTO, OUT, FREE, RATED, REMARKED = "into", "leave out", "free", "rating", "remark"  # the values of "what"
PICKING = (INTO, OUT, FREE)  # those that change the sets
HIGHEST = 10  # of a rating; the lowest is 0
LONGEST_REMARK = 2000  # characters
BUILD_LOCK = "build.lock"  # in private/; held by a running build
_LOCK = "picks.lock"


class CurationError(ProblemError):
    """A pick, rating or remark that cannot be taken, or a picks.csv that cannot be read."""

    @classmethod
    def of(cls, problem: Problem) -> CurationError:
        """An error for this problem."""
        return cls(problem.what, problem.fix)


@dataclass(frozen=True)
class Choice:
    """What the researcher last said about one clip."""

    set_name: str = ""  # the set that it is picked into; "": none
    out: bool = False  # whether no set may have it
    rating: int | None = None  # 0 to 10
    remark: str | None = None  # None: there never was one; "": it was taken back
    row: int = 0  # of its last pick: later picks have higher ones

    @property
    def pick(self) -> str:
        """The pick as text: a set's name, "leave out", or "" where the build chooses."""
        return OUT if self.out else self.set_name

    @property
    def words(self) -> str:
        """Rating and remark in one text; "" where there is neither."""
        rating = "" if self.rating is None else f"{self.rating} of {HIGHEST}"
        return ": ".join(filter(None, (rating, self.remark)))


def history(folder: StudyFolder) -> list[dict[str, str]]:
    """Every change so far, oldest first, with COLUMNS.

    Raises CurationError with the row's number for a row that makes no sense.
    """
    file = folder.picks
    try:
        table = spreadsheet.read(file, COLUMNS) if file.exists() else None
    except spreadsheet.TableError as error:
        raise CurationError(str(error)) from None
    rows = table.records() if table else []
    for number, row in zip(table.numbers if table else [], rows, strict=True):
        if problem := _problem_of(row):
            raise CurationError(f"{file}: row {number}: {problem}", "delete that row or correct it")
    return rows


def read(folder: StudyFolder) -> dict[str, Choice]:
    """The choice that counts now, by the clip's name. Raises CurationError."""
    choices: dict[str, Choice] = {}
    for number, row in enumerate(history(folder), start=1):
        choices[row["clip"]] = _after(choices.get(row["clip"], Choice()), row["what"], row["value"], number)
    return choices


def change(
    folder: StudyFolder,
    design: Design,
    clip: str,
    who: str,
    changes: Mapping[str, str],
    *,
    answered: bool,
) -> Choice:
    """Add changes to one clip's choice, and return what counts now.

    A change to what is so already adds no row.

    changes: the new value for any of INTO (a set's name), OUT, FREE, RATED ("0" to "10", "" for none) and
        REMARKED.
    answered: whether listeners have answered, because the sets cannot change then.
    Raises CurationError, before anything is written, and OSError.
    """
    clips = {row["name"]: row for row in pool.rows(folder)}
    if clip not in clips:
        what = f"{folder.pool_table}: holds no clip {clip!r}"
        raise CurationError(what, f"see `study pool {folder.path}`")
    rows = [{"clip": clip, "what": what, "value": _plain(what, value)} for what, value in changes.items()]
    for row in rows:
        if problem := _problem_of(row | {"at": "now", "who": who}):
            raise CurationError(f"{clip}: {problem.what}", problem.fix)
    with _locked(folder, _LOCK, fcntl.LOCK_EX):
        choices = read(folder)
        before = now = choices.get(clip, Choice())
        new_rows = []
        for row in rows:
            then = _after(now, row["what"], row["value"], sys.maxsize)  # it would be the newest
            if replace(then, row=now.row) != now:
                moment = datetime.now(UTC).isoformat(timespec="seconds")
                new_rows.append(row | {"at": moment, "who": who[:200]})
                now = then
        if not new_rows:
            return before
        if now.pick != before.pick:
            _require_possible(folder, design, clips, now, {**choices, clip: now}, clip, answered)
        folder.make_private()
        spreadsheet.write(folder.picks, COLUMNS, [*history(folder), *new_rows], mode=0o600)
        return read(folder)[clip]


def misfit(design: Design, set_name: str, clip: str, origin: Origin | Cell) -> Problem | None:
    """Why a clip of this origin cannot be picked into a set; None where it can."""
    if set_name not in design.sets:
        sets = ", ".join(design.sets)
        return Problem(f"{clip}: there is no set {set_name!r}", f"pick it into one of {sets}")
    if origin.backend == ORIGINAL:
        return tied(clip, origin)
    mode = design.mode_of(set_name)
    if origin.mode != mode:
        fitting = [name for name in design.sets if design.mode_of(name) == origin.mode]
        fix = f"pick it into {' or '.join(fitting)}" if fitting else "leave it free"
        return Problem(f"{clip} is of mode {origin.mode}, and set {set_name} takes {mode}", fix)
    if not design.sets[set_name].takes(origin):
        fix = f"pick another clip, or widen set.{set_name}.cells in study.toml"
        return Problem(f"{clip} fits none of the `cells` of set {set_name}", fix)
    return None


def tied(clip: str, origin: Origin | Cell) -> Problem | None:
    """Why an original that an earlier version cut for one set cannot be picked or left out; or None."""
    if origin.backend != ORIGINAL or not origin.mode:
        return None
    fix = "delete the folder sets/ and run `study build --pool-only`, which cuts others to choose from"
    return Problem(f"{clip} was cut for one set by an earlier version and cannot be picked", fix)


def too_many(
    folder: StudyFolder,
    design: Design,
    set_name: str,
    choices: Mapping[str, Choice],
    imported: Collection[str],
    originals: Collection[str],
) -> Problem | None:
    """What is wrong with the number of clips picked into a set, naming the last of them; or None.

    imported: the names of the imported clips, of which a set may take only so many.
    originals: the names of the originals, which are counted by themselves.
    """
    picked = sorted((choice.row, clip) for clip, choice in choices.items() if choice.set_name == set_name)
    fakes = [clip for _, clip in picked if clip not in originals]
    chosen = design.sets[set_name]
    for clips, limit, key, kind in (
        (fakes, chosen.fakes, "fakes", "clips"),
        ([clip for _, clip in picked if clip in originals], chosen.originals, "originals", "originals"),
        ([clip for clip in fakes if clip in imported], chosen.imported, "imported", "imported clips"),
    ):
        if len(clips) > limit:
            what = f"{clips[-1]} is one too many: {set_name} takes {limit} {kind}, {len(clips)} are picked"
            fix = f"free one with `study pick {folder.path} CLIP --clear`"
            return Problem(what, f"{fix}, or raise set.{set_name}.{key} in study.toml")
    return None


def newest_pick(folder: StudyFolder) -> datetime | None:
    """When a pick was last changed, in UTC; None for never."""
    moments = [row["at"] for row in history(folder) if row["what"] in PICKING]
    if not moments:
        return None
    try:
        newest = datetime.fromisoformat(moments[-1])
    except ValueError:
        what = f"{folder.picks}: {moments[-1]!r} in the column 'at' is no time"
        raise CurationError(what, "write it as 2026-01-31T12:00:00+00:00") from None
    return newest if newest.tzinfo else newest.replace(tzinfo=UTC)


def remark_of(choice: Choice, row: Mapping[str, str]) -> str:
    """The researcher's last remark on a clip, or else the one that came with it into the pool."""
    return choice.remark if choice.remark is not None else row.get("remark") or ""


def tally(design: Design, choices: Mapping[str, Choice], rows: Sequence[Mapping[str, str]]) -> str:
    """How many fakes and originals are picked for each set, and how many are left out. rows: the pool."""
    real = {row["name"] for row in rows if row["backend"] == ORIGINAL}
    fakes = [choice.pick for clip, choice in choices.items() if clip not in real]
    originals = [choice.pick for clip, choice in choices.items() if clip in real]
    counts = [
        f"{name}: {fakes.count(name)} of {chosen.fakes} fakes and "
        f"{originals.count(name)} of {chosen.originals} originals"
        for name, chosen in design.sets.items()
    ]
    left_out = fakes.count(OUT) + originals.count(OUT)
    return f"Picked for {', for '.join(counts)}; {left_out} left out. The build draws the rest."


def _require_possible(
    folder: StudyFolder,
    design: Design,
    pool: Mapping[str, Mapping[str, str]],
    now: Choice,
    choices: Mapping[str, Choice],
    clip: str,
    answered: bool,
) -> None:
    """Raise CurationError where the sets cannot follow this pick."""
    if answered:
        what = f"{clip}: listeners have answered, so the sets stand and no pick can change"
        raise CurationError(what, "rate it or note a remark, or make a new study folder")
    origin, imported = Origin.of_row(pool[clip]), {entry.name for entry in design.imported}
    originals = {name for name, other in pool.items() if other["backend"] == ORIGINAL}
    problem = tied(clip, origin) if now.out else None
    if now.set_name:
        problem = misfit(design, now.set_name, clip, origin)
        problem = problem or too_many(folder, design, now.set_name, choices, imported, originals)
    if problem:
        raise CurationError.of(problem)
    with _locked(folder, BUILD_LOCK, fcntl.LOCK_SH | fcntl.LOCK_NB):
        pass


def _after(now: Choice, what: str, value: str, number: int) -> Choice:
    """A choice after one more row."""
    if what == RATED:
        return replace(now, rating=int(value) if value else None)
    if what == REMARKED:
        return replace(now, remark=value)
    return replace(now, set_name=value if what == INTO else "", out=what == OUT, row=number)


def _plain(what: str, value: str) -> str:
    """A value as the file holds it: a remark becomes one paragraph of printable characters."""
    if what != REMARKED:
        return value
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())


def _problem_of(row: Mapping[str, str | None]) -> Problem | None:
    """What is wrong with a row; None for nothing."""
    columns = {name: cell for name, cell in row.items() if cell is not None}
    if not columns.keys() >= {*COLUMNS}:
        return Problem(f"does not have the columns {', '.join(COLUMNS)}")
    what, value = columns["what"], columns["value"]
    if not columns["clip"]:
        return Problem("names no clip")
    if what not in (*PICKING, RATED, REMARKED):
        return Problem(f"{what!r} is nothing that can be said of a clip")
    if what == INTO and not value:
        return Problem("names no set")
    if what == RATED and value and not (re.fullmatch(r"\d{1,2}", value) and int(value) <= HIGHEST):
        fix = f"give a whole number from 0 to {HIGHEST}"
        return Problem(f"rating {value!r} is out of range", fix)
    if what == REMARKED and len(value) > LONGEST_REMARK:
        return Problem(f"a remark of {len(value)} letters is too long", f"write at most {LONGEST_REMARK}")
    return None


@contextmanager
def _locked(folder: StudyFolder, name: str, kind: int) -> Iterator[None]:
    """Hold a lock in the study's private folder. It is released with the process, however that ends."""
    with (folder.make_private() / name).open("w") as lock:
        try:
            fcntl.flock(lock, kind)
        except BlockingIOError:
            what = f"{folder.path}: is being built at this moment"
            raise CurationError(what, "pick when that build has ended") from None
        yield
