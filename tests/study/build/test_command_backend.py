"""A program as a backend: what it is told, what becomes of it, and that nothing of it is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from study import backends
from study.backends import BackendError, Cell, Task

# writes clips with the standard library alone, as a program of somebody else would
WRITE = """
import json, math, os, struct, sys, time, wave
def sound(path, seconds, value=None, rate=8000):
    with open(path, "wb") as target, wave.open(target) as file:
        file.setnchannels(1); file.setsampwidth(2); file.setframerate(rate)
        for index in range(round(rate * seconds)):
            sample = 9000 * math.sin(0.1 * index) if value is None else value * (-1) ** index
            file.writeframesraw(struct.pack("<h", int(sample)))
"""


@pytest.fixture
def study(tmp_path, clip):
    """Makes a task for a program that is given as Python."""
    folder = tmp_path / "a study"
    folder.mkdir()

    def make(code: str = "", words: str = "{out}", names=("riff-mine-UMG-1",), cell=(), **options):
        script = folder / "make.py"
        script.write_text(WRITE + textwrap.dedent(code))
        options = {"command": [sys.executable, "make.py", *words.split()], "timeout": 200} | options
        facts = {"source": "riff", "file": clip, "start": 1.0, "seconds": 2.0, "mode": "UMG"}
        facts |= {"epochs": None, "backend": "mine", "file_sha256": "0"} | dict(cell)
        return Task(Cell(**facts), list(names), 1.2, 7, folder / "models", options, folder)

    return make


def made(task: Task) -> list:
    return list(backends.get("command").make(task, lambda share, text: None))


def refused(task: Task) -> str:
    with pytest.raises(BackendError) as told:
        made(task)
    assert "\n" not in str(told.value)
    left = [path.name for path in task.models.iterdir()]
    assert left == [f"{task.cell.name}.log"]  # no half-made file
    assert not list(task.folder.glob(".*"))
    return str(told.value)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_until(true, seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return true()


def test_one_call_makes_all_clips_where_the_program_counts(study):
    task = study(
        """
        out, n, seconds, seed, rate, clip, mode = sys.argv[1:]
        with wave.open(clip) as file:
            assert (file.getframerate(), file.getnframes()) == (int(rate), 2 * int(rate))
        open("calls", "a").write(f"{n} {seconds} {mode} {os.listdir(out)}\\n")
        for index in range(int(n)):
            sound(f"{out}/take {index}.wav", float(seconds), value=1000 * (index + 1))
        open(f"{out}/notes.txt", "w")
        """,
        "{out} {n} {seconds} {seed} {rate} {clip} {mode}",
        names=("a", "b", "c"),
    )
    clips = made(task)
    assert (task.folder / "calls").read_text() == "3 1.2 UMG []\n"
    assert [clip.name for clip in clips] == ["a", "b", "c"]
    assert [round(float(clip.samples.max()) * 32768) for clip in clips] == [1000, 2000, 3000]
    assert len({clip.seed for clip in clips}) == 1
    assert {(clip.rate, len(clip.samples), clip.run) for clip in clips} == {(8000, 9600, "")}
    assert [path.name for path in task.models.iterdir()] == ["riff-mine-UMG.log"]
    assert not list(task.folder.glob(".*"))


def test_a_name_that_is_no_text_is_read_all_the_same(study):
    (clip,) = made(study("sound(os.fsencode(sys.argv[1]) + b'/\\xff.wav', 2)"))
    assert len(clip.samples) == 16000


def test_a_call_for_each_clip_where_it_does_not(study):
    code = 'sound(sys.argv[1] + "/a.wav", 2, int(sys.argv[2]) % 9000 + 500); print("seed", sys.argv[2])'
    task = study(code, "{out} {seed}", names=("a", "b"))
    first, second = made(task)
    assert first.seed != second.seed
    [alone] = made(study(code, "{out} {seed}", names=("b",)))
    assert alone.seed == second.seed
    assert np.array_equal(alone.samples, second.samples)
    made(task)
    log = (task.models / "riff-mine-UMG.log").read_text()
    assert log == f"seed {first.seed}\nseed {second.seed}\n"


def test_a_folder_for_trainings_lasts_and_is_shared_by_modes_alone(study):
    code = """
    count = len(os.listdir(sys.argv[2]))
    open(f"{sys.argv[2]}/{count}", "w")
    sound(sys.argv[1] + "/a.wav", 2, 1000 * (count + 1))
    """
    words = "{out} {models} {epochs}"
    levels = []
    others = {"epochs": 6}, {"epochs": 5, "start": 2.0}, {"epochs": 5, "training": 2}
    for cell in ({"epochs": 5}, {"epochs": 5, "mode": "VAR"}, *others):
        [clip] = made(study(code, words, cell=cell))
        levels.append(round(float(clip.samples.max()) * 32768))
    assert levels == [1000, 2000, 1000, 1000, 1000]
    task, backend = study(code, words, cell={"epochs": 5}), backends.get("command")
    assert backend.shared_job(task).startswith("riff-mine-5-")
    assert backend.artifacts(task) == (backend.shared_job(task), "riff-mine-UMG-5.log")
    assert (task.models / backend.shared_job(task)).is_dir()


def test_names_never_reach_a_shell(study):
    evil = "; touch pwned; $(touch pwned) `touch pwned` 'x' \"y\"\n{seed} -rf"
    task = study('sound(sys.argv[2] + "/-rf; touch pwned.wav", 2); print(json.dumps(sys.argv[1:]))')
    task.options["command"][2:] = [evil.replace("{", "{{").replace("}", "}}"), "{out}"]
    made(task)
    assert not (task.folder / "pwned").exists()
    said = (task.models / "riff-mine-UMG.log").read_text()
    assert evil in json.loads(said)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("sys.exit('no such\\x1b[31m weights')", "mine ended with exit code 1: no such \\[31m weights; see "),
        ("os.kill(os.getpid(), 9)", r"mine was killed by SIGKILL \(out of memory\?\); see "),
        ("os.write(1, bytes(range(256)) * 9); sys.exit(3)", "mine ended with exit code 3: .*; see "),
        ("", "mine left 0 sound files in {out}, 1 was asked for; see "),
        (
            "print('no notes in \\ufffd it')",
            "mine left 0 sound files in {out}, 1 was asked for: no notes in it; ",
        ),
        ("os.rmdir(sys.argv[1])", "mine left 0 sound files in {out}, 1 was asked for; see "),
        ("os.mkfifo(sys.argv[1] + '/a.wav')", "which cannot be used .is no file but a pipe or device"),
        (
            "open(sys.argv[1] + '/a.wav', 'w')",
            r"mine made a.wav, which cannot be used \(is empty \(0 bytes\)\)",
        ),
        ("open(sys.argv[1] + '/a.wav', 'w').write('RIFF' * 99)", "mine made a.wav, which cannot be used"),
        ("sound(sys.argv[1] + '/a.wav', 2, 0)", r"which cannot be used \(is silent"),
        ("sound(sys.argv[1] + '/a.wav', 9000, rate=2)", "its header states a rate of 2 Hz"),
        ("sound(sys.argv[1] + '/a.wav', 0.5)", "mine made a.wav of 0.50 s, 1.2 s are needed; see "),
        (
            "import soundfile; soundfile.write(sys.argv[1] + '/a.wav', [math.nan] * 20000, 8000, 'FLOAT')",
            "which cannot be used .20000 samples are NaN",
        ),
    ],
)
def test_what_a_program_does_wrong(study, code, told):
    task = study(code)
    text = refused(task)
    assert re.search(told, text), text
    assert "models/riff-mine-UMG.log" in text


def test_a_folder_that_a_program_removes_is_there_for_the_next_clip(study):
    code = """
    sound("elsewhere/a.wav", 2)
    os.rmdir(sys.argv[1])
    os.symlink(os.path.abspath("elsewhere"), sys.argv[1])
    """
    task = study(code, names=("a", "b"))
    (task.folder / "elsewhere").mkdir()
    assert len(made(task)) == 2
    assert (task.folder / "elsewhere/a.wav").exists()  # nothing beyond the folder for the call is removed


@pytest.mark.parametrize("harm", ["open(clip, 'wb').write(b'x')", "os.remove(clip)", "os.truncate(clip, 9)"])
def test_each_call_hears_the_whole_passage_whatever_the_one_before_did_to_it(study, harm):
    code = f"""
    out, clip = sys.argv[1:]
    with wave.open(clip) as file:
        frames = file.getnframes()
    {harm}
    sound(out + "/a.wav", frames / 16000)
    """
    first, second = made(study(code, "{out} {clip}", names=("a", "b")))
    assert len(first.samples) == len(second.samples)


def test_a_script_whose_interpreter_is_not_there(study):
    task = study()
    (task.folder / "run").write_text("#!/no/such/interpreter\n")
    (task.folder / "run").chmod(0o755)
    task.options["command"] = "./run {out}"
    assert "mine could not be started (does its first line name an interpreter that is there?)" in refused(
        task
    )


def test_too_few_files(study):
    task = study("sound(sys.argv[1] + '/a.wav', 2)", "{out} {n}", names=("a", "b", "c"))
    assert "mine left 1 sound files in {out}, 3 were asked for" in refused(task)


HANGS = """
import subprocess
others = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setsid();"
others += "os.write(1, b'deaf, and in a session of its own'); time.sleep(999)"
child = subprocess.Popen([sys.executable, "-c", others], stdout=subprocess.PIPE)
child.stdout.read(1)
with open("pids.tmp", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename("pids.tmp", "pids")
"""


def test_a_program_that_hangs_is_ended_with_its_children(study):
    started = time.monotonic()
    for seconds in (2, 10, 50):  # as many as it takes this machine to start it
        task = study(HANGS + "time.sleep(999)", timeout=seconds)
        said = f"mine took longer than {seconds} s (raise `timeout` of [backend.mine])"
        assert said in refused(task)
        if (task.folder / "pids").exists():
            break
    assert time.monotonic() - started < 200
    pids = [int(pid) for pid in (task.folder / "pids").read_text().split()]
    assert not any(is_running(pid) for pid in pids)


def test_children_do_not_outlive_a_program_that_is_done(study):
    task = study(HANGS + "sound(sys.argv[1] + '/a.wav', 2)")
    assert len(made(task)) == 1
    assert not any(is_running(int(pid)) for pid in (task.folder / "pids").read_text().split())


BUILD = """
import sys
from pathlib import Path
from study import backends
from study.backends import Cell, Task
folder, clip, script = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
cell = Cell("riff", clip, 1.0, 2.0, "UMG", None, "mine")
task = Task(cell, ["a"], 1.2, 7, folder / "models", {"command": [sys.executable, script, "{out}"]}, folder)
list(backends.get("command").make(task, lambda share, text: None))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_build_leaves_nothing_running(study, clip, how):
    task = study(HANGS + "time.sleep(999)")
    words = [sys.executable, "-c", BUILD, str(task.folder), str(clip), "make.py"]
    building = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        assert wait_until((task.folder / "pids").exists, 60)
        pids = [int(pid) for pid in (task.folder / "pids").read_text().split()]
        assert all(is_running(pid) for pid in pids)
        os.kill(building.pid, how)
        building.wait(60)
        assert wait_until(lambda: not any(is_running(pid) for pid in pids))
    finally:
        building.kill()
    if how == signal.SIGKILL:  # what it left is cleared by the next one
        assert (task.folder / ".riff-mine-UMG.work").is_dir()
        made(study("sound(sys.argv[1] + '/a.wav', 2)"))
    assert [path.name for path in task.models.iterdir()] == ["riff-mine-UMG.log"]


def test_a_flood_of_output_leaves_a_short_log(study):
    task = study(
        """
        sys.stdout.write("the start\\n")
        for _ in range(300):
            sys.stdout.write("x" * 100_000)
        sys.stdout.write("\\nthe end\\n")
        sys.stdout.flush()
        sys.exit(2)
        """
    )
    assert "exit code 2: the end; see" in refused(task)
    log = (task.models / "riff-mine-UMG.log").read_bytes()
    assert len(log) < 1_200_000
    assert log.startswith(b"the start\n")
    assert log.endswith(b"\nthe end\n")
    assert b"bytes are left out" in log


def test_progress_is_read_and_input_is_closed(study):
    task = study(
        """
        assert sys.stdin.read() == ""
        for text in ("0.25", "50%", "fine"):
            print(text, flush=True)
            time.sleep(0.7)
        sound(sys.argv[1] + "/a.wav", 2)
        """
    )
    told = []
    list(backends.get("command").make(task, lambda share, text: told.append((share, text))))
    assert told[0][0] == 0.0
    assert re.fullmatch(r"mine: \d+ s", told[0][1])
    assert {share for share, _ in told} <= {0.0, 0.25, 0.5}
    assert len(told) >= 2


@pytest.mark.parametrize(
    ("options", "key", "told"),
    [
        ({}, "command", "there is no `command`; write it"),
        ({"command": ""}, "command", "names no program"),
        ({"command": ["sh", 3]}, "command", "names no program"),
        ({"command": 'sh "{out}'}, "command", "cannot be split into words"),
        ({"command": {"sh": "{out}"}}, "command", "names no program; write text, or a list"),
        ({"command": True}, "command", "names no program; write text, or a list"),
        ({"command": "sh {clip}"}, "command", "add {out}"),
        ({"command": "sh {out} {seed:05d}"}, "command", "{seed:05d} is no placeholder; write the name alone"),
        ({"command": "sh {out} 2>&1 | tee log"}, "command", "2>&1 is for a shell, and none reads this"),
        ({"command": "sh ~/make.sh {out}"}, "command", "~/make.sh is for a shell"),
        ({"command": "sh {out} {weights}"}, "command", "unknown placeholder {weights}"),
        ({"command": "{out}/x {out}"}, "command", "the program itself is"),
        (
            {"command": "no-such-program {out}"},
            "command",
            "no-such-program: there is no such program; install",
        ),
        ({"command": "./make.py {out}"}, "command", "is no program that may be run; run chmod"),
        ({"command": "sh {out}", "timeout": 0}, "timeout", "write seconds above 0"),
        ({"command": "sh {out}", "timeout": True}, "timeout", "write seconds above 0"),
        ({"command": "sh {out}", "modes": "UMG"}, "modes", 'write ["UMG"]'),
        ({"command": "sh {out}", "time": 3}, "time", "unknown option 'time'"),
        (
            {"command": "sh {out}", "writes": "net/log"},
            "writes",
            'write a list of paths, as ["weights/cache"]',
        ),
        ({"command": "sh {out}", "writes": ["net", ""]}, "writes", "write a list of paths"),
    ],
)
def test_options_that_are_refused(study, options, key, told):
    folder = study().folder
    with pytest.raises(BackendError) as fault:
        backends.get("command").validate(options, folder)
    assert fault.value.key == key
    assert told in str(fault.value)


def test_braces_of_its_own(study):
    command = [sys.executable, "{{x}}", "{{seed:2}}", '{"a": 1}', "|", "{out}"]
    backends.get("command").validate({"command": command}, study().folder)
