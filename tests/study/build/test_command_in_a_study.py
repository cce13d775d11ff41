"""[backend.NAME] tables of study.toml: programs, shipped backends under another name, and what is refused."""

import sys

import pytest

from study import backends
from tests.study.build.test_command_backend import WRITE
from tests.study.build.test_plan import planned, refused

STUDY = {"sets": "[set.UMG]\nfakes = 3\noriginals = 2\n", "listening": "[listening]\npractice = 0\n"}


def source(clip, backend: str, more: str = 'modes = ["UMG"]') -> str:
    return f'[[source]]\nfile = "{clip}"\nclips = 3\nbackend = "{backend}"\n{more}\n'


def table(*words: str, more: str = "", name: str = "mymodel") -> str:
    return f"[backend.{name}]\ncommand = {list(words)}\n{more}\n"


def test_a_study_with_a_program(new_study, clip, run):
    made = table(sys.executable, "make.py", "{out}", "{seed}")
    folder = new_study(source=source(clip, "mymodel"), backend=made, **STUDY)
    script = folder.path / "make.py"
    code = WRITE + 'sound(sys.argv[1] + "/a.wav", 1.3, int(sys.argv[2]) % 9000 + 500)\n'
    script.write_text(code)
    assert run("build", folder.path, "--pool-only")[0] == 0
    clips = sorted(path.name for path in folder.pool.glob("*mymodel*"))
    assert len(clips) == 3
    assert all(name.startswith("riff-mymodel-UMG-") for name in clips)
    _, out, _ = run("build", folder.path, "--pool-only")
    assert "\n0 clips were added" in out
    script.write_text(code + "# changed\n")
    _, out, _ = run("build", folder.path, "--pool-only")
    assert "\n3 clips were added" in out
    script.write_text("raise SystemExit('out of ideas')")
    code, _, err = run("build", folder.path, "--pool-only")
    assert code == 2
    assert "exit code 1: out of ideas; see" in err
    assert "Traceback" not in err


def test_each_training_of_a_program_has_a_folder_of_its_own(new_study, clip):
    made = table(sys.executable, "{out}", "{models}")
    folder = new_study(
        source=source(clip, "mymodel", 'modes = ["UMG"]\ntrainings = 2'), backend=made, **STUDY
    )
    tasks = [task for file, task in planned(folder).tasks if file == "command"]
    one, two = (backends.get("command").shared_job(task) for task in tasks)
    assert one.startswith("riff-mymodel-")
    assert two.startswith("riff-t2-mymodel-")
    folder.toml.write_text(folder.toml.read_text().replace("{models}", "{n}"))
    assert "the backend mymodel trains no model here" in refused(folder)


def test_a_shipped_backend_under_another_name(new_study, clip, run):
    folder = new_study(source=source(clip, "tiny-loud", "epochs = [3]"), backend="")
    text = folder.toml.read_text()
    folder.toml.write_text(text + '[backend.tiny-loud]\nuses = "tiny"\nlevel = 1.0\n')
    assert run("build", folder.path, "--pool-only")[0] == 0
    assert len(list(folder.pool.glob("riff-tiny-loud-*-3-*"))) >= 6


@pytest.mark.parametrize(
    ("backend", "options", "more", "told"),
    [
        ("mine", "", "", "backend = \"mine\": there is no backend 'mine'; there are: caw, command"),
        ("mine", "[backend.mine]\nlevel = 3", "", "write a `command` into [backend.mine]"),
        (
            "mine",
            '[backend.mine]\nuses = "cow"',
            "",
            "backend.mine.uses = \"cow\": there is no backend 'cow'",
        ),
        ("mine", '[backend.mine]\nuses = "imported"', "", "backend.mine.uses"),
        ("caw", '[backend.caw]\nuses = "tiny"', "epochs = [3]", "give this table another name"),
        ("imported", "", "", "makes no clips"),
        ("original", table("sh", "{out}", name="original"), "", "stands for real clips"),
        ("mine", table("sh", "{out}", name="mine"), "", 'write modes = ["UMG"] here'),
        ("mine", table("sh", "{out}", name="mine"), 'modes=["UMG"]\nepochs=[3]', "an {epochs}"),
        ("mine", table("sh", "{out} {mode} {epochs}", name="mine"), "", "names no epoch counts"),
        ("mine", table("no-such", "{out}", name="mine"), 'modes=["UMG"]', "backend.mine.command = "),
        ("command", "", 'modes=["UMG"]', "there is no `command`"),
        (
            "mine",
            table("sh", "{out}", name="mine", more="modes = 3"),
            'modes=["UMG"]',
            "backend.mine.modes = 3",
        ),
        ("tiny", "[backend.other]\nlevel = 3", "epochs = [3]", "there is no backend 'other'"),
    ],
)
def test_a_study_that_names_no_such_backend(new_study, clip, run, backend, options, more, told):
    folder = new_study(source=source(clip, backend, more), backend=options)
    code, _, err = run("build", folder.path)
    assert code == 2
    assert told in err, err
    assert err.count("\n") == 1
    assert "study.toml:" in err
