"""The command `caw plan`, and the options by which other commands are told what to play."""

import numpy as np
import pytest
import typer

from caw import audio
from caw.cli import command_line, planning
from caw.compose import plan
from caw.compose.plan import Plan
from tests.caw import band


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "band.wav"
    audio.write(path, band.band(120, 4, 12.0)[0], band.RATE)
    return path


@pytest.fixture
def caw(monkeypatch, tmp_path, capsys):
    """Run the command line; gives the exit code, what it printed and its errors."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(pretty_exceptions_enable=False)
    planning.add_to(app)

    @app.command()
    def draw(
        chords: planning.Chords = None, bpm: planning.Bpm = None, metre: planning.Metre = None,
        form: planning.Form = None, novelty: planning.Novelty = None, file: planning.PlanFile = None,
    ) -> None:  # fmt: skip
        asked = planning.plan_of(plan=file, chords=chords, bpm=bpm, metre=metre, form=form, novelty=novelty)
        typer.echo(repr(asked))

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["caw", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command_line.run(app, "caw", goes_on="")
        return ended.value.code, *capsys.readouterr()

    return call


def test_plan_prints_a_table_and_writes_the_file(caw, clip, tmp_path):
    code, printed, errors = caw("plan", clip)
    assert (code, errors) == (0, "")
    lines = printed.splitlines()
    assert lines[0].startswith("tempo   120 quarter notes a minute, ")
    assert lines[1].startswith("metre   4/4, ")
    assert lines[3].split()[:6] == ["1", "A", "0.13", "s", "4/4", "A"]
    assert lines[-1] == "plan: band.plan.toml"
    heard = plan.read(tmp_path / "band.plan.toml")
    assert heard.metre == "4/4"
    assert heard.heard.source == "band.wav"
    code, _, errors = caw("plan", clip)
    assert code == 2
    assert "band.plan.toml is there already and may hold your changes" in errors
    assert caw("plan", clip, "--overwrite", "--start", 4)[0] == 0
    assert len(plan.read(tmp_path / "band.plan.toml").bars()) < len(heard.bars())


def test_plan_says_where_there_is_no_beat(caw, tmp_path):
    audio.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(80000), 16000)
    code, printed, _ = caw("plan", "noise.wav", "--out", "noise.json")
    assert code == 0
    assert printed.startswith("no clear beat")
    assert plan.read(tmp_path / "noise.json").beats is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metre", "4/5"), "metre '4/5' cannot be read; write it as 4/4, 7/8 or 5/4"),
        (("--bpm", "20"), "--bpm is 20; use a number from 30 to 300"),
        (("--out", "plan.txt"), "--out plan.txt is no plan's name; use .toml or .json"),
        (("--out", ".toml/"), "--out .toml is no plan's name"),
    ],
)
def test_plan_refuses_in_one_line_and_writes_nothing(caw, clip, tmp_path, arguments, message):
    code, _, errors = caw("plan", clip, *arguments)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_options_make_a_plan(caw):
    assert caw("draw")[1] == "None\n"
    wanted = Plan.from_options(chords="Em C | G", form="A B", bpm=138.0, metre="7/8", novelty=0.25)
    code, printed, _ = caw(
        "draw", "--chords", "Em C | G", "--form", "A B", "--bpm", 138, "--metre", "7/8", "--novelty", 0.25
    )
    assert (code, printed) == (0, f"{wanted!r}\n")


def test_options_change_a_file(caw, tmp_path):
    (tmp_path / "song.toml").write_text('bpm = 100\n[section.A]\nchords = "Em C"\n')
    assert caw("draw", "--plan", "song.toml")[1] == f"{plan.read(tmp_path / 'song.toml')!r}\n"
    changed = Plan.from_options(bpm=140.0, base=plan.read(tmp_path / "song.toml"))
    assert caw("draw", "--plan", "song.toml", "--bpm", 140)[1] == f"{changed!r}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chords", "Em Hm"), "caw: --chords, bar 2: chord 'Hm' cannot be read; write chords as Em"),
        (("--chords", "Em | C", "--form", "A B C"), "chords have 2 sections, the form has 3 (A, B, C)"),
        (("--form", "A", "--plan", "none.toml"), "caw: none.toml: No such file or directory"),
        (("--novelty", "2"), "caw: --novelty is 2; use a number from 0 to 1"),
        (("--metre", "x"), "metre 'x' cannot be read"),
    ],
)
def test_options_that_cannot_be_are_one_line(caw, arguments, message):
    code, printed, errors = caw("draw", *arguments)
    assert (code, printed) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1
