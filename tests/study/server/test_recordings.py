"""Recordings of the follow-up: who may send one, what is taken, where it lies, and who gets it."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import time
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from followed import finished
from gated import enter, gated_client
from tiny_study import make_tiny_study

from study.server import login, recording_check, recordings
from study.store import follow_up

MORE = "[follow_up]\ndays = 0\nrecording = true\nmegabytes = 1\n"


@pytest.fixture(autouse=True)
def nobody_has_sent(monkeypatch):
    monkeypatch.setattr(recordings, "_sent", {})


@pytest.fixture
def study(tmp_path, serve):
    return serve(make_tiny_study(tmp_path / "study", listening=MORE))


@pytest.fixture
def ann(study):
    """A listener who keeps every clip and whose follow-up is open."""
    return _due(study, "Ann")


@pytest.fixture
def client(study, ann):
    browser = gated_client()
    enter(browser, study.store.invite("Ann"))
    return browser


def _due(study, name: str) -> int:
    who = finished(study.store, name, keep=None)
    follow_up.begin(study.store.engine, study.design.follow_up, who, tab="tab")
    return who


def _clips(study, who: int):
    return follow_up.show(study.store.engine, study.design.follow_up, who)


def tone(seconds: float = 0.5, form: str = "WAV", rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    moments = np.arange(round(rate * seconds)) / rate
    soundfile.write(file, 0.1 * np.sin(2 * np.pi * 220 * moments), rate, format=form)
    return file.getvalue()


def send(client, clip, content: bytes, name: str = "take.wav", **headers: str):
    given = {"x-name": name, **headers}
    return client.post(f"{recordings.ADDRESS}/{clip.play_key}", content=content, headers=given)


def files(study) -> list[str]:
    folder = study.folder.recordings
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize(
    ("form", "suffix"), [("WAV", "wav"), ("FLAC", "flac"), ("OGG", "ogg"), ("MP3", "mp3")]
)
def test_a_recording_lies_apart_under_a_random_name(study, client, ann, form, suffix):
    clip, content = _clips(study, ann)[0], tone(form=form)
    assert send(client, clip, content, "My%20song.wav").json() == {"why": ""}
    row = follow_up.recordings(study.store.engine)[0]
    assert files(study) == [row["recording"]]
    assert row["recording"].endswith(f".{suffix}")
    assert clip.play_key not in row["recording"]
    assert (row["recording_name"], row["recording_bytes"]) == ("My song.wav", len(content))
    assert row["recording_sha256"] == hashlib.sha256(content).hexdigest()
    file = study.folder.recordings / row["recording"]
    assert file.read_bytes() == content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(study.folder.recordings.stat().st_mode) == 0o700


def test_a_recording_is_replaced_and_withdrawn(study, client, ann):
    clip = _clips(study, ann)[0]
    assert send(client, clip, tone()).status_code == 200
    first = files(study)
    assert send(client, clip, tone(1.0), "second.wav").status_code == 200
    assert len(files(study)) == 1
    assert files(study) != first
    gone = client.delete(f"{recordings.ADDRESS}/{clip.play_key}", headers={"x-name": ""})
    assert gone.json() == {"why": ""}
    assert files(study) == []
    assert follow_up.recordings(study.store.engine) == []
    assert [row["what"] for row in study.store.events()][-1] == recordings.WITHDRAWN


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("bomb", bytes(10_000_000))
    return file.getvalue()


def _claims(seconds: float) -> bytes:
    """A WAV file whose header states far more sound than there is."""
    content = bytearray(tone())
    content[40:44] = struct.pack("<I", round(seconds * 32_000))
    return bytes(content)


def _flac_of(seconds: float) -> bytes:
    """Silence: ten minutes take some kilobytes."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(8_000 * seconds)), 8_000, format="FLAC")
    return file.getvalue()


NAMES = ["nothing", "zip", "riff", "program", "page", "playlist", "header", "cut", "noise", "id3", "aiff"]
NAMES += ["long", "large"]


