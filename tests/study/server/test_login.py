"""The door of the researcher's pages: who is let in, for how long, and how often one may guess."""

from __future__ import annotations

import json
import time

import pytest
from itsdangerous import URLSafeTimedSerializer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from study import design, password
from study.server import login, oidc
from study.server.gate import Gate
from study.server.guesses import Guesses
from study.server.routes import ROUTES
from study.store import sessions

HERE = "http://127.0.0.1"
GOOD = "four plain words here"
HASH = password.hashed(GOOD)
PUBLIC = "https://study.example.org"


@pytest.fixture
def still(monkeypatch):
    """A clock that stands."""
    second = time.time()
    monkeypatch.setattr(time, "time", lambda: second)
    return second


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    """Nobody has guessed yet, by a clock that a test moves: [seconds]."""
    moment = [1000.0]
    monkeypatch.setattr(login, "_guesses", Guesses(lambda: moment[0]))
    return moment


@pytest.fixture
def guarded(tiny_study, serve):
    """The tiny study, with a password."""
    design.write_password(tiny_study.toml, HASH)
    return serve(tiny_study)


def browser(address: str = "127.0.0.1", base: str = HERE) -> TestClient:
    """A browser at the gate; behind it, a page that only a researcher sees."""
    inside = [Route("/researcher-data", lambda _: PlainTextResponse("inside"))]
    app = Starlette(
        routes=[*inside, *ROUTES, *login.ROUTES], middleware=[Middleware(Gate, script="/pages.py")]
    )
    return TestClient(app, follow_redirects=False, base_url=base, client=(address, 50_000))


def enter(client: TestClient, given: str = GOOD, name: str = "Ida", **headers: str):
    headers = {"origin": str(client.base_url).rstrip("/")} | headers
    return client.post("/login", data={"name": name, "password": given}, headers=headers)


def events(study, what: str) -> list[dict]:
    return [row for row in study.store.events() if row["what"] == what]


# the secret link


def test_without_a_password_the_secret_link_opens_the_pages_on_this_machine(serving):
    client = browser()
    answer = client.get(f"/researcher?key={serving.researcher_key}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/researcher")
    assert serving.researcher_key not in answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Max-Age=43200"} <= set(answer.headers["set-cookie"].split("; "))
    assert client.get("/researcher-data").text == "inside"
    assert "secret link" in events(serving, sessions.ENTERED)[0]["who"]
    for page in ("/researcher", "/researcher-listeners"):
        assert '<html lang="en" translate="no" class="notranslate">' in client.get(page).text


def test_a_mailed_secret_link_is_taken_as_meant(serving):
    answer = browser().get(f"/researcher?key=%3C{serving.researcher_key.upper()}%3E.")
    assert (answer.status_code, answer.headers["location"]) == (303, "/researcher")


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.7", {}),
        ("192.168.1.4", {"x-forwarded-for": "127.0.0.1"}),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.7"}),
        ("127.0.0.1", {"host": "192.0.2.1"}),
    ],
)
def test_it_opens_them_to_nobody_elsewhere(serving, address, headers):
    client = browser(address)
    answer = client.get(f"/researcher?key={serving.researcher_key}", headers=headers)
    assert answer.status_code == 403
    assert "only on the machine that serves" in answer.text
    assert "set-cookie" not in answer.headers


def test_with_a_password_the_secret_link_opens_nothing(guarded):
    client = browser()
    answer = client.get(f"/researcher?key={guarded.researcher_key}")
    assert answer.status_code == 403
    assert 'type="password"' in answer.text
    assert "set-cookie" not in answer.headers
    client.cookies.set(guarded.researcher_cookie, guarded.researcher_key)
    assert client.get("/researcher-data").status_code == 403, "nor does the key as a cookie"


# the password


def test_the_password_opens_the_pages_and_its_use_is_logged(guarded):
    client = browser()
    assert client.get("/researcher-data").status_code == 403
    answer = enter(client, name=" Ida\n<b>")
    assert (answer.status_code, answer.headers["location"]) == (303, "/researcher")
    assert client.get("/researcher-data").text == "inside"
    (logged,) = events(guarded, sessions.ENTERED)
    assert (logged["who"], logged["detail"]) == ("Ida <b>", "127.0.0.1")
    assert GOOD not in json.dumps(guarded.store.events(), default=str)


