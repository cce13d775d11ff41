"""The command `study`: from clips to a blinded listening study and its report."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from caw.cli import command_line
from study.cli import build as building
from study.cli import muse as musing
from study.cli import pair_planning, planning, recruiting, sounds
from study.folder import StudyFolder

if TYPE_CHECKING:
    from study.store.backup_recordings import Named
    from study.store.store import Store

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A blinded listening study from your own clips: init, build, invite, serve, report.",
)
DIR = Annotated[Path, typer.Argument(metavar="DIR", help="The study's folder.", show_default=False)]
NAME = Annotated[str, typer.Argument(metavar="NAME", help="As invited.", show_default=False)]
PORT = Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)]
HOST = Annotated[str, typer.Option(help="Address to listen at; the default is open to this machine only.")]
_HOST, _PORT = "127.0.0.1", 8501


@app.command()
def init(
    folder: DIR,
    clips: Annotated[list[Path] | None, typer.Argument(metavar="[CLIP]...", show_default=False)] = None,
    title: Annotated[str, typer.Option(help="The study's title; the folder's name by default.")] = "",
) -> None:
    """Make a study folder: clips copied in, and study.toml."""
    from study import answerable_questions, design
    from study.build import new_study

    study = StudyFolder(folder)
    for note in new_study.create(study, clips or [], title=title):
        print(f"note: {note}")
    for line in answerable_questions.lines(design.load(folder)):
        print(line)
    print(f"{study.toml} is written. Look through it, then: study build {shlex.quote(str(folder))}")


app.command()(building.build)


@app.command()
def pool(folder: DIR) -> None:
    """List the clips of the pool (this tells real from fake). With picks, ratings and remarks."""
    from study.cli import contents

    table, tally = contents.pool(StudyFolder(folder))
    Console().print(table, tally, markup=False)


@app.command()
def pick(
    folder: DIR,
    clip: Annotated[str, typer.Argument(metavar="CLIP", help="As in the pool.", show_default=False)],
    set_name: Annotated[
        str | None, typer.Option("--set", metavar="NAME", help="Into this set.", show_default=False)
    ] = None,
    out: Annotated[bool, typer.Option("--out", help="Into no set.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Let the build choose again.")] = False,
    rate: Annotated[int | None, typer.Option(help="Your rating, 0 to 10.", show_default=False)] = None,
    remark: Annotated[
        str | None, typer.Option(help='Your words for the report; "" takes them back.', show_default=False)
    ] = None,
) -> None:
    """Pick a clip into or out of a set, rate it, note a remark. Before listeners answer."""
    from study.cli import contents

    decision = contents.pick(
        StudyFolder(folder), clip, set_name=set_name, out=out, clear=clear, rating=rate, remark=remark
    )
    print(decision)


@app.command()
def curate(folder: DIR, port: PORT = _PORT) -> None:
    """Hear and pick the clips of the pool in the browser. On this machine alone; no listener gets in."""
    from study.server.server import curate as run

    run(StudyFolder(folder).require().path, port=port)


@app.command()
def serve(
    folder: DIR,
    port: PORT = _PORT,
    host: HOST = _HOST,
    public_url: Annotated[
        str | None,
        typer.Option(help="Its address behind a proxy, as https://study.example.org.", show_default=False),
    ] = None,
    base_path: Annotated[
        str | None,
        typer.Option(help="Before every address, as /study, where a proxy has it so.", show_default=False),
    ] = None,
) -> None:
    """Open the study to its listeners in the browser."""
    from study.server.server import serve as run

    run(StudyFolder(folder).require().path, host=host, port=port, public_url=public_url, base_path=base_path)


@app.command()
def password(
    folder: DIR,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input.")] = False,
) -> None:
    """Set the password of the researcher's pages. Its hash is written into study.toml."""
    from study import design
    from study import password as passwords

    study = StudyFolder(folder).require()
    design.write_password(study.toml, passwords.hashed(passwords.ask(from_stdin=stdin)))
    print(f"The password is set. Served already? Start it again: study serve {folder}")


