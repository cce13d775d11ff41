"""The player in a browser: what its picture tells and when, loops, seeking, volume, pinned comments."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Server, Visit, browser
from tiny_study import make_tiny_study

from study import room
from study.room.links import personal_link
from study.room.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
WAVE = Path(room.__file__).with_name("player_wave.js")

# Heights of the picture's columns that are drawn in the colour of what was heard, from left to right, of ten.
SHAPE = """() => {
  const canvas = [...document.querySelectorAll('*')].map(one => one.shadowRoot?.querySelector('canvas.wave'))
    .find(Boolean);
  const pen = canvas.getContext('2d');
  const heights = [];
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const from = Math.floor(canvas.width * tenth / 10);
    const {data, width, height} = pen.getImageData(from, 0, Math.floor(canvas.width / 10), canvas.height);
    let rows = 0;
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        if (data[4 * (y * width + x) + 3] > 20) { rows += 1; break; }
      }
    }
    heights.push(rows / height);
  }
  return heights;
}"""


@pytest.fixture
def visit(tmp_path, chromium, port):
    study = make_tiny_study(tmp_path / "study", seconds=4.0)
    store = Store.for_folder(study)
    token = store.invite("Ann")
    person = store.find(token)
    store.consent(person.id, "v")
    store.sound_check(person.id, "headphones")
    size = {"width": 1280, "height": 900}
    with Server(study.path, port) as server, browser(chromium, viewport=size) as context:
        visit = Visit(context.pages[0])
        visit.store, visit.person, visit.asked = store, person, []
        visit.page.on("request", lambda request: visit.asked.append(request.url))
        yield visit.open(personal_link(server.base, token))


def test_the_picture_tells_loud_stretches_apart(chromium):
    level = 0.05
    stretches = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0]  # in fractions of the clips' loudness; 4 is 12 dB above
    samples = [level * loud for loud in stretches for _ in range(200)]
    sound = "{numberOfChannels: 1, length: given.samples.length, getChannelData: () => given.samples}"
    call = f"given => {{ {WAVE.read_text()}; return levelsOf({sound}, given.level); }}"
    with browser(chromium) as context:
        heights = context.pages[0].evaluate(call, {"samples": samples, "level": level})
    picked = heights[10::20]  # the middle of each stretch
    steps = [later - earlier for earlier, later in zip(picked, picked[1:], strict=False)]
    assert min(steps) > 0.1
    assert picked[3] == pytest.approx(0.55, abs=0.01)
    assert max(heights) < 1


def _position(visit: Visit) -> float:
    return float(visit.page.get_by_label("Position in the clip").input_value()) * 4.0 / 1000


def test_the_picture_shows_what_was_heard_and_nothing_before(visit):
    visit.page.locator("canvas.wave").wait_for()
    flat = visit.page.evaluate(SHAPE)
    assert max(flat) < 0.12, "one flat line before the first play"
    assert visit.comes(lambda: any("/clip/" in url for url in visit.asked))
    fetched = {url for url in visit.asked if "/clip/" in url}
    assert len(fetched) == 1, "the next clip is not asked for yet"
    visit.play()
    assert visit.comes(lambda: _position(visit) > 1.2)
    visit.keys("k")
    half = visit.page.evaluate(SHAPE)
    at = _position(visit)
    assert 1.2 < at < 3.9
    heard = [height for tenth, height in enumerate(half) if (tenth + 1) * 0.4 < at - 0.1]
    unheard = [height for tenth, height in enumerate(half) if tenth * 0.4 > at + 0.1]
    assert min(heard) > 0.15
    assert max(unheard) < 0.12
    visit.keys("k").until_heard()
    assert min(visit.page.evaluate(SHAPE)[1:9]) > 0.15
    visit.page.reload()
    visit.settle()
    visit.page.locator("canvas.wave").wait_for()
    stays = lambda: min(visit.page.evaluate(SHAPE)[1:9]) > 0.15  # noqa: E731
    assert visit.comes(stays), "what was heard stays visible"


def test_a_loop_repeats_its_passage_and_opens_nothing(visit):
    visit.keys("ArrowRight", "l").keys("ArrowLeft")
    visit.page.keyboard.press("ArrowRight")
    visit.page.get_by_text("Loop from 0:02").wait_for()
    visit.keys("ArrowLeft", "l")
    visit.page.get_by_text("Loop 0:00\u20130:02").wait_for()
    visit.play()
    places = []

    def comes_round() -> bool:
        """Twice, so that more was played than the clip is long."""
        places.append(_position(visit))
        return sum(later < before for before, later in zip(places, places[1:], strict=False)) >= 2

    assert visit.comes(comes_round)
    assert max(places) < 2.4, "it never leaves the passage"
    assert not visit.is_open(), "half a clip, however often, is not the clip"
    visit.page.get_by_role("button", name="End the loop").click()
    visit.until_heard()
    visit.settle()
    shown = visit.store.show(visit.person.id, 0).listening
    assert shown.seconds_heard == pytest.approx(4.0, abs=0.3)
    assert shown.seconds_played > 4.5, "what was played again counts as played, not as heard"


def test_a_comment_is_pinned_where_the_cursor_is(visit):
    visit.play().until_heard()
    visit.keys("ArrowLeft")
    box = visit.page.get_by_label("Anything you want")
    box.fill("before after")
    box.evaluate("one => one.setSelectionRange(7, 7)")
    visit.page.get_by_role("button", name="Pin 0:02").click()
    visit.page.keyboard.type("here ")
    kept = "before [0:02] here after"
    assert visit.comes(lambda: visit.store.show(visit.person.id, 0).fields["comment"] == kept)
