"""What the deployment files say is so: what the rating server needs, and what the page tells to do."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from study.room.address import known_host, parsed
from study.room.links import researcher_key
from study.room.store import Store
from tests.free_ports import free_port

ROOT = Path(__file__).parents[2]
DEPLOYMENT = ROOT / "study" / "deployment"
# what trains and draws; servers do neither
MODELS_OWN = {"torch", "torchaudio", "safetensors", "librosa", "numba"}
WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(MODELS_OWN | {"triton", "llvmlite"})!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w.-]+", one).group().lower().replace("_", "-") for one in requirements}


@pytest.fixture(scope="module")
def required() -> set[str]:
    lines = (DEPLOYMENT / "requirements.txt").read_text().splitlines()
    return names([line for line in lines if line and not line.startswith("#")])


def test_the_server_needs_everything_but_the_models_own(required):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    everything = names(project["dependencies"])
    everything |= names(project["optional-dependencies"]["postgres"])
    everything |= names(project["optional-dependencies"]["oidc"])
    assert required == everything - MODELS_OWN


def test_every_requirement_is_pinned(required):
    pinned = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    assert [name for name in required if f"\n{name}==" not in pinned] == []


def test_all_that_a_server_runs_loads_without_the_model():
    code = WITHOUT + (
        "import study.cli, study.room.server, study.room.listener, study.room.researcher_results\n"
        "import study.reporting, study.preparation.build, analysis.report\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_the_server_starts_and_answers_without_the_model(tmp_path):
    sys.path.append(str(Path(__file__).parent / "room"))
    from tiny_study import make_tiny_study

    study = make_tiny_study(tmp_path / "study")
    port = free_port()
    log = (tmp_path / "log").open("wb")
    code = WITHOUT + "from study.cli import main\nmain()"
    server = subprocess.Popen(
        [sys.executable, "-c", code, "serve", str(study.path), "--port", str(port)],
        stdout=log,
        stderr=log,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                health = urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10)
                break
            except OSError:
                assert server.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert health.status == 200
        store = Store.for_folder(study)
        secrets = [store.invite("Ann"), researcher_key(study)]
        store.close()
        for visit in (f"/?p={secrets[0]}", f"/researcher?key={secrets[1]}", f"/none?p={secrets[0]}"):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{visit}", timeout=30).read()
    finally:
        server.kill()
        server.wait()
        log.close()
    written = (tmp_path / "log").read_text()
    assert "is open at" in written
    assert not [secret for secret in secrets if secret in written], "a container's log holds no secret"


def test_the_image_is_built_from_what_is_there_and_runs_as_nobody_special():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().split()}
    for name in sum(copied, []):
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] in kept, f"{name} is kept out by .dockerignore"
    last_stage = lines[max(at for at, line in enumerate(lines) if line.startswith("FROM ")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")
    assert sum(line.startswith("FROM ") for line in lines) == 2


def test_the_page_tells_every_setting_of_compose():
    compose = (ROOT / "compose.yaml").read_text()
    page = (DEPLOYMENT / "README.md").read_text()
    told = re.search(r"Write `\.env`.*?5\. ", page, re.DOTALL).group()
    settings = set(re.findall(r"\$\{(\w+)", compose))
    assert settings == {"STUDY_HOST", "STUDY_FOLDER", "STUDY_UID", "STUDY_GID", "POSTGRES_PASSWORD"}
    assert [name for name in settings if f"{name}=" not in told] == []


def test_the_page_tells_commands_that_exist():
    page = (DEPLOYMENT / "README.md").read_text()
    compose = (ROOT / "compose.yaml").read_text()
    assert set(re.findall(r"compose run --rm (\w+)", page)) == {"one"}
    assert "\n  one: *server" in compose
    assert "./study/deployment/Caddyfile:" in compose
    used = set(
        re.findall(r"^\s+(?:docker compose run --rm one |/opt/study/bin/)?study (\w+)", page, re.MULTILINE)
    )
    assert {"build", "password", "invite", "backup", "close", "report"} <= used
    for command in used:
        told = subprocess.run(
            [sys.executable, "-c", "from study.cli import main; main()", command, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr
        options = set(re.findall(rf"study {command} [^\n]*?(--\w[\w-]*)", page))
        assert [option for option in options if option not in told.stdout] == []


def test_caddys_health_checks_are_let_in():
    """It asks a server by that server's own name, which the gate does not know, hence the Host header."""
    public = parsed("https://study.example.org")
    caddy = (DEPLOYMENT / "Caddyfile").read_text()
    host = re.search(r"health_headers \{\s*Host (\S+)", caddy).group(1)
    assert known_host(host, "0.0.0.0", public)
    assert known_host("study.example.org", "0.0.0.0", public)
    assert not known_host("one:8501", "0.0.0.0", public)