@pytest.mark.parametrize(
    ("content", "status", "why"),
    [
        (b"", 422, "no_sound"),
        (_zip(), 422, "no_sound"),
        (b"RIFF" + bytes(200), 422, "no_sound"),
        (b"\x7fELF" + bytes(2000), 422, "no_sound"),
        (b"<html><script>alert(1)</script></html>", 422, "no_sound"),
        (b"#EXTM3U\nhttp://127.0.0.1/secret\n", 422, "no_sound"),
        (_claims(60.0), 422, "no_sound"),
        (tone()[:2000], 422, "no_sound"),
        (os.urandom(50_000), 422, "no_sound"),
        (b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(500), 422, "no_sound"),
        (tone(form="AIFF"), 422, "no_sound"),
        (_flac_of(601), 422, "too_long"),
        (bytes(1_000_001), 413, "too_large"),
    ],
    ids=[
        "nothing",
        "zip",
        "riff",
        "program",
        "page",
        "playlist",
        "header",
        "cut",
        "noise",
        "id3",
        "aiff",
        "long",
        "large",
    ],
)
def test_what_is_no_recording_is_not_taken(study, client, ann, content, status, why):
    answer = send(client, _clips(study, ann)[0], content)
    assert (answer.status_code, answer.json()) == (status, {"why": why})
    assert files(study) == []
    assert follow_up.recordings(study.store.engine) == []


def test_a_body_without_a_length_is_cut_off_at_the_bound(study, client, ann):
    def endless():
        for _ in range(50):
            yield bytes(100_000)

    address = f"{recordings.ADDRESS}/{_clips(study, ann)[0].play_key}"
    answer = client.post(address, content=endless(), headers={"x-name": "x"})
    assert answer.status_code == 413
    assert files(study) == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../private/key.csv", "key.csv"),
        ("%2e%2e%2f%2e%2e%2fetc%2fpasswd", "passwd"),
        ("..%5C..%5Cboot.ini", "boot.ini"),
        ("%00%0a%0dx: y", "x: y"),
        ("%F0%9F%8E%B8.wav", "\N{GUITAR}.wav"),
        ("%ff%fe", "\N{REPLACEMENT CHARACTER}" * 2),
        ("x" * 500, "x" * 120),
        ("", "recording"),
    ],
)
def test_a_name_never_becomes_a_path(study, client, ann, name, kept):
    assert send(client, _clips(study, ann)[0], tone(), name).status_code == 200
    row = follow_up.recordings(study.store.engine)[0]
    assert row["recording_name"] == kept
    assert set(row["recording"]) <= set("abcdefghijklmnopqrstuvwxyz23456789.")
    assert files(study) == [row["recording"]]


def test_somebody_elses_clip_is_not_there(study, client, ann):
    bo = _due(study, "Bo")
    theirs = _clips(study, bo)[0]
    assert send(client, theirs, tone()).status_code == 404
    assert client.delete(f"{recordings.ADDRESS}/{theirs.play_key}").status_code == 404
    assert client.get(f"{recordings.ADDRESS}/{theirs.play_key}").status_code in (404, 405)
    assert send(gated_client(), _clips(study, ann)[0], tone()).status_code == 404
    assert files(study) == []


def test_a_page_elsewhere_can_send_nothing(study, client, ann):
    clip = _clips(study, ann)[0]
    assert send(client, clip, tone(), origin="https://elsewhere.example").status_code == 400
    bare = client.post(f"{recordings.ADDRESS}/{clip.play_key}", content=tone())
    assert bare.status_code == 400
    assert files(study) == []


def test_too_many_are_refused_and_another_listener_is_served(study, client, ann, monkeypatch):
    monkeypatch.setattr(recordings, "MOST_HOURLY", 3)
    clip = _clips(study, ann)[0]
    statuses = [send(client, clip, b"no sound").status_code for _ in range(5)]
    assert statuses == [422, 422, 422, 429, 429]
    bo = _due(study, "Bo")
    other = gated_client()
    enter(other, study.store.invite("Bo"))
    assert send(other, _clips(study, bo)[0], tone()).status_code == 200


