"""The open link at the door: who comes in, what a strange address meets, codes, and attacks on it."""

from __future__ import annotations

import csv
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from gated import gated_client
from scripted_listener import answer_all
from streamlit.testing.v1 import AppTest
from test_recruits import begun, finish, joined
from typer.testing import CliRunner

from study import design as designs
from study.cli.commands import app
from study.design import DesignError
from study.pages import listener
from study.server import gate, joining, links, open_link
from study.server.refusals import Refusals
from study.server.server import PAGES
from study.store import recruits
from study.store.protocol import Page

PERSON = "5a9d64f5f6dfdd0001eaa73d"
TABLE = """
[open_link]
completed = { code = "C0MPLETE", url = "https://app.example.org/done?cc={CODE}&who={PROLIFIC_PID}" }
screened_out = "SCREENED"
timed_out = "T1MEOUT"
over_quota = { code = "FULL", url = "https://app.example.org/full?who={PROLIFIC_PID}" }
"""


@pytest.fixture
def opened(tiny_study, serve, monkeypatch):
    """Serves the tiny study with an open link: opened("quota = 1")."""
    monkeypatch.setattr(joining, "turns", joining.Turns())

    def start(settings: str = "", table: str = TABLE):
        with tiny_study.toml.open("a") as toml:
            toml.write(table + settings)
        return serve(tiny_study)

    return start


def address(study, person: str = PERSON, *, pilot: bool = False, **ids: str) -> str:
    given = {"PROLIFIC_PID": person, "STUDY_ID": "s1", "SESSION_ID": "t1"} | ids
    base = open_link.link("", study.folder, study.design.open_link, pilot=pilot).partition("?")[0]
    return base + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items())


def come(study, person: str = PERSON, client=None, **kind):
    return (client or gated_client()).get(address(study, person, **kind))


