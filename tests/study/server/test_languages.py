"""The catalogues agree key by key, and a page in one language has no words of the other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Formatter

import pytest
from streamlit.testing.v1 import AppTest
from test_take_home import WHOLE
from tiny_study import TITLE, make_tiny_study

from analysis import questionnaire
from study import languages
from study.pages import listener
from study.server.server import PAGES
from study.store.protocol import Page

ENGLISH = languages.words("en").texts
OTHERS = [code for code in languages.languages() if code != "en"]
# Words that only English has: a page of another language must be free of them.
ENGLISH_WORDS = (
    "a about again all and are as at be before by can check come each end for from hear heard how if it its "
    "keep keyboard listen loop loud next of on one or page play please press real same saved say see send "
    "start study tell than the there they this time to tone volume what when where which with you your"
)
GERMAN_WORDS = (
    "als auf bei bitte das dem den der die ein eine es für ist mit nach nicht oder sie sind und von zu"
)
ANSWER = {
    "verdict": "real",
    "confidence": 4,
    "musicality": 3,
    "inspiring": "no",
    "kept": True,
}
SETTINGS = """\
take_home = true
debrief = true
passes = {passes}
[questions]
confidence = true
"""


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("code", OTHERS)
def test_every_catalogue_has_the_same_keys_places_and_lists(code):
    theirs = languages.words(code).texts
    assert set(theirs) == set(ENGLISH)
    for key, text in ENGLISH.items():
        assert type(theirs[key]) is type(text), key
        if isinstance(text, list):
            assert len(theirs[key]) == len(text), key
            assert all(theirs[key]), key
        else:
            assert places(theirs[key]) == places(text), key
            assert theirs[key].strip(), key


def test_nothing_in_the_catalogue_is_left_over():
    """Each key is asked for somewhere in the code by its last name, or with its whole table."""
    study = Path(listener.__file__).parents[1]
    folders = [study / name for name in ("store", "pages", "server", "languages", "browser")]
    code = "".join(file.read_text() for folder in folders for file in folder.glob("*.[pj][ys]*"))
    whole = (
        "questions",
        "owed",
        "language",
        "door",
        "checks",
        "open_link",
        "songs",
        "place",
        "muse_doing",
        "muse_kind",
        "muse_why",
        "muse_take",
    )  # asked for by names that the code puts together
    of_fields = {f"{field.name}{end}" for field in questionnaire.FIELDS for end in ("", "_low", "_high")}
    of_fields |= {str(level) for field in questionnaire.FIELDS for level in field.levels}
    for key in ENGLISH:
        table, name = key.split(".", 1)
        if table == "clip" and name in of_fields:
            continue
        last = re.sub(r"\.(one|many|share)$", "", name).split(".")[-1]
        assert table in whole or re.search(rf"[\"'.]{last}\b", code), key


def test_numbers_and_lists_follow_the_language():
    english, german = languages.words("en"), languages.words("de")
    assert (english.number(1.5), german.number(1.5)) == ("1.5", "1,5")
    assert english.listed(["a", "b", "c"]) == "a, b and c"
    assert german.listed(["a", "b"]) == "a und b"
    assert german.listed([]) == ""
    assert english.count("thanks.saved", 1, answers=1).startswith("Your 1 answer is")


@pytest.mark.slow
@pytest.mark.parametrize(("code", "foreign"), [("de", ENGLISH_WORDS), ("en", GERMAN_WORDS)])
@pytest.mark.parametrize("passes", [1, 2])
def test_all_pages_speak_one_language(tmp_path, serve, monkeypatch, code, foreign, passes):
    seen = _walk(tmp_path, serve, monkeypatch, code, passes)
    assert {name for name, _ in seen} >= {"welcome", "sound check", "practice", "pause", "clip", "owed"}
    assert {name for name, _ in seen} >= {"final questions", "finished", "closed", "another tab", "stranger"}
    wrong = re.compile(rf"\b({'|'.join(foreign.split())})\b", re.IGNORECASE)
    found = {(name, hit.group(0), text) for name, text in seen for hit in wrong.finditer(text)}
    assert not found


def _walk(tmp_path, serve, monkeypatch, code, passes) -> set[tuple[str, str]]:
    """All texts of all pages of a study, as (page, text), from the first to the last."""
    folder = make_tiny_study(tmp_path / code, listening=SETTINGS.format(passes=passes), language=code)
    study = serve(folder)
    token = study.store.invite("Ann")
    monkeypatch.setattr(listener, "token", lambda: token)
    seen: set[tuple[str, str]] = set()

    def look(name: str | None = None) -> AppTest:
        page = AppTest.from_file(str(PAGES), default_timeout=120).run()
        assert not page.exception
        assert not page.error
        step = study.store.find(token).step
        seen.update((name or str(step.page), text) for text in _texts(page))
        return page

    look()
    person = study.store.find(token)
    study.store.consent(person.id, "v1")
    look()
    study.store.sound_check(person.id, "headphones")
    for count in range(99):
        step, page = study.store.find(token).step, look()
        if step.page is Page.PAUSE:
            study.store.begin_part(person.id, step.part)
        elif step.slot is None:
            break
        else:
            tab = study.store.find(token).tab
            phase = study.store.show(person.id, step.slot).phase
            fields = [field.name for field in questionnaire.asked_in(phase)]
            study.store.save(person.id, step.slot, tab=tab, changes={}, listening=WHOLE, press=None)
            page.session_state[f"next-{step.slot}"] = {"press": "early"}
            seen.update(("owed", text) for text in _texts(page.run()))
            changes = {name: value for name, value in ANSWER.items() if name in fields}
            study.store.save(
                person.id, step.slot, tab=tab, changes=changes, listening=WHOLE, press=f"press {count}"
            )
    first = look()
    look()
    seen.update(("another tab", text) for text in _texts(first.run()))
    tab = study.store.find(token).tab
    study.store.save_final(person.id, tab=tab, questions=["Q?"], texts={}, finish=True)
    other = study.store.invite("Bo")
    study.store.log_unblinding("Ida", "report", study.store.build().key_sha256)
    look()
    token = other
    look()
    monkeypatch.setattr(listener, "token", lambda: None)
    page = AppTest.from_file(str(PAGES), default_timeout=120).run()
    seen.update(("stranger", text) for text in _texts(page))
    return seen


def _texts(page: AppTest) -> set[str]:
    """What a page shows or hands to its components, without the study's title, contact and marks."""
    found = [one.value for kind in ("title", "header", "markdown") for one in page.get(kind)]
    found += [re.sub(r"<style>.*?</style>|<[^>]*>", " ", one.proto.body) for one in page.get("html")]
    for kind in ("segmented_control", "toggle", "checkbox"):
        for one in page.get(kind):
            found += [one.label, *map(str, getattr(one, "options", []))]
    for one in page.get("bidi_component"):
        found += _strings(json.loads(one.proto.json))
    keep = (text.replace(TITLE, "").replace("Ask Ida, room 4.", "").strip() for text in found)
    return {text for text in keep if re.search(r"[A-Za-z]{2}", text) and not text.startswith("/")}


def _strings(data: object) -> list[str]:
    """The words that a component gets: its labels and tables of words, not addresses and keys."""
    if not isinstance(data, dict):
        return []
    words = [data[name] for name in ("label", "lost") if isinstance(data.get(name), str)]
    for table in ("words", "shortcuts"):
        words += [text for text in (data.get(table) or {}).values() if isinstance(text, str)]
    return [re.sub(r"\{\w+\}", "", word) for word in words]
