"""The pool: hear every clip, lay it beside its source, rate it, note a remark, and pick it into a set, by
mouse or with one key (`pool_keys`).

The one researcher's page that tells what is made and how. It opens no key: nothing on it says which stimulus
or which answer belongs to a clip. Looking is logged, and asked for while listeners are still to answer.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import streamlit as st

from study import pool
from study.build import curation
from study.build.curation import FREE, INTO, LONGEST_REMARK, OUT, RATED, REMARKED, Choice, remark_of, tally
from study.design import LATER_FACTS
from study.pages import researcher
from study.pages.components import pool_keys, pool_presses
from study.pool import ORIGINAL
from study.server import researcher_files
from study.server.served import Served, served
from study.store.sessions import Session

TITLE = "Pool"
AT_ONCE = 25  # clips on a page
FACTS = ("source", "mode", "epochs", *LATER_FACTS, "backend")  # by which the pool is filtered
_FREE, _OUT = "The build chooses", "Leave out"
_MEASURED = "Of the clip as listeners hear it, cut and at one rate; Compare measures the whole file."
_SURE, _FAULTS = "pool-sure", "pool-faults"  # in the session state
_RENEWED, _SHOWN = "pool-renewed", "pool-shown"  # how often a field was put anew; what it shows
_PAGE, _TURNS = "pool-page", "pool-turns"  # the page, and how often it was turned by us
_STAND = "listeners have answered, so the sets stand"

Row = Mapping[str, str]


def page() -> None:
    researcher.show(TITLE, _draw)


def _draw(here: Session) -> None:
    study = served()
    rows = _in_order(pool.rows(study.folder))
    if not rows:
        st.write(f"The pool is empty. `study build {study.folder.path.name} --pool-only` makes its clips.")
        return
    if not _admitted(study):
        return
    researcher_files.note_opened(study, here)
    answered = study.store.has_answers()
    _take_keys(study, here)
    choices = curation.read(study.folder)
    _state(study, rows, choices, answered)
    shown = _page_of(study, _filtered(rows, choices), choices, answered)
    measures = _measures(study, {row["name"] for row in shown})
    for row in shown:
        _clip(study, row, choices.get(row["name"], Choice()), measures.get(row["name"], ""), answered)


def _admitted(study: Served) -> bool:
    """Whether the pool may be shown: at once where nobody is still to answer, else after a second thought."""
    waiting = sealed_from(study)
    if not waiting:
        return True
    one = waiting == 1
    st.warning(
        f"This page shows the truth about the clips, and {waiting} listener{' has' if one else 's have'} not "
        "finished. Whoever knows it can give it away, in a word or in a look. Opening the pool is logged; it "
        "opens no key, and no answer is shown beside a clip."
    )
    if st.session_state.get(_SURE):
        return True
    if st.button("Show the pool (this is logged)", key="show-pool"):
        st.session_state[_SURE] = True
        st.rerun()
    return False


def sealed_from(study: Served) -> int:
    """How many listeners are still to answer while nobody has opened the key."""
    if study.store.unblindings():
        return 0
    people = study.store.listeners(pilot=False)
    return sum(one.awaited for one in people)


def _state(study: Served, rows: Sequence[Row], choices: Mapping[str, Choice], answered: bool) -> None:
    st.write(tally(study.design, choices, rows))
    if answered:
        st.info("Listeners have answered, so the sets stand. Ratings and remarks still go into the report.")
    elif (built := study.store.build()) and later_than(study, built.registered_at):
        st.info(
            f"Picks have changed since the sets were built; `study build {study.folder.path.name}` follows."
        )


def later_than(study: Served, built: datetime | None) -> bool:
    """Whether a pick was changed after the sets were built."""
    last = curation.newest_pick(study.folder)
    return bool(last and built and last >= built.replace(microsecond=0))


def _in_order(rows: Sequence[Row]) -> list[Row]:
    """Made clips before originals, each by name, numbers in their order."""
    return sorted(rows, key=lambda row: (row["backend"] == ORIGINAL, _natural(row["name"])))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"[-.]", name)]


def _filtered(rows: Sequence[Row], choices: Mapping[str, Choice]) -> list[Row]:
    """The clips that fit what is chosen above the list; facts that are all alike are not asked for."""
    picks = {row["name"]: _pick_label(choices.get(row["name"], Choice()).pick) for row in rows}
    with st.container(horizontal=True, key="pool-filters"):
        for fact in FACTS:
            values = sorted({row[fact] for row in rows if row[fact]}, key=_natural)
            if len(values) > 1:
                wanted = _filter(fact.capitalize(), values, f"only-{fact}")
                rows = [row for row in rows if wanted is None or row[fact] == wanted]
        ways = [picked for picked in dict.fromkeys(picks.values())]
        wanted = _filter("Picked", ways, "only-pick")
    return [row for row in rows if wanted is None or picks[row["name"]] == wanted]


def _filter(label: str, values: Sequence[str], key: str) -> str | None:
    return st.selectbox(
        label, values, index=None, placeholder="All", key=key, width=150, on_change=_to_page, args=(1,)
    )


def _to_page(number: int) -> None:
    st.session_state[_PAGE] = max(1, number)
    st.session_state[_TURNS] = st.session_state.get(_TURNS, 0) + 1


def _turned(key: str) -> None:
    st.session_state[_PAGE] = st.session_state[key]


def _page_of(study: Served, rows: list[Row], choices: Mapping[str, Choice], answered: bool) -> list[Row]:
    """The clips of the page that is turned to, beneath the way between pages and the list of keys."""
    if not rows:
        st.write("No clip fits this choice.")
        return rows
    pages = -(-len(rows) // AT_ONCE)
    page = min(st.session_state.get(_PAGE, 1), pages)
    first, last = (page - 1) * AT_ONCE, min(page * AT_ONCE, len(rows))
    if pages > 1:
        key = f"{_PAGE}-of-{pages}-{st.session_state.get(_TURNS, 0)}"  # a new one shows the page anew
        with st.container(horizontal=True, vertical_alignment="center", key="pool-pages"):
            st.pagination(pages, default=page, key=key, on_change=_turned, args=(key,))
            st.html(f'<p class="small">Clips {first + 1} to {last} of {len(rows)}</p>')
    else:
        st.html(f'<p class="small">{len(rows)} clip{"s" if len(rows) > 1 else ""}</p>')
    shown = rows[first:last]
    clips = [
        {
            "name": row["name"],
            "pick": choices.get(row["name"], Choice()).pick,
            "sets": _sets(study, row),
            "fixed": _STAND if answered else _why_tied(row),
        }
        for row in shown
    ]
    pool_keys(clips, page=page, pages=pages, leave_out=OUT)
    return shown


def _take_keys(study: Served, here: Session) -> None:
    """Does what was pressed since the last run: picks clips, turns the page."""
    for press in pool_presses():
        if press.page:
            _to_page(press.page)
        else:
            _change(study, here, press.clip, _as_pick(press.pick))
            _renew("pick", press.clip)


def _measures(study: Served, shown: Collection[str]) -> dict[str, str]:
    """Clip -> a table, as HTML, of its measures beside those of its source's second half and of noise."""
    tables: dict[str, str] = {}
    from study.build import measuring  # loads signal processing, which listeners' pages do without

    record = measuring.read(study.folder)
    for clip in record.get("clips", []):
        if clip["name"] in shown and (taken := clip.get("measures")):
            anchors = record.get("anchors", {}).get(clip["source"], {})
            columns = {"this clip": taken, "source's 2nd half": anchors.get("halves") or {}}
            columns["white noise"] = anchors.get("noise") or {}
            rows = [[name, *(_number(values.get(name)) for values in columns.values())] for name in taken]
            tables[clip["name"]] = researcher.table(
                ["measure", *columns], rows, label=f"Measures of {clip['name']}"
            )
    return tables


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _clip(study: Served, row: Row, choice: Choice, measures: str, answered: bool) -> None:
    clip = row["name"]
    with st.container(border=True, key=f"clip-{clip}"):
        st.html(described(row, comparable=researcher_files.comparable(study, dict(row)), measures=measures))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if not _why_tied(row):
                _picking(study, row, choice, answered)
            _draw_field(
                st.selectbox,
                "Rating, 0-10",
                ["", *map(str, range(curation.HIGHEST + 1))],
                index=0 if choice.rating is None else 1 + choice.rating,
                format_func=lambda rating: rating or "None",
                what=RATED,
                clip=clip,
                width=115,
            )
            _draw_field(
                st.text_area,
                "Remark, for the report",
                remark_of(choice, row),
                height=68,
                max_chars=LONGEST_REMARK,
                what=REMARKED,
                clip=clip,
            )
        if fault := st.session_state.get(_FAULTS, {}).pop(clip, None):
            st.error(fault)