def run(*words: object, code: int = 0) -> str:
    """What a `study` command prints; of one that refuses, its line."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output or str(result.exception)


def people(study) -> int:
    return len(recruits.everybody(study.store.engine))


# who comes in


def test_a_browser_that_keeps_no_cookie_is_sent_back_to_where_it_came_from(opened):
    study = opened()
    inside = come(study).headers["location"]
    page = gated_client().get(inside)
    assert page.status_code == 403
    assert "from where you signed up" in page.text
    assert "with cookies allowed" in page.text


def test_an_id_comes_in_and_comes_back_in_any_browser(opened):
    study = opened()
    client = gated_client()
    first = come(study, client=client)
    assert first.status_code == 303
    assert re.fullmatch(r"/\?me=[0-9a-f]{8}", first.headers["location"])
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "SameSite=lax" in first.headers["set-cookie"]
    assert client.get(first.headers["location"]).status_code == 200
    elsewhere = come(study)
    assert elsewhere.headers["location"] == first.headers["location"]
    assert [one.name for one in study.store.listeners()] == ["open-0001"]


def test_without_the_table_there_is_no_link(serving, client):
    assert client.get("/join/anything?PROLIFIC_PID=a").status_code == 404
    assert client.get("/join/").status_code == 404
    assert not (serving.folder.private / open_link.LINK_FILE).exists()


def test_only_the_right_link_leads_in_and_only_by_a_visit(opened):
    study, client = opened(), gated_client()
    right = address(study)
    for wrong in (right[:-80], right.replace("/join/", "/join/x"), "/join/?PROLIFIC_PID=a", "/join/%00"):
        assert client.get(wrong).status_code == 404
    for method in ("POST", "HEAD", "PUT"):
        assert client.request(method, right).status_code == 405
    assert people(study) == 0
    open_link.renew(study.folder)
    assert client.get(right).status_code == 404
    assert come(study).status_code == 303


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "PROLIFIC_PID, STUDY_ID, SESSION_ID"),
        ("PROLIFIC_PID=a&STUDY_ID=b", "lacks SESSION_ID"),
        ("PROLIFIC_PID=&STUDY_ID=b&SESSION_ID=c", "lacks PROLIFIC_PID"),
        ("prolific_pid=a&STUDY_ID=b&SESSION_ID=c", "lacks PROLIFIC_PID"),
        ("PROLIFIC_PID=a&PROLIFIC_PID=b&STUDY_ID=b&SESSION_ID=c", "PROLIFIC_PID more than once"),
        ("PROLIFIC_PID=a&STUDY_ID=b&SESSION_ID=c&SESSION_ID=c", "SESSION_ID more than once"),
        ("PROLIFIC_PID[]=a&STUDY_ID=b&SESSION_ID=c", "lacks PROLIFIC_PID"),
        ("PROLIFIC_PID={{%25PROLIFIC_PID%25}}&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),
        (f"PROLIFIC_PID={'a' * 129}&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),
        (f"PROLIFIC_PID=a&STUDY_ID={'b' * 129}&SESSION_ID=c", "for STUDY_ID"),
        ("PROLIFIC_PID=a%00&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),
        ("PROLIFIC_PID=a&STUDY_ID=b%0D%0ASet-Cookie:x=y&SESSION_ID=c", "for STUDY_ID"),
        ("PROLIFIC_PID=a&STUDY_ID=b%E2%80%AEc&SESSION_ID=c", "for STUDY_ID"),
        ("PROLIFIC_PID=%FF%FE&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),
        ("PROLIFIC_PID=%D0%B0bc&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),  # a Cyrillic a
        ("PROLIFIC_PID=%EF%BD%81bc&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),  # a full-width a
        ("PROLIFIC_PID=a+b&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),
        ("PROLIFIC_PID=' OR 1=1 --&STUDY_ID=b&SESSION_ID=c", "for PROLIFIC_PID"),
        ("&".join(f"x{number}=1" for number in range(200)), "SESSION_ID"),
    ],
)
def test_an_address_that_is_not_whole_is_refused_and_says_why(opened, query, says):
    study = opened()
    answer = gated_client().get(address(study).partition("?")[0] + "?" + query)
    assert (answer.status_code, says in answer.text) == (400, True), answer.text[-300:]
    assert "set-cookie" not in answer.headers
    assert people(study) == 0


@pytest.mark.parametrize(
    "value",
    [
        "'; DROP TABLE listener; --",
        '"><script>alert(1)</script>',
        "=HYPERLINK(1)",
        "{CODE}",
        "%s",
        "../..",
        "\u00e9",
    ],
)
def test_an_id_is_kept_as_it_is_and_means_nothing(opened, tmp_path, value):
    """In the address of a redirect, in a page, in SQL and in a table."""
    study = opened('require = ".+"\n')
    assert come(study, value, STUDY_ID=value).status_code == 303
    [row] = recruits.everybody(study.store.engine)
    assert (row["ids"]["PROLIFIC_PID"], row["ids"]["STUDY_ID"]) == (value, value)
    ending = study.design.open_link.completed.address(row["ids"], "C")
    assert ending == f"https://app.example.org/done?cc=C&who={quote(value, safe='')}"
    run("recruits", study.folder.path, "--out", tmp_path / "ids.csv")
    with (tmp_path / "ids.csv").open(newline="") as file:
        cell = next(csv.DictReader(file))["PROLIFIC_PID"]
    assert cell.replace("'", "") == value.replace("'", "")
    assert not cell.startswith("=")
    assert study.store.find(joined(study.store, value).token) is not None


@pytest.mark.parametrize(
    ("place", "told"),
    [("/join/x", "/join"), ("//join/", "//join"), ("/study/join/", "/study/join"), ("/JOIN/", "/join")],
)
def test_the_log_names_neither_link_nor_ids(opened, monkeypatch, place, told):
    """Nor where a proxy has put something before the address, or somebody has typed it."""
    study, lines = opened(), []
    monkeypatch.setattr(gate, "refusals", Refusals(lines.append))
    gated_client().get("http://127.0.0.1" + address(study).replace("/join/", place).replace("?", "&"))
    assert [line.partition(" from")[0] for line in lines] == [f"refused: 404 GET '{told}'"]


# signed addresses


def test_only_signed_addresses_where_a_secret_is_set(opened):
    study = opened(f'secret = "{"k" * 40}"\n')
    assert come(study).status_code == 400
    ids = {"PROLIFIC_PID": PERSON, "STUDY_ID": "s 1", "SESSION_ID": "t&1"}
    right = open_link.personal("", study.folder, study.design.open_link, ids)
    client = gated_client()
    for forged in (
        right[:-1] + ("0" if right[-1] != "0" else "1"),
        right.replace(PERSON, "someone"),
        right + "&sig=x",
    ):
        assert client.get(forged).status_code == 400
    assert people(study) == 0
    assert client.get(right).status_code == 303
    assert client.get(right).status_code == 303, "the same address again is the same listener"
    assert people(study) == 1


# ends


@pytest.fixture
def page_of(monkeypatch):
    """The page that a listener's browser shows."""

    def show(token: str) -> AppTest:
        monkeypatch.setattr(listener, "token", lambda: token)
        return AppTest.from_file(str(PAGES), default_timeout=120).run()

    return show


