"""Songs on the page of a clip: which could use it, what to take, at which moment; and hearing it in them."""

from __future__ import annotations

import csv

import pytest
import sqlalchemy as sa
from gated import enter, gated_client
from test_question_pages import Ann
from tiny_study import make_tiny_study, write_clip

from analysis import responses
from analysis.results import songs as songs_of_report
from analysis.results import stimuli
from analysis.results.result import ORIGINALS, find
from analysis.results.stimuli import Panel
from study import design, reporting
from study.design import DesignError
from study.folder import FolderError
from study.store import in_place
from study.store.protocol import Page
from study.store.schema import play_event

SONGS = """
[[song]]
name = "dune"
title = "Dune *at* night"
file = "dune.wav"
lacks = "bridge"
before = [0, 8]
after = [12, 20]

[[song]]
name = "moss"
file = "moss.wav"
lacks = "ending"
before = [0, 8]
"""
ASKED = f"[questions]\nsongs = true\n{SONGS}"
BOTH = f"passes = 2\nin_place = true\n{ASKED}"


@pytest.fixture
def songs(tmp_path, serve, monkeypatch):
    """songs(listening): a listener of a tiny study with two songs, and the music around their gaps."""

    def enter(listening: str, language: str = "en") -> Ann:
        study = make_tiny_study(tmp_path / "study", listening=listening, language=language)
        for place, pitch in (("dune-before", 300), ("dune-after", 330), ("moss-before", 350)):
            write_clip(study.places / f"{place}.wav", 2.0, pitch)
        return Ann(serve(study), monkeypatch)

    return enter


def say(ann: Ann, name: str, *options: str) -> None:
    """Chooses these options of a question on songs."""
    step = ann.step
    key = f"own-{step.slot}-{ann.draft.play_key[:8]}-{name}"
    ann.page.button_group(key=key).set_value(list(options)).run()
    assert not ann.page.exception


def practised(ann: Ann) -> Ann:
    while ann.step.page is Page.PRACTICE:
        ann.hear()
        given = {"verdict": "real", "musicality": 4, "inspiring": "no"}
        ann.choose(**{name: value for name, value in given.items() if name in ann.asked()})
        say(ann, "use_in", "none of them")
        ann.next()
    ann.press("begin-1")
    return ann


def rating(ann: Ann) -> Ann:
    """To the first clip of the second pass."""
    practised(ann)
    while ann.step.phase == "verdict" or ann.step.page is Page.PAUSE:
        if ann.step.page is Page.PAUSE:
            ann.press(f"begin-{ann.step.part}")
            continue
        ann.hear()
        ann.choose(verdict="real")
        ann.next()
    return ann


def browser(token: str):
    """One in which a personal link was opened."""
    client = gated_client()
    enter(client, token)
    return client


def test_songs_are_asked_and_their_answers_are_kept_by_name(songs):
    ann = practised(songs(ASKED))
    ann.hear()
    ann.choose(verdict="real", musicality=7, inspiring="yes")
    ann.next()
    assert "Which of these songs could use this clip?" in ann.said(), "it is owed"
    say(ann, "use_in", "dune", "moss")
    say(ann, "use_as", "bridge")
    say(ann, "take", "sound", "groove")
    key = f"own-{ann.step.slot}-{ann.draft.play_key[:8]}-moment"
    ann.page.session_state[key] = {"moment": {"at": 0.75}}
    ann.page.run()
    kept = {"use_in": ["dune", "moss"], "use_as": ["bridge"], "take": ["groove", "sound"], "moment": 0.8}
    assert ann.draft.further == kept
    ann.next("2")
    assert ann.step.clip == 2
    row = ann.store.answers()[0]
    assert [row[name] for name in kept] == ["dune; moss", "bridge", "groove; sound", 0.8]
    with ann.store._folder.key.open(newline="") as file:
        key = [clip | {"song": "moss" if clip["truth"] == "fake" else ""} for clip in csv.DictReader(file)]
    frame = responses.load(reporting.joined(ann.store.answers(), key))
    assert frame[list(kept)].iloc[0].to_list() == ["dune; moss", "bridge", "groove; sound", 0.8]
    found = songs_of_report.records(stimuli.distinct(frame), Panel(1))
    kind = songs_of_report.FOR_IT if frame["truth"][0] == "fake" else ORIGINALS
    assert find(found, songs_of_report.FAMILY, songs_of_report.CHOSEN, f"moss: {kind}").count == 1


def test_none_of_them_stands_alone_and_asks_nothing_more_of_use(songs):
    ann = practised(songs(ASKED))
    ann.hear()
    say(ann, "use_in", "dune")
    say(ann, "use_as", "verse")
    say(ann, "use_in", "dune", "none of them")
    assert ann.draft.further == {"use_in": ["none of them"]}
    say(ann, "use_in", "none of them", "moss")
    assert ann.draft.further == {"use_in": ["moss"]}


def test_a_moment_outside_of_the_clip_is_none(songs):
    ann = practised(songs(ASKED))
    ann.hear()
    key = f"own-{ann.step.slot}-{ann.draft.play_key[:8]}-moment"
    for odd in (-1, 99, "soon", True, float("nan")):
        ann.page.session_state[key] = {"moment": {"at": odd}}
        ann.page.run()
        assert "moment" not in ann.draft.further
        assert not ann.page.exception


