"""The answers so far, without truth: how many, how careful, and as files; and closing the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import pandas as pd
import streamlit as st

from study.pages import researcher
from study.server import researcher_files
from study.server.served import Served, served
from study.store.sessions import Session

TITLE = "Data"
QUICK = 2.0  # s after the clip's end: an answer given sooner can hardly have been thought about

Answers = Sequence[Mapping[str, Any]]


def page() -> None:
    researcher.show(TITLE, _draw)


def _draw(here: Session) -> None:
    study = served()
    answers, pilots = study.store.answers(), study.store.answers(pilot=True)
    if answers:
        listeners = len({row["listener"] for row in answers})
        st.write(
            f"**{len(answers)}** answers of **{listeners}** listener{'s' if listeners > 1 else ''} so far."
        )
    else:
        st.write("There are no answers yet.")
    if pilots:
        st.write(f"Pilots gave {len(pilots)} more, which stay apart.")
    _files(study, bool(answers), bool(pilots))
    if answers:
        st.header("How careful the answers are", anchor=False)
        st.dataframe(quality(answers), hide_index=True, width="stretch", column_config=_COLUMNS)
        legend = (
            f"Quick: less than {QUICK:.0f} s after the clip's end. One verdict: the same for every clip. "
        )
        st.html(f'<p class="small">{legend}These are hints to look closer, not proof.</p>')
    _closing(study, here)


_PLAYS = ("plays", "first_plays", "second_plays")  # of a clip, or of both of a pair
_COLUMNS = {
    "plays": st.column_config.NumberColumn("plays a clip", format="%.1f"),
    "seconds": st.column_config.NumberColumn("seconds an answer", format="%.0f", help="Median."),
}


def quality(answers: Answers) -> pd.DataFrame:
    """One row per listener: answers, plays a clip, seconds an answer, quick ones, what to look at."""
    rows = []
    for name in dict.fromkeys(row["listener"] for row in answers):
        mine = [row for row in answers if row["listener"] == name]
        seconds = [time for row in mine for time in each(row, "response_seconds")]
        quick = sum(time < QUICK for time in seconds)
        plays = [row[key] for row in mine for key in _PLAYS if row.get(key) is not None]
        rated = [row["musicality"] for row in mine if row.get("musicality") is not None]
        hints = ["often quick"] if quick * 4 > len(seconds) else []
        if len(mine) > 3:
            hints += ["one verdict"] if len({row["verdict"] for row in mine if "verdict" in row}) == 1 else []
            hints += ["one side"] if len({row["choice"] for row in mine if "choice" in row}) == 1 else []
        hints += ["one musicality"] if len(rated) > 3 and len(set(rated)) == 1 else []
        rows.append(
            {
                "listener": name,
                "answers": len(mine),
                "plays": sum(plays) / len(plays) if plays else None,
                "seconds": median(seconds),
                "quick": quick,
                "look at": ", ".join(hints),
            }
        )
    return pd.DataFrame(rows)


def each(row: Mapping[str, Any], name: str) -> list[Any]:
    """What was measured of an answer: once, or in a study of two passes up to twice."""
    return [row[key] for key in (name, f"rating_{name}") if row.get(key) is not None]


def _files(study: Served, answers: bool, pilots: bool) -> None:
    """Links to what there is; the routes behind them ask for the login again."""
    tables = [("answers", "Answers, without truth", answers), ("pilot-answers", "Pilots' answers", pilots)]
    tables += [("last-questions", "Last questions", bool(study.store.final_forms()))]
    tables += [("log", "Log of this study", bool(study.store.events()))]
    rows = [
        f"<li><b>{title}</b>"
        + "".join(
            f'<a href="{researcher_files.address(name, kind)}" download '
            f'aria-label="{title}: {word}">{word}</a>'
            for kind, word in (("csv", "CSV"), ("parquet", "Parquet"))
        )
        + "</li>"
        for name, title, available in tables
        if available
    ]
    if rows:
        st.html(f'<ul class="files">{"".join(rows)}</ul>')


def _closing(study: Served, here: Session) -> None:
    st.header("Close the study", anchor=False)
    since = study.store.closed_at()
    if since is None:
        st.write(
            "Closed, no listener can answer any more; who has finished still sees the thanks page. "
            "It can be opened again."
        )
        sure = st.checkbox("Yes, stop taking answers now", key="sure-close")
        if st.button("Close the study", disabled=not sure, key="close") and sure:
            study.store.close_study(here.who)
            researcher.done("The study is closed.")
        return
    st.write(f"It was closed on {since.astimezone():%Y-%m-%d %H:%M}: no listener can answer.")
    if study.store.unblindings():
        st.write("It is unblinded and stays closed; further answers need a new study folder.")
        return
    sure = st.checkbox("Yes, take answers again", key="sure-reopen")
    if st.button("Open the study again", disabled=not sure, key="reopen") and sure:
        study.store.reopen_study(here.who)
        researcher.done("The study is open again.")
