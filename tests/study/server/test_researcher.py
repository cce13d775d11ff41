"""The researcher's pages as Streamlit runs them, without a browser."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import pytest
from scripted_listener import brought, finished, logged
from streamlit.testing.v1 import AppTest
from tiny_study import EPOCHS, TITLE

from study.pages import (
    researcher,
    researcher_data,
    researcher_listeners,
    researcher_overview,
    researcher_results,
)
from study.server import login
from study.store import sessions

IDA = sessions.Session("Ida", "0" * 16)
PAGES = ("overview", "listeners", "data", "results")
SECRETS = ("jukebox", "swampgroove", str(EPOCHS), "UMG", "VAR", "epochs:")
NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def desk(serving, monkeypatch):
    """Opens one of the researcher's pages as Ida: desk("data")."""
    monkeypatch.setattr(researcher, "session", lambda: IDA)
    return _open


def _open(name: str) -> AppTest:
    def script(name):
        import importlib

        importlib.import_module(f"study.pages.researcher_{name}").page()

    return AppTest.from_function(script, kwargs={"name": name}, default_timeout=120).run()


def said(page: AppTest) -> str:
    """All that stands on a page, as text."""
    assert not page.exception
    kinds = ("title", "header", "markdown", "text", "caption", "code", "success", "warning", "error")
    told = [one.value for kind in kinds for one in getattr(page, kind)]
    told += [one.proto.body for one in page.get("html")] + [one.value.to_string() for one in page.dataframe]
    return "\n".join(told)


# the frame


@pytest.mark.parametrize("name", PAGES)
def test_without_a_login_no_page_shows_anything(serving, name):
    finished(serving, "Ann")
    page = _open(name)
    assert page.title[0].value == "For the researcher"
    assert "not logged in" in said(page)
    assert "Ann" not in said(page)
    assert not page.button


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_study_has_calm_pages(desk, name):
    page = desk(name)
    assert page.title[0].value == name.capitalize()
    told = said(page)
    assert TITLE in told
    assert "<button>Log out</button>" in told
    assert f'aria-current="page" target="_self">{name.capitalize()}</a>' in told
    assert {"overview": "Nobody is invited yet", "listeners": "Nobody is invited yet"}.get(
        name, "There are no answers yet"
    ) in told


@pytest.mark.parametrize("name", PAGES)
def test_no_page_tells_any_truth(desk, serving, name):
    finished(serving, "Ann")
    brought(serving, "Bo")
    finished(serving, "Pat", pilot=True)
    told = said(desk(name))
    assert not [secret for secret in SECRETS if secret in told]


@pytest.mark.parametrize("name", PAGES)
def test_an_error_nobody_foresaw_is_told_calmly(desk, serving, monkeypatch, capsys, name):
    def broken(*_, **__):
        raise RuntimeError("secret/path/S7_UMG_0_swampgroove.wav")

    brought(serving, "Ann")
    monkeypatch.setattr(type(serving.store), "answers", broken)
    monkeypatch.setattr(type(serving.store), "listeners", broken)
    page = desk(name)
    assert [one.value for one in page.error] == [researcher.FAILED]
    assert "swampgroove" not in said(page)
    assert "swampgroove" in capsys.readouterr().err


def test_a_logout_elsewhere_ends_an_open_page_at_its_next_run(desk, serving, monkeypatch):
    brought(serving, "Ann")
    page = desk("overview")
    assert page.dataframe
    monkeypatch.setattr(researcher, "session", lambda: None)
    page.run()
    assert not page.dataframe


# overview


def test_the_overview_says_who_is_where(desk, serving):
    finished(serving, "Ann")
    brought(serving, "Bo")
    serving.store.invite("Cy")
    serving.store.invite("Di")
    serving.store.revoke("Di")
    brought(serving, "Pat", pilot=True)
    page = desk("overview")
    assert [(one.label, one.value) for one in page.metric] == [
        ("Invited", "3"),
        ("Under way", "1"),
        ("Finished", "1"),
        ("Quiet for a day", "0"),
    ]
    people, pilots = (one.value for one in page.dataframe)
    assert people["listener"].tolist() == ["Ann", "Bo", "Cy"]
    assert people["where"].tolist() == ["finished", "practice 1 of 1", "not opened yet"]
    assert people["clips"].tolist() == ["4 of 4", "0 of 4", "0 of 4"]
    assert people["answered"].tolist() == [100, 0, 0]
    assert pilots["listener"].tolist() == ["Pat"]
    assert "An answer takes **0 s**" in said(page)
    assert page.get("vega_lite_chart")


def test_a_closed_study_says_so_on_the_overview(desk, serving):
    serving.store.invite("Ann")
    serving.store.close_study("Ida")
    assert "was closed" in desk("overview").warning[0].value


def test_drop_outs_are_those_not_seen_for_a_day(serving):
    brought(serving, "Ann")
    serving.store.invite("Bo")
    ann, bo = serving.store.listeners()
    assert not researcher_overview.dropped_out(ann, ann.last_seen + dt.timedelta(hours=23))
    assert researcher_overview.dropped_out(ann, ann.last_seen + dt.timedelta(hours=25))
    assert not researcher_overview.dropped_out(bo, ann.last_seen + dt.timedelta(days=9))


