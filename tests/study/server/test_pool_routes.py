"""The pool's sounds and comparisons, `study curate`, and that nothing of it reaches a listener."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pool_study import IDA, ORIGINAL, REMARK, UMG_FAKE, VAR_FAKE, browser, clips_of, make_pool, opened, said
from scripted_listener import WHOLE, brought, logged
from streamlit.testing.v1 import AppTest
from tiny_study import EPOCHS

from study.build import curation
from study.folder import FolderError
from study.pages import listener, researcher
from study.server import researcher_files, server
from study.server.served import CURATING, served
from study.store.protocol import Page


@pytest.fixture
def study(tmp_path, serve, monkeypatch):
    """The tiny study with its pool, served; Ida is logged in."""
    monkeypatch.setattr(researcher, "session", lambda: IDA)
    monkeypatch.setattr(researcher_files, "_seen", set())
    return serve(make_pool(tmp_path / "study"))


# the routes


@pytest.fixture
def client(study):
    """Ida's browser, logged in."""
    return browser(study, IDA.who)


def test_the_researcher_hears_clips_in_ranges_too(client, study):
    whole = client.get(researcher_files.sound_of(UMG_FAKE))
    assert whole.content == (study.folder.pool / f"{UMG_FAKE}.wav").read_bytes()
    assert whole.headers["content-type"] == "audio/wav"
    part = client.get(researcher_files.sound_of(UMG_FAKE), headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    head = client.head(researcher_files.sound_of(UMG_FAKE), headers={"range": "bytes=0-1"})
    assert (head.status_code, head.headers["content-length"]) == (206, "2")
    assert [what for _, what, _ in logged(study)] == ["pool opened"], "a sound alone is a look, too"


@pytest.mark.parametrize("name", ["nope", "../private/key", "..%2fprivate%2fkey", "%2e%2e/swamp", ""])
def test_nothing_but_clips_of_the_pool_is_sent(client, name):
    assert client.get(f"/researcher/pool/sound/{name}.wav").status_code == 404


def test_a_listener_and_a_stranger_get_neither_sound_nor_comparison(study):
    here = browser(study)
    for cookies in ({}, {study.listener_cookie: study.store.invite("Ann")}):
        here.cookies.update(cookies)
        for address in (researcher_files.sound_of(UMG_FAKE), researcher_files.comparison_of(UMG_FAKE)):
            answer = here.get(address)
            assert answer.status_code == 403
            assert "swampgroove" not in answer.text
    assert not logged(study)


def test_a_comparison_is_drawn_once_and_runs_apart_from_the_session(client, study, monkeypatch):
    drawn = []

    def draw(_study, clip, page):
        drawn.append(clip)
        page.parent.mkdir(exist_ok=True)
        page.write_text("<p>side by side</p>")
        return ""

    monkeypatch.setattr(researcher_files, "_draw", draw)
    for _ in range(2):
        answer = client.get(researcher_files.comparison_of(UMG_FAKE))
        assert answer.text == "<p>side by side</p>"
    assert drawn == [UMG_FAKE]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-scripts" in policy
    assert "allow-same-origin" not in policy
    assert client.get(researcher_files.comparison_of(ORIGINAL)).status_code == 404


def test_a_comparison_that_fails_says_why_without_a_path(client, study):
    (study.folder.path / "swamp.wav").unlink()
    answer = client.get(researcher_files.comparison_of(UMG_FAKE))
    assert answer.status_code == 500
    assert "could not be compared: study/swamp.wav: no such file" in answer.text
    assert str(study.folder.path) not in answer.text


@pytest.mark.slow
def test_a_real_comparison_holds_both_sounds(client, study):
    answer = client.get(researcher_files.comparison_of(UMG_FAKE))
    assert answer.status_code == 200, answer.text
    assert UMG_FAKE in answer.text
    assert "swampgroove" in answer.text
    assert answer.text.count("<audio") >= 2


def test_the_server_draws_nothing_itself():
    heavy = "{'torch', 'librosa', 'statsmodels', 'scipy', 'pandas', 'altair', 'analysis.responses'}"
    code = "import sys, study.server.server, study.pages.researcher_pool\n"
    code += f"sys.exit(','.join({heavy} & set(sys.modules)) or None)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


# what listeners can reach


def test_nothing_a_listener_can_reach_tells_of_the_pool(study, monkeypatch):
    """All pages and answers of one listener's whole way, from the link to the thanks."""
    for clip in (UMG_FAKE, VAR_FAKE, ORIGINAL):
        said_of = {curation.RATED: "7", curation.REMARKED: REMARK}
        curation.change(study.folder, study.design, clip, "Ida Rater", said_of, answered=False)
    token = study.store.invite("Ann")
    monkeypatch.setattr(listener, "token", lambda: token)
    monkeypatch.setattr(researcher, "session", lambda: None)
    here, heard, titles = browser(study), [], []

    def take(address: str) -> None:
        answer = here.get(address)
        heard.append(f"{answer.status_code} {answer.headers}".encode() + answer.content)

    def look() -> None:
        page = AppTest.from_file(str(server.PAGES), default_timeout=120).run()
        assert not page.exception
        heard.append(page._tree.__repr__().encode())
        heard.append("".join(one.proto.body for one in page.get("html")).encode())
        titles.append(page.title[0].value)

    take(f"/?p={token}")
    assert here.cookies, "the listener is in"
    person = study.store.find(token)
    brought(study, "Ann")
    for press in range(20):
        look()
        person = study.store.find(token)
        if person.step.page is Page.PAUSE:
            study.store.begin_part(person.id, person.step.part)
        elif person.step.slot is None:
            break
        else:
            draft = study.store.show(person.id, person.step.slot)
            take(f"/clip/{draft.play_key}")
            study.store.claim(person.id, "T")  # from the page that has just been looked at
            answer = {"verdict": "real", "musicality": 3, "inspiring": "no"}
            study.store.save(
                person.id, person.step.slot, tab="T", changes=answer, listening=WHOLE, press=f"{press}"
            )
    study.store.claim(person.id, "T")
    assert study.store.save_final(person.id, tab="T", questions=["a"], texts={1: "b"}, finish=True)
    look()
    here.cookies.set(study.listener_cookie, token)
    addresses = [
        "/",
        "/researcher",
        "/researcher-pool",
        "/researcher/pool",
        "/private/picks.csv",
        "/kept.zip",
    ]
    addresses += [
        researcher_files.sound_of(UMG_FAKE),
        researcher_files.comparison_of(UMG_FAKE),
        "/pool/pool.csv",
    ]
    for address in addresses:
        take(address)
    everything = b"\n".join(heard)
    assert len(set(titles)) > 5, titles
    secrets = ("accordion", "Ida Rater", "swampgroove", "S7_UMG", "S7_VAR", "jukebox", str(EPOCHS), "7 of 10")
    assert not [secret for secret in (*secrets, "picks") if secret.encode() in everything]


# before the sets: study curate


@pytest.fixture
def curating(study, monkeypatch):
    """The same folder, served for its researcher alone, as before anything was built."""
    study.store.close()
    study.folder.database.unlink()
    monkeypatch.setenv(CURATING, "yes")
    served.cache_clear()
    yield served()
    served().store.close()
    served.cache_clear()


def test_the_pool_is_curated_before_a_set_is_built(curating):
    assert curating.store.build() is None
    page = opened()
    assert clips_of(page)[0] == UMG_FAKE
    assert 'aria-current="page" target="_self">Pool</a>' in said(page)
    assert ">Listeners</a>" not in said(page)
    page.selectbox(key=f"pick-{UMG_FAKE}").select("UMG").run()
    assert curation.read(curating.folder)[UMG_FAKE].pick == "UMG"


def test_no_listener_gets_into_the_curation(study, monkeypatch):
    token = study.store.invite("Ann")
    monkeypatch.setenv(CURATING, "yes")
    served.cache_clear()
    here = browser(served())
    here.cookies.set(served().listener_cookie, token)
    for address in ("/", f"/?p={token}", "/clip/x", "/kept.zip"):
        assert here.get(address).status_code == 404
    told = here.get("/researcher")
    assert told.status_code == 403
    key = here.get(f"/researcher?key={served().researcher_key}")
    assert key.status_code == 303
    assert here.get("/researcher").status_code == 200
    assert here.get(researcher_files.sound_of(UMG_FAKE)).status_code == 200
    lines = server.addresses(served(), "http://127.0.0.1:8501")
    assert "to no listener and no other machine" in lines
    assert "?p=" not in lines
    served().store.close()


def test_an_empty_pool_is_not_curated(study, monkeypatch):
    study.folder.pool_table.unlink()
    monkeypatch.setenv(CURATING, "yes")
    served.cache_clear()
    with pytest.raises(FolderError, match="the pool is empty; run `study build .* --pool-only` first"):
        served()


def test_serving_after_curating_in_one_process_is_serving_again(study, monkeypatch):
    monkeypatch.setenv(CURATING, "yes")
    asked = []
    monkeypatch.setattr(server, "_serve", lambda *given: asked.append((given, os.environ.get(CURATING))))
    server.serve(study.folder.path)
    server.curate(study.folder.path, port=9000)
    assert [mark for _, mark in asked] == [None, "yes"]
    assert asked[1][0] == ("127.0.0.1", 9000)


def test_a_curation_that_cannot_begin_leaves_no_mark_on_what_is_served_next(study, monkeypatch):
    monkeypatch.delenv(CURATING, raising=False)
    study.folder.pool_table.rename(study.folder.path / "away.csv")
    with pytest.raises(FolderError, match="the pool is empty"):
        server.curate(study.folder.path)
    assert CURATING not in os.environ
    served.cache_clear()
    assert not served().curating
