import pytest

from study.preparation import run_claims
from study.preparation.backends import BackendError

RECIPE = {"preset": "fast", "seed": 7}


def test_a_run_is_bound_to_what_it_was_trained_from(tmp_path):
    folder = tmp_path / "riff-100"
    run_claims.claim(folder, {"preset": "paper"})
    run_claims.claim(folder, RECIPE)  # nothing was trained yet
    folder.mkdir()
    run_claims.claim(folder, RECIPE)
    with pytest.raises(BackendError, match=r"from something else \(seed differ\); move or delete the folder"):
        run_claims.claim(folder, RECIPE | {"seed": 8})


@pytest.mark.parametrize("content", [None, "", '{"preset": "fa', "[1]", b"\xff\xfe"])
def test_a_run_whose_recipe_cannot_be_read_is_not_taken(tmp_path, content):
    folder = tmp_path / "riff-100"
    folder.mkdir()
    if content is not None:
        file = run_claims.recipe_file(folder)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(
        BackendError, match=r"riff-100: was trained from something else \(preset, seed differ\)"
    ):
        run_claims.claim(folder, RECIPE)
