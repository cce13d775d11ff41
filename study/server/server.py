"""Serves one study: Streamlit's app with the study's own routes, gate and settings around it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn.config
from starlette.middleware import Middleware
from streamlit import config, get_option
from streamlit.starlette import App

from caw.problems import ProblemError
from caw.process import environment_variables
from study.languages import wording
from study.server import connections, login, oidc, open_link, recordings, researcher_files, routes
from study.server.address import BASE_PATH, LOOPBACK, PUBLIC_URL, WILDCARDS, is_loopback
from study.server.gate import Gate
from study.server.links import personal_link, researcher_link
from study.server.prefix import Prefix
from study.server.routes import ROUTES
from study.server.served import CURATING, VARIABLE, Served, served

if TYPE_CHECKING:
    from study.muse.folder import MuseFolder

PAGES = Path(__file__).parents[1] / "pages" / "router.py"
MUSE_PAGE = PAGES.with_name("muse.py")
_LINKS_SHOWN = 8

SETTINGS: dict[str, Any] = {
    "client.showErrorDetails": "none",  # the default sends exception texts, which may name files
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "client.disableDataExport": True,
    "browser.gatherUsageStats": False,
    "logger.hideWelcomeMessage": True,
    "logger.level": "warning",
    "runner.magicEnabled": False,
    "runner.postScriptGC": False,  # a full collection after every run was the bottleneck under 30 listeners
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.enableStaticServing": False,
    "server.maxUploadSize": 1,
    "server.maxMessageSize": 5,
    "theme.baseRadius": "0.6rem",
    "theme.buttonRadius": "0.6rem",
    **{f"theme.light.{name}": value for name, value in routes.LIGHT.items()},
    **{f"theme.dark.{name}": value for name, value in routes.DARK.items()},
}


class ServerError(ProblemError):
    """The study cannot be served at this address."""


def app_arguments() -> dict[str, Any]:
    """The arguments of Streamlit's App for a study: routes, gate, start-up, and the page for a failure."""
    return {
        "routes": [*ROUTES, *login.ROUTES, *researcher_files.ROUTES, *recordings.ROUTES],
        "middleware": [Middleware(Prefix), Middleware(Gate, script=str(PAGES))],
        "lifespan": _lifespan,
        "on_script_error": _show_failure,
    }


def serve(
    folder: Path | str,
    host: str = "127.0.0.1",
    port: int = 8501,
    public_url: str | None = None,
    base_path: str | None = None,
) -> None:
    """Serve a study until the process is stopped.

    Parameters
    ----------
    folder : Path or str
        The study's folder, with blinded sets that are built.
    host : str, optional
        The address to listen at. By default only this machine reaches it; any other needs a login for the
        researcher.
    port : int, optional
        The port to listen at.
    public_url : str, optional
        The address that listeners type where a proxy stands in front, as https://study.example.org; by
        default what the environment variable STUDY_PUBLIC_URL holds.
    base_path : str, optional
        What stands before every address where the proxy serves other things beside the study, as /study; by
        default what the environment variable STUDY_BASE_PATH holds.

    Raises
    ------
    FolderError, DesignError, StoreError, BlindingError
    AddressError, OidcError, ConnectionsError, ServerError
        Before anything is served.
    """
    public = {} if public_url is None else {PUBLIC_URL: public_url}
    public |= {} if base_path is None else {BASE_PATH: base_path}
    with environment_variables({VARIABLE: str(Path(folder).resolve()), CURATING: None, **public}):
        _serve(host, port)


def curate(folder: Path | str, port: int = 8501) -> None:
    """Serve the researcher's page "Pool" alone, to this machine alone, before or after the sets are built.

    Raises as `serve`; FolderError where the pool is empty.
    """
    with environment_variables({VARIABLE: str(Path(folder).resolve()), CURATING: "yes", BASE_PATH: None}):
        _serve("127.0.0.1", port)


