"""A study served by processes of its own, for the benchmarks: made, started, killed, started again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "study" / "server"))  # for tiny_study and postgres

_STUDY = "from study.cli.commands import main; main()"


class Server:
    """`study serve FOLDER --port PORT` as a process. database: its STUDY_DATABASE_URL, SQLite where None."""

    def __init__(self, folder: Path, port: int, database: str | None = None) -> None:
        self.folder, self.port = folder, port
        self.base = f"http://127.0.0.1:{port}"
        self.log = folder / f"server-{port}.log"
        self.environment = {name: value for name, value in os.environ.items() if name != "STUDY_DATABASE_URL"}
        self.environment["PYTHONPATH"] = str(ROOT)
        if database is not None:
            self.environment["STUDY_DATABASE_URL"] = database
        self.process: subprocess.Popen | None = None

    def start(self) -> float:
        """Starts it; returns the seconds until it answered."""
        self.launch()
        return self.wait()

    def launch(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _STUDY, "serve", str(self.folder), "--port", str(self.port)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                cwd=self.folder,
            )

    def wait(self, seconds: float = 120) -> float:
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.answers():
                return time.monotonic() - began
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-2000:]}")

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{self.base}/_stcore/health", timeout=10).read()
            return True
        return False

    def command(self, *words: object) -> subprocess.CompletedProcess:
        """What `study WORDS...` says of this study, beside the server."""
        command = [sys.executable, "-c", _STUDY, *map(str, words)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def kill(self) -> None:
        """As with `kill -9`: no goodbye."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def cpu_seconds(self) -> float:
        """Processor time the process has taken so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_megabytes(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return float("nan")

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def study_with(
    folder: Path, listeners: int, database: str | None, **shape: object
) -> tuple[Path, list[str], str]:
    """A tiny study (tiny_study.make_tiny_study with `shape`) with listeners invited, in SQLite or `database`.

    Returns its folder, the secrets of the personal links and the database's URL.
    """
    from tiny_study import make_tiny_study

    from study.store.store import Store

    before = os.environ.get("STUDY_DATABASE_URL")
    try:
        os.environ.pop("STUDY_DATABASE_URL", None)
        if database is not None:
            os.environ["STUDY_DATABASE_URL"] = database
        study = make_tiny_study(folder, **shape)
        url = study.database_url()
    finally:
        os.environ.pop("STUDY_DATABASE_URL", None)
        if before is not None:
            os.environ["STUDY_DATABASE_URL"] = before
    store = Store(url)
    tokens = [store.invite(f"Listener {number}") for number in range(listeners)]
    store.close()
    return folder, tokens, url


@contextlib.contextmanager
def database(*, postgres: bool, running: list | None = None) -> Iterator[str | None]:
    """None for SQLite; else the URL of a database in a fresh, durable cluster, which goes into `running`."""
    if not postgres:
        yield None
        return
    import postgres as own
    import psycopg

    with own.started(durable=True) as cluster:
        home = str(cluster.home)
        until(lambda: own.answers(home))
        with psycopg.connect(own.url(home, "postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE study")
        if running is not None:
            running.append(cluster)
        yield own.url(home, "study")


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Waits until something is so. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited for {seconds:g} s in vain")
        time.sleep(0.05)