@app.command()
def invite(
    folder: DIR,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", show_default=False)],
    url: Annotated[str, typer.Option(help="The study's address as listeners reach it.")] = "",
    pilot: Annotated[
        bool, typer.Option("--pilot", help="To try the study: their answers never count.")
    ] = False,
) -> None:
    """Print a personal link for each listener. The same name gets the same link again."""
    from study.server.links import personal_link

    base = _base(url)
    with _store(folder) as store:
        for name in names:
            link = personal_link(base, store.invite(name, pilot=pilot))
            print(f"{name}: {link}")


@app.command()
def more(
    folder: DIR,
    listener: Annotated[str, typer.Option(metavar="NAME", help="Who it is for.", show_default=False)],
    clips: Annotated[
        int | None,
        typer.Option(help="Machine-made clips; as many as the first set has.", min=2, show_default=False),
    ] = None,
    fresh: Annotated[
        float | None, typer.Option(help="The share drawn evenly, 0.25 by default.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made; make nothing.")] = False,
) -> None:
    """Make a next round for a listener, from what they kept."""
    from study.cli import more as rounds

    for line in rounds.lines(StudyFolder(folder), listener, clips=clips, fresh=fresh, dry_run=dry_run):
        print(line)


@app.command()
def links(
    folder: DIR, url: Annotated[str, typer.Option(help="The study's address as listeners reach it.")] = ""
) -> None:
    """Print all personal links, which are secrets."""
    from study import design
    from study.server.links import personal_link, researcher_key, researcher_link

    base = _base(url)
    with _store(folder) as store:
        people = [one for one in store.listeners() if one.revoked_at is None]
    for one in people:
        print(f"{one.name}{' (pilot)' * one.pilot}: {personal_link(base, one.token)}")
    researcher = design.load(folder).researcher
    if researcher.password or researcher.oidc_emails:
        print(f"researcher, after the login: {base.rstrip('/')}/researcher")
    else:
        print(f"researcher: {researcher_link(base, researcher_key(StudyFolder(folder)))}")


@app.command()
def revoke(folder: DIR, name: NAME) -> None:
    """Withdraw a listener's link: it opens nothing more. What was answered stays."""
    with _store(folder) as store:
        changed = store.revoke(name)
        if changed:
            store.log_event(_account(), "revoked", name)
    print(f"{name}: the link is withdrawn" if changed else f"{name}: the link was withdrawn before")


@app.command()
def restore(folder: DIR, name: NAME) -> None:
    """Make a withdrawn link work again."""
    with _store(folder) as store:
        changed = store.restore(name)
        if changed:
            store.log_event(_account(), "restored", name)
    print(f"{name}: the link works again" if changed else f"{name}: the link was not withdrawn")


@app.command()
def close(folder: DIR) -> None:
    """Close the study: nobody can answer any more. Who has finished keeps the last page."""
    with _store(folder) as store:
        since, unblinded = store.close_study(_account()), bool(store.unblindings())
    again = "It is unblinded and stays closed." if unblinded else f"Open it again: study reopen {folder}"
    print(f"The study is closed since {since:%Y-%m-%d %H:%M} UTC. {again}")


@app.command()
def reopen(folder: DIR) -> None:
    """Open a closed study again, while its key is sealed."""
    with _store(folder) as store:
        changed = store.reopen_study(_account())
    print("The study is open again" if changed else "The study was not closed")


@app.command()
def backup(
    folder: DIR,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new SQLite file.", show_default=False)],
) -> None:
    """Copy all answers, and recordings beside them, at any time. The sets and the key are not copied."""
    from study.store import backup_recordings

    with _store(folder) as store:
        lost = store.backup(file)
    beside = backup_recordings.beside(file)
    too = f", with the recordings in {beside}" if beside.is_dir() else ""
    print(f"{file} holds all that was saved{too}; to put it back: study restore-backup {folder} {file}")
    _name_lost(lost, StudyFolder(folder).recordings)


@app.command("restore-backup")
def restore_backup(
    folder: DIR,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by `study backup`.", show_default=False)],
) -> None:
    """Put a backup in the place of the study's database. Stop the server first; nothing is lost."""
    from study.store import backup as backups

    study = StudyFolder(folder).require()
    restored = backups.restore(study, file, _account())
    with _store(folder) as store:
        people, answers = len(store.listeners()), len(store.answers())
    print(f"{file} is the study's database again: {people} listeners, {answers} answers.")
    if restored.aside is not None:
        print(f"What it replaced is kept in {restored.aside}")
    if restored.recordings_aside is not None:
        print(f"Recordings that it does not name are kept in {restored.recordings_aside}")
    _name_lost(restored.lost, study.recordings)


