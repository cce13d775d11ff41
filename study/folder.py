"""The folder of one study, and where everything in it lies.

study.toml            the design
models/               training runs
pool/, pool/pool.csv  every clip before blinding, with where it came from
sets/SET/ID.wav       what listeners hear; sets/practice beside them
private/              key.csv (the truth), audit, measures, picks, build record, database record,
                      researcher's token: for its owner alone
responses.sqlite      the answers
report/               what `study report` writes
"""

from __future__ import annotations

import os
import re
from pathlib import Path

PRACTICE = "practice"  # the name of the set that does not count
STIMULUS_ID = re.compile(r"[a-z2-9]{8}")
_FORMATS = ("wav", "flac")


class FolderError(ValueError):
    """A study folder, or a file in it, is not what it should be."""


class StudyFolder:
    """Paths of a study. Nothing is made or read until asked for."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"StudyFolder({str(self.path)!r})"

    @property
    def toml(self) -> Path:
        return self.path / "study.toml"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def pool(self) -> Path:
        return self.path / "pool"

    @property
    def pool_table(self) -> Path:
        return self.pool / "pool.csv"

    @property
    def sets(self) -> Path:
        return self.path / "sets"

    @property
    def private(self) -> Path:
        return self.path / "private"

    @property
    def key(self) -> Path:
        return self.private / "key.csv"

    @property
    def measures(self) -> Path:
        """What the machine-made clips measured against their originals (it tells them, so it is private)."""
        return self.private / "measures.json"

    @property
    def picks(self) -> Path:
        """What the researcher thinks of the pool's clips, and which set each shall be in."""
        return self.private / "picks.csv"

    @property
    def build_record(self) -> Path:
        """What the last build made, so that the next one knows what is missing."""
        return self.private / "build.json"

    @property
    def database_record(self) -> Path:
        """Which database the listeners are in, so that an empty one in its place is noticed."""
        return self.private / "database.json"

    @property
    def audit(self) -> Path:
        """Folder of the leak audit's tables (they tell real from fake, so they are private)."""
        return self.private / "audit"

    @property
    def database(self) -> Path:
        return self.path / "responses.sqlite"

    @property
    def report(self) -> Path:
        return self.path / "report"

    def database_url(self) -> str:
        """SQLAlchemy's address of the answers: STUDY_DATABASE_URL, or the SQLite file in this folder."""
        return os.environ.get("STUDY_DATABASE_URL") or f"sqlite:///{self.database.resolve()}"

    def require(self) -> StudyFolder:
        """This folder, when it holds a study. Raises: FolderError when it does not."""
        if not self.path.is_dir():
            raise FolderError(f"{self.path}: no such folder; make a study with `study init {self.path}`")
        if not self.toml.exists():  # `design.load` tells of what is there and no file
            raise FolderError(f"{self.path}: holds no study.toml; make a study with `study init {self.path}`")
        return self

    def stimulus(self, set_name: str, stimulus_id: str) -> Path:
        """The file a listener hears. Raises: FolderError for an id that is none or has no file."""
        if not STIMULUS_ID.fullmatch(stimulus_id) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", set_name):
            told = f"{set_name!r}/{stimulus_id!r} is no stimulus"
            raise FolderError(f"{told}; ids are 8 characters of a-z and 2-9")
        for suffix in _FORMATS:
            file = self.sets / set_name / f"{stimulus_id}.{suffix}"
            if file.is_file():
                return file
        told = f"{self.sets / set_name}: stimulus {stimulus_id} has no file"
        raise FolderError(f"{told}; run `study build` again")

    def make_private(self) -> Path:
        """Make private/ readable by its owner alone, whatever the umask, and return it."""
        self.private.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.private.chmod(0o700)
        return self.private
