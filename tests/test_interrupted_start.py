"""Ctrl-C while a command still loads its modules, as it works, and after its last word."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from caw import process
from caw.cli import command_line

ROOT = Path(__file__).parent.parent
COMMANDS = ("caw", "caw.samplernn", "study")
CTRL_C = "import signal; signal.raise_signal(signal.SIGINT); "


def start(module: str, place: Path, *arguments: str, **loaded: str) -> subprocess.CompletedProcess:
    """`python -m MODULE` where importing the modules `loaded` runs their code first."""
    for name, code in loaded.items():
        (place / f"{name}.py").write_text(f"{code}\nraise SystemExit('Ctrl-C was not heard')")
    path = os.pathsep.join([str(place), str(ROOT)])
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=place, env=os.environ | {"PYTHONPATH": path}, capture_output=True)


@pytest.mark.parametrize(
    ("module", "library"),
    [*((module, "typer") for module in COMMANDS), ("caw", "numpy"), ("caw.samplernn", "numpy")],
)
def test_ctrl_c_while_modules_are_loaded_is_a_quiet_end(module, library, tmp_path):
    ended = start(module, tmp_path, "--help", **{library: CTRL_C})
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_a_library_that_turns_exceptions_into_its_own_makes_no_difference(tmp_path):
    swallowing = f"try:\n    {CTRL_C}\nexcept BaseException:\n    raise ImportError('numpy is broken')"
    ended = start("caw", tmp_path, "--help", numpy=swallowing)
    assert (ended.returncode, ended.stderr) == (130, b"")


def test_where_ctrl_c_is_ignored_it_stays_so(tmp_path):
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    code += "runpy.run_module('study', run_name='__main__')"
    (tmp_path / "typer.py").write_text(f"{CTRL_C}\nraise SystemExit(7)")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment).returncode == 7


@pytest.fixture
def at_once():
    """This process as a command that has begun; what it held is put back."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process.end_on_interrupt()
    yield process._end
    signal.signal(signal.SIGINT, before)


def test_a_command_at_work_is_interrupted_as_ever(at_once, capsys):
    def app(standalone_mode):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(SystemExit, match="130"):
        command_line.run(app, "caw", goes_on="go on with --resume")
    assert capsys.readouterr().err == "caw: interrupted; go on with --resume\n"
    assert signal.getsignal(signal.SIGINT) is at_once  # and again, while it ends


def test_all_is_said_before_ctrl_c_ends_without_a_word(at_once, monkeypatch):
    calls = []

    def app(standalone_mode):
        monkeypatch.setattr(sys, "stdout", type("Out", (), {"flush": lambda: calls.append("flushed")}))

    with pytest.raises(SystemExit):
        command_line.run(app, "caw", goes_on="")
    assert calls == ["flushed"]


@pytest.mark.slow
def test_who_calls_a_command_from_a_program_of_theirs_keeps_their_own_handler():
    before = signal.getsignal(signal.SIGINT)
    with process.interruptible():
        assert signal.getsignal(signal.SIGINT) is before
    assert signal.getsignal(signal.SIGINT) is before
