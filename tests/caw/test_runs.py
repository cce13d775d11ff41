import json
import shutil

import numpy as np
import pytest
import torch

from caw import runs


@pytest.fixture(params=["trained", "trained_paper"])
def run(request):
    return request.getfixturevalue(request.param)


def test_draws_have_the_asked_length_and_level(run, clip):
    for seconds in (1.0, 2.345, 7.0):
        assert run.generate(seconds, seed=1).shape == (round(seconds * run.rate),)
    assert run.generate(1.0).dtype == np.float32
    assert np.isfinite(run.generate(1.0)).all()


def test_seed_decides_the_draw(run):
    np.testing.assert_array_equal(run.generate(1.0, seed=4), run.generate(1.0, seed=4))
    assert not np.array_equal(run.generate(1.0, seed=4), run.generate(1.0, seed=5))
    assert not np.array_equal(run.vary(seed=4), run.vary(seed=5))


def test_same_draw_before_and_after_loading(run):
    again = runs.load(run.folder)
    np.testing.assert_array_equal(run.generate(1.5, seed=3), again.generate(1.5, seed=3))
    np.testing.assert_array_equal(run.vary(seed=3), again.vary(seed=3))
    np.testing.assert_array_equal(run.reconstruct(), again.reconstruct())


def test_weights_load_without_running_code(run):
    assert not list(run.folder.glob("*.pt"))
    assert not list(run.folder.glob("*.pkl"))


def test_variation_keeps_the_first_scale(run):
    first = run.scales[0]
    assert first.vary(run.pyramid[0], run._generator(1)) is run.pyramid[0]
    assert not np.array_equal(run.vary(seed=1), run.vary(seed=2))  # what lies above it is drawn


def test_fast_variation_keeps_the_loudness_of_every_band(trained):
    original = trained.pyramid[0]
    varied = trained.scales[0].vary(original, trained._generator(1), 0.7)
    torch.testing.assert_close(varied.bands, original.bands)
    assert not torch.allclose(varied.wave, original.wave, atol=0.01)


def test_variation_grows_with_strength(trained, clip):
    near, far = (trained.scales[0].vary(trained.pyramid[0], trained._generator(1), s) for s in (0.1, 0.9))
    original = trained.pyramid[0].wave.numpy()
    correlation = [np.corrcoef(original, x.wave.numpy())[0, 1] for x in (near, far)]
    assert correlation[0] > 0.9
    assert correlation[1] < correlation[0] - 0.2


def test_reconstruction_is_the_clip(trained, clip):
    # the flow is inverted and drawn again: even a hardly trained network comes back close
    assert np.corrcoef(trained.reconstruct(), clip)[0, 1] > 0.8


@pytest.mark.parametrize("name", ["config.json", "clip.safetensors", "scale-01.safetensors"])
def test_a_missing_file_is_named(trained, tmp_path, name):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(runs.RunError, match=name):
        runs.load(folder)


def test_a_damaged_file_is_named(trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    (folder / "scale-01.safetensors").write_bytes(b"not weights")
    with pytest.raises(runs.RunError, match=r"scale-01\.safetensors"):
        runs.load(folder).generate(1.0)
    (folder / "config.json").write_text("{")
    with pytest.raises(runs.RunError, match=r"config\.json is damaged"):
        runs.load(folder)


def test_weights_of_other_settings_are_refused(trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["settings"]["channels"] = 24
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(runs.RunError, match="does not fit"):
        runs.load(folder).generate(1.0)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 1e9])
def test_impossible_lengths(trained, seconds):
    with pytest.raises(runs.RunError, match="seconds is"):
        trained.generate(seconds)
    with pytest.raises(runs.RunError, match="strength is 2"):
        trained.vary(strength=2)
    with pytest.raises(runs.RunError, match="seed is -1"):
        trained.vary(seed=-1)
