import csv
import json
import shutil
import sys

import pytest

from caw import audio
from study.build.build import build
from study.cli import commands
from study.store.store import Store
from tests.study.audit.planted import clean_set, low_band


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs `study ARGUMENTS`; returns (exit code, stdout, stderr)."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study", *(str(argument) for argument in arguments)])
        capfd.readouterr()  # what a build has printed before
        with pytest.raises(SystemExit) as ended:
            commands.main()
        output = capfd.readouterr()
        return ended.value.code, output.out, output.err

    return call


def key(folder) -> list[dict[str, str]]:
    with folder.key.open() as file:
        return list(csv.DictReader(file))


def without_repeats(out: str) -> str:
    """What is printed but for the pairs of clips that share sound: they alone are named, by their ids."""
    return "\n".join(line for line in out.splitlines() if not line.startswith("note: repetition: "))


@pytest.mark.slow
def test_a_built_study_is_audited_again_as_it_is_now(run, new_study, answer):
    folder = new_study(stimuli="[stimuli]\nseconds = 1.0\ntrim = 0.1\nrepeats = 1\n")
    build(folder)
    answer(folder, "Ada", 2)
    shutil.rmtree(folder.audit)
    code, out, error = run("audit", folder.path, "--alpha", 0.001)  # by chance never
    assert (code, error) == (0, "Auditing 9 clips of UMG, VAR\n")
    assert "For the researcher alone" in out
    assert "order of presentation" in " ".join(out.split())
    rows = json.loads((folder.audit / "audit.json").read_text())["findings"]
    assert {"order of presentation", "times presented"} <= {row["property"] for row in rows}
    page = (folder.audit / "index.html").read_text()
    for row in key(folder):
        assert row["name"] not in out + page
        for secret in (row["stimulus_id"], row["name"]):
            assert secret not in without_repeats(out) + json.dumps(rows)
    store = Store.for_folder(folder)
    assert [event["what"] for event in store.events()].count("audit") == 1
    assert store.unblindings() == []
    store.close()


def test_a_swapped_file_is_a_leak_with_its_mend(run, built_study):
    folder = built_study
    row = next(row for row in key(folder) if row["set"] == "UMG" and row["truth"] == "real")
    file = folder.stimulus(row["set"], row["stimulus_id"])
    samples, rate = audio.read(file)
    audio.write(file, samples * 0.9, rate, subtype="PCM_16")
    code, out, error = run("audit", folder.path)
    assert code == 1
    stage, error = error.split("\n", 1)
    assert stage == "Auditing 9 clips of UMG, VAR"
    assert error.count("\n") == 1
    assert error.startswith("study: leak: changed (s since 1970) differs in all sets: ")
    assert "(and permissions, bytes)" in error
    assert "build again" in error
    assert "LEAK" in out
    assert row["stimulus_id"] not in without_repeats(out) + error


def test_a_key_that_is_not_the_sealed_one_is_refused(run, built_study):
    folder = built_study
    folder.key.write_text(folder.key.read_text() + "\n")
    code, _, error = run("audit", folder.path)
    assert (code, "not the key that was sealed" in error) == (2, True)


def test_sets_can_be_chosen(run, built_study):
    folder = built_study
    code, out, _ = run("audit", folder.path, "--sets", "UMG", "--alpha", 0.001)
    assert (code, "UMG: AUC, p" in out, "VAR: AUC" in out) == (0, True, False)
    code, _, error = run("audit", folder.path, "--sets", "UGM")
    assert (code, error) == (2, f"study: {folder.path}: there is no set 'UGM'; its sets are UMG, VAR\n")


def test_nothing_built_is_nothing_to_audit(run, new_study):
    folder = new_study()
    code, _, error = run("audit", folder.path)
    assert (code, "nothing is built yet; run `study build" in error) == (2, True)


def two_folders(tmp_path, change=None):
    clips = clean_set(tmp_path / "all", reals=6, fakes=6, change=change)
    for heard in clips:
        target = tmp_path / ("real" if heard.real else "fake")
        target.mkdir(exist_ok=True)
        heard.file.rename(target / heard.file.name)
    return tmp_path / "real", tmp_path / "fake"


