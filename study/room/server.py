"""Serves one study: Streamlit's app with the study's own routes, gate and settings around it."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn.config
from starlette.middleware import Middleware
from streamlit import config
from streamlit.starlette import App

from study.room import theme
from study.room.gate import Gate
from study.room.links import personal_link, researcher_link
from study.room.routes import ROUTES
from study.room.served import VARIABLE, Served, served

PAGES = Path(__file__).with_name("pages.py")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
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
    **{f"theme.light.{name}": value for name, value in theme.LIGHT.items()},
    **{f"theme.dark.{name}": value for name, value in theme.DARK.items()},
}


class ServerError(ValueError):
    """The study cannot be served at this address."""


def parts() -> dict[str, Any]:
    """What makes Streamlit's App a study: its routes, gate, start-up, and a word for the unexpected."""
    return {
        "routes": ROUTES,
        "middleware": [Middleware(Gate, script=str(PAGES))],
        "lifespan": _lifespan,
        "on_script_error": _apologise,
    }


def serve(folder: Path | str, host: str = "127.0.0.1", port: int = 8501) -> None:
    """Serves the study in `folder` until it is stopped. Only this machine reaches the default host.

    Raises FolderError, DesignError, StoreError or ServerError, before anything is served.
    """
    os.environ[VARIABLE] = str(Path(folder).resolve())
    served.cache_clear()
    served()
    _require_free(host, port)
    uvicorn.config.LOGGING_CONFIG["loggers"]["uvicorn"]["level"] = "WARNING"
    allowed = {"server.allowedHosts": list(_LOOPBACK)} if host in _LOOPBACK else {}
    address = {"server.address": host, "server.port": port, "browser.serverPort": port}
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how one stops it
        App(PAGES, **parts()).run(config={**SETTINGS, **allowed, **address})


def addresses(study: Served, base: str) -> str:
    """What is open to whom, as `study serve` prints it."""
    people = study.store.listeners()
    lines = [f'"{study.design.study.title}" is open at {base}', ""]
    lines += [f"  listener {one.name}: {personal_link(base, one.token)}" for one in people[:_LINKS_SHOWN]]
    if len(people) > _LINKS_SHOWN:
        lines.append(f"  ... and {len(people) - _LINKS_SHOWN} more; the researcher's page lists all")
    if not people:
        lines.append(f"  no listener yet; `study invite {study.folder.path} NAME` makes a personal link")
    if not any(local in base for local in _LOOPBACK):
        lines.append("  Other machines reach this address: give each link to its own listener alone.")
    lines += [
        f"  researcher: {researcher_link(base, study.researcher_key)}",
        "",
        "Stop with Ctrl-C; every answer given is kept.",
    ]
    return "\n".join(lines)


@contextlib.asynccontextmanager
async def _lifespan(_app: App) -> AsyncIterator[dict[str, Any]]:
    for name, value in SETTINGS.items():
        if not config.is_manually_set(name):  # as under a plain `streamlit run`
            config.set_option(name, value)
    study = served()
    gc.collect()
    gc.freeze()  # what is imported by now stays out of every later collection
    print(addresses(study, _base()), flush=True)
    yield {}
    study.store.close()


def _base() -> str:
    host = config.get_option("server.address") or "localhost"
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{config.get_option('server.port')}"


def _apologise(error: Exception) -> bool:
    """Shows a calm page for an error nobody foresaw; the log has the details, the browser none."""
    import streamlit as st

    print(f"page failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    st.error("Something went wrong on our side. All saved answers are safe; please reload this page.")
    return True


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                told = f"port {port} of {host} is in use; stop the other program or take --port {port + 1}"
            else:
                told = f"cannot listen at {host} port {port}: {getattr(error, 'strerror', None) or error}"
            raise ServerError(told) from None