def test_the_questions_are_worded_by_the_study_or_its_language(songs):
    ann = songs(ASKED.replace("songs = true", 'songs = true\ntake = "Was <b>stehlen</b>?"'), "de")
    asked = {one.name: one for one in design.load(ann.store._folder.path).clip_questions}
    assert asked["use_in"].text == "Welcher dieser Songs könnte diesen Clip gebrauchen?"
    assert asked["take"].text == "Was <b>stehlen</b>?"
    assert [asked["use_as"].shown(role) for role in ("verse", "chorus")] == ["Strophe", "Refrain"]
    assert asked["use_in"].shown("dune") == "Dune *at* night"


def test_in_place_a_player_opens_for_the_song_that_is_chosen(songs):
    ann = practised(songs(BOTH))
    assert not _offered(ann), "not while a verdict is open"
    rating(ann)
    assert _offered(ann).disabled
    ann.hear()
    offered = _offered(ann)
    assert offered.label == "Hear it in a song"
    key = f"place-player-{ann.step.slot}-1"
    assert key not in ann.page.session_state
    offered.set_value(1).run()
    assert not ann.page.exception
    assert key in ann.page.session_state


def _offered(ann: Ann):
    return next((one for one in ann.page.button_group if one.key == f"place-{ann.step.slot}"), None)


def test_a_clip_is_served_in_place_to_its_own_listener_in_the_second_pass_alone(songs):
    ann = songs(BOTH)
    bo, mine = browser(ann.store.invite("Bo")), browser(ann.token)
    practice = ann.draft.play_key
    assert mine.get(f"/place/{practice}/1").status_code == 404
    practised(ann)
    verdict = ann.draft.play_key
    assert mine.get(f"/place/{verdict}/1").status_code == 404
    with ann.store.engine.connect() as connection:
        keys = connection.execute(
            sa.text("SELECT play_key FROM trial WHERE phase = 'rating' AND listener_id = 1 ORDER BY slot")
        ).scalars()
        later = list(keys)
    assert mine.get(f"/place/{later[0]}/1").status_code == 404, "a verdict is open"
    rating(ann)
    answer = mine.get(f"/place/{later[0]}/1")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/wav"
    assert answer.headers["etag"] == f'"{later[0]}-1"'
    assert "dune" not in str(answer.headers)
    assert len(answer.content) > 2 * 16_000 * 4
    alone = mine.get(f"/place/{later[0]}/2")
    assert len(alone.content) < len(answer.content)
    assert mine.get(f"/place/{later[0]}/1", headers={"range": "bytes=0-99"}).status_code == 206
    for number in ("0", "3", "-1", "x", "1/2"):
        assert mine.get(f"/place/{later[0]}/{number}").status_code == 404
    assert bo.get(f"/place/{later[0]}/1").status_code == 404
    assert mine.get(f"/place/{verdict}/1").status_code == 404, "of the first pass"


def test_hearing_in_place_is_logged_and_counts_nothing(songs):
    ann = rating(songs(BOTH))
    mine, draft = browser(ann.token), ann.draft
    report = {"why": "ended", "plays": 3, "heard": 9.0, "played": 9.0, "position": 2.5, "unlocked": True}
    assert mine.post(f"/place/{draft.play_key}/2", json=report).status_code == 204
    assert mine.post(f"/place/{draft.play_key}/2", json={"why": "spying"}).status_code == 400
    with ann.store.engine.connect() as connection:
        kinds = connection.execute(sa.select(play_event.c.kind, play_event.c.seconds_heard)).all()
    assert (f"{in_place.KIND} 2", 9.0) in [tuple(row) for row in kinds]
    assert ann.draft.listening == draft.listening
    assert not ann.draft.listening.unlocked


def test_a_study_without_the_music_around_its_gaps_is_not_served(tmp_path, serve):
    study = make_tiny_study(tmp_path / "study", listening=BOTH)
    with pytest.raises(FolderError, match="holds no music beside a song's gap"):
        serve(study)


def test_without_the_setting_there_is_no_place(songs):
    ann = rating(songs(f"passes = 2\n{ASKED}"))
    assert not _offered(ann)
    assert browser(ann.token).get(f"/place/{ann.draft.play_key}/1").status_code == 404


@pytest.mark.parametrize(
    ("listening", "key", "reason"),
    [
        ("[questions]\nsongs = true", "questions.songs", "there is no [[song]] to ask about"),
        ("passes = 2\nin_place = true", "listening.in_place", "there is no [[song]] to hear clips in"),
        (f"in_place = true\n{SONGS}", "listening.in_place", "every verdict must come before"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_a_line(tmp_path, listening, key, reason):
    (tmp_path / "study.toml").write_text(f'[study]\ntitle = "x"\nseed = 1\n[listening]\n{listening}\n')
    with pytest.raises(DesignError) as error:
        design.load(tmp_path)
    assert key in str(error.value)
    assert reason in str(error.value)
