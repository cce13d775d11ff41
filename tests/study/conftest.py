import contextlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from caw import audio, measures
from study import backends
from study.build import build
from study.cli import commands
from study.folder import StudyFolder
from study.store.store import Store

BACKEND_FILES = Path(__file__).parent / "backend_files"


def music(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Plucked notes over soft noise: something with onsets, pitches and a full band, [n]."""
    dice = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    sound = 0.01 * dice.standard_normal(len(time))
    for onset in np.arange(0.0, seconds, 0.25):
        after = np.maximum(time - onset, 0.0)
        note = 110 * 2 ** (dice.integers(24) / 12)
        pluck = sum(np.sin(2 * np.pi * note * k * after) / k for k in range(1, 8))
        sound += np.where(time >= onset, 0.1 * pluck * np.exp(-6 * after), 0.0)
        sound += np.where(time >= onset, 0.1 * dice.standard_normal(len(time)) * np.exp(-40 * after), 0.0)
    return (0.7 * sound / np.abs(sound).max()).astype(np.float32)


def song(seconds: float, rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Music as long as a song, in which nothing comes twice: chords of plucked notes with noise, [n]."""
    dice = np.random.default_rng(seed)
    length, tail = round(seconds * rate), np.arange(rate) / rate
    sound = 0.01 * dice.standard_normal(length + rate)
    onset = 0.0
    while onset < seconds:
        begin = round(onset * rate)
        note = 110 * 2 ** (dice.integers(24) / 12) * 2 ** (dice.normal(0, 0.1) / 12)
        pluck = sum(np.sin(2 * np.pi * note * k * tail + dice.uniform(0, 6)) / k for k in range(1, 8))
        hit = dice.standard_normal(rate) * np.exp(-40 * tail)
        sound[begin : begin + rate] += 0.1 * pluck * np.exp(-6 * tail) + 0.1 * hit
        onset += dice.uniform(0.15, 0.35)
    sound = sound[:length]
    return (0.7 * sound / np.abs(sound).max()).astype(np.float32)


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    """170 seconds of sound at 16 kHz in a WAV file: enough for a study of the defaults."""
    file = tmp_path_factory.mktemp("recordings") / "song.wav"
    audio.write(file, song(170.0), 16000)
    return file


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> Path:
    """Eight seconds of sound at 22050 Hz in a WAV file."""
    file = tmp_path_factory.mktemp("clips") / "riff.wav"
    audio.write(file, music(8.0, 22050), 22050)
    return file


@contextlib.contextmanager
def with_tiny() -> Iterator[object]:
    """The test backend, registered by its file alone."""
    name = f"{backends.__name__}.tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "__path__", [*backends.__path__, str(BACKEND_FILES)])
        sys.modules.pop(name, None)
        yield backends.get("tiny")
        sys.modules.pop(name, None)


@pytest.fixture
def tiny():
    with with_tiny() as backend:
        yield backend


ANCHORS: dict = {}  # of passages that were measured, for the whole session


@pytest.fixture(scope="module", autouse=True)
def anchors_kept() -> Iterator[None]:
    """The anchors of a passage are measured once for all studies of a session; they take half of a build.

    Only while studies are tested: a test of the measures, in the same process, measures anew.
    """
    known, measured = ANCHORS, measures.anchors

    def anchors(real, rate, **options):
        sound = real.samples if hasattr(real, "samples") else np.asarray(real)
        key = sound.tobytes(), rate, repr(sorted(options.items()))
        if key not in known:
            known[key] = measured(real, rate, **options)
        return {name: dict(values) for name, values in known[key].items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "anchors", anchors)
        yield


def write_study(path: Path, clip: Path, more: str = "", **tables: str) -> StudyFolder:
    """Makes a study folder of 1 s stimuli; keywords are put into the tables of its study.toml. Sets that say
    nothing of originals hold 2."""
    path.mkdir()
    source = f'[[source]]\nfile = "{clip}"\nepochs = [100, 200]\nclips = 2\nbackend = "tiny"\n'
    parts = {
        "study": '[study]\ntitle = "Test"\nseed = 7\n',
        "source": source,
        "backend": "",
        "sets": "[set.UMG]\nfakes = 3\noriginals = 2\n[set.VAR]\nfakes = 3\noriginals = 1\n",
        "stimuli": "[stimuli]\nseconds = 1.0\ntrim = 0.1\n",
        "listening": "[listening]\npractice = 2\n",
    } | tables
    sets = [one for one in re.split(r"(?=^\[set\.)", parts["sets"], flags=re.M) if one.strip()]
    stated = ("originals", "practice]")
    parts["sets"] = "".join(
        one if any(word in one for word in stated) else f"{one.rstrip()}\noriginals = 2\n" for one in sets
    )
    (path / "study.toml").write_text("\n".join(parts.values()) + more)
    return StudyFolder(path)


@pytest.fixture
def new_study(tmp_path, clip, tiny, monkeypatch):
    """Makes study folders as `write_study`: new_study(folder="study", more="", **tables)."""
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)

    def make(folder: str = "study", more: str = "", **tables: str) -> StudyFolder:
        return write_study(tmp_path / folder, clip, more, **tables)

    return make


@pytest.fixture(scope="session")
def built_once(tmp_path_factory, clip) -> Path:
    """The folder of a study of `new_study` that is built, to be copied."""
    folder = write_study(tmp_path_factory.mktemp("built") / "study", clip)
    with pytest.MonkeyPatch.context() as patch, with_tiny():
        patch.delenv("STUDY_DATABASE_URL", raising=False)
        build.build(folder)
    return folder.path


@pytest.fixture
def built_study(tmp_path, built_once, new_study) -> StudyFolder:
    """A study as `new_study()` makes it, built: all of its files, and their times, are copies."""
    return StudyFolder(shutil.copytree(built_once, tmp_path / "study"))


def give_answers(
    folder: StudyFolder, name: str, count: int | None = None, comment: str | None = None
) -> None:
    """Gives the next answers of a listener, or all of them and the final form (count None)."""
    store = Store.for_folder(folder)
    listener = store.find(store.invite(name)).id
    store.claim(listener, "tab")
    store.consent(listener, "1")
    store.sound_check(listener, "headphones")
    build = store.build()
    store.begin_part(listener, len(build.stimuli))
    done = len([row for row in store.answers(practice=True) if row["listener"] == name])
    last = len(build.practice) + sum(len(ids) for ids in build.stimuli.values())
    for slot in range(done, last if count is None else done + count):
        store.show(listener, slot)
        changes = {"verdict": "fake", "difficulty": "easy", "musicality": slot % 11, "inspiring": "maybe"}
        changes |= {"comment": comment} if comment else {}
        saved = store.save(listener, slot, tab="tab", changes=changes, press=f"{slot}", require_heard=False)
        assert saved.final
    if count is None:
        texts = {1: "yes", 2: "no", 3: "more bass"}
        assert store.save_final(listener, tab="tab", questions=["a", "b", "c"], texts=texts, finish=True)
    store.close()


@pytest.fixture
def answer():
    """`give_answers`."""
    return give_answers


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs `study ARGUMENTS`; returns (exit code, stdout, stderr)."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            commands.main()
        said = capfd.readouterr()
        return ended.value.code, said.out, said.err

    return call