def _name_lost(lost: list[Named], folder: Path) -> None:
    for one in lost:
        print(f"note: {folder / one.file}, a recording of {one.listener}, is not there as it was taken")


app.command()(recruiting.link)
app.command()(recruiting.recruits)
app.command("backends")(building.listing)
app.command()(planning.plan)
app.command("plan-pairs")(pair_planning.plan_pairs)
app.command()(sounds.compare)
app.command()(sounds.inventory)
app.command()(musing.muse)


@app.command()
def audit(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", show_default=False)] = None,
    sets: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Look at this set only; may be repeated.")
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="A folder of real clips, instead of a study.", show_default=False)
    ] = None,
    fake: Annotated[Path | None, typer.Option(help="And one of fake clips.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --real and --fake: a folder for the tables.", show_default=False)
    ] = None,
    alpha: Annotated[float, typer.Option(help="False alarms per audit.", min=0.0001, max=0.5)] = 0.05,
) -> None:
    """Look for what gives truth away besides the music. Exit 1 on a leak, with what to do."""
    if (folder is None) == (real is None and fake is None) or (real is None) != (fake is None):
        what = "name a study folder, or two folders of clips with --real and --fake"
        raise sounds.AuditError(what, "one of the two")
    if folder is not None and out is not None:
        raise sounds.AuditError(f"--out {out} is for --real and --fake", f"{folder} has private/audit")
    if folder is None and sets:
        raise sounds.AuditError(f"--sets {sets[0]} is for a study folder", "leave it out")
    console = Console(highlight=False)
    if folder is not None:
        study = StudyFolder(folder)
        result = sounds.of_study(study, sets=sets or (), alpha=alpha)
        print(sounds.FOREWORD)
    else:
        result = sounds.of_folders(real, fake, alpha=alpha, out=out)
    sounds.show_audit(result, console)
    if written := study.audit if folder is not None else out:
        print(f"The tables are in {written}, as index.html, audit.csv and audit.json")
    result.require_no_leak()


@app.command()
def status(folder: DIR) -> None:
    """Show what is built and how far each listener is."""
    from study.cli import contents

    console = Console()
    for line in contents.status_lines(StudyFolder(folder).require()):
        console.print(line, markup=False, highlight=False, soft_wrap=not isinstance(line, Table))


@app.command("follow-up")
def follow_up(
    folder: DIR,
    url: Annotated[str, typer.Option(help="The study's address as listeners reach it.")] = "",
    due: Annotated[bool, typer.Option("--due", help="Only those who can answer now and have not.")] = False,
    csv: Annotated[
        Path | None, typer.Option(help="A table of the links, for a mail merge.", show_default=False)
    ] = None,
) -> None:
    """List who is due to say what came of kept clips. Links are secrets."""
    from study.cli import following_up

    console = Console()
    base = _base(url)
    for line in following_up.listed(StudyFolder(folder), base, due=due, file=csv):
        console.print(line, markup=False, highlight=False, soft_wrap=isinstance(line, str))


@app.command()
def export(
    folder: DIR,
    out: Annotated[
        Path | None, typer.Option(help="The CSV or .parquet file to write.", show_default=False)
    ] = None,
    follow_up: Annotated[
        Path | None, typer.Option(help="Likewise, of what came of kept clips.", show_default=False)
    ] = None,
    pilot: Annotated[bool, typer.Option("--pilot", help="The answers of pilots, and no others.")] = False,
) -> None:
    """Write the answers so far as CSV or Parquet, without truth."""
    from study import reporting
    from study.cli import following_up

    if out is None and follow_up is None:
        raise reporting.ReportingError("no file is named", "name one with --out, or with --follow-up")
    if follow_up is not None:
        count = following_up.write_answers(StudyFolder(folder), follow_up)
        print(f"{count} kept clips are in {follow_up}, without truth")
    if out is None:
        return
    count = reporting.export(StudyFolder(folder), out, pilot=pilot)
    print(f"{count} answers are in {out}, without truth")
    print(reporting.plan_sentence(StudyFolder(folder)))


