"""Programs' command lines, and what a killed call leaves in the study's folder."""

import sys

import pytest

from study.backends.programs import calling
from study.build import build


@pytest.mark.parametrize("folder", ["of {n} {someone}", "{{n}}", "}{", "plain"])
def test_a_path_with_braces_is_a_path(tmp_path, folder):
    program = tmp_path / folder / "make"
    program.parent.mkdir()
    program.symlink_to(sys.executable)
    word = calling.literal(calling.find_program("./make", program.parent))
    assert calling.placeholders([word]) == set()
    assert calling.filled([word, "{n}"], {"n": 2}) == [str(program), "2"]


def test_a_command_in_a_folder_with_braces_is_run(new_study, clip):
    """The program leaves no sound: that is told, and so it was run."""
    source = f'[[source]]\nfile = "{clip}"\nmodes = ["UMG"]\nclips = 4\nbackend = "mine"\n'
    backend = '[backend.mine]\ncommand = "./make -c pass {out}"\n'
    sets = "[set.UMG]\nfakes = 2\n"
    folder = new_study("of {n} {someone}", source=source, backend=backend, sets=sets)
    (folder.path / "make").symlink_to(sys.executable)
    with pytest.raises(ValueError, match="mine left 0 sound files in {out}, 1 was asked for"):
        build.build(folder, pool_only=True)


def test_a_build_sweeps_the_folder_of_a_killed_call(new_study):
    folder = new_study()
    left = folder.path / f".riff-gone-UMG{calling.WORK}"
    (left / "out").mkdir(parents=True)
    (left / "passage.wav").write_bytes(b"sound")
    build.build(folder, pool_only=True)
    assert not left.exists()
