"""Who is where, who may have dropped out, and how long it takes: redrawn while it is looked at."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from study.languages.wording import ago
from study.pages import researcher
from study.pages.researcher_data import each
from study.server import routes
from study.server.address import own
from study.server.served import served
from study.store.sessions import Session
from study.store.store import ListenerProgress

if TYPE_CHECKING:
    import altair as alt

TITLE = "Overview"
QUIET_AFTER = dt.timedelta(hours=24)  # an unfinished listener not seen for so long may have dropped out
EVERY = 5  # s between two drawings
_MOST_BARS = 36
_FEW = 5  # answers up to which each has its tick: left to itself the axis counts halves of so few
_STEPS = (  # width of a bar, how its moment is told
    (dt.timedelta(minutes=5), "%H:%M"),
    (dt.timedelta(minutes=15), "%H:%M"),
    (dt.timedelta(hours=1), "%d %b %H:%M"),
    (dt.timedelta(hours=6), "%d %b %H:%M"),
    (dt.timedelta(days=1), "%d %b"),
    (dt.timedelta(days=7), "%d %b"),
    (dt.timedelta(days=30), "%d %b %Y"),
)


def page() -> None:
    researcher.show(TITLE, lambda _here: _live())


@st.fragment(run_every=EVERY)
def _live() -> None:
    researcher.guarded(_draw)


def _draw(_here: Session) -> None:
    study = served()
    now = dt.datetime.now(dt.UTC)
    people = [one for one in study.store.listeners(pilot=False) if one.revoked_at is None]
    pilots = study.store.listeners(pilot=True)
    if not people and not pilots:
        st.write(f"Nobody is invited yet. [Invite listeners]({own(researcher.WAY['Listeners'])})")
        return
    _counts(people, now, study.design.listening.listeners)
    if since := study.store.closed_at():
        st.warning(f"The study was closed on {_local(since)}: no listener can answer.")
    if people:
        st.dataframe(table(people, now), hide_index=True, width="stretch", column_config=_COLUMNS)
    for one in people:
        if dropped_out(one, now):
            st.text(f"{one.name} may have dropped out: at {one.stage}, last seen {ago(one.last_seen, now)}.")
    answers = study.store.answers()
    for line in times(people, [time for row in answers for time in each(row, "response_seconds")]):
        st.write(line)
    if answers:
        st.header("Answers over time", anchor=False)
        moments = [moment for row in answers for moment in each(row, "answered_at")]
        st.altair_chart(timeline(moments), width="stretch")
    if pilots:
        with st.expander(f"Pilots, who never count ({len(pilots)})"):
            st.dataframe(table(pilots, now), hide_index=True, width="stretch", column_config=_COLUMNS)
    sealed = "" if study.store.unblindings() else "Real or fake, backends and epochs are sealed. "
    st.html(f'<p class="small">{sealed}Updated {now.astimezone():%H:%M:%S}; times are this server\'s.</p>')


_COLUMNS = {
    "answered": st.column_config.ProgressColumn(min_value=0, max_value=100, format="%d %%"),
    "active": st.column_config.NumberColumn(
        "active min", format="%.0f", help="Minutes from the clips' ends to the answers, practice left out."
    ),
}


def _counts(people: list[ListenerProgress], now: dt.datetime, planned: int | None) -> None:
    let_go = sum(one.outcome is not None and one.finished_at is None for one in people)
    metrics = {
        "Invited": f"{len(people)} of {planned}" if planned else len(people),
        "Under way": sum(one.awaited and one.last_seen is not None for one in people),
        "Finished": sum(one.finished_at is not None and one.in_round is None for one in people),
        **({"Let go": let_go} if let_go else {}),
        "Quiet for a day": sum(dropped_out(one, now) for one in people),
    }
    with st.container(horizontal=True, key="counts"):
        for label, value in metrics.items():
            st.metric(label, value, width="content")


def table(people: list[ListenerProgress], now: dt.datetime) -> pd.DataFrame:
    """One row per listener: name, where, percent answered, clips, minutes active, last seen, finished."""
    return pd.DataFrame(
        {
            "listener": [one.name for one in people],
            "where": ["revoked" if one.revoked_at else one.stage for one in people],
            "answered": [round(100 * one.answered / one.total) if one.total else 0 for one in people],
            "clips": [f"{one.answered} of {one.total}" for one in people],
            "active": [one.seconds_active / 60 for one in people],
            "last seen": [ago(one.last_seen, now) for one in people],
            "finished": [_local(one.finished_at) if one.finished_at else "" for one in people],
        }
    )


def dropped_out(one: ListenerProgress, now: dt.datetime) -> bool:
    """Under way in the study or in a further round, and not seen for a day."""
    return one.awaited and one.last_seen is not None and now - one.last_seen > QUIET_AFTER


def times(people: list[ListenerProgress], seconds: Sequence[float]) -> list[str]:
    """How long an answer takes and how long the whole study took, in words; [] before the first answer.

    seconds: of each answer, from the clip's end.
    """
    lines = []
    if seconds:
        lines.append(f"An answer takes **{median(seconds):.0f} s** after the clip's end (median).")
    whole = [one.finished_at - one.begun_at for one in people if one.finished_at and one.begun_at]
    if whole:
        minutes = median(length.total_seconds() / 60 for length in whole)
        lines.append(
            f"From the first clip to the end it took **{minutes:.0f} min**, breaks included (median)."
        )
    return lines


def timeline(moments: Sequence[dt.datetime]) -> alt.Chart:
    """How many answers came when: bars of a width that keeps them under forty."""
    import altair as alt

    first, last = min(moments).astimezone(), max(moments)
    width, form = next((step for step in _STEPS if (last - first) / step[0] < _MOST_BARS), _STEPS[-1])
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + (first - midnight) // width * width  # bars begin at round hours
    counts = Counter((moment - first) // width for moment in moments)
    bars = pd.DataFrame({"bar": range(max(counts) + 1)})
    bars["answers"] = [counts.get(bar, 0) for bar in bars["bar"]]
    bars["from"] = [f"{first + bar * width:{form}}" for bar in bars["bar"]]
    bars["order"] = bars["bar"]
    flat, most = alt.Axis(labelAngle=0, labelOverlap=True), int(bars["answers"].max())
    whole = {"values": list(range(most + 1))} if most <= _FEW else {"tickMinStep": 1}
    return (
        alt.Chart(bars, height=180)
        .mark_bar(color=routes.LIGHT["primaryColor"], cornerRadiusEnd=2)
        .encode(
            x=alt.X("from:O", sort=alt.SortField("order"), title=None, axis=flat),
            y=alt.Y("answers:Q", title="answers", axis=alt.Axis(**whole)),
            tooltip=["from:O", "answers:Q"],
        )
    )


def _local(moment: dt.datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}"