def shown(page: AppTest) -> str:
    """All that a page shows, with what its components hold."""
    assert not page.exception
    texts = [one.value for one in (*page.title, *page.markdown)]
    texts += [one.proto.body for one in page.get("html")]
    return " ".join(texts + [one.proto.json for one in page.get("bidi_component")])


def test_whoever_finishes_sees_the_code_and_the_way_back(opened, page_of):
    study = opened()
    token = joined(study.store, PERSON).token
    person = begun(study.store, PERSON)
    assert "C0MPLETE" not in shown(page_of(token))
    study.store.claim(person.id, "T")
    study.store.sound_check(person.id, "headphones")
    answer_all(study.store, person.name)
    assert "C0MPLETE" not in shown(page_of(token)), "before the last form is sent there is no code"
    assert finish(study.store, PERSON) is Page.DONE
    text = shown(page_of(token))
    assert "C0MPLETE" in text
    assert f"https://app.example.org/done?cc=C0MPLETE&amp;who={PERSON}" in text


@pytest.mark.parametrize(("outcome", "code"), [("screened out", "SCREENED"), ("timed out", "T1MEOUT")])
def test_whoever_is_let_go_sees_the_code_for_it(opened, page_of, outcome, code):
    study = opened("timeout_minutes = 30\n")
    person = begun(study.store, PERSON)
    with study.store.engine.begin() as connection:
        recruits.end(connection, person.id, outcome, recruits.clock(connection))
    text = shown(page_of(joined(study.store, PERSON).token))
    assert (code in text, "C0MPLETE" in text) == (True, False)


def test_with_a_personal_link_there_is_no_code(opened, page_of):
    study = opened()
    token = study.store.invite("Ann")
    person = study.store.find(token)
    study.store.claim(person.id, "T")
    study.store.consent(person.id, "v1")
    study.store.sound_check(person.id, "headphones")
    answer_all(study.store, "Ann")
    study.store.save_final(person.id, tab="T", questions=["a"], texts={}, finish=True)
    assert "C0MPLETE" not in shown(page_of(token))


def test_whoever_knows_the_id_of_somebody_who_has_finished_sees_no_code(opened):
    study, own = opened(), gated_client()
    assert come(study, client=own).status_code == 303
    assert finish(study.store, PERSON) is Page.DONE
    thief = come(study)
    assert (thief.status_code, "set-cookie" in thief.headers) == (403, False)
    assert "C0MPLETE" not in thief.text
    assert come(study, client=own).status_code == 303, "the browser that has finished comes back"


def test_resuming_may_be_left_to_the_same_browser(opened):
    study, own = opened('resume = "same browser"\n'), gated_client()
    assert come(study, client=own).status_code == 303
    begun(study.store, PERSON)
    other = come(study)
    assert (other.status_code, "another browser" in other.text) == (403, True)
    assert come(study, client=own).status_code == 303


def test_a_full_study_says_so_at_the_door(opened):
    study = opened("quota = 1\n")
    begun(study.store, "first")
    answer = come(study)
    assert answer.status_code == 403
    assert "FULL" in answer.text
    assert f'href="https://app.example.org/full?who={PERSON}"' in answer.text
    assert people(study) == 1


