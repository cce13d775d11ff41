"""What the researcher thinks of the clips in the pool, and which sets they shall be in: private/picks.csv.

A file and not the database, for three reasons: the database never holds the name of a clip, clips are picked
before there is anything to register, and `study build` reads it without a server. It only grows: one row for
each change, with who and when, and the last word on each thing counts. It is written whole beside itself and
renamed, so that a crash leaves the rows as they were.
"""

from __future__ import annotations

import fcntl
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from caw.files import spreadsheet
from study import pool
from study.design import Design
from study.folder import StudyFolder
from study.pool import ORIGINAL

COLUMNS = ("at", "who", "clip", "what", "value")
INTO, OUT, FREE, RATED, REMARKED = "into", "leave out", "free", "rating", "remark"  # what a row may say
PICKING = (INTO, OUT, FREE)  # what the sets follow
HIGHEST = 10  # of a rating; the lowest is 0
LONGEST_REMARK = 2000  # characters
BUILD_LOCK = "build.lock"  # in private/; held by a running build
_LOCK = "picks.lock"


class CurationError(ValueError):
    """A pick, rating or remark that cannot be taken, or a picks.csv that cannot be read."""


@dataclass(frozen=True)
class Choice:
    """What was last said about one clip."""

    set_name: str = ""  # it is picked into; "": none
    out: bool = False  # no set may have it
    rating: int | None = None  # 0 to 10
    remark: str | None = None  # None: nothing was said; "": taken back
    row: int = 0  # of its last pick: later picks have higher ones

    @property
    def pick(self) -> str:
        """In one word or two: a set's name, "leave out", or "" where the build chooses."""
        return OUT if self.out else self.set_name

    @property
    def words(self) -> str:
        """Rating and remark in one text; "" for neither."""
        rated = "" if self.rating is None else f"{self.rating} of {HIGHEST}"
        return ": ".join(filter(None, (rated, self.remark)))


def history(folder: StudyFolder) -> list[dict[str, str]]:
    """Every change so far, oldest first, with COLUMNS.

    Raises: CurationError for a row that nobody can have meant, with its number.
    """
    file = folder.picks
    try:
        table = spreadsheet.read(file, COLUMNS) if file.exists() else None
    except spreadsheet.TableError as error:
        raise CurationError(str(error)) from None
    rows = table.records() if table else []
    for number, row in zip(table.numbers if table else [], rows, strict=True):
        if fault := _fault(row):
            raise CurationError(f"{file}: row {number}: {fault}; delete that row or correct it")
    return rows


def read(folder: StudyFolder) -> dict[str, Choice]:
    """What counts of it: clip -> Choice. Raises: CurationError."""
    choices: dict[str, Choice] = {}
    for number, row in enumerate(history(folder), start=1):
        choices[row["clip"]] = _after(choices.get(row["clip"], Choice()), row["what"], row["value"], number)
    return choices


def change(
    folder: StudyFolder,
    design: Design,
    clip: str,
    who: str,
    said: Mapping[str, str],
    *,
    answered: bool,
) -> Choice:
    """Add what was said about a clip; what is so already adds no row. Returns what counts now.

    said: of INTO (a set's name), OUT, FREE, RATED ("0" to "10", "" for none) and REMARKED, with its value.
    answered: whether listeners have answered, as then the sets stand. Raises: CurationError; nothing is
    written then. OSError.
    """
    clips = {row["name"]: row for row in pool.rows(folder)}
    if clip not in clips:
        raise CurationError(f"{folder.pool_table}: holds no clip {clip!r}; see `study pool {folder.path}`")
    rows = [{"clip": clip, "what": what, "value": _plain(what, value)} for what, value in said.items()]
    for row in rows:
        if fault := _fault(row | {"at": "now", "who": who}):
            raise CurationError(f"{clip}: {fault}")
    with _alone(folder, _LOCK, fcntl.LOCK_EX):
        choices = read(folder)
        before = now = choices.get(clip, Choice())
        fresh = []
        for row in rows:
            then = _after(now, row["what"], row["value"], sys.maxsize)  # it would be the newest
            if replace(then, row=now.row) != now:
                fresh.append(row | {"at": datetime.now(UTC).isoformat(timespec="seconds"), "who": who[:200]})
                now = then
        if not fresh:
            return before
        if now.pick != before.pick:
            _may_pick(folder, design, clips, now, {**choices, clip: now}, clip, answered)
        folder.make_private()
        spreadsheet.write(folder.picks, COLUMNS, [*history(folder), *fresh], mode=0o600)
        return read(folder)[clip]