def muse(folder: MuseFolder, port: int = 8501, *, browser: bool = True) -> None:
    """Serve the page of `study muse` to this machine alone, until the process is stopped.

    browser: whether to open it in one. Raises MuseError where another process has the folder, and ServerError
    where the port is taken.
    """
    from study.server import musing  # here: a study's server needs none of it

    host = "127.0.0.1"
    with folder.opened():
        require_free(host, port)
        musing.open_folder(folder)
        arguments = musing.app_arguments(f"http://{host}:{port}", browser=browser)
        arguments["on_script_error"] = _show_muse_failure
        _run(MUSE_PAGE, arguments, {"server.allowedHosts": [*LOOPBACK]}, host, port)


def _serve(host: str, port: int) -> None:
    served.cache_clear()
    study = served()
    require_login(study, host)
    connections.configure(study.public)
    require_free(host, port)
    _run(PAGES, app_arguments(), _hosts(study, host), host, port)


def _run(script: Path, arguments: dict[str, Any], own: dict[str, Any], host: str, port: int) -> None:
    """Run Streamlit's App on a script until Ctrl-C. own: settings that are not everybody's."""
    uvicorn.config.LOGGING_CONFIG["loggers"]["uvicorn"]["level"] = "WARNING"
    address = {"server.address": host, "server.port": port, "browser.serverPort": port}
    settings = {**SETTINGS, **own, **address}
    for name, value in settings.items():
        config.set_option(name, value)  # or Streamlit asks for a restart, as if they had changed under it
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how one stops it
        App(script, **arguments).run(config=settings)


def require_login(study: Served, host: str | None) -> None:
    """Raise ServerError where other machines would reach the researcher's pages and no login is set up.

    host: the address to listen at; None: all of this machine's, as a bare `streamlit run` does.
    """
    oidc.providers(study.folder, study.design)  # raises where it cannot work
    if not study.opens_by_link or (is_loopback(host or "") and study.public is None):
        return
    where = f"host {host}" if host else "no host is set, which means all addresses"
    where = f"the public address {study.public}" if study.public else where
    stay = "" if study.public else ", or stay on this machine with 127.0.0.1"
    raise ServerError(
        f"{where}: other machines would reach the researcher's pages, and no password is set",
        f"set one with `study password {study.folder.path}`{stay}",
    )


def addresses(study: Served, base: str, *, secrets: bool = True) -> str:
    """What is open to whom, as `study serve` prints it.

    secrets: also personal links and the researcher's. They belong on a terminal, not into a file or the log
    of a container, where others read them.
    """
    if study.curating:
        opening = (
            f'The pool of "{study.design.study.title}" is open at {base}, to no listener and no other machine'
        )
        after = f"When you have picked: study build {study.folder.path}"
        return "\n".join(
            [opening, "", *_for_researcher(study, base, secrets=secrets), "", after, "Stop with Ctrl-C."]
        )
    people = [one for one in study.store.listeners() if not one.recruited]
    listeners = [one for one in people if not one.pilot and one.revoked_at is None]
    pilots = [one for one in people if one.pilot and one.revoked_at is None]
    lines = [f'"{study.design.study.title}" is open at {base}']
    if study.public:
        lines.append("  behind a proxy; no other name than that and this machine's is answered to")
    closed = study.store.closed_at()
    if closed:
        closing = f"The study was closed on {closed:%Y-%m-%d %H:%M} UTC: no listener can answer"
        fix = f"`study reopen {study.folder.path}` opens it"
        if study.store.unblindings():
            fix = "it is unblinded and stays closed"
        lines += ["", f"  {closing}; {fix}."]
    lines += ["", *_links("listener", listeners, base, secrets=secrets)]
    if study.design.open_link is not None:
        shown = open_link.link(base, study.folder, study.design.open_link) if secrets else ""
        lines.append(f"  open link: {shown or f'`study link {study.folder.path} --url {base}` prints it'}")
    elif not listeners:
        lines.append(f"  no listener yet; `study invite {study.folder.path} NAME` makes a personal link")
    if pilots:
        lines += [
            "",
            *_links("pilot", pilots, base, secrets=secrets),
            "  Pilots' answers stay apart and never count.",
        ]
    if revoked := sum(one.revoked_at is not None for one in people):
        links_are = "links are" if revoked > 1 else "link is"
        lines += ["", f"  {revoked} revoked {links_are} not shown; nobody gets in by one."]
    if study.public or not any(f"//{local}" in base or f"[{local}]" in base for local in LOOPBACK):
        lines.append("  Other machines reach this address: give each link to its own listener alone.")
    if people and not secrets:
        links = f"study links {study.folder.path} --url {base}"
        lines.append(f"  Links are secrets, and no terminal reads this: `{links}` prints them.")
    lines += [
        "",
        *_for_researcher(study, base, secrets=secrets),
        "",
        "Stop with Ctrl-C; every answer given is kept.",
    ]
    return "\n".join(lines)


