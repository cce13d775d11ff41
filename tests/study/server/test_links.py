"""Personal links as they come out of mails and messengers, and several of them in one browser."""

from __future__ import annotations

import pytest
from gated import HERE, enter, play_key

from study.server import gate, links
from study.server.refusals import Refusals


@pytest.mark.parametrize(
    "mailed",
    [
        "/?p={token}.",
        "/?p={token},",
        "/?p={token}%20",
        "/?p=%20{token}",
        "/?p=+{token}++",
        "/?p={token}%0D%0A",
        "/?p={token}%3E",
        "/?p=%3C{token}%3E",
        "/?p={token})",
        "/?p={token}%22",
        "/?p={token}%E2%80%9C",
        "/?p={token}%C2%A0",
        "/?p=%E2%80%8B{token}",
        "/?p={token}/",
        "/?p={token}==",
        "/?p=3D{token}",
        "/?p={token}%3C/a%3E",
        "/?p={token}.%20Thanks",
        "/?p={token}&utm_source=mail",
        "/?utm_source=mail&amp;p={token}",
        "/?p={split}",
        "/?P={upper}",
        "/?p%3D{token}",
        "/%3Fp={token}",
        "/%3fp%3D{token}",
        "//?p={token}",
        "/%20?p={token}",
        "/index.html?p={token}",
    ],
)
def test_a_link_is_taken_as_meant(client, people, mailed):
    token = people["Ann"]
    split = f"{token[:9]}=%0D%0A{token[9:]}"
    answer = client.get(HERE + mailed.format(token=token, upper=token.upper(), split=split))
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/?me={links.mark(token)}"
    assert f"={token};" in answer.headers["set-cookie"], "the cookie holds the link as it was made"


@pytest.mark.parametrize("other", ["/?p={token}x", "/?p={short}", "/?p=.", "/?p=%00", "/?q={token}&p=x"])
def test_another_link_is_not(client, people, other):
    answer = client.get(other.format(token=people["Ann"], short=people["Ann"][:-1]))
    assert (answer.status_code, "not valid" in answer.text) == (404, True)
    assert "set-cookie" not in answer.headers


def test_an_encoded_link_stays_out_of_the_log(client, people, monkeypatch):
    lines = []
    monkeypatch.setattr(gate, "refusals", Refusals(lines.append))
    assert client.get(f"/%3Fp={people['Ann'][:-1]}").status_code == 404
    assert [line.partition(" from")[0] for line in lines] == ["refused: 404 GET '/'"]


# several links in one browser


def test_two_links_in_one_browser_keep_to_their_tabs(client, serving, people):
    ann, bo = (enter(client, people[name]).headers["location"] for name in ("Ann", "Bo"))
    assert ann != bo
    for tab in (ann, bo):
        assert client.get(tab).status_code == 200, "a reload of either tab"
    for name in ("Ann", "Bo"):
        assert client.get(f"/clip/{play_key(serving, name)}").status_code == 200
    bare = client.get("/")
    assert (bare.status_code, "Several personal links" in bare.text) == (403, True)
    forged = client.get("/?me=00000000")
    assert (forged.status_code, "Everybody who takes part" in forged.text) == (403, True)


def test_a_browser_remembers_the_last_few_links(client, serving, people):
    enter(client, people["Ann"])
    others = [serving.store.invite(f"Listener {number}") for number in range(links.MOST)]
    for token in others:
        enter(client, token)
    cookie = client.cookies[serving.listener_cookie]
    assert links.remembered(cookie) == others[::-1]
    assert client.get(f"/?me={links.mark(people['Ann'])}").status_code == 403
    assert client.get(f"/?me={links.mark(others[0])}").status_code == 200


def test_a_link_that_was_opened_before_tabs_were_bound_still_leads_in(client, serving, people):
    client.cookies.set(serving.listener_cookie, people["Ann"])
    page = client.get("/")
    assert page.status_code == 200
    assert links.mark(people["Ann"]) in page.text, "and the page binds its tab"
