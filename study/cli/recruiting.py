"""The open link and those who came by it: `study link` and `study recruits`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caw.files import spreadsheet
from caw.problems import ProblemError
from study.folder import StudyFolder

if TYPE_CHECKING:
    from study.design.open_link import OpenLink

FOLDER = Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.", show_default=False)]


class RecruitingError(ProblemError):
    """What is asked for needs an open link, or other settings of it."""


def link(
    folder: FOLDER,
    url: Annotated[
        str, typer.Option(help="The study's address as listeners reach it.")
    ] = "http://127.0.0.1:8501",
    person: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="NAME=VALUE",
            help="For these ids alone, signed; may be repeated.",
            show_default=False,
        ),
    ] = None,
    pilot: Annotated[
        bool, typer.Option("--pilot", help="To try the study: whoever comes by it never counts.")
    ] = False,
    new: Annotated[
        bool, typer.Option("--new", help="Another link; by the old one nobody new comes in.")
    ] = False,
) -> None:
    """Print the open link, which a recruiting platform asks for."""
    from study.server import open_link
    from study.server.address import reached

    study, url = StudyFolder(folder).require(), reached(url)
    settings = _settings(study)
    if new:
        open_link.renew(study)
    if not person:
        if settings.secret:
            print("Only signed addresses are let in: print one with --for, or sign them as the manual shows.")
        print(open_link.link(url, study, settings, pilot=pilot))
        return
    ids = dict(one.split("=", 1) for one in person if "=" in one)
    if len(ids) < len(person) or set(ids) != set(settings.ids):
        wanted = " ".join(f"--for {name}=..." for name in settings.ids)
        raise RecruitingError(f"--for {person[0]}: the link needs each id once", f"write {wanted}")
    try:
        ids = open_link.checked(settings, {name: ids[name] for name in settings.ids})
    except open_link.IdsError as error:
        name = error.names[0]
        raise RecruitingError(
            f"--for {name}={ids[name]}: is no such id", "see `require` in study.toml"
        ) from None
    print(open_link.personal(url, study, settings, ids, pilot=pilot))


def recruits(
    folder: FOLDER,
    out: Annotated[
        Path | None, typer.Option(help="Write who came, with ids and codes, as CSV.", show_default=False)
    ] = None,
    check: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Whose code it is; may be repeated.", show_default=False),
    ] = None,
) -> None:
    """Show how those who came by the open link ended. Their ids are for paying them, and in no export."""
    from study.server import open_link
    from study.store import recruits as people
    from study.store.sessions import account
    from study.store.store import Store

    study = StudyFolder(folder).require()
    settings = _settings(study)
    if check and settings.codes == "same":
        what = "all listeners are shown the same code, so a forged one cannot be seen"
        raise RecruitingError(f"--check {check[0]}: {what}", 'set codes = "own" in [open_link]')
    store = Store.for_folder(study)
    try:
        people.expire_all(store.engine, settings)
        counts, rows = people.counts(store.engine), open_link.table(study, settings, store.engine)
        if out is not None:
            store.log_event(account(), "exported", "ids of the open link")
    finally:
        store.close()
    for outcome, number in sorted(counts.items()):
        print(f"{outcome}: {number}")
    if not counts:
        print("Nobody has come by the open link yet")
    if out is not None:
        if not rows:
            raise RecruitingError(f"{folder}: nobody has come by the open link yet", "nothing was written")
        spreadsheet.write(out, list(rows[0]), rows, mode=0o600)
        print(f"{len(rows)} people are in {out}, with their ids: keep it apart from the answers")
    forged = 0
    for code in check or ():
        owner = next((row for row in rows if row["code"] and _same(row["code"], code)), None)
        forged += owner is None
        of = "nobody's" if owner is None else f"{owner['listener']}, {owner[settings.names_listener]}"
        print(f"{code}: {of}" + ("" if owner is None else f", {owner['outcome']}"))
    if forged:
        raise typer.Exit(1)


def _same(code: str, typed: str) -> bool:
    return code.casefold() == "".join(typed.split()).casefold()


def _settings(study: StudyFolder) -> OpenLink:
    from study import design

    settings = design.load(study.path).open_link
    if settings is None:
        raise RecruitingError(f"{study.toml}: there is no open link", "add a table [open_link]")
    return settings