def misfit(design: Design, set_name: str, clip: str, facts: Mapping[str, str]) -> str:
    """Why a clip cannot be picked into a set, with the mend; "" where it can.

    facts: its backend, mode, epochs, source, plan and strength as text, as a row of the pool has them.
    """
    if set_name not in design.sets:
        return f"{clip}: there is no set {set_name!r}; pick it into one of {', '.join(design.sets)}"
    if facts["backend"] == ORIGINAL:
        return tied(clip, facts)
    mode, chosen = design.mode_of(set_name), design.sets[set_name]
    if facts["mode"] != mode:
        fitting = [name for name in design.sets if design.mode_of(name) == facts["mode"]]
        mend = f"pick it into {' or '.join(fitting)}" if fitting else "leave it free"
        return f"{clip} is of mode {facts['mode']}, and set {set_name} takes {mode}; {mend}"
    fits = any(
        all(wanted is None or pool.written(wanted) == facts.get(name, "") for name, wanted in one)
        for one in chosen.cells
    )
    if chosen.cells and not fits:
        mend = f"pick another clip, or widen set.{set_name}.cells in study.toml"
        return f"{clip} fits none of the `cells` of set {set_name}; {mend}"
    return ""


def tied(clip: str, facts: Mapping[str, str]) -> str:
    """Why an original cannot be picked or left out, as an earlier version cut it for one set; or ""."""
    if facts["backend"] != ORIGINAL or not facts["mode"]:
        return ""
    mend = "delete the folder sets/ and run `study build --pool-only`, which cuts others to choose from"
    return f"{clip} was cut for one set by an earlier version and cannot be picked; {mend}"


def too_many(
    folder: StudyFolder,
    design: Design,
    set_name: str,
    choices: Mapping[str, Choice],
    imported: Collection[str],
    originals: Collection[str],
) -> str:
    """What is wrong with the number of clips picked into a set, naming the last, with the mend; or "".

    imported: the names of the imported clips, of which a set may take only so many. originals: of the
    originals, which are counted by themselves.
    """
    picked = sorted((one.row, clip) for clip, one in choices.items() if one.set_name == set_name)
    made = [place for place in picked if place[1] not in originals]
    real = [place for place in picked if place[1] in originals]
    brought = [place for place in made if place[1] in imported]
    chosen = design.sets[set_name]
    for places, most, key, kind in (
        (made, chosen.fakes, "fakes", "clips"),
        (real, chosen.originals, "originals", "originals"),
        (brought, chosen.imported, "imported", "imported clips"),
    ):
        if len(places) > most:
            clip = places[-1][1]
            told = f"{clip} is one too many: {set_name} takes {most} {kind}, {len(places)} are picked"
            mend = f"free one with `study pick {folder.path} CLIP --clear`"
            return f"{told}; {mend}, or raise set.{set_name}.{key} in study.toml"
    return ""


def newest_pick(folder: StudyFolder) -> datetime | None:
    """When a pick was last changed, UTC; None for never."""
    moments = [row["at"] for row in history(folder) if row["what"] in PICKING]
    if not moments:
        return None
    try:
        newest = datetime.fromisoformat(moments[-1])
    except ValueError:
        message = f"{folder.picks}: {moments[-1]!r} in the column 'at' is no time"
        raise CurationError(f"{message}; write it as 2026-01-31T12:00:00+00:00") from None
    return newest if newest.tzinfo else newest.replace(tzinfo=UTC)