def test_one_at_a_time(study, client, ann, monkeypatch):
    monkeypatch.setattr(recordings, "_sending", {ann})
    assert send(client, _clips(study, ann)[0], tone()).status_code == 429


def test_a_full_disk_is_left_to_the_answers(study, client, ann, monkeypatch):
    monkeypatch.setattr(recordings, "_SPARE", 1 << 62)
    assert send(client, _clips(study, ann)[0], tone()).status_code == 507
    assert files(study) == []


def test_a_decoder_that_does_not_come_back_is_ended(tmp_path, monkeypatch):
    file = tmp_path / "x.wav"
    file.write_bytes(tone())
    assert recording_check.checked(file) == "wav"
    monkeypatch.setattr(recording_check, "_WALL_SECONDS", 0.0)
    assert recording_check.checked(file) == recording_check.TOO_HARD


def test_where_no_recording_is_asked_for_there_is_no_such_address(tmp_path, serve):
    study = serve(make_tiny_study(tmp_path / "study", listening="[follow_up]\ndays = 0\n"))
    ann, client = _due(study, "Ann"), gated_client()
    enter(client, study.store.invite("Ann"))
    assert send(client, _clips(study, ann)[0], tone()).status_code == 404
    assert files(study) == []


def test_after_the_end_nothing_is_taken_or_given_back(study, client, ann):
    clips = _clips(study, ann)
    assert send(client, clips[0], tone()).status_code == 200
    rule, engine = study.design.follow_up, study.store.engine
    for clip in clips:
        changes = {"outcome": "idea"}
        follow_up.save(engine, rule, ann, clip.slot, tab="tab", changes=changes, press=f"{clip.slot}")
    assert follow_up.finish(engine, rule, ann, tab="tab")
    kept = files(study)
    assert send(client, clips[0], tone(1.0)).json() == {"why": "not_open"}
    gone = client.delete(f"{recordings.ADDRESS}/{clips[0].play_key}", headers={"x-name": ""})
    assert gone.status_code == 409
    assert files(study) == kept


def test_a_withdrawn_link_sends_nothing(study, client, ann):
    clip = _clips(study, ann)[0]
    study.store.revoke("Ann")
    assert send(client, clip, tone()).status_code == 404
    assert files(study) == []


def test_what_a_killed_server_left_behind_goes_with_the_next_one(study, client, ann):
    folder = study.folder.recordings
    folder.mkdir(mode=0o700)
    for name, age in (("old.part", 7200), ("old.wav", 7200), ("new.part", 10)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (time.time() - age,) * 2)
    assert send(client, _clips(study, ann)[0], tone()).status_code == 200
    named = follow_up.recordings(study.store.engine)[0]["recording"]
    assert files(study) == sorted([named, "new.part"])


def test_only_the_researcher_gets_a_recording(study, client, ann, monkeypatch):
    content = tone()
    send(client, _clips(study, ann)[0], content)
    address = recordings.address_of(files(study)[0])
    assert client.get(address).status_code in (303, 401, 403, 404)
    assert client.get(f"/recordings/{files(study)[0]}").status_code == 404
    assert client.get(f"/recording/{files(study)[0]}").status_code in (404, 405)
    monkeypatch.setattr(login, "session", lambda *_: SimpleNamespace(who="Ida", id="1"))
    taken = client.get(address)
    assert taken.content == content
    assert taken.headers["content-type"] == "application/octet-stream"
    assert taken.headers["content-disposition"].startswith('attachment; filename="Ann-')
    for odd in ("../responses.sqlite", "..%2fprivate%2fkey.csv", "nothing.wav"):
        assert client.get(recordings.address_of(odd)).status_code == 404
    assert [row["what"] for row in study.store.events()][-1] == recordings.TAKEN


def test_recordings_are_the_owners_alone(study, client, ann):
    send(client, _clips(study, ann)[0], tone())
    file = study.folder.recordings / files(study)[0]
    file.chmod(0o644)
    study.folder.shut()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
