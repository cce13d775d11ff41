"""`study follow-up` and `study export --follow-up`: who is due, their links, answers without truth."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from caw.files import spreadsheet
from caw.problems import ProblemError
from study.cli import commands
from study.store import follow_up
from study.store.store import Store

sys.path.append(str(Path(__file__).parent / "server"))
from followed import days_ago, finished
from tiny_study import make_tiny_study

URL = "https://study.example.org"


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    return make_tiny_study(tmp_path / "study", listening="[follow_up]\ndays = 14\n")


@pytest.fixture
def store(study):
    """Ann is due, Bo is not yet, Cy keeps nothing, Di has not finished, and Em's link is withdrawn."""
    opened = Store.for_folder(study)
    for name, days, keep in (("Ann", 15, None), ("Bo", 1, None), ("Cy", 15, ()), ("Em", 15, None)):
        days_ago(opened, finished(opened, name, keep=keep), days)
    opened.invite("Di")
    opened.revoke("Em")
    yield opened
    opened.close()


def run(*arguments: str):
    result = CliRunner().invoke(commands.app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_everybody_is_listed_with_where_they_are(study, store):
    told = " ".join(run("follow-up", str(study.path), "--url", URL).split())
    for words in ("Ann", "due", "Bo", "not due", "no kept clips", "not finished", "withdrawn"):
        assert words in told


def test_links_of_those_who_are_due_are_written_and_the_others_are_counted(study, store, tmp_path):
    file = tmp_path / "links.csv"
    told = run("follow-up", str(study.path), "--url", URL, "--due", "--csv", str(file))
    rows = spreadsheet.records(file)
    assert [(row["listener"], row["kept"]) for row in rows] == [("Ann", "4")]
    token = next(one.token for one in store.listeners() if one.name == "Ann")
    assert rows[0]["link"] == f"{URL}/?p={token}"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "not listed: 1 no kept clips, 1 not due, 1 not finished, 1 withdrawn" in told
    assert token not in told
    assert store.events()[-1]["what"] == "follow-up links exported"


def test_a_withdrawn_link_is_in_no_table(study, store, tmp_path):
    run("follow-up", str(study.path), "--csv", str(tmp_path / "all.csv"))
    rows = {row["listener"]: row["link"] for row in spreadsheet.records(tmp_path / "all.csv")}
    assert len(rows) == 5
    assert rows["Em"] == ""
    assert all(rows[name] for name in ("Ann", "Bo", "Cy", "Di"))


def test_answers_are_written_without_truth(study, store, tmp_path):
    rule = follow_up.Rule(days=14)
    ann = next(one.id for one in store.listeners() if one.name == "Ann")
    slots = [clip.slot for clip in follow_up.show(store.engine, rule, ann)]
    store.claim(ann, "tab")
    changes = {"outcome": "song", "song": "Rain", "words": "=1+1"}
    follow_up.save(store.engine, rule, ann, slots[0], tab="tab", changes=changes, press="a")
    file = tmp_path / "later.csv"
    told = run("export", str(study.path), "--follow-up", str(file))
    assert "12 kept clips are in" in told
    rows = spreadsheet.records(file)
    assert (rows[0]["outcome"], rows[0]["song"], rows[0]["words"]) == ("song", "Rain", "=1+1")
    assert {row["outcome"] for row in rows[1:]} == {""}
    text = file.read_text()
    assert "\"'=1+1" in text or ",'=1+1" in text, "a spreadsheet runs nothing"
    for secret in ("fake", "caw", "jukebox", "original", "swampgroove", "truth"):
        assert secret not in text
    run("export", str(study.path), "--follow-up", str(tmp_path / "later.parquet"))
    assert (tmp_path / "later.parquet").stat().st_size > 0


def test_a_study_without_a_follow_up_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv("STUDY_DATABASE_URL", raising=False)
    folder = make_tiny_study(tmp_path / "study")
    for arguments in (["follow-up", str(folder.path)], ["export", str(folder.path), "--follow-up", "x.csv"]):
        with pytest.raises(ProblemError, match=r"no table \[follow_up\]; add it to .*study.toml"):
            CliRunner().invoke(commands.app, arguments, catch_exceptions=False)
    with pytest.raises(ProblemError, match="no file is named"):
        CliRunner().invoke(commands.app, ["export", str(folder.path)], catch_exceptions=False)


def test_nothing_is_written_where_nobody_is_due(study, tmp_path):
    with pytest.raises(ProblemError, match="nobody is due; nothing was written"):
        CliRunner().invoke(
            commands.app,
            ["follow-up", str(study.path), "--due", "--csv", str(tmp_path / "x.csv")],
            catch_exceptions=False,
        )
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("days = -1", "follow_up.days = -1: is out of range; it must be at least 0"),
        ("days = 1.5", "follow_up.days = 1.5: is a number; write a whole number"),
        ('clips = "all"', "follow_up.clips"),
        ("closes = 0", "follow_up.closes = 0: is out of range; it must be at least 1"),
        ("megabytes = 0", "follow_up.megabytes = 0: is out of range"),
        ("megabites = 5", "did you mean `megabytes`"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(tmp_path, text, problem):
    from study import design

    (tmp_path / "study.toml").write_text(f'[study]\ntitle = "T"\nseed = 1\n[follow_up]\n{text}\n')
    with pytest.raises(design.DesignError) as caught:
        design.load(tmp_path)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_follow_up_counts_in_the_digest_only_where_it_is_set(tmp_path):
    from study import design

    head = '[study]\ntitle = "T"\nseed = 1\n'
    digests = []
    for text in (head, head + "[follow_up]\n", head + "[follow_up]\ndays = 14\n"):
        (tmp_path / "study.toml").write_text(text)
        digests.append(design.load(tmp_path).digest())
    assert digests[0] != digests[1] == digests[2]