def test_a_closed_study_says_so_at_the_door(opened):
    study = opened()
    study.store.close_study("Ida")
    answer = come(study)
    assert (answer.status_code, "closed" in answer.text) == (403, True)


def test_own_codes_differ_and_a_forged_one_is_seen(opened, tmp_path):
    study = opened(table=TABLE.replace("[open_link]", '[open_link]\ncodes = "own"'))
    settings, codes = study.design.open_link, set()
    for person in ("ann", "bo"):
        finish(study.store, person)
        codes.add(open_link.code(settings, study.folder, "completed", person))
    codes.add(open_link.code(settings, study.folder, "screened out", "ann"))
    codes.add(open_link.code(settings, study.folder, "completed", "cy"))
    assert len(codes) == 4
    right = open_link.code(settings, study.folder, "completed", "bo")
    assert re.fullmatch("C0MPLETE-[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}", right)
    assert "open-0002, bo, completed" in run("recruits", study.folder.path, "--check", f" {right.lower()}")
    forged = open_link.code(settings, study.folder, "completed", "cy")
    assert "nobody's" in run("recruits", study.folder.path, "--check", forged, code=1)


def test_pilots_come_by_a_link_of_their_own(opened):
    study = opened()
    assert come(study, pilot=True).status_code == come(study).status_code == 303
    assert [one.pilot for one in study.store.listeners()] == [True, False]


# floods


def test_turns_are_one_after_the_other_and_come_back():
    moment = [0.0]
    turns = joining.Turns(each=(3, 1.0), everybody=(8, 2.0), clock=lambda: moment[0])
    assert [turns.wait("a") for _ in range(13)] == [0, 0, 0, *map(float, range(1, 11))]
    assert [turns.wait("a") for _ in range(1000)] == [None] * 1000
    assert turns.wait("b") is not None, "another address is let in meanwhile"
    moment[0] = 11.0
    assert turns.wait("a") == 0, "and the refused visits are not held against it"
    many = [turns.wait(f"address {number}") for number in range(100)]
    assert many.count(None) > 50
    assert turns.wait("a") is None or turns.wait("a") >= 0


def test_a_flood_is_answered_with_a_page_that_tries_again(opened, monkeypatch):
    study = opened()
    monkeypatch.setattr(joining, "turns", joining.Turns(each=(5, 0.001)))
    statuses = [come(study, f"flood{number}") for number in range(8)]
    assert [one.status_code for one in statuses] == [303] * 5 + [429] * 3
    assert statuses[-1].headers["retry-after"] == statuses[-1].headers["refresh"] == "10"
    assert people(study) == 5


def test_many_at_once_at_the_door_are_one_listener_each(opened):
    study = opened()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: come(study, f"person{number % 12}"), range(36)))
    assert {one.status_code for one in answers} == {303}
    assert len({one.headers["location"] for one in answers}) == people(study) == 12


# settings


def test_the_table_is_no_part_of_digest_dump_or_text(opened):
    study = opened()
    without = designs.parse({"study": {"title": "Riffs", "seed": 7}})
    secret = {"completed": "C0MPLETE", "secret": "s" * 40}
    with_link = designs.parse({"study": {"title": "Riffs", "seed": 7}, "open_link": secret})
    assert with_link.digest() == without.digest()
    assert with_link.model_dump(mode="json", by_alias=True) == without.model_dump(mode="json", by_alias=True)
    assert "C0MPLETE" not in repr(with_link)
    assert "s" * 40 not in repr(with_link) + repr(with_link.open_link)
    assert study.design.digest() == study.store.build().design_digest