@app.command()
def report(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", show_default=False)] = None,
    table: Annotated[
        Path | None,
        typer.Option("--from", help="A CSV table of results instead of a study.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report.", show_default=False)] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="With --from: a study.toml, whose table [analysis] is used.", show_default=False),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option(help="Unblind although listeners have not finished; this closes the study.")
    ] = False,
    who: Annotated[str, typer.Option(help="Who unblinds, for the log.", show_default=False)] = "",
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "study report",
    title: Annotated[
        str, typer.Option(help="The report's title; the study's by default.", show_default=False)
    ] = "",
) -> None:
    """Unblind and close a study (logged), write its report."""
    from study import reporting

    if (folder is None) == (table is None):
        raise reporting.ReportingError("name a study folder, or a table with --from", "one of them")
    if plan is not None and table is None:
        what = f"--plan {plan} is for --from; a study's own plan is in its study.toml: leave it out"
        raise reporting.ReportingError(what)
    if table is not None:
        if out is None:
            raise reporting.ReportingError("--from needs --out, the folder for the report")
        page = reporting.report_from_table(table, out, title=title, plan=plan)
    else:
        study = StudyFolder(folder)
        page = reporting.report(study, unfinished=unfinished, who=who, reason=reason, out=out, title=title)
        print(reporting.plan_sentence(study))
    print(f"The report is {page}")


@app.command("import-form")
def import_form(
    export: Annotated[
        Path, typer.Argument(metavar="EXPORT", help="The form's answers, CSV.", show_default=False)
    ],
    mapping: Annotated[
        Path, typer.Option(help="What its columns, words and clips mean, TOML.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The table to write, CSV.", show_default=False)],
) -> None:
    """Turn an online form's answers into a table of results."""
    from study import form_import

    count = form_import.import_form(export, mapping, out)
    print(f"{count} answers are in {out}; their report: study report --from {out} --out report")


@app.command()
def demo(
    clip: Annotated[
        Path | None, typer.Option(help="Your own clip, 2 s or longer.", show_default=False)
    ] = None,
    folder: Annotated[Path, typer.Option("--dir", help="Folder for the demo study.")] = Path("demo"),
    port: PORT = _PORT,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Build and invite only.")] = False,
) -> None:
    """Build a study from one clip, invite a listener, open it. A second run reuses all."""
    from study.server.links import personal_link, researcher_key, researcher_link
    from study.store.store import Store

    study = StudyFolder(folder)
    for note in building.prepare_demo(study, clip):
        print(note)
    building.make_all(study)
    store = Store.for_folder(study)
    try:
        token = store.invite(building.LISTENER)
    finally:
        store.close()
    base = _address(_HOST, port)
    print("\nThe study is ready. Open in a browser, once it is served:")
    print(f"  to take it, as the songwriter:        {personal_link(base, token)}")
    print(f"  to watch it, as the researcher:       {researcher_link(base, researcher_key(study))}")
    called = "study" if shutil.which("study") else sys.argv[0]  # `make demo` runs it from .venv/bin
    print(f"  to invite more:                       {called} invite {folder} NAME...")
    print(f"  when it is answered, for the report:  {called} report {folder}\n", flush=True)
    if not no_serve:
        from study.server.server import serve as run

        run(study.path, host=_HOST, port=port)


@contextlib.contextmanager
def _store(folder: Path) -> Iterator[Store]:
    from study.store.store import Store

    store = Store.for_folder(StudyFolder(folder).require())
    try:
        yield store
    finally:
        store.close()


def _account() -> str:
    from study.store.sessions import account

    return account()


def _base(url: str) -> str:
    """What links begin with: --url, or the address that `study serve` listens at."""
    from study.server.address import reached

    return reached(url) if url else _address(_HOST, _PORT)


def _address(host: str, port: int) -> str:
    return f"http://{host}:{port}"


def main() -> None:
    """Run the command; a problem that the user can solve is one line on stderr and exit code 2."""
    again, nothing = "the same command goes on where it stopped", "nothing is half written"
    resumes = sys.argv[1:2] and sys.argv[1] in ("build", "demo", "more", "muse")
    command_line.run(app, "study", goes_on=again if resumes else nothing)


if __name__ == "__main__":
    main()