def test_who_was_let_go_has_not_dropped_out_and_is_not_under_way(desk, serving):
    brought(serving, "Ann", "Bo")
    ann, _ = serving.store.listeners()
    serving.store.screen_out(ann.id)
    ann, _ = serving.store.listeners()
    assert not researcher_overview.dropped_out(ann, ann.last_seen + dt.timedelta(hours=25))
    shown = {one.label: one.value for one in desk("overview").metric}
    assert (shown["Under way"], shown["Let go"]) == ("1", "1")


@pytest.mark.parametrize(
    ("length", "bars"),
    [
        (dt.timedelta(0), 1),
        (dt.timedelta(minutes=50), 11),
        (dt.timedelta(hours=20), 21),
        (dt.timedelta(days=30), 31),
        (dt.timedelta(days=900), 31),
    ],
)
def test_the_timeline_counts_every_answer_in_a_few_bars(length, bars):
    moments = [NOW, NOW + length / 2, NOW + length]
    chart = researcher_overview.timeline(moments).to_dict()
    (rows,) = chart["datasets"].values()
    assert len(rows) == bars
    assert sum(row["answers"] for row in rows) == 3
    assert len({row["from"] for row in rows}) == bars, "no two bars share a name"
    assert chart["mark"]["type"] == "bar"
    most = max(row["answers"] for row in rows)
    assert chart["encoding"]["y"]["axis"]["values"] == list(range(most + 1)), "no halves of an answer"


def test_times_are_medians_in_plain_words(serving):
    assert researcher_overview.times([], []) == []
    assert researcher_overview.times([], [2.0, 9.0, 30.0]) == [
        "An answer takes **9 s** after the clip's end (median)."
    ]


# listeners


def test_many_listeners_are_invited_at_once(desk, serving):
    ann = serving.store.invite("Ann")
    page = desk("listeners")
    page.text_area(key="names").input("Ann\n  Bo  Dean \n\nCy\nCy")
    page.button[0].click().run()
    assert "2 listeners invited; the links are below. 1 had a link already" in page.success[0].value
    people = serving.store.listeners()
    assert [one.name for one in people] == ["Ann", "Bo Dean", "Cy"]
    assert people[0].token == ann
    assert all(
        f"{one.name}: " in page.code[0].value and f"/?p={one.token}" in page.code[0].value for one in people
    )
    assert ("Ida", "invited", "Bo Dean") in logged(serving)


def test_pilots_are_invited_apart(desk, serving):
    page = desk("listeners")
    page.text_area(key="names").input("Pat")
    page.checkbox[0].check()
    page.button[0].click().run()
    assert [one.pilot for one in serving.store.listeners()] == [True]
    assert "Pilots, who never count" in said(page)


def test_nobody_is_invited_without_a_name(desk, serving):
    page = desk("listeners")
    page.button[0].click().run()
    assert "at least one name" in page.error[0].value
    page.text_area(key="names").input("\n".join(f"L{number}" for number in range(201)))
    page.button[0].click().run()
    assert "at most 200" in page.error[0].value
    assert not serving.store.listeners()


def test_a_link_is_revoked_and_restored_after_a_second_thought(desk, serving):
    token = serving.store.invite("Ann")
    page = desk("listeners")
    page.selectbox(key="whose").select("Ann").run()
    (ann,) = serving.store.listeners()
    assert page.button(key=f"Revoke-{ann.id}").disabled
    page.checkbox(key=f"sure-Revoke-{ann.id}").check().run()
    page.button(key=f"Revoke-{ann.id}").click().run()
    assert serving.store.listeners()[0].revoked_at
    assert token not in "".join(one.value for one in page.code)
    page.selectbox(key="whose").select("Ann").run()
    page.checkbox(key=f"sure-Restore-{ann.id}").check().run()
    page.button(key=f"Restore-{ann.id}").click().run()
    assert serving.store.listeners()[0].revoked_at is None
    assert [what for who, what, _ in logged(serving) if who == "Ida"] == ["revoked", "restored"]


# data


def test_the_data_page_counts_and_looks_closer(desk, serving):
    finished(serving, "Ann")
    finished(serving, "Pat", pilot=True)
    page = desk("data")
    told = said(page)
    assert "**4** answers of **1** listener so far" in told
    assert "Pilots gave 4 more" in told
    for name in ("answers.csv", "answers.parquet", "pilot-answers.csv", "last-questions.csv"):
        assert f'href="/researcher/{name}"' in told
    (row,) = page.dataframe[0].value.to_dict("records")
    assert (row["listener"], row["answers"], row["plays"], row["quick"]) == ("Ann", 4, 1.0, 4)
    assert row["look at"] == "often quick, one verdict, one musicality"


