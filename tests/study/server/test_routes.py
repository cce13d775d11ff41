from __future__ import annotations

import io
import json
import shutil
import wave

import numpy as np
import pytest
import sqlalchemy as sa
from gated import SCRIPT, enter, gated_client, play_key, socket_here
from starlette.websockets import WebSocketDisconnect
from tiny_study import TITLE, make_tiny_study

from study.folder import FolderError
from study.server import links, routes
from study.server.links import researcher_key
from study.server.routes import TONE_RATE, tone
from study.store import database, schema
from study.store.answering import Listening

# the door


def test_a_personal_link_becomes_a_cookie_and_leaves_the_address(client, people):
    answer = enter(client, people["Ann"])
    assert answer.headers["location"] == f"/?me={links.mark(people['Ann'])}"
    assert people["Ann"] not in answer.headers["location"]
    cookie = answer.headers["set-cookie"]
    assert people["Ann"] in cookie
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    page = client.get("/")
    assert page.status_code == 200
    assert f"<title>{TITLE}</title>" in page.text
    assert people["Ann"] not in page.text


def test_behind_https_the_cookie_is_secure(client, people):
    answer = client.get(f"/?p={people['Ann']}", headers={"x-forwarded-proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("/", 403, "personal link"),
        ("/?p=wrong", 404, "not valid"),
        ("/?p=", 403, "personal link"),
        ("/researcher", 403, "study serve"),
        ("/researcher?key=wrong", 403, "not valid"),
        ("/researcher-data", 403, "study serve"),
        ("/researcher/answers.csv", 403, "study serve"),
        ("/researcher/report/index.html", 403, "study serve"),
    ],
)
def test_strangers_get_a_plain_word_and_no_cookie(client, address, status, told):
    answer = client.get(address)
    assert answer.status_code == status
    assert told in answer.text
    assert "set-cookie" not in answer.headers
    assert "stcore" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "evil.example:80"])
