"""Inviting listeners and pilots, their links, and withdrawing a link."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from study.pages import researcher, researcher_follow_up
from study.server import open_link, researcher_files
from study.server.address import own
from study.server.links import personal_link
from study.server.served import Served, served
from study.store import recruits
from study.store.sessions import Session
from study.store.store import ListenerProgress, StoreError

TITLE = "Listeners"
MOST_AT_ONCE = 200


def page() -> None:
    researcher.show(TITLE, _draw)


def _draw(here: Session) -> None:
    study = served()
    _invitation(study, here)
    _open_link(study)
    people = study.store.listeners()
    if not people:
        st.write("Nobody is invited yet. Each listener gets a personal link, which also brings them back.")
        return
    _personal_links(study, people)
    researcher_follow_up.section(study, people)
    _one_link(study, here, people)


def _personal_links(study: Served, people: list[ListenerProgress]) -> None:
    """The links of those who were invited by name; nothing where all came by the open link."""
    if all(one.recruited for one in people):
        return
    st.header("Personal links", anchor=False)
    st.write("Each opens the study as that listener, so give it to nobody else.")
    for heading, pilot in (("", False), ("Pilots, who never count:", True)):
        chosen = [
            one for one in people if one.pilot == pilot and one.revoked_at is None and not one.recruited
        ]
        if chosen:
            st.text(heading) if heading else None
            st.code(
                "\n".join(f"{one.name}: {link(study, one)}" for one in chosen), language=None, wrap_lines=True
            )
    address = researcher_files.address("links")
    st.html(
        f'<ul class="files"><li><b>All links as a table</b><a href="{address}" download>CSV</a></li></ul>'
    )


def _open_link(study: Served) -> None:
    """The open link and how those who came by it ended; nothing where there is none."""
    settings = study.design.open_link
    if settings is None:
        return
    recruits.expire_all(study.store.engine, settings)
    st.header("Open link", anchor=False)
    st.write("For all whom a platform sends; each id is one listener. Paste it where the platform asks.")
    base = _base(study)
    for heading, pilot in (("", False), ("To try it out; whoever comes by it never counts:", True)):
        st.text(heading) if heading else None
        address = open_link.link(base, study.folder, settings, pilot=pilot)
        st.code(address, language=None, wrap_lines=True)
    counts = recruits.counts(study.store.engine)
    if not counts:
        st.write("Nobody has come by it yet.")
        return
    rows = [[outcome, str(number)] for outcome, number in sorted(counts.items())]
    st.html(researcher.table(["by the open link", "listeners"], rows, label="Who came by the open link"))
    taken = counts[recruits.COMPLETED] + counts["under way"]
    if settings.quota is not None:
        st.write(f"{taken} of {settings.quota} places are taken.")
    address = researcher_files.address("recruits")
    st.html(
        f'<ul class="files"><li><b>Ids, ends and codes, for paying</b>'
        f'<a href="{address}" download>CSV</a></li></ul>'
    )


def _invitation(study: Served, here: Session) -> None:
    with st.form("invite", clear_on_submit=True):
        names = st.text_area("Names, one a line", height=100, key="names", max_chars=20_000)
        pilot = st.checkbox("As pilots: to try the study out; their answers stay apart and never count")
        sent = st.form_submit_button("Invite", type="primary")
    if not sent:
        return
    wanted = named(names)
    if not wanted:
        st.error("Please write at least one name.")
    elif len(wanted) > MOST_AT_ONCE:
        st.error(f"These are {len(wanted)} names; please invite at most {MOST_AT_ONCE} at once.")
    else:
        _invite(study, here, wanted, pilot)


def _invite(study: Served, here: Session, wanted: list[str], pilot: bool) -> None:
    known = {one.name for one in study.store.listeners()}
    fresh = [name for name in wanted if name not in known]
    try:
        for name in wanted:
            study.store.invite(name, pilot=pilot)
            if name in fresh:
                study.store.log_event(here.who, "invited", name + (" (pilot)" if pilot else ""))
    except StoreError as error:
        st.error(str(error))
        return
    again = f" {len(wanted) - len(fresh)} had a link already and keep it." if len(fresh) < len(wanted) else ""
    count = f"{len(fresh)} {'pilot' if pilot else 'listener'}{'s' if len(fresh) != 1 else ''}"
    researcher.done(f"{count} invited; the links are below.{again}")


def named(text: str) -> list[str]:
    """The names in pasted text, one a line, each once and in the order they stand."""
    return list(dict.fromkeys(name for line in text.splitlines() if (name := " ".join(line.split()))))


def link(study: Served, one: ListenerProgress) -> str:
    """A listener's address, under the one that this page was opened with."""
    return personal_link(_base(study), one.token)


def _base(study: Served) -> str:
    """The study's address, as this page was opened with where no public one is set."""
    return study.base((st.context.url or "").split("/researcher")[0].removesuffix(own("")))


def _one_link(study: Served, here: Session, people: list[ListenerProgress]) -> None:
    st.header("Revoke or restore a link", anchor=False)
    revoked = [one for one in people if one.revoked_at]
    if revoked:
        table = pd.DataFrame(
            {
                "revoked": [one.name for one in revoked],
                "since": [f"{one.revoked_at.astimezone():%Y-%m-%d %H:%M}" for one in revoked],
                "answered": [f"{one.answered} of {one.total}" for one in revoked],
            }
        )
        st.dataframe(table, hide_index=True, width="content")
    by_name = {one.name: one for one in people}
    name = st.selectbox(
        "Whose link?", list(by_name), index=None, placeholder="Choose a listener", key="whose"
    )
    if name is None:
        return
    one = by_name[name]
    if one.revoked_at is None:
        consequence, word = (
            "Revoked, the link shows a closing page and saves nothing; saved answers stay.",
            "Revoke",
        )
    else:
        consequence, word = "Restored, the link works again, from where the listener was.", "Restore"
    st.write(consequence)
    sure = st.checkbox("Yes, I mean this listener", key=f"sure-{word}-{one.id}")
    if st.button(f"{word} this link", disabled=not sure, key=f"{word}-{one.id}") and sure:
        change = study.store.revoke if word == "Revoke" else study.store.restore
        change(name)
        study.store.log_event(here.who, f"{word.lower()}d", name)
        researcher.done(f"{word}d.")
