"""The pool: hear every clip, lay it beside its source, rate it, note a remark, and pick it into a set.

The one researcher's page that tells what is made and how. It opens no key: nothing on it says which stimulus
or which answer belongs to a clip. Looking is logged, and asked for while listeners are still to answer.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from study.curation_commands import remark_of, tally
from study.preparation import curation, pool
from study.preparation.curation import FREE, INTO, LONGEST_REMARK, OUT, RATED, REMARKED, Choice
from study.preparation.material import ORIGINAL
from study.room import pool_sounds, researcher
from study.room.served import Served, served
from study.room.sessions import Session

TITLE = "Pool"
AT_ONCE = 8  # clips on a page
FACTS = ("source", "mode", "epochs", "backend")  # by which the pool is filtered
_LABELS = {"source": "Source", "mode": "Mode", "epochs": "Epochs", "backend": "Backend"}
_FREE, _OUT = "The build chooses", "Leave out"
_MEASURED = "Of the clip as listeners hear it, cut and at one rate; Compare measures the whole file."
_SURE, _FAULTS = "pool-sure", "pool-faults"  # in the session state

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
    pool_sounds.note_opened(study, here)
    choices = curation.read(study.folder)
    answered = study.store.has_answers()
    _state(study, choices, answered)
    shown = _page_of(_filtered(rows, choices))
    measures = _measures(study)
    for row in shown:
        _clip(study, row, choices.get(row["name"], Choice()), measures.get(row["name"]), answered)


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
    return sum(one.finished_at is None and one.revoked_at is None for one in people)


def _state(study: Served, choices: Mapping[str, Choice], answered: bool) -> None:
    st.write(tally(study.design, choices))
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
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split("-")]


def _filtered(rows: Sequence[Row], choices: Mapping[str, Choice]) -> list[Row]:
    """The clips that fit what is chosen above the list; facts that are all alike are not asked for."""
    picks = {row["name"]: _told(choices.get(row["name"], Choice()).pick) for row in rows}
    with st.container(horizontal=True, key="pool-filters"):
        for fact in FACTS:
            values = sorted({row[fact] for row in rows if row[fact]}, key=_natural)
            if len(values) > 1:
                wanted = st.selectbox(
                    _LABELS[fact], values, index=None, placeholder="All", key=f"only-{fact}", width=150
                )
                rows = [row for row in rows if wanted is None or row[fact] == wanted]
        ways = [told for told in dict.fromkeys(picks.values())]
        wanted = st.selectbox("Picked", ways, index=None, placeholder="All", key="only-pick", width=150)
    return [row for row in rows if wanted is None or picks[row["name"]] == wanted]


def _page_of(rows: list[Row]) -> list[Row]:
    if not rows:
        st.write("No clip fits this choice.")
        return rows
    if len(rows) <= AT_ONCE:
        st.html(f'<p class="small">{len(rows)} clip{"s" if len(rows) > 1 else ""}</p>')
        return rows
    starts = list(range(0, len(rows), AT_ONCE))
    ends = {start: min(start + AT_ONCE, len(rows)) for start in starts}
    start = st.selectbox(
        f"Clips of {len(rows)}",
        starts,
        format_func=lambda start: f"{start + 1} to {ends.get(start, len(rows))}",
        key=f"pool-page-{len(rows)}",
        width=150,
    )
    return rows[start : start + AT_ONCE]


def _measures(study: Served) -> dict[str, pd.DataFrame]:
    """Clip -> its measures beside those of its source's second half and of white noise, where taken."""
    tables: dict[str, pd.DataFrame] = {}
    from study.preparation import measuring  # loads signal processing, which listeners' pages do without

    record = measuring.read(study.folder)
    for clip in record.get("clips", []):
        if taken := clip.get("measures"):
            anchors = record.get("anchors", {}).get(clip["source"], {})
            columns = {"this clip": taken, "source's 2nd half": anchors.get("halves") or {}}
            columns["white noise"] = anchors.get("noise") or {}
            tables[clip["name"]] = pd.DataFrame(
                {head: {name: values.get(name) for name in taken} for head, values in columns.items()},
                dtype=float,
            ).rename_axis("measure")
    return tables


