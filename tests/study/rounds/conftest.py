"""What the tests of next rounds share: a tiny study that one listener has finished."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from caw import audio
from study import blinding
from study.build import build, measuring
from study.folder import StudyFolder
from study.store.protocol import Page
from study.store.store import Store
from tests.study.conftest import music, with_tiny, write_study

KEPT = "200"  # the epochs that Ann likes


def take(folder: StudyFolder, name: str, *, liked=lambda row: False, words: str | None = None) -> None:
    """All clips of the round that the listener is in, and its end. liked: by the clip's row of its key."""
    store = Store.for_folder(folder)
    rows = {
        row["stimulus_id"]: row
        for row in [*blinding.rows(folder), *blinding.keys_of_rounds(folder, store.rounds())]
    }
    token = store.invite(name)
    person = store.find(token)
    store.claim(person.id, "tab")
    store.consent(person.id, "1")
    store.sound_check(person.id, "headphones")
    while (step := store.find(token).step).page not in (Page.FINAL, Page.DONE):
        if step.page is Page.PAUSE:
            store.begin_part(person.id, step.begins)
            continue
        draft = store.show(person.id, step.slot)
        good = liked(rows[store.clip(draft.play_key, token).stimulus_id])
        changes = {"verdict": "fake", "difficulty": "easy", "musicality": 8 if good else 2}
        changes |= {"inspiring": "yes" if good else "no", "kept": good}
        assert store.save(
            person.id, step.slot, tab="tab", changes=changes, press=f"{step.slot}", require_heard=False
        ).final
    if step.round > 1:
        store.save_round(person.id, tab="tab", words=words, finish=True)
    else:
        store.save_final(person.id, tab="tab", questions=["a"], texts={1: "x"}, finish=True)
    store.close()


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory) -> Path:
    """A study that Ann has finished, who keeps what was trained longer; Ben has finished, Cem has not."""
    place = tmp_path_factory.mktemp("rounds")
    audio.write(place / "riff.wav", music(24.0, 22050), 22050)
    source = f'[[source]]\nfile = "{place / "riff.wav"}"\nseconds = 8\nepochs = [100, 200]\n'
    folder = write_study(
        place / "study",
        place / "riff.wav",
        sets="[set.UMG]\nfakes = 4\noriginals = 2\n[set.VAR]\nfakes = 4\noriginals = 2\n",
        source=source + 'clips = 3\nbackend = "tiny"\n',
    )
    with pytest.MonkeyPatch.context() as patch, with_tiny():
        patch.delenv("STUDY_DATABASE_URL", raising=False)
        patch.setattr(measuring, "measure", lambda *_, **__: None)  # which takes longest, and no round does
        build.build(folder)
        take(folder, "Ann", liked=lambda row: row["epochs"] == KEPT)
        take(folder, "Ben")
        store = Store.for_folder(folder)
        store.invite("Cem")
        store.close()
    return folder.path


@pytest.fixture
def finished(tmp_path, finished_once, tiny, monkeypatch) -> StudyFolder:
    """A copy of that study."""
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    return StudyFolder(shutil.copytree(finished_once, tmp_path / "study", symlinks=True))