def _may_pick(
    folder: StudyFolder,
    design: Design,
    pool: Mapping[str, Mapping[str, str]],
    now: Choice,
    choices: Mapping[str, Choice],
    clip: str,
    answered: bool,
) -> None:
    """Raises: CurationError where the sets may not take this pick."""
    if answered:
        told = f"{clip}: listeners have answered, so the sets stand and no pick can change"
        raise CurationError(f"{told}; rate it or note a remark, or make a new study folder")
    row, imported = pool[clip], {entry.name for entry in design.imported}
    originals = {name for name, other in pool.items() if other["backend"] == ORIGINAL}
    fault = tied(clip, row) if now.out else ""
    if now.set_name:
        fault = misfit(design, now.set_name, clip, row)
        fault = fault or too_many(folder, design, now.set_name, choices, imported, originals)
    if fault:
        raise CurationError(fault)
    with _alone(folder, BUILD_LOCK, fcntl.LOCK_SH | fcntl.LOCK_NB):
        pass


def _after(now: Choice, what: str, value: str, number: int) -> Choice:
    """A choice after one more row."""
    if what == RATED:
        return replace(now, rating=int(value) if value else None)
    if what == REMARKED:
        return replace(now, remark=value)
    return replace(now, set_name=value if what == INTO else "", out=what == OUT, row=number)


def _plain(what: str, value: str) -> str:
    """A value as it is kept: a remark in one paragraph of printable letters."""
    if what != REMARKED:
        return value
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())


def _fault(row: Mapping[str, str | None]) -> str:
    """What is wrong with a row; "" for nothing."""
    if any(row.get(name) is None for name in COLUMNS):
        return f"does not have the columns {', '.join(COLUMNS)}"
    what, value = row["what"], row["value"]
    if not row["clip"]:
        return "names no clip"
    if what not in (*PICKING, RATED, REMARKED):
        return f"{what!r} is nothing that can be said of a clip"
    if what == INTO and not value:
        return "names no set"
    if what == RATED and value and not (re.fullmatch(r"\d{1,2}", value) and int(value) <= HIGHEST):
        return f"rating {value!r} is out of range; give a whole number from 0 to {HIGHEST}"
    if what == REMARKED and len(value) > LONGEST_REMARK:
        return f"a remark of {len(value)} letters is too long; write at most {LONGEST_REMARK}"
    return ""


@contextmanager
def _alone(folder: StudyFolder, name: str, kind: int) -> Iterator[None]:
    """Holds a lock of the folder; it goes with the process, however that ends."""
    with (folder.make_private() / name).open("w") as lock:
        try:
            fcntl.flock(lock, kind)
        except BlockingIOError:
            told = f"{folder.path}: is being built at this moment"
            raise CurationError(f"{told}; pick when that build has ended") from None
        yield


def remark_of(choice: Choice, row: Mapping[str, str]) -> str:
    """The words on a clip: what was noted last, else what came with it into the pool."""
    return choice.remark if choice.remark is not None else row.get("remark") or ""


def tally(settings: Design, choices: Mapping[str, Choice], rows: Sequence[Mapping[str, str]]) -> str:
    """How many fakes and originals are picked for each set, and how many are left out. rows: the pool."""
    real = {row["name"] for row in rows if row["backend"] == ORIGINAL}
    fakes = [one.pick for clip, one in choices.items() if clip not in real]
    originals = [one.pick for clip, one in choices.items() if clip in real]
    parts = []
    for name, one in settings.sets.items():
        told = f"{name}: {fakes.count(name)} of {one.fakes} fakes"
        parts.append(f"{told} and {originals.count(name)} of {one.originals} originals")
    left_out = fakes.count(OUT) + originals.count(OUT)
    return f"Picked for {', for '.join(parts)}; {left_out} left out. The build draws the rest."