def test_another_host_name_is_refused_whatever_is_asked_for(client, people, host):
    enter(client, people["Ann"])
    for path in ("/", "/researcher", "/tone.wav", "/login", "/_stcore/health"):
        assert client.get(path, headers={"host": host}).status_code == 400
    cookie = {"cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items()), "host": host}
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(socket_here(), headers=cookie):
        pass


def test_the_researchers_key_is_readable_by_its_owner_alone(serving):
    file = serving.folder.private / "researcher.token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert serving.folder.private.stat().st_mode & 0o777 == 0o700


def test_an_empty_researchers_key_lets_nobody_in(serving):
    file = serving.folder.private / "researcher.token"
    file.write_text("\n")
    with pytest.raises(FolderError, match="is empty; delete it"):
        researcher_key(serving.folder)
    file.unlink()
    assert len(researcher_key(serving.folder)) == 32
    assert sorted(serving.folder.private.glob("*researcher*")) == [file]


def test_two_studies_on_one_machine_keep_their_cookies_apart(serving, tmp_path, serve):
    other = serve(make_tiny_study(tmp_path / "other"))
    assert other.listener_cookie != serving.listener_cookie


def test_pages_are_not_to_be_translated_and_name_their_language(tmp_path, serve):
    german, client = serve(make_tiny_study(tmp_path / "german", language="de")), gated_client()
    enter(client, german.store.invite("Ann"))
    page = client.get("/").text
    assert '<html lang="de" translate="no" class="notranslate">' in page
    assert '<meta name="google" content="notranslate">' in page


# clips


def test_a_clip_plays_for_its_listener_and_nobody_else(client, serving, people):
    key = play_key(serving, "Ann")
    assert client.get(f"/clip/{key}").status_code == 404
    enter(client, people["Bo"])
    assert client.get(f"/clip/{key}").status_code == 404
    enter(client, people["Ann"])
    answer = client.get(f"/clip/{key}")
    assert answer.status_code == 200
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert sound.getnframes() == round(1.2 * 16_000)


def test_ranges_are_served_as_players_ask_for_them(client, serving, people):
    key = play_key(serving, "Ann")
    enter(client, people["Ann"])
    whole = client.get(f"/clip/{key}").content
    part = client.get(f"/clip/{key}", headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert client.get(f"/clip/{key}", headers={"range": "bytes=-10"}).content == whole[-10:]
    assert client.get(f"/clip/{key}", headers={"range": "bytes=999999999-"}).status_code == 416


def test_nothing_about_an_answer_tells_clips_apart(client, serving, people):
    """The headers of all clips are the same, but for the validator: the play key that was asked for."""
    enter(client, people["Ann"])
    mine = sa.select(schema.trial.c.play_key).where(
        schema.trial.c.listener_id == serving.store.find(people["Ann"]).id
    )
    with database.reading(serving.store.engine) as connection:
        keys = connection.execute(mine).scalars().all()
    answers = {key: dict(client.get(f"/clip/{key}").headers) for key in keys}
    assert len(answers) == 5
    for key, headers in answers.items():
        assert headers.pop("etag") == f'"{key}"'
    first, *others = answers.values()
    assert all(headers == first for headers in others)


@pytest.mark.parametrize(
    "address",
    [
        "/clip/../private/key.csv",
        "/clip/%2e%2e/%2e%2e/private/key.csv",
        "/clip/..%2f..%2fprivate%2fkey.csv",
        "/clip/%00",
        "/clip/",
        "/private/key.csv",
        "/sets/UMG/",
        "/study.toml",
        "/responses.sqlite",
        "/media/x",
        "/component/x/index.html",
        "/_stcore/metrics",
        "/_stcore/upload_file/a/b",
        "/_stcore/agent/interact",
        "/~/+/private/key.csv",
        "//etc/passwd",
    ],
)
def test_no_other_address_leads_anywhere(client, people, address):
    enter(client, people["Ann"])
    answer = client.get(address)
    assert answer.status_code == 404
    assert answer.content in (b"", b"Not Found")


def test_every_answer_is_guarded(client, serving, people):
    enter(client, people["Ann"])
    for address in ("/", "/nowhere", f"/clip/{play_key(serving, 'Ann')}", "/tone.wav"):
        headers = client.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'self'" in headers["content-security-policy"]
    assert client.get("/").headers["cache-control"] == "no-store"
    assert client.get(f"/?p={people['Ann']}").headers["cache-control"] == "no-store"


# the player's reports


def test_reports_are_recorded_for_ones_own_clip_only(client, serving, people):
    key = play_key(serving, "Ann")
    report = json.dumps({"why": "ended", "heard": 1.2, "position": 1.2})
    assert client.post(f"/heard/{key}", content=report).status_code == 404
    enter(client, people["Bo"])
    assert client.post(f"/heard/{key}", content=report).status_code == 404
    enter(client, people["Ann"])
    assert client.post(f"/heard/{key}", content=report).status_code == 204
    with database.reading(serving.store.engine) as connection:
        (row,) = connection.execute(schema.play_event.select()).mappings()
    assert (row["kind"], row["seconds_heard"], row["slot"]) == ("ended", 1.2, 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[]", 400),
        (b'{"why": "hack"}', 400),
        (b'{"why": ["ended"]}', 400),
        (b"[" * 5000, 400),
        (b'"' + b"x" * 100_000 + b'"', 413),
    ],
)
def test_odd_reports_are_refused(client, serving, people, body, status):
    key = play_key(serving, "Ann")
    enter(client, people["Ann"])
    assert client.post(f"/heard/{key}", content=body).status_code == status
    with database.reading(serving.store.engine) as connection:
        assert connection.execute(schema.play_event.select()).first() is None
    assert client.get("/tone.wav").status_code == 200


def test_a_replay_that_next_cuts_off_counts_and_a_final_answer_stays(client, serving, people):
    store, key = serving.store, play_key(serving, "Ann")
    person = store.find(people["Ann"])
    enter(client, people["Ann"])
    store.show(person.id, 0)
    store.claim(person.id, "T")

    def measures():
        with database.reading(store.engine) as connection:
            (row,) = connection.execute(schema.answer.select()).mappings()
        return row["plays"], row["seconds_heard"], row["seconds_played"], row["first_play_at"]

    client.post(f"/heard/{key}", content=json.dumps({"why": "play", "plays": 1}))
    began = measures()[3]
    assert began, "the first play counts from its beginning, not from the clip's end"
    whole = Listening(plays=1, seconds_heard=1.2, seconds_played=1.2, spans=((0.0, 1.2),), unlocked=True)
    store.save(person.id, 0, tab="T", listening=whole)
    again = {"plays": 2, "heard": 1.2, "played": 1.2, "spans": [[0.0, 1.2]]}
    client.post(f"/heard/{key}", content=json.dumps({"why": "play"} | again))
    client.post(f"/heard/{key}", content=json.dumps({"why": "leave"} | again | {"played": 1.9}))
    client.post(f"/heard/{key}", content=json.dumps({"why": "leave"}))  # late: takes nothing away
    assert measures() == (2, 1.2, 1.9, began)
    given = {"verdict": "real", "musicality": 3, "inspiring": "no"}
    assert store.save(person.id, 0, tab="T", changes=given, press="1").final
    client.post(f"/heard/{key}", content=json.dumps({"why": "play"} | again | {"plays": 3}))
    assert measures() == (2, 1.2, 1.9, began)


def test_a_report_opens_no_gate(client, serving, people):
    key = play_key(serving, "Ann")
    enter(client, people["Ann"])
    client.post(f"/heard/{key}", content=json.dumps({"why": "unlocked", "heard": 1.2, "unlocked": True}))
    person = serving.store.find(people["Ann"])
    assert not serving.store.show(person.id, 0).listening.unlocked


# the socket


def test_the_socket_is_for_invited_people_and_names_no_file(client, serving, people):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(socket_here()):
        pass
    cookie = {"cookie": f"{serving.listener_cookie}={people['Ann']}"}
    with client.websocket_connect(socket_here(), headers=cookie) as socket:
        frame = socket.receive_bytes()
    assert b"ida" not in frame
    assert len(frame) == len(SCRIPT) + 4, "as long as before, so that the message stays valid"
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(socket_here("/elsewhere"), headers=cookie),
    ):
        pass