def test_a_wrong_password_opens_nothing_and_is_logged(guarded):
    client = browser()
    answer = enter(client, "four plain words her")
    assert answer.status_code == 403
    assert "That is not the password" in answer.text
    assert "set-cookie" not in answer.headers
    assert [row["who"] for row in events(guarded, sessions.FAILED)] == ["Ida"]
    assert enter(client, name="  ").status_code == 400


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:81"])
def test_a_form_of_another_site_is_refused(guarded, origin):
    client = browser()
    assert enter(client, origin=origin).status_code == 403
    assert not guarded.store.events(), "not even counted as a guess"
    enter(client)
    assert client.post("/logout", headers={"origin": origin}).status_code == 403
    assert client.get("/researcher-data").status_code == 200


def test_the_form_is_no_larger_than_a_form(guarded):
    assert enter(browser(), "x" * 9000).status_code == 413
    assert browser().get("/login").status_code == 405


def test_without_a_password_there_is_nothing_to_guess(serving):
    assert enter(browser(), "").status_code == 404


def test_wrong_passwords_make_their_address_wait_and_no_other(guarded, moment):
    client = browser()
    assert [enter(client, "wrong words").status_code for _ in range(5)] == [403] * 5
    answer = enter(client)  # the right one, too
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert "wait 2 seconds" in answer.text
    moment[0] += 3
    assert enter(client).status_code == 303
    assert enter(client, "wrong words").status_code == 403, "and it begins anew"


def test_the_right_password_gets_in_while_many_addresses_guess(guarded, moment):
    enter(browser("192.0.2.200"))  # the server has seen the right one once
    for at in range(150):
        assert enter(browser(f"198.51.100.{at}"), "wrong words").status_code == 403
    assert enter(browser("192.0.2.9", base="http://192.0.2.1")).status_code == 303
    failures = events(guarded, sessions.FAILED)
    assert len(failures) == 100, "a flood does not fill the study's log"


def test_a_browser_that_was_in_before_is_not_held_up_by_others_at_its_address(guarded, moment):
    mine, theirs = browser(), browser()
    enter(mine)
    mine.post("/logout", headers={"origin": HERE})
    while enter(theirs, "wrong words").status_code != 429:
        pass
    assert enter(mine).status_code == 303
    stolen = mine.cookies[guarded.browser_cookie]
    theirs.cookies.set(guarded.browser_cookie, stolen[:-1] + ("0" if stolen[-1] != "0" else "1"))
    assert enter(theirs).status_code == 429, "a forged cookie is none"
    assert theirs.get("/researcher-data").status_code == 403


def test_the_cookie_of_a_known_browser_opens_nothing_and_has_its_own_limit(guarded, moment):
    client = browser()
    enter(client)
    client.cookies.delete(guarded.researcher_cookie)
    assert client.get("/researcher-data").status_code == 403
    assert [enter(client, "wrong words").status_code for _ in range(6)] == [403] * 5 + [429]


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip"])
def test_a_forged_address_gives_no_more_guesses(guarded, moment, header):
    client = browser()
    told = [enter(client, "wrong words", **{header: f"198.51.100.{at}"}).status_code for at in range(6)]
    assert told == [403] * 5 + [429]