@pytest.mark.parametrize(
    "table",
    [
        {"ids": []},
        {"ids": ["a", "a"]},
        {"ids": ["p"]},
        {"ids": ["a b"]},
        {"person": "X"},
        {"require": "("},
        {"require": ".*"},
        {"quota": 0},
        {"timeout_minutes": -1},
        {"completed": "http://example.org"},
        {"completed": "javascript://example.org"},
        {"completed": "https://{PROLIFIC_PID}.example.org"},
        {"completed": "https://user@example.org"},
        {"completed": "https://example.org/{WHO}"},
        {"completed": "https://example.org/{CODE"},
        {"completed": 'https://example.org/"onclick'},
        {"completed": {"cod": "x"}},
        {"completed": "a\nb"},
        {"secret": "short"},
        {"resume": "never"},
        {"frame_origins": ["http://example.org"]},
        {"frame_origins": ["https://*.example.org"]},
        {"frame_origins": ["https://example.org/page"]},
        {"quotas": 3},
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(table):
    with pytest.raises(DesignError) as refused:
        designs.parse({"study": {"title": "Riffs", "seed": 7}, "open_link": table})
    assert str(refused.value).startswith("study.toml: open_link")
    assert "\n" not in str(refused.value)


def test_a_redirect_leads_nowhere_but_to_the_host_in_the_settings():
    settings = designs.parse(
        {
            "study": {"title": "R", "seed": 7},
            "open_link": {"completed": "https://example.org/{PROLIFIC_PID}?x={CODE}"},
        }
    ).open_link
    for evil in ("//evil.org", "@evil.org", "\\evil.org", "?next=https://evil.org", "#", "a\r\nLocation: x"):
        got = settings.completed.address({"PROLIFIC_PID": evil}, evil)
        assert got == f"https://example.org/{quote(evil, safe='')}?x={quote(evil, safe='')}"


# the command


def test_the_command_prints_a_link_that_leads_in(opened):
    study = opened()
    text = run("link", study.folder.path, "--url", "https://study.example.org").strip()
    assert text.endswith(
        "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
    )
    ids = [f"--for={name}={name[-3:]}" for name in study.design.open_link.ids]
    own = run("link", study.folder.path, "--url", "http://127.0.0.1", *ids).strip()
    assert gated_client().get(own).status_code == 303
    run("link", study.folder.path, "--new")
    assert gated_client().get(own).status_code == 404


def test_a_command_without_an_open_link_says_what_to_do(serving):
    assert "add a table [open_link]" in run("link", serving.folder.path, code=1)
    assert "add a table [open_link]" in run("recruits", serving.folder.path, code=1)


def test_links_of_the_browser_that_are_gone_say_so(opened):
    study, client = opened(), gated_client()
    client.cookies.set(study.listener_cookie, "gone" * 6)
    answer = client.get("/?me=" + links.mark("gone" * 6))
    assert (answer.status_code, "from where you signed up" in answer.text) == (403, True)


# frames


def test_only_named_pages_may_show_the_study_in_a_frame(opened):
    study = opened('frame_origins = ["https://app.example.org"]\n')
    client = gated_client()
    https = {"x-forwarded-proto": "https"}
    framed = client.get(address(study), headers=https | {"sec-fetch-dest": "iframe"})
    cookie = framed.headers["set-cookie"]
    assert "SameSite=none; Secure; Partitioned" in cookie
    for path in ("/", framed.headers["location"], "/join/x"):
        headers = client.get(path, headers={"cookie": cookie.split(";")[0]}).headers
        assert "x-frame-options" not in headers
        assert "frame-ancestors https://app.example.org" in headers["content-security-policy"]
    for path in ("/researcher", "/tone.wav", "/login"):
        headers = client.get(path).headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_outside_of_frames_and_without_https_cookies_stay_as_they_are(opened):
    study = opened('frame_origins = ["https://app.example.org"]\n')
    plain = gated_client().get(address(study), headers={"sec-fetch-dest": "iframe"})
    alone = gated_client().get(address(study, "bo"), headers={"x-forwarded-proto": "https"})
    assert "SameSite=lax" in plain.headers["set-cookie"]
    assert "SameSite=lax; Secure" in alone.headers["set-cookie"]
    assert "Partitioned" not in plain.headers["set-cookie"] + alone.headers["set-cookie"]


def test_without_named_pages_nothing_is_shown_in_frames(opened):
    study = opened()
    answer = gated_client().get(
        address(study), headers={"x-forwarded-proto": "https", "sec-fetch-dest": "iframe"}
    )
    assert answer.headers["x-frame-options"] == "DENY"
    assert "SameSite=lax" in answer.headers["set-cookie"]
