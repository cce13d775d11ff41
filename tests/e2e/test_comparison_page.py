"""The comparison page in a browser: one clip plays at a time, the cursor follows, keys and clicks work.

Clips play at a sixteenth of their speed, so that none ends before a slow machine has looked.
"""

import numpy as np
import pytest
from driving import browser, until

from analysis.sounds import comparison, comparison_page

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(1200)]  # a busy machine takes minutes


def test_the_player_and_its_cursor(chromium, tmp_path):
    dice, rate = np.random.default_rng(0), 8000
    arrays = [0.1 * dice.standard_normal(seconds * rate) for seconds in (20, 10)]
    page_file = tmp_path / "index.html"
    found = comparison.of_arrays(arrays, rate, ["Original", "CAW"])
    page_file.write_text(comparison_page.html(found), encoding="utf-8")
    size = {"width": 360, "height": 700}
    with browser(chromium, "--autoplay-policy=no-user-gesture-required", viewport=size) as context:
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(page_file.as_uri())
        page.evaluate("for (const sound of document.querySelectorAll('audio')) sound.playbackRate = 1 / 16")
        plot = page.locator("#mel .plot").nth(1)
        box = plot.bounding_box()
        plot.click(position={"x": box["width"] * 0.25, "y": 20})  # a quarter of the axis of 20 s
        until(page, "document.querySelectorAll('audio')[1].currentTime > 5")
        assert _state(page) == [True, False]
        page.keyboard.press("1")
        until(page, "!document.querySelectorAll('audio')[0].paused")
        assert _state(page) == [False, True]
        page.keyboard.press(" ")
        until(page, "document.querySelectorAll('audio')[0].paused")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        until(page, "document.querySelectorAll('audio')[0].currentTime === 1")
        at = "document.querySelector('#mel [data-clip=\"0\"]').style.getPropertyValue('--at')"
        until(page, f"{at} === '0.05'")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert said == []


def _state(page) -> list[bool]:
    return page.evaluate("[...document.querySelectorAll('audio')].map(sound => sound.paused)")
