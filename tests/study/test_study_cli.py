import errno
import os
import re
import subprocess
import sys

import pytest
from typer.main import get_command

from study.build import build as building
from study.cli import commands as cli
from study.folder import StudyFolder


def refused(outcome: tuple[int, str, str]) -> str:
    """The one line on stderr that every user's mistake ends in."""
    code, _, error = outcome
    assert code == 2
    assert error.startswith("study: ")
    assert error.count("\n") == 1
    return error


def test_the_way_of_a_study(run, new_study, answer, tmp_path, clip):
    folder = new_study()
    code, out, error = run("build", folder.path)
    assert (code, error) == (0, "")
    assert "Leak audit" in out
    assert "15 properties of files" in out
    code, out, _ = run("build", folder.path)
    assert (code, "up to date" in out) == (0, True)
    code, out, _ = run("invite", folder.path, "Ada", "Ben", "--url", "https://study.example")
    links = out.splitlines()
    assert links[0].startswith("Ada: https://study.example/?p=")
    assert run("invite", folder.path, "Ada", "--url", "https://study.example")[1] == links[0] + "\n"
    answer(folder, "Ada")
    code, out, _ = run("status", folder.path)
    assert (code, "9 of 9" in out, "not opened yet" in out) == (0, True, True)
    assert run("export", folder.path, "--out", tmp_path / "a.csv")[1].startswith("9 answers are in")
    assert "1 listeners have not finished (Ben)" in refused(run("report", folder.path))


def test_the_list_of_commands_cuts_no_line_short(run):
    code, out, _ = run("--help")
    lines = out.partition("Commands:")[2].split("\n")
    assert (code, [line for line in lines if line.endswith("...")]) == (0, [])
    assert len([line for line in lines if line.endswith(".")]) == len(cli.app.registered_commands)


def test_init_writes_a_study(run, tmp_path, clip):
    code, out, _ = run("init", tmp_path / "s", clip, "--title", "Ours")
    assert code == 0
    assert "Look through it, then: study build" in out
    assert (
        "With 16 machine-made clips and 6 originals, can the report answer this?\n  yes  Can listeners" in out
    )
    assert (
        "  no   Do machine-made clips pass as real? 6 originals cannot show it; raise `originals` to 10"
        in out
    )
    assert "Ours" in (tmp_path / "s" / "study.toml").read_text()
    assert "there is a study already" in refused(run("init", tmp_path / "s", clip))
    assert run("init", tmp_path / "our songs")[1].endswith(f"study build '{tmp_path / 'our songs'}'\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build"], "Missing argument 'DIR'; see study build --help"),
        (["built", "x"], "No such command 'built'"),
        (["build", "nowhere"], "nowhere: no such folder; make a study with `study init nowhere`"),
        (["serve", "nowhere"], "no such folder"),
        (["invite", "nowhere", "Ada"], "no such folder"),
        (["status", "nowhere"], "no such folder"),
        (["export", "nowhere", "--out", "x.csv"], "no such folder"),
        (["revoke", "nowhere", "Ada"], "no such folder"),
        (["close", "nowhere"], "no such folder"),
        (["backup", "nowhere", "x.sqlite"], "no such folder"),
        (["backup", "nowhere"], "Missing argument 'FILE'"),
        (["invite", "nowhere", "Ada", "--url", "my study"], "--url 'my study': is no address that a browser"),
        (["links", "nowhere", "--url", "study.org"], "write scheme and host, as https://study.example.org"),
        (
            ["follow-up", "nowhere", "--url", "https://a.org/?p=1"],
            "'https://a.org/?p=1': is no address",
        ),
        (["export", "nowhere"], "no file is named; name one with --out, or"),
        (["report", "nowhere"], "no such"),
        (["report"], "name a study folder, or a table with --from"),
        (["report", "x", "--from", "y"], "one of them"),
        (["report", "--from", "none.csv"], "--from needs --out"),
        (["report", "--from", "none.csv", "--out", "x"], "none.csv"),
        (["init", "new", "none.wav"], "none.wav: no such file; check the name"),
        (["demo", "--clip", "none.wav", "--no-serve"], "none.wav: no such file; check the name"),
        (["serve", "x", "--port", "0"], "--port is 0; use a number from 1 to 65535"),
    ],
)
def test_every_mistake_is_one_line(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused(run(*arguments))
    assert list(tmp_path.iterdir()) == []


def test_inviting_before_building(run, new_study):
    assert "run `study build` on this folder first" in refused(run("invite", new_study().path, "Ada"))


def test_the_help_names_no_address_but_of_the_reserved_domain():
    hosts = set()
    for command in get_command(cli.app).commands.values():
        for parameter in command.params:
            hosts.update(re.findall(r"https?://([\w.-]+\w)", getattr(parameter, "help", None) or ""))
    assert hosts == {"study.example.org"}


def test_help_is_help(run):
    code, out, error = run("--help")
    assert (code, error) == (0, "")
    commands = ("init", "build", "serve", "invite", "status", "export", "report", "demo")
    for command in (*commands, "revoke", "restore", "close", "reopen", "backup", "password"):
        assert command in out
    code, out, error = run()
    assert (code, "Commands:" in out, error) == (2, True, "")


def test_a_full_disk_names_the_path_and_the_mend(run, new_study, monkeypatch):
    folder = new_study()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = refused(run("build", folder.path))
    assert str(folder.path) in message
    assert "No space left on device" in message
    assert "; " in message
    monkeypatch.undo()
    assert not folder.sets.exists()
    assert not list(folder.path.rglob(".*"))


def test_an_interruption_says_how_to_go_on(run, new_study, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "_build", interrupted)
    code, _, error = run("build", new_study().path)
    assert (code, error) == (130, "study: interrupted; the same command goes on where it stopped\n")


def test_a_leak_is_exit_code_1(run, new_study, monkeypatch):
    monkeypatch.setattr(building.blinded_sets.blinding, "even_out_times", lambda file: None)
    code, _, error = run("build", new_study().path)
    assert code == 1
    assert error.startswith("study: leak: changed")


def test_a_fault_of_ours_is_not_hidden(run, new_study, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(building, "_build", broken)
    monkeypatch.setattr(sys, "argv", ["study", "build", str(new_study().path)])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_a_listeners_way_needs_no_torch_and_no_model(new_study):
    """`study serve` runs where nothing is trained: it must start without the heavy libraries."""
    code = "import sys, study.cli, study.store.store, study.design; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_a_report_from_a_table(run, tmp_path, monkeypatch):
    from analysis import responses
    from analysis.report import report

    handed = []
    monkeypatch.setattr(
        report,
        "write",
        lambda frame, out, *, facts: handed.append((frame, facts)) or out / "index.html",
    )
    table = tmp_path / "table.csv"
    responses.founding().to_csv(table, index=False)
    code, out, _ = run("report", "--from", table, "--out", tmp_path / "out", "--title", "Our band")
    assert (code, len(handed[0][0]), handed[0][1].title) == (0, 20, "Our band")
    assert f"The report is {tmp_path / 'out' / 'index.html'}" in out
    assert StudyFolder(tmp_path).report.exists() is False


def test_an_interrupted_command_that_keeps_nothing_promises_nothing(run, tmp_path, monkeypatch):
    from analysis.sounds import inventory

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(inventory, "take", interrupted)
    code, _, error = run("inventory", tmp_path, "--out", tmp_path / "out")
    assert (code, error) == (130, "study: interrupted; nothing is half written\n")
