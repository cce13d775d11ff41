"""The folder of one study, and where everything in it lies.

study.toml            the design
models/               training runs
pool/, pool/pool.csv  every clip before blinding, with where it came from
sets/SET/ID.wav       what listeners hear; sets/practice beside them
places/               the music around each song's gap
private/              key.csv (the truth), audit, measures, picks, build record, database record,
                      researcher's token: for its owner alone
rounds/NUMBER-NAME/   a next round of one listener: a folder like this one, without answers of its own
responses.sqlite      the answers
recordings/           what listeners sent in the follow-up
report/               what `study report` writes
All but study.toml is readable by its owner alone.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from caw.problems import ProblemError

ROUNDS = "rounds"  # the folder of further rounds
PRACTICE = "practice"  # the name of the set that does not count
STIMULUS_ID = re.compile(r"[a-z2-9]{8}")
_FORMATS = ("wav", "flac")
_HOLD_ANSWERS = ("*.sqlite", "*.sqlite-wal", "*.sqlite-shm", "*.sqlite.*")  # the database and its backups


class FolderError(ProblemError):
    """A study's folder, or a file in it, is missing or not what it should be."""


class StudyFolder:
    """The paths of one study.

    Parameters
    ----------
    path : Path or str
        The study's folder. Nothing is made or read there until a method says so.

    Examples
    --------
    >>> StudyFolder("riffs").key.as_posix()
    'riffs/private/key.csv'
    """

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
    def places(self) -> Path:
        """The music around the gaps of songs, in which clips are heard in place."""
        return self.path / "places"

    def place(self, song: str, side: str) -> Path:
        """The WAV file of the music "before" or "after" a song's gap. A gap at an end has one alone."""
        return self.places / f"{song}-{side}.wav"

    @property
    def private(self) -> Path:
        return self.path / "private"

    @property
    def key(self) -> Path:
        return self.private / "key.csv"

    @property
    def measures(self) -> Path:
        """What the machine-made clips measured against their originals. It tells real from fake."""
        return self.private / "measures.json"

    @property
    def picks(self) -> Path:
        """The researcher's rating and remark on each clip of the pool, and the set it is picked for."""
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
        """The folder of the leak audit's tables. They tell real from fake."""
        return self.private / "audit"

    @property
    def database(self) -> Path:
        return self.path / "responses.sqlite"

    @property
    def recordings(self) -> Path:
        """What listeners sent in the follow-up, each under a random name."""
        return self.path / "recordings"

    @property
    def report(self) -> Path:
        return self.path / "report"

    def rounds(self) -> list[StudyFolder]:
        """The folder of each further round of a listener that is built or being built."""
        return [StudyFolder(place) for place in sorted((self.path / ROUNDS).glob("*")) if place.is_dir()]

    def database_url(self) -> str:
        """SQLAlchemy's address of the answers: STUDY_DATABASE_URL, or the SQLite file in this folder."""
        return os.environ.get("STUDY_DATABASE_URL") or f"sqlite:///{self.database.resolve()}"

    def require(self) -> StudyFolder:
        """This folder, when it holds a study. Raises: FolderError when it does not."""
        if not self.path.is_dir():
            raise FolderError(f"{self.path}: no such folder", f"make a study with `study init {self.path}`")
        if not self.toml.exists():  # a folder of that name is reported by `design.load`
            raise FolderError(
                f"{self.path}: holds no study.toml", f"make a study with `study init {self.path}`"
            )
        return self

    def stimulus(self, set_name: str, stimulus_id: str) -> Path:
        """The file a listener hears. Raises: FolderError for an id that is none or has no file."""
        if not STIMULUS_ID.fullmatch(stimulus_id) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", set_name):
            what = f"{set_name!r}/{stimulus_id!r} is no stimulus"
            raise FolderError(what, "ids are 8 characters of a-z and 2-9")
        for sets in (self.sets, *(one.sets for one in self.rounds())):
            for suffix in _FORMATS:
                file = sets / set_name / f"{stimulus_id}.{suffix}"
                if file.is_file():
                    return file
        what = f"{self.sets / set_name}: stimulus {stimulus_id} has no file"
        raise FolderError(what, "run `study build` again")

    def make_private(self) -> Path:
        """Make private/ readable by its owner alone, whatever the umask, and return it."""
        return make_private(self.private)

    def shut(self) -> list[str]:
        """Close to other accounts what tells truth: clips, models, sets, key, answers, backups, reports.

        Nothing is touched that belongs to another account, or that lies where a link leads. Returns a line
        for each of those that others can read.
        """
        open_still, owner = [], self.path.stat()
        tops = [self.models, self.pool, self.sets, self.places, self.private, self.recordings]
        tops += [self.report, self.path / ROUNDS]
        tops += [self.path / name for name in (".sets-staging", ".sets-old")]
        tops += [file for pattern in _HOLD_ANSWERS for file in sorted(self.path.glob(pattern))]
        for top in tops:
            if top.is_symlink():
                if _open_to_others(top.stat() if top.exists() else None):
                    open_still.append(f"{top}: leads to {top.resolve()}, which other accounts can read")
                continue
            if not top.exists():
                continue
            if not _shut_one(top, owner):
                open_still.append(f"{top}: belongs to another account, and others can read it")
            for folder, folders, files in os.walk(top):
                for name in sorted([*folders, *files]):  # by name: the order of changes tells nothing
                    _shut_one(Path(folder, name), owner)
        return [f"{line}; its owner can shut it with chmod -R go=" for line in open_still]


def make_private(folder: Path) -> Path:
    """Make a folder that its owner alone can enter, whatever the umask, and return it.

    Raises: PermissionError where it belongs to another account and is open to others.
    """
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _open_to_others(folder.stat()):
        folder.chmod(0o700)
    return folder


def _shut_one(path: Path, owner: os.stat_result) -> bool:
    """Take a file or folder from group and others. Returns whether they cannot read it now.

    owner: of the study's folder. What root made in it, as in a container, becomes that account's, which may
    be the one that serves.
    """
    try:
        facts = path.lstat()
        single = stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1)
        if os.geteuid() == facts.st_uid == 0 != owner.st_uid and single:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode) or not _open_to_others(facts):
            return True
        path.chmod(stat.S_IMODE(facts.st_mode) & 0o700)
    except PermissionError:
        return False
    except FileNotFoundError:  # as of a build that goes on meanwhile
        pass
    return True


def _open_to_others(facts: os.stat_result | None) -> bool:
    return facts is not None and bool(facts.st_mode & 0o077)