def _sets(study: Served, row: Row) -> list[str]:
    """The sets that a clip may be picked into."""
    names = study.design.sets
    origin = pool.Origin.of_row(row)
    return [name for name in names if not curation.misfit(study.design, name, row["name"], origin)]


def _why_tied(row: Row) -> str:
    """Why a clip stays in the set that an earlier version cut it for; "" where it does not."""
    problem = curation.tied(row["name"], pool.Origin.of_row(row))
    return problem.what if problem else ""


def _picking(study: Served, row: Row, choice: Choice, answered: bool) -> None:
    clip = row["name"]
    ways = list(
        dict.fromkeys(["", *_sets(study, row), OUT, choice.pick])
    )  # the last may be of an older design
    _draw_field(
        st.selectbox,
        "Set",
        ways,
        index=ways.index(choice.pick),
        format_func=_pick_label,
        disabled=answered,
        width=160,
        what="pick",
        clip=clip,
    )


def _pick_label(pick: str) -> str:
    return {"": _FREE, OUT: _OUT}.get(pick, pick)


def described(row: Row, *, comparable: bool, measures: str = "") -> str:
    """A clip's name, how it came to be, its player, the way to its comparison and its measures, as HTML."""
    clip = escape(row["name"])
    facts = [row["mode"], f"{row['epochs']} epochs" if row["epochs"] else ""]
    facts += [f"{fact} {row[fact]}" for fact in LATER_FACTS if row.get(fact)]
    facts += [row["backend"], row["source"]]
    facts += [f"cut from {float(row['start']):.1f} s on"] if row.get("start") else []
    link = ""
    if comparable:
        address = researcher_files.comparison_of(row["name"])
        link = f'<a href="{address}" target="_blank" rel="noopener" aria-label="Compare {clip}">Compare</a>'
    if measures:
        note = f'<p class="small">{_MEASURED}</p>'
        measures = f"<details><summary>Measures</summary>{measures}{note}</details>"
    return (
        f'<div class="pool-clip" data-clip="{clip}"><h2>{clip}</h2>'
        f'<p class="small">{escape(", ".join(filter(None, facts)))}</p>'
        f'<div><audio controls preload="none" src="{researcher_files.sound_of(row["name"])}" '
        f'aria-label="{clip}"></audio>{link}</div>{measures}</div>'
    )


