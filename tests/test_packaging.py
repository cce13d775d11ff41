"""A wheel holds everything the installed commands need, and the set-up files keep to their rules."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest

from tests.test_architecture import imported, packages

ROOT = Path(__file__).parent.parent
PACKAGES = ("caw", "analysis", "study")
OURS = ["eureka-study"]


def plain(requirements: Iterable[str]) -> set[str]:
    """The names of distributions, without versions and extras, as package indexes compare them."""
    names = {re.match(r"[\w.-]+", requirement).group() for requirement in requirements}
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, tracked):
    """The wheel of what git tracks, so that a stray file in the working tree cannot stand in for one."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, source]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(target.glob("eureka_study-*.whl"))


def test_a_wheel_holds_every_tracked_file(wheel, tracked):
    packed = set(zipfile.ZipFile(wheel).namelist())
    expected = {str(name) for name in tracked if name.parts[0] in PACKAGES and name.name != "README.md"}
    assert expected | {"streamlit_app.py"} <= packed
    outside = {name.split("/")[0] for name in packed} - {*PACKAGES, "streamlit_app.py"}
    assert [name.endswith(".dist-info") for name in outside] == [True]


def test_the_unpacked_wheel_finds_its_app_and_data(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import importlib.util as u, importlib.resources as r; print(u.find_spec('streamlit_app').origin);"
        "print(r.files('study') / 'data' / 'song.flac');"
        "print(r.files('analysis') / 'data' / 'case_study_2022.csv')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    found = [Path(line) for line in told.stdout.splitlines()]
    assert len(found) == 3, told.stderr
    assert all(path.is_file() and path.is_relative_to(tmp_path) for path in found)


def test_all_commands_are_installed(wheel):
    archive = zipfile.ZipFile(wheel)
    entry = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
    begins = {"caw": "caw", "samplernn": "caw.samplernn", "study": "study"}
    wanted = {f"{command} = {package}.__main__:main" for command, package in begins.items()}
    assert wanted <= set(archive.read(entry).decode().splitlines())
    for package in begins.values():
        code = archive.read(f"{package.replace('.', '/')}/__main__.py").decode()
        assert re.search(r"^def main\(", code, re.MULTILINE)


@pytest.mark.parametrize("package", ["study", "caw", "caw.samplernn"])
def test_the_commands_of_the_unpacked_wheel_run(wheel, tmp_path, package):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    command = [sys.executable, "-m", package, "--help"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_the_requirements_are_what_modules_import(tracked):
    names = set()
    for path in tracked:
        if path.suffix == ".py" and path.parts[0] in (*PACKAGES, "streamlit_app.py"):
            names |= packages(imported(ast.parse((ROOT / path).read_text())))
    there = metadata.packages_distributions()
    used = {distribution for name in names & set(there) for distribution in there[name]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    required = plain(project["dependencies"])
    assert required - plain(used) == set()
    optional = plain(sum((extras[name] for name in extras if name != "dev"), []))
    assert plain(used) - required - optional - set(OURS) == set()


def test_every_dependency_is_pinned_and_nothing_names_a_place():
    pinned = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, version = re.fullmatch(r"([\w.-]+)==([\w.+]+)", line).groups()
            pinned[name.lower().replace("_", "-")] = version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    assert plain(wanted) <= set(pinned)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ('case "$*" in *version_info*) exit 1;; *) echo Python 3.9.2;; esac', "Python 3.9.2 is too old"),
        ('case "$*" in *ensurepip*) exit 1;; esac', "cannot make a virtual environment"),
        (None, "was not found"),
    ],
)
def test_the_set_up_says_what_python_lacks(tmp_path, behaviour, expected):
    """One line, and nothing made; a copy of the Makefile, so that no set-up of this checkout is touched."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    python = tmp_path / "python"
    if behaviour:
        python.write_text(f"#!/bin/sh\n{behaviour}\n")
        python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "demo", f"PYTHON={python}"]
    made = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert made.returncode == 2
    assert expected in made.stderr.splitlines()[0]
    assert not made.stdout
    assert not (tmp_path / ".venv").exists()
