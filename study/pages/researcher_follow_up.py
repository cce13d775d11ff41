"""The follow-up on the page of listeners: who is due, their links, and the recordings they sent."""

from __future__ import annotations

from html import escape

import pandas as pd
import streamlit as st

from study.server import recordings, researcher_files
from study.server.address import own
from study.server.served import Served
from study.store import follow_up
from study.store.store import ListenerProgress


def section(study: Served, people: list[ListenerProgress]) -> None:
    """The section, or nothing where the study has no follow-up."""
    rule = study.design.follow_up
    if rule is None:
        return
    st.header("Follow-up", anchor=False)
    days = f"{rule.days} day{'s' * (rule.days != 1)} after" if rule.days else "As soon as"
    st.write(f"{days} a listener has finished, their link opens once more for the clips that they keep.")
    due = [one for one in people if one.follow_up_due]
    count = f"{len(due)} listener{'s' * (len(due) != 1)}"
    st.write(f"**{count}** can answer now and {'has' if len(due) == 1 else 'have'} not.")
    st.dataframe(table(people), hide_index=True, width="content")
    files = [("follow-up-links", "Links of those who are due", bool(due))]
    files += [("follow-up", "What came of the clips, without truth", any(one.follow_up for one in people))]
    items = [
        f"<li><b>{title}</b>"
        f'<a href="{researcher_files.address(name)}" download aria-label="{title}: CSV">CSV</a></li>'
        for name, title, available in files
        if available
    ]
    if items:
        st.html(f'<ul class="files">{"".join(items)}</ul>')
    _recordings(study)


def table(people: list[ListenerProgress]) -> pd.DataFrame:
    """One row per listener: where they are, how many clips they keep, and when their link opens."""
    return pd.DataFrame(
        {
            "listener": [f"{one.name}{' (pilot)' * one.pilot}" for one in people],
            "follow-up": [one.follow_up_stage for one in people],
            "kept": [f"{len(one.follow_up.slots)}" if one.follow_up else "" for one in people],
            "opens": [
                f"{one.follow_up.opens_at.astimezone():%Y-%m-%d}" if one.follow_up else "" for one in people
            ],
        }
    )


def _recordings(study: Served) -> None:
    """Links to the recordings; the route behind them asks for the login again."""
    rows = follow_up.recordings(study.store.engine)
    if not rows:
        return
    st.header("Recordings", anchor=False)
    st.write(
        "Files that listeners sent. Each was decoded once when it came; open them as you would any file."
    )
    items = []
    for row in rows:
        what = f"{row['listener']}, {row['set']}/{row['stimulus_id']}"
        kilobytes = row["recording_bytes"] / 1000
        size = f"{kilobytes:.0f} kB" if kilobytes < 1000 else f"{kilobytes / 1000:.1f} MB"
        name = escape(f"{what}: {row['recording_name']}, {size}")
        address = own(recordings.address_of(row["recording"]))
        items.append(
            f'<li><b>{name}</b><a href="{address}" download aria-label="{name}: file">Download</a></li>'
        )
    st.html(f'<ul class="files">{"".join(items)}</ul>')