def _clip(study: Served, row: Row, choice: Choice, measures: pd.DataFrame | None, answered: bool) -> None:
    clip = row["name"]
    with st.container(border=True, key=f"clip-{clip}"):
        st.html(described(row, comparable=pool_sounds.comparable(study, dict(row))))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if row["backend"] != ORIGINAL:
                _picking(study, row, choice, answered)
            _asked(clip, RATED, "" if choice.rating is None else str(choice.rating))
            st.selectbox(
                "Rating, 0-10",
                [str(number) for number in range(curation.HIGHEST + 1)],
                index=None,
                placeholder="None",
                key=f"{RATED}-{clip}",
                on_change=_keep,
                args=(clip, RATED),
                width=115,
            )
        _asked(clip, REMARKED, remark_of(choice, row))
        st.text_area(
            "Remark, for the report",
            key=f"{REMARKED}-{clip}",
            height=72,
            max_chars=LONGEST_REMARK,
            on_change=_keep,
            args=(clip, REMARKED),
        )
        if measures is not None:
            with st.expander("Measures"):
                told = measures.map("{:.4g}".format, na_action="ignore").astype(object)
                st.dataframe(told.fillna("-"), width="stretch")
                st.html(f'<p class="small">{_MEASURED}</p>')
        if fault := st.session_state.get(_FAULTS, {}).pop(clip, None):
            st.error(fault)


def _picking(study: Served, row: Row, choice: Choice, answered: bool) -> None:
    clip = row["name"]
    sets = [name for name in study.design.sets if not curation.misfit(study.design, name, clip, row)]
    ways = dict.fromkeys(["", *sets, OUT, choice.pick])  # the last one may be of an older design
    _asked(clip, "pick", choice.pick)
    st.selectbox(
        "Set",
        list(ways),
        format_func=_told,
        key=f"pick-{clip}",
        disabled=answered,
        on_change=_keep,
        args=(clip, "pick"),
        width=160,
    )


def _told(pick: str) -> str:
    return {"": _FREE, OUT: _OUT}.get(pick, pick)


def described(row: Row, *, comparable: bool) -> str:
    """A clip's name, how it came to be, its player and the way to its comparison, as HTML."""
    clip = escape(row["name"])
    facts = [row["mode"], f"{row['epochs']} epochs" if row["epochs"] else "", row["backend"], row["source"]]
    facts += ["cut by the build"] if row["backend"] == ORIGINAL else []
    told = escape(", ".join(filter(None, facts)))
    link = ""
    if comparable:
        address = pool_sounds.comparison_of(row["name"])
        link = f'<a href="{address}" target="_blank" rel="noopener" aria-label="Compare {clip}">Compare</a>'
    return (
        f'<div class="pool-clip"><h2>{clip}</h2><p class="small">{told}</p>'
        f'<div><audio controls preload="none" src="{pool_sounds.sound_of(row["name"])}" '
        f'aria-label="{clip}"></audio>{link}</div></div>'
    )


def _asked(clip: str, what: str, kept: str) -> None:
    """Fills a field with what was kept, before it is first drawn."""
    empty = None if what == RATED else ""
    st.session_state.setdefault(f"{what}-{clip}", kept or empty)


def _keep(clip: str, what: str) -> None:
    """Keeps what was just changed of a clip; what cannot be kept goes back, with a word why."""
    here, study = researcher.session(), served()
    if here is None:  # logged out meanwhile: the page says so
        return
    key = f"{what}-{clip}"
    value: Any = st.session_state[key] or ""
    said = {FREE if not value else OUT if value == OUT else INTO: "" if value == OUT else value}
    said = said if what == "pick" else {what: value}
    try:
        answered = study.store.has_answers()
        curation.change(study.folder, study.design, clip, here.who, said, answered=answered)
    except ValueError as error:
        told = str(error).replace(str(study.folder.path), study.folder.path.name)
        st.session_state.setdefault(_FAULTS, {})[clip] = f"Not kept. {told}"
        del st.session_state[key]
    except Exception:  # as on a full disk
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        st.session_state.setdefault(_FAULTS, {})[clip] = researcher.FAILED
        del st.session_state[key]
