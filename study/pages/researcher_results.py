"""The results: sealed until somebody unblinds the study, which is logged with who and why.

The report is made by the command `study report` in a process of its own, so that the analysis and its plots
never slow the listeners down, nor stay in the server's memory.
"""

from __future__ import annotations

import threading

import pandas as pd
import streamlit as st

from study.pages import researcher
from study.server import researcher_files
from study.server.address import own
from study.server.served import Served, served
from study.store import recruits
from study.store.sessions import Session

TITLE = "Results"
_SECONDS = 1800  # the longest that a report may take
_one_at_a_time = threading.Lock()


def page() -> None:
    researcher.show(TITLE, _draw)


def _draw(here: Session) -> None:
    study = served()
    opened = researcher_files.unsealed(study)
    if not opened:
        _sealed(study, here)
        return
    if (study.folder.report / "index.html").is_file():
        address = own(f"{researcher_files.REPORT}/index.html")
        st.html(
            f'<ul class="files"><li><b>The report: tables, plots and every clip</b><a href="{address}" '
            'target="_blank" rel="noopener">Open the report</a></li></ul>'
        )
    else:
        st.write("The key was opened, but no report is in the study's folder yet.")
    st.header("Who opened the key", anchor=False)
    moments = [f"{row['at'].astimezone():%Y-%m-%d %H:%M}" for row in opened]
    table = {"when": moments, "who": [row["who"] for row in opened], "why": [row["reason"] for row in opened]}
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch")
    st.write("Written anew, the report takes in answers that came since; that is logged as well.")
    if st.button("Write the report anew", key="again"):
        _write(study, here, here.who, "report written anew", unfinished=True)


def _sealed(study: Served, here: Session) -> None:
    title, answers = study.design.study.title, study.store.answers()
    st.write("Which clips are real is sealed. Opening the key is **final** and **logged** with who and why.")
    if not answers:
        st.write("There are no answers yet, so there is nothing to report.")
        return
    recruits.expire_all(study.store.engine, study.design.open_link)
    waiting = [one for one in study.store.listeners(pilot=False) if one.awaited]
    if waiting:
        st.warning(
            f"{len(waiting)} listener{'s have' if len(waiting) > 1 else ' has'} not finished. Unblinding now "
            "stops them: whoever knows the truth must not collect more answers."
        )
    with st.form("unblind"):
        who = st.text_input("Who opens the key", value=here.who, max_chars=200, key="who")
        why = st.text_input("Why", max_chars=500, key="why")
        st.text(f"The study's title: {title}")
        typed = st.text_input("Type the title to confirm", key="typed", max_chars=500)
        anyway = (
            st.checkbox("Unblind although listeners have not finished", key="anyway") if waiting else False
        )
        st.text("This closes the study for good.")
        sent = st.form_submit_button("Unblind the study and write its report", type="primary")
    if not sent:
        return
    if fault := missing_confirmation(who, why, typed, title, unfinished=bool(waiting), anyway=anyway):
        st.error(fault)
        return
    _write(study, here, who.strip(), why.strip(), unfinished=anyway)


def missing_confirmation(
    who: str, why: str, typed: str, title: str, *, unfinished: bool, anyway: bool
) -> str:
    """What still stands between the form and the unblinding; "" for nothing."""
    if not who.strip():
        return "Please say who opens the key."
    if not why.strip():
        return "Please say why."
    if unfinished and not anyway:
        return "Please confirm that you unblind although listeners have not finished, or wait for them."
    if " ".join(typed.split()) != " ".join(title.split()):
        return "The title does not match; nothing was opened."
    return ""


def _write(study: Served, here: Session, who: str, why: str, *, unfinished: bool) -> None:
    if not _one_at_a_time.acquire(blocking=False):
        st.error("A report is being written at this moment; please wait for it.")
        return
    try:
        study.store.log_event(here.who, "report asked for", f"as {who}: {why}")
        with st.spinner("Writing the report; this takes a minute or two ..."):
            fault = make_report(study, who, why, unfinished=unfinished)
    finally:
        _one_at_a_time.release()
    if fault:
        st.error("The report was not written.")
        st.code(fault, language=None, wrap_lines=True)
        return
    researcher.done("The report is written.")


def make_report(study: Served, who: str, why: str, *, unfinished: bool) -> str:
    """Unblinds the study and writes its report. Returns what went wrong in one line; "" for nothing."""
    arguments = ["report", f"--who={who}", f"--reason={why}"] + (["--unfinished"] if unfinished else [])
    folder = study.folder.path
    too_long = f"it took longer than {_SECONDS // 60} minutes; run `study report` in a terminal"
    arguments += ["--", str(folder)]
    return researcher_files.run_module(
        "study.cli.commands", arguments, folder, seconds=_SECONDS, too_long=too_long
    )
