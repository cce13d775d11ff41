"""Which seconds count as heard and as played: the browser's own count, over stalls and reloads."""

from __future__ import annotations

import base64
import io
import wave
from pathlib import Path

import numpy as np
import pytest
from driving import browser

from study import browser as browser_files

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
FILES = Path(browser_files.__file__).parent
SECONDS = 3.0
LATE = 0.6  # s by which a busy machine may be late with a pause

# The player of a page without Streamlit, and what a test does with it.
START = """([clip, resume]) => {
  const words = new Proxy({}, {get: (_, name) => String(name)});
  const data = {src: clip, clip: 'clip', level: 0.1, resume, words, shortcuts: null, keys: []};
  document.querySelector('main').innerHTML = globalThis.markup;
  globalThis.player?.dispose();
  globalThis.player = new Player(document.querySelector('main'), data, () => {});
  return new Promise((done) => { player.audio.oncanplaythrough = () => done(); });
}"""
UNTIL = """at => new Promise((done) => {
  const look = () => (player.audio.currentTime >= at || player.audio.ended ? done() : setTimeout(look, 10));
  look();
})"""
PAUSE = """() => new Promise((done) => {
  player.audio.addEventListener('pause', () => setTimeout(done, 50), {once: true});
  player.toggle();
})"""
STALL = "seconds => { for (const ends = performance.now() + 1000 * seconds; performance.now() < ends;); }"


class Playing:
    """A player with a clip of three seconds in a browser."""

    def __init__(self, page) -> None:
        self.page = page
        scripts = "\n".join(
            (FILES / f"player{part}.js").read_text() for part in ("_wave", "_loop", "_keys", "")
        ).replace("export default function", "const mount = function")
        page.set_content("<main></main>")
        page.evaluate("markup => { globalThis.markup = markup; }", (FILES / "player.html").read_text())
        page.add_script_tag(content=scripts)
        sound = io.BytesIO()
        with wave.open(sound, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(np.zeros(round(8000 * SECONDS), "<i2").tobytes())
        self.clip = f"data:audio/wav;base64,{base64.b64encode(sound.getvalue()).decode()}"
        self.load()

    def load(self, resume: dict | None = None) -> None:
        """The page loads the clip, anew where it had it before."""
        self.page.evaluate(START, [self.clip, resume])

    def until(self, seconds: float) -> None:
        self.page.evaluate(UNTIL, seconds)

    def do(self, code: str) -> None:
        self.page.evaluate(f"() => {{ {code}; }}")

    def pause(self) -> None:
        """Pauses it, and waits until the browser has told the player so."""
        self.page.evaluate(PAUSE)

    @property
    def status(self) -> dict:
        return self.page.evaluate("() => player.snapshot('asked')")


@pytest.fixture(scope="module")
def window(chromium):
    with browser(chromium, "--autoplay-policy=no-user-gesture-required") as context:
        yield context.pages[0]


@pytest.fixture
def playing(window) -> Playing:
    return Playing(window)


def test_a_page_that_stands_still_counts_what_sounds_meanwhile(playing):
    playing.do("player.toggle()")
    playing.until(0.3)
    playing.page.evaluate(STALL, 1.0)
    status = playing.status
    ((start, end),) = status["spans"]
    assert start == 0
    assert 1.2 < end < SECONDS
    assert status["played"] == pytest.approx(status["heard"], abs=0.2)


def test_what_is_jumped_over_does_not_count(playing):
    playing.do("player.toggle()")
    playing.until(0.4)
    playing.do("player.jump(2)")
    playing.until(SECONDS)
    (first, last) = playing.status["spans"]
    assert first == [0, pytest.approx(0.4, abs=LATE)]
    assert last == [pytest.approx(first[1] + 2, abs=0.1), pytest.approx(SECONDS, abs=0.1)]
    assert not playing.status["unlocked"]
    assert playing.status["played"] == pytest.approx(playing.status["heard"], abs=0.2)


def test_a_pause_parts_nothing_and_a_jump_in_a_pause_counts_for_nothing(playing):
    playing.do("player.toggle()")
    playing.until(0.3)
    playing.pause()
    playing.page.wait_for_timeout(300)
    playing.do("player.toggle()")
    playing.until(0.6)
    playing.pause()
    assert len(playing.status["spans"]) == 1
    playing.do("player.jump(1.5)")
    playing.do("player.toggle()")
    playing.until(SECONDS)
    assert len(playing.status["spans"]) == 2
    assert playing.status["plays"] == 1
    assert not playing.status["unlocked"]


def test_a_replay_counts_as_played_and_not_as_heard(playing):
    playing.do("player.toggle()")
    playing.until(1.0)
    playing.do("player.again.click()")
    playing.until(0.5)
    playing.pause()
    status = playing.status
    assert status["plays"] == 2
    assert status["heard"] == pytest.approx(1.0, abs=LATE)
    assert status["played"] >= status["heard"] + 0.4


def test_media_keys_jump_past_the_player_and_open_nothing(playing):
    playing.do("player.toggle()")
    playing.until(0.3)
    playing.do("player.audio.currentTime = 2.5")
    playing.until(SECONDS)
    status = playing.status
    assert not status["unlocked"]
    assert status["played"] == pytest.approx(status["heard"], abs=0.2)


def test_a_reload_goes_on_from_what_was_heard_before(playing):
    playing.do("player.toggle()")
    playing.until(1.5)
    playing.pause()
    before = playing.status
    resume = {name: before[name] for name in ("plays", "played", "spans", "unlocked")}
    playing.load(resume)
    assert playing.status | {"position": 0, "why": ""} == before | {"position": 0, "why": ""}
    playing.do("player.jump(1.2)")
    playing.do("player.toggle()")
    playing.until(SECONDS)
    status = playing.status
    assert status["unlocked"], "the two visits together heard all of it"
    assert status["spans"] == [[0, pytest.approx(SECONDS, abs=0.1)]]
    assert status["played"] > SECONDS
    assert status["plays"] == 1


def test_a_clip_that_must_be_loaded_again_keeps_what_was_heard(playing):
    playing.do("player.toggle()")
    playing.until(0.5)
    playing.do("player.retry()")
    playing.page.wait_for_timeout(1500)
    playing.until(SECONDS)
    playing.page.wait_for_timeout(100)
    assert playing.status["spans"] == [[0, pytest.approx(SECONDS, abs=0.1)]]
    assert playing.status["unlocked"]