def _links(kind: str, people: list[Any], base: str, *, secrets: bool) -> list[str]:
    if not secrets:
        return [f"  {len(people)} {kind}{'s' * (len(people) != 1)} invited"] if people else []
    lines = [f"  {kind} {one.name}: {personal_link(base, one.token)}" for one in people[:_LINKS_SHOWN]]
    if len(people) > _LINKS_SHOWN:
        lines.append(f"  ... and {len(people) - _LINKS_SHOWN} more; the researcher's page lists all")
    return lines


def _for_researcher(study: Served, base: str, *, secrets: bool) -> list[str]:
    if study.opens_by_link and not secrets:
        return [
            f"  researcher: by the secret link that `study links {study.folder.path} --url {base}` prints,",
            f"  on this machine: no password is set. `study password {study.folder.path}` sets one.",
        ]
    if study.opens_by_link:
        return [
            f"  researcher: {researcher_link(base, study.researcher_key)}",
            "  That link opens only on this machine: no password is set. "
            f"`study password {study.folder.path}` sets one.",
        ]
    ways = ["with the password"] if study.design.researcher.password else []
    if study.design.researcher.oidc_emails:
        ways.append(f"by OIDC as {' or '.join(study.design.researcher.oidc_emails)}")
    return [f"  researcher: {base}{login.HOME}, {', or '.join(ways)}"]


def _hosts(study: Served, host: str) -> dict[str, Any]:
    """Streamlit's own checks of hosts and origins, behind the gate's."""
    public = [study.public.host] if study.public else []
    allowed = {"server.allowedHosts": [*LOOPBACK, *public]} if is_loopback(host) else {}
    return allowed | ({"server.corsAllowedOrigins": [str(study.public)]} if study.public else {})


@contextlib.asynccontextmanager
async def _lifespan(_app: App) -> AsyncIterator[dict[str, Any]]:
    try:
        study = served()
        host = get_option("server.address")
        require_login(study, host)
        connections.configure(study.public)
    except ValueError as error:  # one line, not uvicorn's traceback
        print(f"streamlit: {error}", file=sys.stderr, flush=True)
        logging.getLogger("uvicorn.error").disabled = True
        raise
    for name, value in {**SETTINGS, **_hosts(study, host or "")}.items():
        if not config.is_manually_set(name):  # as under a plain `streamlit run`
            config.set_option(name, value)
    gc.collect()
    gc.freeze()  # what is imported by now stays out of every later collection
    print(addresses(study, study.base(_base()), secrets=sys.stdout.isatty()), flush=True)
    watching = asyncio.create_task(connections.watch())
    yield {}
    watching.cancel()
    study.store.close()


def _base() -> str:
    host = get_option("server.address") or "localhost"
    if host in WILDCARDS:
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{get_option('server.port')}"


def _show_failure(error: Exception) -> bool:
    """Show a plain page for an unforeseen error; the log has the details, the browser has none."""
    import streamlit as st

    print(f"page failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    st.error(wording.of(served().design)("trouble.page_failed"))
    return True


def _show_muse_failure(error: Exception) -> bool:
    """The same for the page of `study muse`."""
    import streamlit as st

    from study.server import musing

    print(f"page failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    st.error(musing.musing().say("muse.failed"))
    return True


def require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                what = f"port {port} of {host} is in use"
                raise ServerError(what, f"stop the other program or take --port {port + 1}") from None
            reason = getattr(error, "strerror", None) or error
            raise ServerError(f"cannot listen at {host} port {port}: {reason}") from None
