"""What of a program's files decides whether its clips are made again."""

import os
import sys
from pathlib import Path

import pytest

from study import backends
from study.backends import Cell, Task
from study.backends.programs import named_files
from study.build import build


@pytest.fixture
def recipe(tmp_path):
    """The recipe of a command in a study's folder that holds a script and a model of two files."""
    folder = tmp_path / "study"
    (folder / "net/layers").mkdir(parents=True)
    (folder / "make.py").write_text("print(1)")
    (folder / "net/config.json").write_text("{}")
    (folder / "net/layers/first").write_bytes(b"weights")
    cell = Cell("riff", folder / "riff.wav", 0.0, 2.0, "UMG", None, "mine")

    def of(*words: object, **options):
        command = [sys.executable, *map(str, words), "{out}"]
        task = Task(cell, ["a"], 1.0, 7, folder / "models", {"command": command} | options, folder)
        return backends.get("command").recipe(task)

    of.folder = folder
    return of


def test_the_command_and_what_it_names_decide(recipe):
    words = ("make.py", "--net=net", "{seed}")
    before = recipe(*words)
    assert list(before["files"]) == ["make.py", "net"]
    assert recipe(*words, timeout=3, expect=2) == before
    assert recipe(*words, "more") != before
    (recipe.folder / "make.py").write_text("print(2)")
    assert recipe(*words)["files"]["make.py"] != before["files"]["make.py"]
    assert recipe(*words)["files"]["net"] == before["files"]["net"]


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda net: (net / "layers/first").write_bytes(b"WEIGHTS"), True),
        (lambda net: (net / "layers/first").rename(net / "layers/second"), True),
        (lambda net: (net / "config.json").unlink(), True),
        (lambda net: (net / "new").touch(), True),
        (lambda net: os.utime(net / "config.json", (1, 1)), False),
        (lambda net: (net / ".cache").touch(), False),
        (lambda net: (net / "__pycache__").mkdir() or (net / "__pycache__/x.pyc").touch(), False),
        (lambda net: os.mkfifo(net / "pipe"), False),  # and nobody waits for what is written there
        (lambda net: (net / "itself").symlink_to(net), False),
    ],
)
def test_what_of_a_folder_counts(recipe, change, counts):
    before = recipe("net")
    change(recipe.folder / "net")
    assert (recipe("net") != before) == counts


@pytest.mark.parametrize(
    ("writes", "changed", "counts"),
    [
        (["net/layers"], "net/layers/first", False),
        (["net/layers"], "net/layers/new", False),
        (["net/layers"], "net/config.json", True),
        (["net/layers/first"], "net/layers/first", False),
        (["net/layers/first"], "net/layers/new", True),
        (["./net/../net/layers/"], "net/layers/first", False),
        (["gone", "net"], "net/config.json", False),
        (["net"], "make.py", True),
        (["make.py"], "make.py", False),
        (["gone"], "net/layers/first", True),
    ],
)
def test_what_the_program_itself_writes_counts_for_nothing(recipe, writes, changed, counts):
    before = recipe("make.py", "net", writes=writes)
    (recipe.folder / changed).write_bytes(b"otherwise")
    assert (recipe("make.py", "net", writes=writes) != before) == counts


def test_a_model_beside_the_study_counts_by_either_path(recipe, tmp_path):
    elsewhere = tmp_path / "elsewhere {1}"
    elsewhere.mkdir()
    (elsewhere / "weights").write_bytes(b"1")
    escaped = str(elsewhere).replace("{", "{{").replace("}", "}}")
    words = (f"--net={escaped}", "../elsewhere {{1}}/weights")
    before = recipe(*words)
    assert len(before["files"]) == 2
    (elsewhere / "weights").write_bytes(b"2")
    assert all(recipe(*words)["files"][name] != found for name, found in before["files"].items())


def test_what_the_build_writes_and_what_is_no_file_does_not_count(recipe, monkeypatch):
    (recipe.folder / "models/run").mkdir(parents=True)
    (recipe.folder / "pool").mkdir()
    (recipe.folder / "ring").symlink_to("ring")
    words = (
        "ring",
        ".",
        "..",
        "/",
        "models",
        "models/run",
        "pool",
        "{models}/net",
        "",
        "--x=",
        "a" * 5000,
        "/dev/null",
    )
    assert recipe(*words)["files"] == {}
    monkeypatch.setattr(named_files, "_MOST_FILES", 1)
    assert recipe("net")["files"] == {}


