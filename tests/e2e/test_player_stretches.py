"""Which seconds the player counts as heard, by a clock and a sound that the test moves."""

from pathlib import Path

import pytest
from driving import browser

from study import browser as browser_files

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes
PLAYER = Path(browser_files.__file__).with_name("player.js")

# A player of nothing but its counting. Moves: [seconds that pass, where the sound is then, what is told].
COUNT = """moves => {
  %s
  let clock = 0;
  performance.now = () => 1000 * clock;
  globalThis.requestAnimationFrame = globalThis.cancelAnimationFrame = () => 0;
  const audio = {currentTime: 0, duration: 60, paused: false};
  const player = Object.assign(Object.create(Player.prototype), {
    audio, spans: [], played: 0, from: null, rest: 0, last: 0, seen: 0, unlocked: true, loop: {on: false},
    paint: () => {},
  });
  for (const [passes, at, told] of moves) {
    clock += passes;
    audio.currentTime = at;
    player[told]();
  }
  return player.heard();
}"""


@pytest.fixture(scope="module")
def page(chromium):
    with browser(chromium) as context:
        yield context.pages[0]


@pytest.mark.parametrize(
    ("moves", "heard"),
    [
        ([(0, 0, "open"), (1, 1, "advance"), (5, 6, "advance"), (1, 7, "advance")], [[0, 7]]),
        ([(0, 0, "open"), (1, 1, "advance"), (0, 9, "advance"), (0, 9, "halt")], [[0, 1]]),
        ([(4, 4, "open"), (1, 5, "advance")], [[0, 5]]),
        ([(0, 0, "open"), (1, 1, "advance"), (0, 1, "halt"), (9, 1, "open"), (1, 2, "advance")], [[0, 2]]),
        (
            [
                (0, 0, "open"),
                (1, 1, "advance"),
                (0, 1, "close"),
                (0, 8, "halt"),
                (9, 8, "open"),
                (1, 9, "advance"),
            ],
            [[0, 1], [8, 9]],
        ),
    ],
    ids=["a page that stands still", "a jump", "told late", "a pause", "a jump in a pause"],
)
def test_what_sounded_counts_and_what_was_jumped_over_does_not(page, moves, heard):
    code = PLAYER.read_text().replace("export default function", "const mount = function")
    assert page.evaluate(COUNT % code, moves) == heard
