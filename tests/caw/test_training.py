import dataclasses
import json

import numpy as np
import pytest
import torch

from caw import run_folder, runs
from caw.config import PRESETS, SettingsError, from_json, preset, to_json
from caw.flow.training import FlowTrainer
from caw.training import train
from tests.caw.conftest import RATE, same_weights, tune


@pytest.mark.slow
def test_adversarial_reconstruction_improves(clip, tmp_path):
    settings = preset(
        "paper", epochs=40, first_channels=8, draws=1, scales=(500,), rate=500, reconstruction=1.0
    )
    run = train(clip, RATE, tmp_path / "run", settings=settings)
    losses = [json.loads(line) for line in (run.folder / run_folder.LOSSES).read_text().splitlines()]
    assert losses[-1]["spectral"] < 0.8 * losses[0]["spectral"]
    assert all(np.isfinite(list(step.values())).all() for step in losses)


@pytest.mark.parametrize("which", ["tiny", "tiny_paper"])
def test_same_seed_same_weights_and_another_seed_others(which, request, clip, tmp_path):
    settings = request.getfixturevalue(which)
    a = train(clip, RATE, tmp_path / "a", settings=settings)
    b = train(clip, RATE, tmp_path / "b", settings=settings)
    c = train(clip, RATE, tmp_path / "c", settings=preset(**{**to_json_changes(settings), "seed": 1}))
    assert same_weights(a, b)
    assert not same_weights(a, c)


def to_json_changes(settings):
    record = to_json(settings)
    record["name"] = record.pop("preset")
    return record


def test_a_finished_run_is_not_trained_again(trained, clip, monkeypatch):
    before = (trained.folder / runs.FINISHED).stat().st_mtime_ns
    monkeypatch.setattr(FlowTrainer, "step", lambda *_: pytest.fail("trained again"))
    train(clip, RATE, trained.folder, settings=trained.settings, resume=True)
    assert (trained.folder / runs.FINISHED).stat().st_mtime_ns == before


def test_a_folder_in_use_is_refused(trained, clip):
    with pytest.raises(runs.RunError, match="--resume"):
        train(clip, RATE, trained.folder, settings=trained.settings)
    with pytest.raises(runs.RunError, match="another clip"):
        train(clip[::-1], RATE, trained.folder, settings=trained.settings, resume=True)
    other = preset(**{**to_json_changes(trained.settings), "epochs": 7})
    with pytest.raises(runs.RunError, match="begun with epochs 6, not 7"):
        train(clip, RATE, trained.folder, settings=other, resume=True)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(3 * RATE, np.float32), "silent"),
        (np.full(3 * RATE, 0.3, np.float32), "silent"),
        (np.full(3 * RATE, np.nan, np.float32), "NaN"),
        (np.ones((3, 3 * RATE), np.float32), r"shape \(3, 12000\); give \[n\], \[1, n\] or \[2, n\]"),
        ([tune(), np.stack([tune(), tune()])], "the clips have 1 and 2 channels; give clips of equally many"),
        ([tune(), np.zeros(3 * RATE)], "silent"),
        ([], "no clip was given"),
        (tune(1.5), "1.50 s long; give 2 s"),
        (np.zeros(0, np.float32), "0.00 s long"),
    ],
)
def test_clips_that_cannot_be_trained_on(samples, message, tiny, tmp_path):
    with pytest.raises(runs.RunError, match=message):
        train(samples, RATE, tmp_path / "run", settings=tiny)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("rate", "changes", "message"),
    [
        (100, {}, "the clip has 100 Hz; give one of 500 Hz or more"),
        (RATE, {"device": "cuda"}, "no usable GPU"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(rate, changes, message, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(runs.RunError, match=message):
        train(clip, rate, tmp_path / "run", settings=preset("fast", epochs=1, **changes))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_shortest_clip_trains_with_both_presets(tiny, tiny_paper, tmp_path):
    clip = tune(2.0)
    for name, settings in (("fast", tiny), ("paper", tiny_paper)):
        run = train(clip, RATE, tmp_path / name, settings=settings)
        assert len(run.generate(2.0)) == 2 * run.rate
        assert len(run.vary()) == len(run.reconstruct()) == len(clip)


def test_paper_trains_on_one_mono_clip(stereo, tiny_paper, tmp_path):
    for clips in (stereo, [tune(), tune()]):
        with pytest.raises(runs.RunError, match="one mono clip"):
            train(clips, RATE, tmp_path / "run", settings=tiny_paper)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [500, 700, 1001, 11025, 44100])
def test_any_rate_trains_and_draws(rate, tiny, tmp_path):
    settings = dataclasses.replace(tiny, epochs=1, rate=rate, scales=(1000, 4000, 16000))
    run = train(tune(2.0, rate), rate, tmp_path / "run", settings=settings)
    assert run.rate == rate
    assert run.generate(1.0).shape == (rate,)
    assert run.vary().shape == run.reconstruct().shape == (2 * rate,)


def test_clips_keep_their_levels_to_each_other_and_are_told_apart(trained_band, stereo):
    config = trained_band.config
    assert [c["samples"] for c in config["clips"]] == [12000, 14000]
    assert config["channels"] == 2
    first, second = trained_band.pyramid(0)[-1].wave, trained_band.pyramid(1)[-1].wave
    assert first.abs().max().item() == pytest.approx(0.98, abs=1e-6)
    np.testing.assert_allclose(first.numpy() * config["peak"], stereo, atol=1e-6)
    torch.testing.assert_close(second[:, :12000], first.flip(-1))
    with pytest.raises(runs.RunError, match="another clip"):
        train(stereo, RATE, trained_band.folder, settings=trained_band.settings, resume=True)


def test_progress_counts_all_scales(clip, tiny, tmp_path):
    reports = []
    train(clip, RATE, tmp_path / "run", settings=tiny, progress=reports.append)
    assert len(reports) == 4 * 6
    assert [p.scales for p in reports] == [4] * 24
    assert [p.finished for p in reports] == [n // 6 for n in range(1, 25)]
    steps = np.repeat([2, 1, 1, 1], 6)  # the score takes two in an epoch
    assert [p.fraction for p in reports] == pytest.approx(np.cumsum(steps) / 30)
    assert (reports[-1].epoch, reports[-1].epochs, reports[-1].remaining) == (6, 6, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**60}, "seed is 1152921504606846976; use a whole number from 0 to"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"kernel": 4}, "kernel is 4; use an odd number"),
        ({"crop": 0}, "crop is 0; use 0.1 s or more"),
        ({"schedule": "linear"}, "schedule is 'linear'; use root or cosine"),
        ({"recent": 1}, "recent is 1; use a whole number of 2 or more"),
        ({"depth": 3}, "no setting 'depth'"),
        ({"preset": "paper"}, "no setting 'preset'"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(SettingsError, match=message):
        preset("fast", **changes)
    with pytest.raises(SettingsError, match=", ".join(PRESETS)):
        preset("quick")


@pytest.mark.parametrize("name", PRESETS)
def test_settings_survive_json(name):
    settings = preset(name, epochs=7, seed=3)
    assert settings.preset == name
    assert from_json(json.loads(json.dumps(to_json(settings)))) == settings
