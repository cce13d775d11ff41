from __future__ import annotations

import io
import tomllib

import pytest

from study import design as designs
from study import password
from study.design import DesignError
from study.password import PasswordError

GOOD = "four plain words here"
TOML = """\
# the founding study
[study]
title = "Riffs" # shown to all
seed = 7

[listening]
practice = 1  # few
"""


@pytest.fixture(scope="module")
def kept() -> str:
    return password.hashed(GOOD)


def test_a_hash_fits_its_password_and_no_other(kept):
    assert password.matches(GOOD, kept)
    assert not password.matches(GOOD + " ", kept)
    assert not password.matches("", kept)
    assert GOOD not in kept
    assert password.hashed(GOOD) != kept, "each hash has a salt of its own"


@pytest.mark.parametrize("poor", ["", "short", "x" * 1001])
def test_poor_passwords_are_refused(poor):
    with pytest.raises(PasswordError, match=f"{len(poor)} characters; take 10 to 1000"):
        password.hashed(poor)


@pytest.mark.parametrize(
    "wrong",
    [
        "secret",
        "scrypt$32768$8$3$c2FsdA==$c2hvcnQ=",
        "scrypt$32767$8$3$c2FsdA==$" + "A" * 43 + "=",
        "scrypt$1073741824$8$3$c2FsdA==$" + "A" * 43 + "=",
        "bcrypt$32768$8$3$c2FsdA==$" + "A" * 43 + "=",
    ],
)
def test_what_is_no_hash_is_named_with_its_mend(tmp_path, wrong):
    (tmp_path / "study.toml").write_text(TOML + f'\n[researcher]\npassword = "{wrong}"\n')
    with pytest.raises(DesignError, match=r"study.toml: researcher.password .*`study password`"):
        designs.load(tmp_path)


def test_the_line_is_added_and_all_else_kept(tmp_path, kept):
    file = tmp_path / "study.toml"
    file.write_text(TOML)
    file.chmod(0o640)
    digest = designs.load(tmp_path).digest()
    designs.write_password(file, kept)
    assert file.read_text() == TOML + f'\n[researcher]\npassword = "{kept}"\n'
    assert file.stat().st_mode & 0o777 == 0o640
    design = designs.load(tmp_path)
    assert design.researcher.password == kept
    assert design.digest() == digest, "a new password is no other study"
    assert kept not in str(design.model_dump()), "nor does it reach a report"
    assert kept not in repr(design)


def test_an_old_password_is_replaced_in_its_line(tmp_path, kept):
    file = tmp_path / "study.toml"
    more = '\n[researcher]  # us\noidc_emails = ["a@b.org"]\n  password = "old"  # Ida knows\n\n[questions]\n'
    file.write_text(TOML + more)
    designs.write_password(file, kept)
    assert file.read_text() == TOML + more.replace('"old"', f'"{kept}"')


def test_a_table_without_a_password_gets_one(tmp_path, kept):
    file = tmp_path / "study.toml"
    file.write_text(TOML + "\n[researcher]  # us")
    designs.write_password(file, kept)
    assert file.read_text() == TOML + f'\n[researcher]  # us\npassword = "{kept}"\n'


def test_line_ends_of_windows_stay(tmp_path, kept):
    file = tmp_path / "study.toml"
    file.write_bytes(b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode())
    designs.write_password(file, kept)
    content = file.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf# the")
    assert content.count(b"\n") == content.count(b"\r\n") == TOML.count("\n") + 3
    assert designs.load(tmp_path).researcher.password == kept


@pytest.mark.parametrize(
    "form", ['researcher = { password = "x" }  # us\n' + TOML, TOML + '[researcher]\npassword = """\nx"""\n']
)
def test_every_form_of_the_table_is_understood(tmp_path, kept, form):
    file = tmp_path / "study.toml"
    file.write_text(form)
    designs.write_password(file, kept)
    assert designs.load(tmp_path).researcher.password == kept
    assert TOML in file.read_text(), "all else is as it was"


def test_a_researcher_that_is_no_table_is_left_alone(tmp_path, kept):
    file = tmp_path / "study.toml"
    file.write_text(f"researcher = 3\n{TOML}")
    with pytest.raises(DesignError, match=r"researcher: is no table; write it as \[researcher\]"):
        designs.write_password(file, kept)
    assert file.read_text() == f"researcher = 3\n{TOML}"


def test_a_broken_file_is_left_alone(tmp_path, kept):
    file = tmp_path / "study.toml"
    file.write_text("[study\n")
    with pytest.raises(DesignError, match="study.toml: line 1: "):
        designs.write_password(file, kept)


def test_a_link_to_a_study_stays_a_link(tmp_path, kept):
    (tmp_path / "real.toml").write_text(TOML)
    (tmp_path / "study.toml").symlink_to("real.toml")
    designs.write_password(tmp_path / "study.toml", kept)
    assert (tmp_path / "study.toml").is_symlink()
    assert tomllib.loads((tmp_path / "real.toml").read_text())["researcher"]["password"] == kept


def test_it_is_asked_twice_and_not_shown(monkeypatch):
    monkeypatch.setattr("sys.stdin", _Terminal())
    given = iter([GOOD, GOOD, GOOD, "another"])
    monkeypatch.setattr(password.getpass, "getpass", lambda _prompt: next(given))
    assert password.ask() == GOOD
    with pytest.raises(PasswordError, match="differ"):
        password.ask()


def test_without_a_terminal_it_is_piped_in(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{GOOD}\nnext line\n"))
    with pytest.raises(PasswordError, match="--stdin"):
        password.ask()
    assert password.ask(from_stdin=True) == GOOD


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