def test_any_two_folders_are_audited(run, tmp_path):
    real, fake = two_folders(tmp_path)
    code, out, error = run(
        "audit", "--real", real, "--fake", fake, "--out", tmp_path / "out", "--alpha", 0.0005
    )
    assert (code, error) == (0, "Auditing 12 clips of real and fake\n")
    assert "no leak found" in out
    names = {"audit.csv", "audit.json", "index.html"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == names


def test_a_leak_in_two_folders_ends_with_its_mend(run, tmp_path):
    real, fake = two_folders(tmp_path, lambda samples, real: low_band(samples) if real else samples)
    code, _, error = run("audit", "--real", real, "--fake", fake)
    assert code == 1
    assert "originals reach 6.0 kHz, generated 8.0 kHz: set stimuli.rate = 12" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a study folder, or two folders of clips with --real and --fake"),
        (("DIR", "--real", "DIR", "--fake", "DIR"), "one of the two"),
        (("--real", "DIR"), "name a study folder, or two folders"),
        (("DIR", "--out", "x"), "--out x is for --real and --fake"),
        (("--real", "DIR", "--fake", "DIR", "--sets", "UMG"), "--sets UMG is for a study folder"),
        (("--real", "DIR", "--fake", "DIR"), "holds no clips"),
        (("--real", "DIR/none", "--fake", "DIR"), "no such folder"),
        (("DIR", "--alpha", "0"), "--alpha"),
    ],
)
def test_a_wrong_command_is_one_line(run, tmp_path, arguments, message):
    code, _, error = run("audit", *[argument.replace("DIR", str(tmp_path)) for argument in arguments])
    assert code == 2
    assert error.count("\n") == 1
    assert message in error


def test_hidden_files_are_left_out_and_what_is_no_sound_is_named(run, tmp_path):
    real, fake = two_folders(tmp_path)
    (real / "._r1.wav").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X" + bytes(144))
    (real / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (fake / "notes.txt").write_text("take 2 is best")
    (fake / "older").mkdir()
    code, out, error = run("audit", "--real", real, "--fake", fake, "--alpha", 0.0005)
    assert (code, error) == (0, "Auditing 12 clips of real and fake\n")
    notes = " ".join(out.split())
    assert f"note: {real}: 2 hidden files were left out" in notes
    assert f"note: {fake}: not looked at, as no sound that can be read: notes.txt, older/" in notes


def test_a_folder_of_hidden_files_and_texts_holds_no_clips(run, tmp_path):
    real, fake = two_folders(tmp_path)
    for file in real.iterdir():
        file.rename(file.with_suffix(".txt")).write_text("x")
    (real / "._r1.wav").write_bytes(b"\0\5\26\7")
    code, _, error = run("audit", "--real", real, "--fake", fake)
    assert (code, error.count("\n"), "holds no clips" in error) == (2, 1, True)


def test_a_broken_file_with_the_name_of_sound_is_refused(run, tmp_path):
    real, fake = two_folders(tmp_path)
    (real / "r1.wav").write_bytes(b"RIFF")
    code, _, error = run("audit", "--real", real, "--fake", fake)
    assert (code, error.count("\n"), "r1.wav" in error) == (2, 1, True)


def test_who_notices_a_property_stands_in_table_and_page(run, tmp_path):
    real, fake = two_folders(tmp_path, lambda samples, real: low_band(samples) if real else samples)
    code, out, error = run("audit", "--real", real, "--fake", fake, "--out", tmp_path / "out")
    assert code == 1
    line = next(line for line in out.splitlines() if line.startswith("LEAK: "))
    assert "a listener can notice " in line
    assert "bandwidth (Hz)" in line
    rows = json.loads((tmp_path / "out" / "audit.json").read_text())["findings"]
    noticed = {row["property"].split(" (")[0]: row["noticed_by"] for row in rows}
    assert (noticed["bandwidth"], noticed["unused bits"], noticed["waveform skew"]) == (
        "listener",
        "program",
        "program",
    )
    assert "noticed by" in (tmp_path / "out" / "index.html").read_text()


def test_a_file_of_another_kind_under_the_name_of_sound_is_named_for_what_it_is(run, tmp_path):
    real, fake = two_folders(tmp_path)
    (real / "film.m4a").write_bytes(b"PK\x03\x04" + bytes(50))
    code, _, error = run("audit", "--real", real, "--fake", fake)
    assert code == 2
    assert "film.m4a: is not sound but a zip archive" in error
