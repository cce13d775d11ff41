from dataclasses import replace
from pathlib import Path

import pytest

from study.backends import BackendError, Cell, Task, training

RECIPE = {"preset": "fast", "seed": 7}


def test_a_run_is_bound_to_what_it_was_trained_from(tmp_path):
    folder = tmp_path / "riff-100"
    training.claim(folder, {"preset": "paper"})
    training.claim(folder, RECIPE)  # nothing was trained yet
    folder.mkdir()
    training.claim(folder, RECIPE)
    with pytest.raises(BackendError, match=r"from something else \(seed differ\); move or delete the folder"):
        training.claim(folder, RECIPE | {"seed": 8})


@pytest.mark.parametrize("content", [None, "", '{"preset": "fa', "[1]", b"\xff\xfe"])
def test_a_run_whose_recipe_cannot_be_read_is_not_taken(tmp_path, content):
    folder = tmp_path / "riff-100"
    folder.mkdir()
    if content is not None:
        file = training.recipe_file(folder)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    told = r"riff-100: riff-100.recipe.json, .*, is missing or damaged; put it back, or delete the folder"
    with pytest.raises(BackendError, match=told):
        training.claim(folder, RECIPE)


def test_what_was_learned_names_a_training_from_the_second_on():
    """The first says what it said before there were several: runs from then stay bound."""
    cell = Cell("riff", Path("riff.flac"), 1.0, 20.0, "UMG", 100, "caw", "ab12")
    first = Task(cell, ["riff-UMG-100-1"], 10.0, 7, Path("models"))
    said = {"sha256": "ab12", "start": 1.0, "seconds": 20.0, "seed": 7}
    assert training.training_material(first) == said
    assert training.training_material(replace(first, cell=replace(cell, training=2))) == said | {
        "training": 2
    }
