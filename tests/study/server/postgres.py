"""A PostgreSQL of our own for the tests: a throw-away cluster on a Unix socket."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests of what both databases do; test_store.py asks PostgreSQL in every run.
both = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True
)
_FASTER = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


def find(program: str) -> str | None:
    """A program of PostgreSQL's server; Debian keeps them out of the path."""
    debian = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"))
    return debian[-1] if debian else shutil.which(program)


class Cluster:
    """One cluster: started, killed and started again. `durable`: as in earnest, and not as fast as can be."""

    def __init__(self, home: Path, *, durable: bool = False) -> None:
        self.home, self.data = home, home / "data"
        self.settings = () if durable else _FASTER
        self.user = _as_user(home)
        self.server: subprocess.Popen | None = None
        subprocess.run(
            [*self.user, find("initdb"), "-D", self.data]
            + ["-U", "study", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            capture_output=True,
            cwd=home,
        )

    def start(self) -> None:
        """Starts the server, in a process group of its own; does not wait until it answers."""
        with (self.home / "log").open("ab") as log:
            self.server = subprocess.Popen(
                [*self.user, find("postgres"), "-D", self.data, "-k", self.home]
                + ["-c", "listen_addresses=", *self.settings],
                stdout=log,
                stderr=log,
                cwd=self.home,
                start_new_session=True,
            )

    def kill(self) -> None:
        """As with `kill -9` of the postmaster and all its children at once: no goodbye, no checkpoint."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for process in (postmaster, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.server.wait(60)
        deadline = time.monotonic() + 60
        while any(_runs(int(child)) for child in children):  # a new one refuses to start beside them
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL in {self.home} outlives kill -9")
            time.sleep(0.01)

    def stop(self) -> None:
        stop = [*self.user, find("pg_ctl"), "stop", "-D", self.data, "-m", "immediate"]
        deadline = time.monotonic() + 60
        while self.server.poll() is None:  # one that has only just begun cannot be told to stop yet
            subprocess.run(stop, capture_output=True, cwd=self.home)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.server.wait(0.5)
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL in {self.home} does not stop")


@contextlib.contextmanager
def started(*, durable: bool = False) -> Iterator[Cluster]:
    """A fresh cluster, gone again at the end."""
    short = "/tmp" if Path("/tmp").is_dir() else None  # sockets may have 107 characters
    home = Path(tempfile.mkdtemp(prefix="study-pg-", dir=short))
    try:
        cluster = Cluster(home, durable=durable)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    """Starts one and yields its address without the database: f"{address}/NAME?host=..." is made by `url`."""
    with started() as running:
        yield str(running.home)


def url(home: str, database: str) -> str:
    return f"postgresql://study@/{database}?host={home}"


def answers(home: str) -> bool:
    """Whether the cluster takes connections."""
    import psycopg

    try:
        psycopg.connect(url(home, "postgres"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _as_user(home: Path) -> list[str]:
    """PostgreSQL refuses to run as root, so root lends the folder to the user `postgres` or `nobody`."""
    if os.getuid() != 0:
        return []
    name = "postgres" if subprocess.run(["id", "postgres"], capture_output=True).returncode == 0 else "nobody"
    shutil.chown(home, name)
    return ["runuser", "-u", name, "--"]
