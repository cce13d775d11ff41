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
import yaml

from study.server import connections
from study.server.address import PROXIES, known_host, parsed
from study.server.gate import MOST_HEADERS
from study.server.health import ADDRESS, SECONDS
from study.server.links import researcher_key
from study.store.store import Store
from tests.free_ports import free_port

ROOT = Path(__file__).parents[2]
DEPLOYMENT = ROOT / "study" / "deployment"
# what trains and draws; servers do neither
MODELS_OWN = {"torch", "torchaudio", "safetensors", "librosa", "llvmlite", "numba"}
WITHOUT = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(MODELS_OWN | {"triton"})!r}:
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
        "import study.cli.commands, study.server.server\n"
        "import study.pages.listener, study.pages.researcher_results\n"
        "import study.reporting, study.build.build, analysis.report.report\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


def test_the_server_starts_and_answers_without_the_model(tmp_path):
    sys.path.append(str(Path(__file__).parent / "server"))
    from tiny_study import make_tiny_study

    study = make_tiny_study(tmp_path / "study")
    port = free_port()
    log = (tmp_path / "log").open("wb")
    code = WITHOUT + "from study.cli.commands import main\nmain()"
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


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


# of the Compose Specification's services, those that are used, and what they hold
SERVICE = {
    "build": str, "image": str, "restart": str, "user": str, "read_only": bool, "tmpfs": list,
    "mem_limit": str, "pids_limit": int, "cpus": float, "ulimits": dict, "logging": dict,
    "environment": dict, "volumes": list, "depends_on": (dict, list), "healthcheck": dict,
    "security_opt": list, "cap_drop": list, "cap_add": list, "networks": list, "ports": list,
    "stop_grace_period": str,
}  # fmt: skip


def test_compose_says_what_the_specification_knows(compose):
    assert {name for name in compose if not name.startswith("x-")} == {"services", "volumes", "networks"}
    for name, service in compose["services"].items():
        for key, value in service.items():
            assert isinstance(value, SERVICE[key]), f"{name}.{key}"
        assert set(service["networks"]) <= set(compose["networks"])
        mounts = [
            mount.split(":")[0] for mount in service["volumes"] if not mount.startswith((".", "/", "$"))
        ]
        assert set(mounts) <= set(compose["volumes"])
        needed = service.get("depends_on", [])
        assert set(needed) <= set(compose["services"])
        for other in needed if isinstance(needed, dict) else ():
            assert "healthcheck" in compose["services"][other]
            assert needed[other] == {"condition": "service_healthy"}
        for mount in service["tmpfs"]:
            assert re.fullmatch(r"/[\w/]+(:[\w=,]+)?", mount)
        assert re.fullmatch(r"\d+[mg]", service["mem_limit"])


def test_every_container_is_bounded_and_can_do_little(compose):
    for name, service in compose["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert 0 < service["cpus"] <= 2, name
        assert 100 <= service["pids_limit"] <= 1000, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        assert service["ulimits"]["nofile"]["soft"] >= 8192, name
        assert service["healthcheck"]["test"], name
        root = not service.get("user") or service["user"].startswith(("0", "root"))
        assert not root or (name == "caddy" and service["cap_add"] == ["NET_BIND_SERVICE"]), name


def test_only_the_proxy_is_reached_from_outside(compose):
    assert {name for name, service in compose["services"].items() if "ports" in service} == {"caddy"}
    assert {name for name, one in compose["services"].items() if "outside" in one["networks"]} == {"caddy"}
    assert compose["networks"]["inside"] == {"internal": True}


def test_health_checks_ask_where_the_database_is_asked_and_wait_longer_than_it_may_take(compose):
    health = compose["services"]["one"]["healthcheck"]
    image = (ROOT / "Dockerfile").read_text()
    caddy = (DEPLOYMENT / "Caddyfile").read_text()
    assert health["test"][-1] in image
    assert f"127.0.0.1:8501{ADDRESS}" in image
    assert f"health_uri {ADDRESS}\n" in caddy
    waits = [int(re.search(r"timeout=(\d)\)", health["test"][-1])[1])]
    waits.append(int(re.search(r"health_timeout (\d)s", caddy)[1]))
    assert min(waits) > SECONDS
    assert int(health["timeout"].removesuffix("s")) > waits[0]


def test_the_page_tells_the_bounds_as_they_are():
    page = (ROOT / "docs" / "operator.md").read_text().replace(",", "")
    for number in (connections.MOST, connections.MOST_EACH):
        assert f" {number}" in page
    for name in (connections.TOTAL, connections.EACH, connections.LINES, PROXIES):
        assert f"`{name}" in page
    assert f"{connections.SECONDS[connections.HEAD]:.0f} s" in page
    assert f"{connections.SECONDS[connections.READER]:.0f} s" in page
    assert f"{MOST_HEADERS} headers" in page


def test_the_page_tells_every_setting_of_compose():
    compose = (ROOT / "compose.yaml").read_text()
    page = (ROOT / "docs" / "operator.md").read_text()
    told = re.search(r"Write `\.env`.*?5\. ", page, re.DOTALL).group()
    settings = set(re.findall(r"\$\{(\w+)", compose))
    assert settings == {"STUDY_HOST", "STUDY_FOLDER", "STUDY_UID", "STUDY_GID", "POSTGRES_PASSWORD"}
    assert [name for name in settings if f"{name}=" not in told] == []


def test_the_page_tells_commands_that_exist(run):
    page = (ROOT / "docs" / "operator.md").read_text()
    compose = (ROOT / "compose.yaml").read_text()
    assert set(re.findall(r"compose run --rm (\w+)", page)) == {"one"}
    assert "\n  one: *server" in compose
    assert "./study/deployment/Caddyfile:" in compose
    used = set(
        re.findall(r"^\s+(?:docker compose run --rm one |/opt/study/bin/)?study (\w+)", page, re.MULTILINE)
    )
    assert {"build", "password", "invite", "backup", "close", "report"} <= used
    for command in used:
        code, told, error = run(command, "--help")
        assert code == 0, error
        options = set(re.findall(rf"study {command} [^\n]*?(--\w[\w-]*)", page))
        assert [option for option in options if option not in told] == []


def test_caddys_health_checks_are_let_in():
    """It asks a server by that server's own name, which the gate does not know, hence the Host header."""
    public = parsed("https://study.example.org")
    caddy = (DEPLOYMENT / "Caddyfile").read_text()
    host = re.search(r"health_headers \{\s*Host (\S+)", caddy).group(1)
    assert known_host(host, "0.0.0.0", public)
    assert known_host("study.example.org", "0.0.0.0", public)
    assert not known_host("one:8501", "0.0.0.0", public)
