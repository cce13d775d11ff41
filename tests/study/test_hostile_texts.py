"""What people type ends in pages, CSV files and the HTML report: nothing of it may run there."""

from __future__ import annotations

import csv
import shutil
from html.parser import HTMLParser

import pytest

from study import design, reporting
from study.build.build import build
from study.folder import StudyFolder
from study.store import own_answers, schema
from study.store.store import Store
from tests.study.conftest import give_answers, with_tiny

SCRIPT = "<script>window.owned=1</script>"
IMAGE = '"><img src=x onerror="window.owned=1">'
LINK = "[look](javascript:window.owned=1) ![x](https://evil.example/x.png)"
FORMULA = '=HYPERLINK("https://evil.example","look")'
TEMPLATE = "{{ 7*7 }}{% for x in y %} </script><svg onload=window.owned=1>"
HOSTILE = (SCRIPT, IMAGE, LINK, FORMULA, TEMPLATE, "+1+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", "\t=1+1")


LONG = "\U0001f3b8\u202e\u05d0 " * 1000  # more than a text may hold, with letters from right to left
QUESTIONS = f"""
[[question]]
name = "words"
ask = "before"
kind = "text"
text = '{SCRIPT} {TEMPLATE}'

[[question]]
name = "which"
ask = "before"
kind = "choices"
text = '{IMAGE}'
options = ['{SCRIPT}', '{FORMULA}', 'None']

[[question]]
name = "again"
ask = "before"
kind = "text"
text = '{FORMULA}'

[[question]]
name = "note"
ask = "clip"
kind = "text"
text = "{LINK}"
"""


class Elements(HTMLParser):
    """What a browser would make of a page: tags with their attributes, and each script's text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "script"

    def handle_data(self, data):
        if self._inside:
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def hostile():
    """A listener's texts, one per listener: name, comment and final text alike."""
    return dict(enumerate(HOSTILE))


@pytest.fixture(scope="module")
def answered(built_once, hostile, tmp_path_factory):
    """One study for all: its report, which ends it, changes nothing that another test looks at."""
    folder = StudyFolder(shutil.copytree(built_once, tmp_path_factory.mktemp("hostile") / "study"))
    text = folder.toml.read_text()
    line = next(line for line in text.splitlines() if line.startswith("title"))
    folder.toml.write_text(text.replace(line, f"title = '{SCRIPT} {TEMPLATE}'") + QUESTIONS)
    with pytest.MonkeyPatch.context() as patch, with_tiny():
        patch.delenv("STUDY_DATABASE_URL", raising=False)
        build(folder)
        for number, words in hostile.items():
            give_answers(folder, f"{words.strip()} {number}", comment=words)
        _answer_own_questions(folder, hostile)
    return folder


def _answer_own_questions(folder, hostile) -> None:
    store = Store.for_folder(folder)
    asked = design.load(folder.path).own_questions
    for number, words in hostile.items():
        person = store.find(store.invite(f"{words.strip()} {number}"))
        store.claim(person.id, "T")
        answers = {"words": LONG + words, "which": [SCRIPT, FORMULA], "again": words}
        own_answers.save(
            store.engine, person.id, tab="T", place="before", questions=asked[:3], changes=answers
        )
        with store.engine.begin() as connection:
            mine = schema.answer.c.listener_id == person.id
            connection.execute(schema.answer.update().where(mine).values(further={"note": words}))
    store.close()


def test_the_export_holds_no_formula(answered, tmp_path):
    reporting.export(answered, tmp_path / "answers.csv")
    assert_no_formula(tmp_path / "answers.csv")
    with (tmp_path / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["comment"] for row in rows} >= {"'" + FORMULA, SCRIPT}, "shown as typed, not lost"
    assert {row["clip_note"] for row in rows} >= {"'" + FORMULA, SCRIPT}
    assert {row["before_which"] for row in rows} == {f"{SCRIPT};' {FORMULA}"}, "no formula after a semicolon"
    assert {len(row["before_words"]) for row in rows} <= {3999, 4000}, "cut, not lost"


@pytest.mark.slow
def test_the_report_runs_nothing_that_was_typed(answered):
    page = reporting.report(answered, who=IMAGE, reason=SCRIPT)
    elements = Elements()
    elements.feed(page.read_text())
    assert not any("window.owned" in script for script in elements.scripts)
    for tag, attributes in elements.found:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href"):
            address = (attributes.get(name) or "").strip().lower()
            assert not address.startswith(("javascript:", "http:", "//")), (tag, attributes)
            assert "evil.example" not in address
    assert "&lt;script&gt;window.owned=1" in page.read_text(), "it is shown, as text"
    assert "{{ 7*7 }}" in page.read_text()
    for table in page.parent.rglob("*.csv"):
        assert_no_formula(table)


def assert_no_formula(table) -> None:
    with table.open(newline="") as file:
        for row in csv.reader(file):
            for cell in row:
                number = cell.lstrip("+-").replace(".", "", 1).replace("e-", "").isdigit()
                assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")), (table, row)


def test_names_are_kept_as_they_are_and_one_line(answered):
    store = Store.for_folder(answered)
    names = [one.name for one in store.listeners()]
    store.close()
    assert f"{SCRIPT} 0" in names
    assert all("\n" not in name for name in names)
