import subprocess
import sys
from pathlib import Path

from study.cli.build import states

ROOT = Path(__file__).parents[2]


def state(name, tables, folder=Path()):
    return {one.name: one for one in states(tables, folder)}[name]


def test_every_backend_stands_in_the_list(run):
    code, out, err = run("backends")
    assert (code, err) == (0, "")
    for name in ("caw", "command", "imported", "jukebox"):
        assert f" {name} " in out
    assert "jukebox: " in out  # weights are not named, or transformers is lacking
    assert "caw: " not in out
    assert "not yet" not in out  # what nobody has set up is not at fault


def test_a_program_is_set_up_by_the_lines_that_the_list_shows(new_study, run, tmp_path):
    said = run("backends")[1].partition("command: to set up a program of yours, write into study.toml\n")[2]
    shown = "".join(line[4:] + "\n" for line in said.splitlines() if line.startswith("    "))
    shown = shown.replace("mymodel --in", f"{sys.executable} --in").replace("riff.wav", str(tmp_path))
    folder = new_study(source=shown)
    out = run("backends", folder.path)[1]
    rows = {row[0]: row[-1] for line in out.splitlines() if len(row := line.strip("│ ").split("│")) > 4}
    rows = {name.strip(): here.strip() for name, here in rows.items()}
    assert (rows["command"], rows["mymodel"], rows["caw"]) == ("as mymodel", "ready", "ready")
    assert "command: " not in out


def test_what_a_study_sets(new_study, run):
    tables = f"""
[backend.caw-standard]
uses = "caw"
preset = "standard"
[backend.cow]
level = 3
[backend.mine]
command = ["{sys.executable}", "{{out}}", "{{mode}}", "{{epochs}}"]
[backend.gone]
command = "no-such-program {{out}}"
"""
    code, out, _ = run("backends", new_study(backend=tables).path)
    assert code == 0
    assert "cow: there is no backend 'cow'" in out
    assert "as caw-standard" not in out
    assert "│ as mine" in out  # gone is no program that is ready
    assert "gone: command = 'no-such-program {out}': no-such-program: there is no such program" in out
    assert "mine: " not in out
    assert "caw-standard: " not in out


def test_a_state_says_what_its_options_make_of_it(tmp_path):
    plain = {"command": [sys.executable, "{out}"]}
    assert state("mine", {"mine": plain}).makes == "UMG"
    assert not state("mine", {"mine": plain}).epochs
    trained = state("mine", {"mine": {"command": [sys.executable, "{out}", "{mode}", "{epochs}"]}})
    assert (trained.makes, trained.epochs, trained.lacks) == ("UMG, VAR", True, "")
    standard = state("standard", {"standard": {"uses": "caw", "preset": "standard"}})
    assert (standard.needs, standard.epochs, standard.lacks) == ("as caw", True, "")
    wrong = state("standard", {"standard": {"uses": "caw", "preset": "best"}})
    assert wrong.lacks.startswith("preset = 'best': ")


def test_a_folder_that_is_no_study(run, tmp_path):
    code, _, err = run("backends", tmp_path)
    assert code == 2
    assert err.count("\n") == 1


def test_it_starts_without_torch():
    code = "import sys; from study.cli.build import states; "
    code += "from pathlib import Path; states({}, Path())"
    code += "; sys.exit(bool({'torch', 'transformers', 'librosa'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