def test_behind_a_proxy_each_visitor_is_counted_alone(tiny_study, serve, moment, monkeypatch):
    monkeypatch.setenv("STUDY_PUBLIC_URL", PUBLIC)
    design.write_password(tiny_study.toml, HASH)
    serve(tiny_study)
    client = browser("172.18.0.2", base=PUBLIC.replace("https", "http"))
    far = {"origin": PUBLIC, "x-forwarded-proto": "https"}
    for at in range(5):
        enter(client, "wrong words", **far, **{"x-forwarded-for": f"8.8.8.{at}, 198.51.100.1"})
    assert enter(client, **far, **{"x-forwarded-for": "8.8.8.8, 198.51.100.1"}).status_code == 429
    answer = enter(client, **far, **{"x-forwarded-for": "198.51.100.2"})
    assert answer.status_code == 303
    assert "Secure" in answer.headers["set-cookie"]
    for at in range(5):
        enter(client, "wrong words", **far, **{"x-forwarded-for": f"2001:db8::{at + 1}"})
    client.cookies.clear()
    told = [enter(client, "x", **far, **{"x-forwarded-for": f"2001:db8::{at:x}"}) for at in range(9, 15)]
    assert [one.status_code for one in told][-1] == 429, "a network of IPv6 is one address"


# the session


def test_a_logout_ends_the_session_wherever_its_cookie_was_copied(guarded):
    client, thief = browser(), browser("192.0.2.9")
    enter(client)
    thief.cookies = dict(client.cookies)
    assert thief.get("/researcher-data").status_code == 200
    answer = client.post("/logout", headers={"origin": HERE})
    assert (answer.status_code, answer.headers["location"]) == (303, "/researcher")
    assert client.get("/researcher-data").status_code == 403
    assert thief.get("/researcher-data").status_code == 403
    assert [row["who"] for row in events(guarded, sessions.LEFT)] == ["Ida"]
    enter(client)
    assert client.get("/researcher-data").status_code == 200, "a new login is another session"


def test_a_session_ends_after_twelve_hours(guarded, still, monkeypatch):
    client = browser()
    enter(client)
    monkeypatch.setattr(time, "time", lambda: still + 12 * 3600 - 5)
    assert client.get("/researcher-data").status_code == 200
    monkeypatch.setattr(time, "time", lambda: still + 12 * 3600 + 1)
    assert client.get("/researcher-data").status_code == 403


def test_a_new_password_ends_every_session(guarded, serve):
    client = browser()
    enter(client)
    design.write_password(guarded.folder.toml, password.hashed("five other plain words here"))
    serve(guarded.folder)
    assert client.get("/researcher-data").status_code == 403


def test_a_forged_cookie_is_worth_nothing(store):
    key = sessions.signing_key("k", "h")
    session, cookie = sessions.begin(key, "Ida")
    assert sessions.read(store.engine, key, cookie) == session
    assert sessions.read(store.engine, key, sessions.known_browser(key)) is None, "a cookie of the other kind"
    assert sessions.browser(key, cookie) is None
    body, _, signature = cookie.rpartition(".")
    eve = URLSafeTimedSerializer("another key", salt="session").dumps(["Eve", session.id])
    swapped = f"{eve.rpartition('.')[0]}.{signature}"
    for forged in (eve, swapped, f"{body}.", body, f".{signature}", "", None, f"{body}.\u00e9"):
        assert sessions.read(store.engine, key, forged) is None
    assert sessions.read(store.engine, sessions.signing_key("k", "other"), cookie) is None


def test_the_login_page_says_where_it_is_and_keeps_its_referrer_at_home(guarded):
    answer = browser().get("/researcher")
    assert answer.status_code == 403
    assert "Riffs in doubt" in answer.text
    assert answer.headers["referrer-policy"] == "same-origin", "no-referrer would make the form's Origin null"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


# OIDC


@pytest.mark.parametrize(
    ("claims", "person"),
    [
        ({"email": "Ida@Example.org"}, oidc.Person("ida@example.org", True)),
        ({"email": "ida@example.org", "email_verified": True}, oidc.Person("ida@example.org", True)),
        ({"email": "eve@example.org"}, oidc.Person("eve@example.org", False)),
        ({"email": "ida@example.org", "email_verified": False}, None),
        ({}, None),
        ({"email": ["ida@example.org"]}, None),
    ],
)
def test_who_comes_back_from_a_provider(claims, person):
    assert oidc.person(claims, ("ida@example.org",)) == person


def test_without_oidc_streamlits_own_login_is_closed(guarded):
    client = browser()
    for path in ("/auth/login", "/oauth2callback", "/auth/logout", "/login/default"):
        assert client.get(path).status_code == 404
