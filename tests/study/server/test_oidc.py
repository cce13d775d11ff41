"""Login by OIDC against a small provider of our own, with Authlib's real code in between."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from itsdangerous import URLSafeTimedSerializer
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from study.server import login, oidc, server
from study.server.gate import Gate
from tests.free_ports import free_port

HERE = "http://127.0.0.1"
KEY = RSAKey.generate_key(2048, {"kid": "k", "use": "sig", "alg": "RS256"})


class Provider(BaseHTTPRequestHandler):
    """Answers what Authlib asks: its addresses, its keys, and a token for any code."""

    said: dict = {}  # the claims of the next token

    def do_GET(self) -> None:
        base = f"http://{self.headers['host']}"
        if self.path == "/jwks":
            self._tell(KeySet([KEY]).as_dict(private=False))
            return
        self._tell(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        now = int(time.time())
        claims = {"iss": f"http://{self.headers['host']}", "aud": "study", "sub": "1", "iat": now}
        token = jwt.encode({"alg": "RS256", "kid": "k"}, claims | {"exp": now + 600} | self.said, KEY)
        self._tell({"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def _tell(self, what: dict) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as at:
        thread = threading.Thread(target=at.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{at.server_address[1]}"
        at.shutdown()
        thread.join()


@pytest.fixture
def study(tiny_study, serve, provider):
    """The tiny study, which Ida may open by OIDC."""
    file = tiny_study.path / ".streamlit" / "secrets.toml"
    file.parent.mkdir()
    lines = [
        f'redirect_uri = "{HERE}/oauth2callback"',
        f'cookie_secret = "{"c" * 32}"',
        'client_id = "study"',
    ]
    lines += ['client_secret = "s"', f'server_metadata_url = "{provider}/.well-known/openid-configuration"']
    file.write_text("\n".join(["[auth]", *lines]))
    toml = tiny_study.toml.read_text()
    tiny_study.toml.write_text(f'{toml}\n[researcher]\noidc_emails = ["ida@example.org"]\n')
    return serve(tiny_study)


@pytest.fixture
def browser(study) -> TestClient:
    inside = [Route("/researcher-data", lambda _: PlainTextResponse("inside"))]
    app = Starlette(
        routes=[*login.ROUTES, *inside],
        middleware=[Middleware(Gate, script="/pages.py")],
    )
    return TestClient(app, follow_redirects=False, base_url=HERE, client=("127.0.0.1", 50_000))


def come_back(browser: TestClient, monkeypatch: pytest.MonkeyPatch, **said: object):
    """To the provider and back with its word; the answer at the way back."""
    assert 'href="/login/default"' in browser.get("/researcher").text
    begin = browser.get("/login/default")
    assert "SameSite=lax" in begin.headers["set-cookie"]
    away = urlsplit(begin.headers["location"])
    asked = parse_qs(away.query)
    assert asked["redirect_uri"] == [f"{HERE}/oauth2callback"]
    assert (asked["scope"], asked["code_challenge_method"]) == (["openid email profile"], ["S256"])
    monkeypatch.setattr(Provider, "said", {"nonce": asked["nonce"][0]} | said)
    return browser.get(f"/oauth2callback?code=c&state={asked['state'][0]}")


def test_who_is_named_comes_in_and_is_logged(browser, study, monkeypatch):
    answer = come_back(browser, monkeypatch, email="Ida@Example.org", email_verified=True)
    assert answer.status_code == 200
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert oidc.COOKIE not in browser.cookies, "used once, then gone"
    assert browser.get("/researcher-data").text == "inside"
    (event,) = study.store.events()
    assert (event["who"], event["what"], event["detail"]) == ("ida@example.org", "login", "by OIDC")
    browser.post("/logout", headers={"origin": HERE})
    assert browser.get("/researcher-data").status_code == 403
    assert browser.get("/researcher").status_code == 403, "a logout is not undone by the provider's cookie"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"email": "eve@example.org"}, "eve@example.org is not among those"),
        ({"email": "ida@example.org", "email_verified": False}, "Log in with your organisation"),
        ({"email": "ida@example.org", "nonce": "another"}, "Log in with your organisation"),
        ({"email": "ida@example.org", "aud": "another"}, "Log in with your organisation"),
        ({}, "Log in with your organisation"),
    ],
)
def test_nobody_else_comes_in(browser, monkeypatch, said, told):
    answer = come_back(browser, monkeypatch, **said)
    assert answer.status_code == 403
    assert told in answer.text
    assert browser.get("/researcher-data").status_code == 403


def test_whoever_did_not_begin_here_does_not_come_in(browser, study, monkeypatch):
    come_back(browser, monkeypatch, email="ida@example.org")
    for cookie in ("", "made.up.cookie", URLSafeTimedSerializer("another").dumps(["default", {}])):
        browser.cookies.clear()
        browser.cookies.set(oidc.COOKIE, cookie)
        answer = browser.get("/oauth2callback?code=c&state=s")
        assert answer.status_code == 403
        assert "The login did not succeed" in answer.text
    assert browser.get("/researcher-data").status_code == 403
    assert browser.get("/auth/login").status_code == 404, "Streamlit's own login is closed"


def test_a_provider_that_does_not_answer_is_told(browser, study):
    file = study.folder.path / ".streamlit" / "secrets.toml"
    file.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{free_port()}", file.read_text()))
    answer = browser.get("/login/default")
    assert (answer.status_code, "does not answer" in answer.text) == (503, True)


def test_the_secret_link_opens_nothing_and_others_may_reach_it(browser, study):
    assert browser.get(f"/researcher?key={study.researcher_key}").status_code == 403
    server.require_login(study, "0.0.0.0")
    told = server.addresses(study, "http://192.0.2.1:8501")
    assert "/researcher, by OIDC as ida@example.org" in told


def test_half_a_provider_is_named_before_anything_is_served(study):
    file = study.folder.path / ".streamlit" / "secrets.toml"
    whole = file.read_text()
    for key, told in (("client_secret", "client_secret"), ("cookie_secret", "cookie_secret")):
        file.write_text("\n".join(line for line in whole.splitlines() if key not in line))
        with pytest.raises(oidc.OidcError, match=told):
            server.require_login(study, "127.0.0.1")
    file.write_text(whole.replace("oauth2callback", "elsewhere"))
    with pytest.raises(oidc.OidcError, match="must end with /oauth2callback"):
        server.require_login(study, "127.0.0.1")