def _draw_field(
    draw: Callable[..., str], label: str, *options: Any, what: str, clip: str, **looks: Any
) -> None:
    """Draws a field of a clip, and notes what it shows. Its first value is what is kept, and is never set
    through the session state: where runs are interrupted, browsers may not hear of that and send the one
    before."""
    key = _key(what, clip)
    shown = draw(label, *options, key=key, on_change=_keep, args=(clip, what, key), **looks)
    st.session_state.setdefault(_SHOWN, {})[key] = shown


def _key(what: str, clip: str) -> str:
    renewed = st.session_state.get(_RENEWED, {}).get((what, clip), 0)
    return f"{what}-{clip}" + (f"@{renewed}" if renewed else "")


def _renew(what: str, clip: str) -> None:
    """Puts a new field in the place of one that shows what is no longer so."""
    counts = st.session_state.setdefault(_RENEWED, {})
    counts[what, clip] = counts.get((what, clip), 0) + 1


def _keep(clip: str, what: str, key: str) -> None:
    """Keeps what was just changed of a clip; what cannot be kept goes back, with a word why.

    After an interrupted run or a turned page Streamlit calls for fields that nobody touched, too, with what
    the browser has of them: where that is what was shown, or the field was put anew since, it is no change.
    """
    here, study, value = researcher.session(), served(), st.session_state[key]
    if here is None or key != _key(what, clip) or value == st.session_state.get(_SHOWN, {}).get(key):
        return  # logged out, as the page says; or nothing was changed
    if not _change(study, here, clip, _as_pick(value) if what == "pick" else {what: value}):
        _renew(what, clip)


def _as_pick(pick: str) -> dict[str, str]:
    """What is said of a clip by a pick: a set's name, OUT, or "" to leave it to the build."""
    return {INTO: pick} if pick not in ("", OUT) else {OUT if pick else FREE: ""}


def _change(study: Served, here: Session, clip: str, changes: Mapping[str, str]) -> bool:
    """Keeps what is said of a clip; whether it could, with a word beside the clip where not."""
    try:
        answered = study.store.has_answers()
        curation.change(study.folder, study.design, clip, here.who, changes, answered=answered)
        return True
    except ValueError as error:
        reason = str(error).replace(str(study.folder.path), study.folder.path.name)
        st.session_state.setdefault(_FAULTS, {})[clip] = f"Not kept. {reason}"
    except Exception:  # as on a full disk
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        st.session_state.setdefault(_FAULTS, {})[clip] = researcher.FAILED
    return False
