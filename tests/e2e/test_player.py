"""The player in a browser: what its picture tells and when, loops, seeking, volume, pinned comments."""

from __future__ import annotations

from pathlib import Path

import pytest
from driving import Server, Visit, browser
from playwright.sync_api import expect
from tiny_study import make_tiny_study

from study import browser as browser_files
from study.server.links import personal_link
from study.store.store import Store

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
WAVE = Path(browser_files.__file__).with_name("player_wave.js")

# The player's position in seconds, and how tall its picture is in each tenth, from left to right, of one.
PICTURE = """() => {
  const root = [...document.querySelectorAll('*')].map(one => one.shadowRoot)
    .find(one => one?.querySelector('canvas.wave'));
  const canvas = root.querySelector('canvas.wave');
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
  return [root.querySelector('.seek').value * 4.0 / 1000, heights];
}"""

# Pauses the player at two seconds from within, as looks from outside may come any time later.
PAUSE_IN_THE_MIDDLE = """() => {
  let paused = false;
  document.addEventListener('study:position', () => {
    if (paused || document.body.dataset.position < '0:02') return;
    paused = true;
    document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', bubbles: true}));
  });
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
        yield visit.open(personal_link(server.base, token)).at_player()


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


def test_a_play_counts_although_the_page_hears_of_it_late(visit):
    visit.page.evaluate(
        """() => {
          const root = [...document.querySelectorAll('*')].map(one => one.shadowRoot)
            .find(one => one?.querySelector('.play'));
          root.querySelector('.play').click();
          for (const ends = performance.now() + 900; performance.now() < ends;);
        }"""
    )
    visit.until_heard()
    heard = lambda: visit.store.show(visit.person.id, 0).listening  # noqa: E731
    assert visit.comes(lambda: heard().seconds_heard == pytest.approx(4.0, abs=0.3))
    assert heard().plays == 1


def _picture(visit: Visit) -> tuple[float, list[float]]:
    return visit.page.evaluate(PICTURE)


@pytest.mark.slow
def test_the_picture_shows_what_was_heard_and_nothing_before(visit):
    assert max(_picture(visit)[1]) < 0.12, "one flat line before the first play"
    assert visit.comes(lambda: any("/clip/" in url for url in visit.asked))
    fetched = {url for url in visit.asked if "/clip/" in url}
    assert len(fetched) == 1, "the next clip is not asked for yet"
    visit.page.evaluate(PAUSE_IN_THE_MIDDLE)
    visit.play()
    assert visit.comes(lambda: _picture(visit)[0] >= 1.9)
    expect(visit.page.get_by_role("button", name="Play the clip")).to_be_visible()  # it is silent

    def half_is_drawn() -> bool:
        at, heights = _picture(visit)
        heard = [height for tenth, height in enumerate(heights) if (tenth + 1) * 0.4 < at - 0.1]
        unheard = [height for tenth, height in enumerate(heights) if tenth * 0.4 > at + 0.1]
        return 1.9 <= at < 3.9 and min(heard) > 0.15 and max(unheard) < 0.12

    assert visit.comes(half_is_drawn), _picture(visit)
    visit.keys("k").until_heard()
    assert visit.comes(lambda: min(_picture(visit)[1][1:9]) > 0.15)
    visit.page.reload()
    visit.settle().at_player()
    assert visit.comes(lambda: min(_picture(visit)[1][1:9]) > 0.15), "what was heard stays visible"


@pytest.mark.slow
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
        places.append(_picture(visit)[0])
        return sum(later < before for before, later in zip(places, places[1:], strict=False)) >= 2

    assert visit.comes(comes_round)
    assert max(places) < 2.4, "it never leaves the passage"
    assert not visit.is_open(), "half a clip, however often, is not the clip"
    visit.page.get_by_role("button", name="End the loop").click()
    visit.until_heard()
    shown = lambda: visit.store.show(visit.person.id, 0).listening  # noqa: E731
    assert visit.comes(lambda: shown().seconds_heard == pytest.approx(4.0, abs=0.3))
    assert shown().seconds_played > 4.5, "what was played again counts as played, not as heard"


@pytest.mark.slow
def test_a_comment_is_pinned_where_the_cursor_is(visit):
    visit.play().until_heard().until_ended()
    visit.keys("ArrowLeft")
    box = visit.page.get_by_label("Anything you want")
    box.fill("before after")
    box.evaluate("one => one.setSelectionRange(7, 7)")
    visit.page.get_by_role("button", name="Pin 0:02").click()
    visit.page.keyboard.type("here ")
    kept = "before [0:02] here after"
    assert visit.comes(lambda: visit.store.show(visit.person.id, 0).fields["comment"] == kept)
