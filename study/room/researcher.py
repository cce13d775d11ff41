"""The researcher's page: who takes part, how far each one is, and their links. It knows no truth."""

from __future__ import annotations

import datetime as dt
import hmac

import pandas as pd
import streamlit as st

from study.room.links import personal_link
from study.room.listener import style
from study.room.served import Served, served
from study.room.store import Progress
from study.room.wording import ago

QUIET_AFTER = dt.timedelta(hours=24)  # an unfinished listener not seen for so long may have dropped out


def admitted() -> bool:
    """Whether this browser holds the researcher's cookie, which the gate has set."""
    study = served()
    cookie = st.context.cookies.get(study.researcher_cookie)
    return isinstance(cookie, str) and hmac.compare_digest(cookie.encode(), study.researcher_key.encode())


def page() -> None:
    style()
    if not admitted():
        st.title("For the researcher", anchor=False)
        st.write("Open the researcher's address that `study serve` prints.")
        return
    study = served()
    st.html("<style>.stMainBlockContainer{max-width:60rem !important}</style>")
    st.title(study.design.study.title, anchor=False)
    progress_table(study)


@st.fragment(run_every=5)
def progress_table(study: Served) -> None:
    """Redraws itself every few seconds, so the page can be left open during a session."""
    people = study.store.listeners()
    if not people:
        st.write("Nobody is invited yet. Make a personal link for each listener:")
        st.code(f"study invite {study.folder.path.name} NAME", language=None)
        return
    now = dt.datetime.now(dt.UTC)
    finished = sum(one.finished_at is not None for one in people)
    begun = sum(one.last_seen is not None for one in people) - finished
    quiet = [one.name for one in people if dropped_out(one, now)]
    planned = study.design.listening.listeners
    columns = st.columns(4)
    for column, label, value in zip(
        columns,
        ("Invited", "Under way", "Finished", "Quiet for a day"),
        (f"{len(people)} of {planned}" if planned else len(people), begun, finished, len(quiet)),
        strict=True,
    ):
        column.metric(label, value)
    st.dataframe(table(people, now), hide_index=True, width="stretch", column_config=_COLUMNS)
    if quiet:
        st.write(f"Not seen for a day, and not finished: {', '.join(quiet)}.")
    with st.expander("Personal links"):
        st.write("Each opens the study as that listener, so give it to nobody else.")
        base = (st.context.url or "").split("/researcher")[0]
        st.code("\n".join(f"{one.name}: {personal_link(base, one.token)}" for one in people), language=None)
    st.caption(
        "Real or fake, backends and epochs stay sealed until `study report` unblinds them. "
        f"Updated {now.astimezone():%H:%M:%S}."
    )


_COLUMNS = {
    "answered": st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="percent"),
}


def table(people: list[Progress], now: dt.datetime) -> pd.DataFrame:
    """One row per listener: name, where, answered (share and clips), last seen, finished (local time)."""
    return pd.DataFrame(
        {
            "listener": [one.name for one in people],
            "where": [one.stage for one in people],
            "answered": [one.answered / one.total if one.total else 0.0 for one in people],
            "clips": [f"{one.answered} of {one.total}" for one in people],
            "last seen": [ago(one.last_seen, now) for one in people],
            "finished": [
                f"{one.finished_at.astimezone():%Y-%m-%d %H:%M}" if one.finished_at else "" for one in people
            ],
        }
    )


def dropped_out(one: Progress, now: dt.datetime) -> bool:
    """Begun, not finished, and not seen for a day."""
    return one.finished_at is None and one.last_seen is not None and now - one.last_seen > QUIET_AFTER