# the tone


def test_the_tone_is_served_in_ranges(client, people):
    whole = client.get("/tone.wav")
    assert whole.headers["accept-ranges"] == "bytes"
    first = client.get("/tone.wav", headers={"range": "bytes=0-1"})
    assert (first.status_code, first.content) == (206, whole.content[:2])
    assert first.headers["content-range"] == f"bytes 0-1/{len(whole.content)}"
    again = {"range": "bytes=100-", "if-range": whole.headers["etag"]}
    assert client.get("/tone.wav", headers=again).content == whole.content[100:]
    assert client.get("/tone.wav", headers={"range": "bytes=999999999-"}).status_code == 416


def test_whatever_plays_sound_answers_to_head_as_well(client, serving, people):
    enter(client, people["Ann"])
    for address in ("/tone.wav", f"/clip/{play_key(serving, 'Ann')}"):
        whole, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        assert client.head(address, headers={"range": "bytes=0-1"}).status_code == 206


def test_the_tone_comes_back_where_temporary_files_are_tidied_up(client, serving):
    whole = client.get("/tone.wav").content
    shutil.rmtree(routes._tone(serving.design.stimuli.loudness).parent)
    assert client.get("/tone.wav").content == whole


def test_the_tone_comes_from_the_left_the_right_and_both_sides(client, people):
    with wave.open(io.BytesIO(client.get("/tone.wav").content)) as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, TONE_RATE)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2) / 32768
    assert len(samples) == 4 * TONE_RATE, "whole seconds: the page tells them, the clock counts them"
    thirds = np.abs(np.array_split(samples, 3)).max(axis=1)
    assert (thirds > 0.01).tolist() == [[True, False], [False, True], [True, True]]


@pytest.mark.parametrize("loudness", [-30.0, -23.0])
def test_the_tone_is_as_loud_as_the_clips(loudness):
    import pyloudnorm

    with wave.open(io.BytesIO(tone(loudness))) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, 2) / 32768
    both = samples[-round(1.2 * TONE_RATE) : -round(0.3 * TONE_RATE)]
    assert pyloudnorm.Meter(TONE_RATE).integrated_loudness(both) == pytest.approx(loudness, abs=1.0)