def test_a_large_file_is_read_in_blocks_over_all_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(named_files, "_WHOLE", 1000)
    monkeypatch.setattr(named_files, "_BLOCKS", 4)
    monkeypatch.setattr(named_files, "_BLOCK", 10)
    digests = set()
    for place in (None, 0, 665, 1989, 1999):
        content = bytearray(2000)
        if place is not None:
            content[place] = 1
        file = tmp_path / f"{place}"
        file.write_bytes(content)
        digests.add(named_files.digest(file))
    assert len(digests) == 4  # between two blocks a byte is not seen
    (tmp_path / "longer").write_bytes(bytes(2001))
    assert named_files.digest(tmp_path / "longer") not in digests


def test_a_file_is_read_once_while_it_stays_as_it_is(tmp_path, monkeypatch):
    reads = []
    monkeypatch.setattr(named_files.atomic, "sha256", lambda file: reads.append(file) or "digest")
    file = tmp_path / "weights"
    for content in (b"1", b"of another size"):
        file.write_bytes(content)
        assert [named_files.digest(file) for _ in range(3)] == ["digest"] * 3
    assert len(reads) == 6  # it may be written again within one tick of the clock
    monkeypatch.setattr(named_files, "_SETTLED", -1e9)
    for content in (b"1", b"of another size"):
        file.write_bytes(content)
        assert [named_files.digest(file) for _ in range(3)] == ["digest"] * 3
    assert len(reads) == 8


def test_a_file_that_is_written_twice_at_one_moment_is_read_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(named_files, "_SETTLED", 1e9)
    file, digests = tmp_path / "weights", set()
    for content in (b"1", b"2"):
        file.write_bytes(content)
        os.utime(file, ns=(10**18, 10**18))
        digests.add(named_files.digest(file))
    assert len(digests) == 2


MAKES = """
import struct, sys, wave
from pathlib import Path
with wave.open(sys.argv[1] + "/a.wav", "wb") as file:
    file.setparams((1, 2, 8000, 0, "NONE", ""))
    file.writeframes(b"".join(struct.pack("<h", 900 * (index % 9)) for index in range(16000)))
"""


def test_a_changed_folder_remakes_its_clips_and_one_that_changes_by_itself_is_told(new_study, clip, run):
    folder = new_study(
        source=f'[[source]]\nfile = "{clip}"\nclips = 2\nmodes = ["UMG"]\nbackend = "mine"\n',
        backend=f'[backend.mine]\ncommand = ["{sys.executable}", "make.py", "{{out}}", "net"]\n',
        sets="[set.UMG]\nfakes = 2\noriginals = 1\n",
        listening="[listening]\npractice = 0\n",
    )
    net: Path = folder.path / "net"
    net.mkdir()
    (folder.path / "make.py").write_text(MAKES)
    assert build.build(folder, pool_only=True).clips_made == 2 + 5  # and an original, with four to spare
    assert build.build(folder, pool_only=True).clips_made == 0
    (net / "weights").write_bytes(b"better")
    assert build.build(folder, pool_only=True).clips_made == 2
    (folder.path / "make.py").write_text(MAKES + 'Path(sys.argv[2], "log").open("a").write("ran")\n')
    code, _, err = run("build", folder.path, "--pool-only")
    assert code == 2
    told = "net/log changed while mine ran, whose command names net; where the program itself writes it, add "
    assert told + 'writes = ["net/log"] to [backend.mine], else build again' in err.replace("\n", " ")
    assert not list(folder.path.glob(".*"))
    toml = folder.toml.read_text()
    folder.toml.write_text(toml.replace("[backend.mine]\n", '[backend.mine]\nwrites = ["net/log"]\n'))
    assert build.build(folder, pool_only=True).clips_made == 2  # the failed one, and its cell's other
    assert build.build(folder, pool_only=True).clips_made == 0
    (net / "log").unlink()
    assert build.build(folder, pool_only=True).clips_made == 0
    (net / "weights").write_bytes(b"better still")
    assert build.build(folder, pool_only=True).clips_made == 2
