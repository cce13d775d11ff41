"""A PostgreSQL of our own for the tests: a throw-away cluster on a Unix socket."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_FASTER = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


def find(program: str) -> str | None:
    """A program of PostgreSQL's server; Debian keeps them out of the path."""
    debian = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"))
    return debian[-1] if debian else shutil.which(program)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Starts one and yields its address without the database: f"{address}/NAME?host=..." is made by `url`."""
    home = Path(tempfile.mkdtemp(prefix="study-pg-"))
    user = _as_user(home)
    try:
        data = home / "data"
        subprocess.run(
            [*user, find("initdb"), "-D", data, "-U", "study", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=home,
        )
        log = (home / "log").open("wb")
        server = subprocess.Popen(
            [*user, find("postgres"), "-D", data, "-k", home, "-c", "listen_addresses=", *_FASTER],
            stdout=log,
            stderr=log,
            cwd=home,
        )
        try:
            yield str(home)
        finally:
            subprocess.run(
                [*user, find("pg_ctl"), "stop", "-D", data, "-m", "immediate"], capture_output=True, cwd=home
            )
            server.wait(20)
            log.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def url(home: str, database: str) -> str:
    return f"postgresql://study@/{database}?host={home}"


def _as_user(home: Path) -> list[str]:
    """PostgreSQL refuses to run as root, so root lends the folder to the user `postgres` or `nobody`."""
    if os.getuid() != 0:
        return []
    name = "postgres" if subprocess.run(["id", "postgres"], capture_output=True).returncode == 0 else "nobody"
    shutil.chown(home, name)
    return ["runuser", "-u", name, "--"]
