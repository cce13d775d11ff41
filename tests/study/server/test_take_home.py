"""Kept clips: who gets them, what is in the archive, and what is not."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import wave
import zipfile

import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest
from tiny_study import make_tiny_study

from analysis import questionnaire
from caw import audio
from study import languages
from study.blinding import read_key
from study.pages import listener
from study.server import take_home
from study.server.gate import Gate
from study.server.routes import ROUTES
from study.server.server import PAGES
from study.server.take_home import Facts
from study.store.answering import Listening
from study.store.protocol import Page

RATE = 16_000
ANSWER = {"verdict": "fake", "difficulty": "easy", "musicality": 3, "inspiring": "no"}
WHOLE = Listening(plays=1, seconds_heard=1.2, seconds_played=1.2, spans=((0.0, 1.2),), unlocked=True)


@pytest.fixture
def study(tmp_path, serve):
    return serve(make_tiny_study(tmp_path / "swampgroove", listening="take_home = true"))


@pytest.fixture
def client():
    app = Starlette(routes=ROUTES, middleware=[Middleware(Gate, script="/pages.py")])
    return TestClient(app, follow_redirects=False, base_url="http://127.0.0.1")


def _take(study, name: str = "Ann", *, keep=lambda step: True, stop: int = 99, pilot=False) -> str:
    """A listener who answers all clips, keeps some of those that count, and finishes; returns the token."""
    token = study.store.invite(name, pilot=pilot)
    person = study.store.find(token)
    study.store.claim(person.id, "T")
    study.store.consent(person.id, "v1")
    study.store.sound_check(person.id, "headphones")
    for count in range(stop):
        step = study.store.find(token).step
        if step.page is Page.PAUSE:
            study.store.begin_part(person.id, step.part)
        elif step.slot is None:
            break
        else:
            draft = study.store.show(person.id, step.slot)
            given = ANSWER | {"kept": step.part > 0 and keep(step)}
            changes = {
                field: value
                for field, value in given.items()
                if questionnaire.BY_NAME[field] in questionnaire.asked_in(draft.phase)
            }
            study.store.save(
                person.id, step.slot, tab="T", changes=changes, listening=WHOLE, press=f"press {count}"
            )
    if study.store.find(token).step.page is Page.FINAL:
        study.store.save_final(person.id, tab="T", questions=["Q?"], texts={}, finish=True)
    return token


def _archive(client, token: str) -> zipfile.ZipFile:
    client.get(f"/?p={token}")
    answer = client.get(take_home.ADDRESS)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_the_archive_holds_the_kept_clips_sample_by_sample_and_says_nothing_else(study, client):
    token = _take(study, keep=lambda step: (step.part, step.clip) in ((1, 2), (2, 1)))
    pack = _archive(client, token)
    assert pack.namelist() == [
        "kept-clips/clip-02.wav",
        "kept-clips/clip-03.wav",
        "kept-clips/tempo and key.txt",
    ]
    assert {info.date_time for info in pack.infolist()} == {(2026, 1, 1, 0, 0, 0)}
    key = {row["stimulus_id"]: row for row in read_key(study.folder, study.store.build().key_sha256)}
    heard = {(row["set_position"], row["position"]): row for row in study.store.answers()}
    for name, place in (("clip-02.wav", (1, 2)), ("clip-03.wav", (2, 1))):
        row = heard[place]
        with (
            wave.open(str(study.folder.stimulus(row["set"], row["stimulus_id"]))) as mine,
            wave.open(io.BytesIO(pack.read(f"kept-clips/{name}"))) as theirs,
        ):
            assert mine.getparams() == theirs.getparams()
            assert mine.readframes(99_999) == theirs.readframes(99_999)
    told = pack.read("kept-clips/tempo and key.txt").decode("utf-8-sig")
    assert "clip-02.wav: no clear tempo, " in told
    assert "1.2 s, 16000 Hz, 16 bit, mono" in told
    whole = told.encode() + b"".join(pack.read(name) for name in pack.namelist())
    for row in key.values():
        for secret in ("stimulus_id", "name", "source", "run", "backend"):
            assert row[secret].encode() not in whole


SOURCES = """take_home = true
debrief = true
[[source]]
file = "sources/Swamp groove.wav"
name = "swampgroove.flac"
modes = []
"""


@pytest.fixture
def rich(tmp_path, serve):
    """The study with a pool: of each set the original, cut out of a stereo recording, and a mono clip."""
    folder = make_tiny_study(tmp_path / "rich", listening=SOURCES)
    dice = np.random.default_rng(2)
    song = dice.uniform(-0.5, 0.5, (2, 5 * 48_000)).astype(np.float32)
    (folder.path / "sources").mkdir()
    audio.write(folder.path / "sources" / "Swamp groove.wav", song, 48_000)
    folder.pool.mkdir()
    record = {"clips": {}, "originals": {"UMG": [], "VAR": []}}
    for row in rows_of(folder):
        file = folder.pool / f"{row['name']}.wav"
        clip, rate = dice.uniform(-0.5, 0.5, 3 * 22_050).astype(np.float32), 22_050
        if row["truth"] == "real" and row["set"] in record["originals"]:
            clip, rate = song[:, 48_000 : 3 * 48_000].mean(axis=0), 48_000
            facts = {"name": row["name"], "passage": "swampgroove.flac", "start": 1.0, "seconds": 2.0}
            record["originals"][row["set"]].append(facts)
        audio.write(file, clip, rate)
        record["clips"][row["name"]] = hashlib.sha256(file.read_bytes()).hexdigest()
    folder.build_record.write_text(json.dumps(record))
    return serve(folder)


def rows_of(folder) -> list[dict[str, str]]:
    return read_key(folder, hashlib.sha256(folder.key.read_bytes()).hexdigest())


def unblind(study) -> None:
    study.store.log_unblinding("Ida", "report", study.store.build().key_sha256)


def sounds(pack: zipfile.ZipFile) -> dict[str, tuple]:
    """Each sound file of an archive: (samples [n, channels], rate, subtype)."""
    found = {}
    for name in pack.namelist():
        if name.endswith(".wav"):
            with soundfile.SoundFile(io.BytesIO(pack.read(name))) as file:
                form = file.samplerate, file.subtype
                found[name.removeprefix("kept-clips/")] = (file.read(always_2d=True), *form)
    return found


def test_after_the_unblinding_whole_clips_are_named_after_song_and_model(rich, client):
    token = _take(rich)
    unblind(rich)
    pack = _archive(client, token)
    found, heard = sounds(pack), {}
    for row in rich.store.answers():
        heard[row["set"], row["stimulus_id"]] = len(heard) + 1
    for row in rows_of(rich.folder):
        if row["set"] == "practice":
            continue
        number, real = heard[row["set"], row["stimulus_id"]], row["truth"] == "real"
        what = "original" if real else f"{row['mode']}, {row['backend']}, {row['epochs']} epochs"
        samples, rate, subtype = found.pop(f"Swamp groove, clip {number} ({what}).wav")
        assert (rate, subtype) == (48_000 if real else 22_050, "PCM_24")
        if real:
            file, begin, end = rich.folder.path / "sources" / "Swamp groove.wav", 48_000, 3 * 48_000
        else:
            file, begin, end = rich.folder.pool / f"{row['name']}.wav", 0, 3 * 22_050
        np.testing.assert_array_equal(samples, soundfile.read(file, always_2d=True)[0][begin:end])
    assert not found
    text = pack.read("kept-clips/tempo and key.txt").decode("utf-8-sig")
    assert "2 s, 48000 Hz, 24 bit, stereo" in text
    assert "3 s, 22050 Hz, 24 bit, mono" in text
    assert "as you heard it" not in text


def test_before_the_unblinding_a_pool_gives_nothing_away(rich, client):
    token = _take(rich)
    pack = _archive(client, token)
    assert [name for name in pack.namelist() if "clip-0" not in name] == ["kept-clips/tempo and key.txt"]
    forms = {(rate, subtype, len(samples)) for samples, rate, subtype in sounds(pack).values()}
    assert forms == {(RATE, "PCM_16", 19_200)}


@pytest.mark.parametrize("loss", ["pool", "record", "key", "clip"])
def test_what_is_gone_comes_as_it_was_heard_and_says_so(rich, client, loss):
    token = _take(rich)
    unblind(rich)
    if loss == "pool":
        shutil.rmtree(rich.folder.pool)
    elif loss == "clip":  # another one in its place is not what was heard
        for file in rich.folder.pool.glob("*.wav"):
            audio.write(file, np.full(9_000, 0.1, np.float32), 48_000)
    else:
        (rich.folder.key if loss == "key" else rich.folder.build_record).unlink()
    pack = _archive(client, token)
    text = pack.read("kept-clips/tempo and key.txt").decode("utf-8-sig")
    forms = {(rate, subtype, len(samples)) for samples, rate, subtype in sounds(pack).values()}
    assert forms == {(RATE, "PCM_16", 19_200)}
    assert text.count("(as you heard it; no longer there at full quality)") == (0 if loss == "key" else 4)
    assert ("Swamp groove, clip 1" in text) == (loss != "key")


def test_of_a_recording_that_was_changed_the_clip_of_the_pool_is_given(rich, client):
    token = _take(rich)
    unblind(rich)
    file = rich.folder.path / "sources" / "Swamp groove.wav"
    audio.write(file, np.full((2, 5 * 48_000), 0.1, np.float32), 48_000)
    originals = [one for name, one in sounds(_archive(client, token)).items() if "original" in name]
    assert [(samples.shape, rate) for samples, rate, _ in originals] == [((96_000, 1), 48_000)] * 2


def _last_page(monkeypatch, token: str) -> str:
    monkeypatch.setattr(listener, "token", lambda: token)
    page = AppTest.from_file(str(PAGES), default_timeout=120).run()
    assert not page.exception
    return "\n".join(one.value for one in page.markdown)


def test_the_last_page_says_what_comes_later_and_then_what_has_come(rich, monkeypatch):
    token, pilot = _take(rich), _take(rich, "Pia", pilot=True)
    assert "score" not in _last_page(monkeypatch, pilot)
    before = _last_page(monkeypatch, token)
    assert "Here they are as you heard them" in before
    assert "At full quality and named after song and model, they come later" in before
    assert "Your score is not known yet" in before
    assert "this page says how often you told real from fake" in before
    unblind(rich)
    after = _last_page(monkeypatch, token)
    assert "Here they are whole and at full quality" in after
    assert "You told real from fake in **2 of 4** clips" in after
    assert "later" not in after
    next(rich.folder.pool.glob("*_UMG_*.wav")).unlink()
    assert "1 clip is no longer there at full quality" in _last_page(monkeypatch, token)


def test_nobody_else_and_nobody_earlier_gets_it(study, client):
    assert client.get(take_home.ADDRESS).status_code == 404
    early = _take(study, "Early", stop=3)
    client.get(f"/?p={early}")
    assert client.get(take_home.ADDRESS).status_code == 404, "not before the end"
    none = _take(study, "None", keep=lambda _: False)
    client.get(f"/?p={none}")
    assert client.get(take_home.ADDRESS).status_code == 404, "nothing kept"
    assert _archive(client, _take(study)).namelist()
    assert client.post(take_home.ADDRESS).status_code == 405


def test_it_is_closed_by_default(serving, client):
    client.get(f"/?p={_take(serving)}")
    assert not serving.design.listening.take_home
    assert client.get(take_home.ADDRESS).status_code == 404


def test_with_hidden_repeats_and_two_rounds_a_clip_counts_once(tmp_path, serve):
    listening = "take_home = true\npasses = 2"
    study = serve(make_tiny_study(tmp_path / "twice", listening=listening))
    token = _take(study)
    person = study.store.find(token)
    assert person.step.total == 8, "each clip was met twice"
    found = take_home.kept_clips(study.store.engine, person.id)
    assert [clip.number for clip in found] == [1, 2, 3, 4]
    assert len({(clip.set_name, clip.stimulus_id) for clip in found}) == 4


def test_tempo_key_and_form_of_a_clip_come_from_its_sound(tmp_path):
    """Eight seconds of A minor in quavers at 100 beats per minute, in stereo."""
    moments = np.arange(8 * RATE) / RATE
    beat = 60 / 100
    note = np.array([0, 3, 7, 12, 8, 3, 0, 7])[(moments / beat).astype(int) % 8]
    sound = np.sin(2 * np.pi * 220 * 2 ** (note / 12) * moments) * np.exp(-9 * (moments % beat))
    file = tmp_path / "clip.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.repeat((9000 * sound).astype("<i2"), 2).tobytes())
    found = take_home.facts(file)
    assert found.tempo == pytest.approx(100, rel=0.02)
    assert found.key == (9, "minor")
    assert (found.seconds, found.rate, found.channels) == (8, RATE, 2)


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "clip-03.wav: 96.0 BPM, B flat major (Bb), 9.5 s, 44100 Hz, 16 bit, stereo"),
        ("de", "clip-03.wav: 96,0 BPM, B-Dur (Bb), 9,5 s, 44100 Hz, 16 Bit, stereo"),
    ],
)
def test_a_line_reads_as_musicians_of_the_language_write_it(language, said):
    found = Facts(tempo=96.04, key=(10, "major"), seconds=9.5, rate=44_100, channels=2)
    assert take_home.line(languages.words(language), "clip-03.wav", found) == said