def test_careful_listeners_are_not_pointed_at():
    answers = [
        {"listener": "Ann", "verdict": verdict, "musicality": rated, "plays": 2, "response_seconds": 8.0}
        for verdict, rated in (("real", 1), ("fake", 7), ("fake", 3), ("real", 4))
    ]
    (row,) = researcher_data.quality(answers).to_dict("records")
    assert (row["quick"], row["look at"], row["plays"], row["seconds"]) == (0, "", 2.0, 8.0)


def test_of_two_passes_both_are_looked_at():
    answers = [
        {"listener": "Ann", "verdict": verdict, "musicality": None, "plays": 1, "response_seconds": 8.0}
        | {"rating_response_seconds": again}
        for verdict, again in (("real", 1.0), ("fake", 1.5), ("fake", 9.0), ("real", None))
    ]
    (row,) = researcher_data.quality(answers).to_dict("records")
    assert (row["quick"], row["look at"], row["seconds"]) == (2, "often quick", 8.0)


def test_the_study_is_closed_and_opened_again(desk, serving):
    page = desk("data")
    assert page.button(key="close").disabled
    page.checkbox(key="sure-close").check().run()
    page.button(key="close").click().run()
    assert serving.store.closed_at()
    page.checkbox(key="sure-reopen").check().run()
    page.button(key="reopen").click().run()
    assert serving.store.closed_at() is None
    assert [who for who, _, _ in logged(serving)] == ["Ida", "Ida"]


def test_an_unblinded_study_is_not_offered_to_be_opened_again(desk, serving):
    serving.store.log_unblinding("Ida", "why", serving.store.build().key_sha256)
    page = desk("data")
    assert "It is unblinded and stays closed" in said(page)
    assert "reopen" not in [one.key for one in page.button]


# results


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ""),
        ({"who": " "}, "who opens"),
        ({"why": ""}, "say why"),
        ({"typed": "Riffs"}, "title does not match"),
        ({"unfinished": True}, "have not finished"),
        ({"unfinished": True, "anyway": True}, ""),
    ],
)
def test_what_stands_before_the_unblinding(given, told):
    form = {"who": "Ida", "why": "done", "typed": f" {TITLE} ", "title": TITLE}
    form |= {"unfinished": False, "anyway": False} | given
    fault = researcher_results.missing_confirmation(**form)
    assert told in fault
    assert bool(fault) == bool(told)


def _unblind(page: AppTest, why: str, typed: str = TITLE) -> AppTest:
    page.text_input(key="why").input(why)
    page.text_input(key="typed").input(typed)
    return page.button[0].click().run(timeout=280)


def test_the_results_stay_sealed_until_the_form_is_whole(desk, serving, monkeypatch):
    finished(serving, "Ann")
    brought(serving, "Bo")
    asked = []
    monkeypatch.setattr(
        researcher_results, "make_report", lambda *args, **more: asked.append((args, more)) or ""
    )
    page = desk("results")
    assert page.text_input(key="who").value == "Ida"
    assert "1 listener has not finished" in page.warning[0].value
    _unblind(page, "All are done")
    assert "although listeners have not finished" in page.error[0].value
    page.checkbox(key="anyway").check()
    _unblind(page, "All are done", "riffs in doubt")
    assert "nothing was opened" in page.error[0].value
    assert not asked
    _unblind(page, "All are done")
    ((_, who, why), more), *_ = asked
    assert (who, why, more) == ("Ida", "All are done", {"unfinished": True})
    assert ("Ida", "report asked for", "as Ida: All are done") in logged(serving)


@pytest.mark.slow
def test_the_unblinding_writes_the_report_in_a_process_of_its_own(desk, serving):
    finished(serving, "Ann")
    page = _unblind(desk("results"), "--unfinished is only a word here")
    assert not page.error, said(page)
    (row,) = serving.store.unblindings()
    assert (row["who"], row["reason"]) == ("Ida", "--unfinished is only a word here")
    assert (serving.folder.report / "index.html").is_file()
    told = said(page)
    assert 'href="/researcher/report/index.html"' in told
    assert "Ida" in page.dataframe[0].value["who"].tolist()


def test_a_report_that_fails_says_why_without_a_path(desk, serving):
    finished(serving, "Ann")
    serving.folder.key.write_text("other\n")
    page = _unblind(desk("results"), "All are done")
    assert page.error[0].value == "The report was not written."
    assert "is not the key that was sealed" in page.code[0].value
    assert str(serving.folder.path) not in said(page)
    assert not serving.store.unblindings()


def test_the_server_loads_no_analysis():
    heavy = "{'torch', 'librosa', 'statsmodels', 'scipy', 'analysis.responses', 'altair'}"
    code = (
        "import sys, study.server.server, study.pages.researcher_results, study.pages.researcher_overview\n"
    )
    code += f"sys.exit(','.join({heavy} & set(sys.modules)) or None)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_names_are_read_one_a_line():
    assert researcher_listeners.named(" Doe,  Jane\r\n\nBo\nBo\n") == ["Doe, Jane", "Bo"]


def test_the_way_between_the_pages_is_the_gates():
    assert set(researcher.WAY) == {name.capitalize() for name in (*PAGES, "pool")}
    assert all(path.startswith(login.HOME) for path in researcher.WAY.values())
