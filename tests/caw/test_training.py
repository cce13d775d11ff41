import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caw import runs
from caw.config import SettingsError, from_json, preset, to_json
from caw.training import train
from tests.caw.conftest import RATE, tune


def weights(folder):
    return {f.name: load_file(f) for f in sorted(folder.glob("scale-*.safetensors"))}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[f][name], b[f][name]) for f in a for name in a[f])


def test_flow_loss_falls(clip, tmp_path):
    settings = preset("fast", epochs=120, channels=16, batch=4, scales=(1000,), rate=1000)
    train(clip, RATE, tmp_path / "run", settings=settings)
    losses = [json.loads(line)["flow"] for line in (tmp_path / "run" / runs.LOSSES).read_text().splitlines()]
    assert len(losses) == 120
    assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:20])


def test_adversarial_reconstruction_improves(clip, tmp_path):
    settings = preset(
        "paper", epochs=40, first_channels=8, draws=1, scales=(500,), rate=500, reconstruction=1.0
    )
    run = train(clip, RATE, tmp_path / "run", settings=settings)
    losses = [json.loads(line) for line in (run.folder / runs.LOSSES).read_text().splitlines()]
    assert losses[-1]["spectral"] < 0.8 * losses[0]["spectral"]
    assert all(np.isfinite(list(step.values())).all() for step in losses)


@pytest.mark.parametrize("which", ["tiny", "tiny_paper"])
def test_same_seed_same_weights_and_another_seed_others(which, request, clip, tmp_path):
    settings = request.getfixturevalue(which)
    a = train(clip, RATE, tmp_path / "a", settings=settings)
    b = train(clip, RATE, tmp_path / "b", settings=settings)
    c = train(clip, RATE, tmp_path / "c", settings=preset(**{**to_json_changes(settings), "seed": 1}))
    assert same(weights(a.folder), weights(b.folder))
    assert not same(weights(a.folder), weights(c.folder))


def to_json_changes(settings):
    record = to_json(settings)
    record["name"] = record.pop("preset")
    return record


KILLED = """
import sys, caw.training
caw.training.CHECKPOINT_SECONDS = 0.0
from caw.config import from_json
import json
import numpy as np
def pause(p):
    print(p.scale, p.epoch, flush=True)
    if (p.scale, p.epoch) == tuple(json.loads(sys.argv[4])):
        import time; time.sleep(60)
caw.training.train(np.load(sys.argv[1]), 4000, sys.argv[2], settings=from_json(json.loads(sys.argv[3])),
                   resume=True, progress=pause)
"""


@pytest.mark.parametrize("which", ["trained", "trained_paper"])
def test_killed_and_resumed_ends_with_the_same_weights(which, request, clip, tmp_path):
    whole = request.getfixturevalue(which)
    np.save(tmp_path / "clip.npy", clip)
    for stop in ([1, 2], [2, 1], [3, 2]):
        command = [
            sys.executable, "-c", KILLED, str(tmp_path / "clip.npy"), str(tmp_path / "run"),
            json.dumps(to_json(whole.settings)), json.dumps(stop),
        ]  # fmt: skip
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=one_thread)
        for line in process.stdout:
            if line.split() == [str(s) for s in stop]:
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with pytest.raises(runs.RunError, match="--resume"):
            runs.load(tmp_path / "run").generate(1.0)
    run = train(clip, RATE, tmp_path / "run", settings=whole.settings, resume=True)
    assert same(weights(run.folder), weights(whole.folder))
    lines = [json.loads(line) for line in (run.folder / runs.LOSSES).read_text().splitlines()]
    assert [(s["scale"], s["epoch"]) for s in lines] == [
        (scale, epoch + 1) for scale in range(len(run.rates)) for epoch in range(run.epochs)
    ]
    assert not list(run.folder.glob(".*.tmp"))


def test_a_finished_run_is_not_trained_again(trained, clip):
    before = (trained.folder / runs.FINISHED).stat().st_mtime_ns
    started = time.monotonic()
    train(clip, RATE, trained.folder, settings=trained.settings, resume=True)
    assert (trained.folder / runs.FINISHED).stat().st_mtime_ns == before
    assert time.monotonic() - started < 5


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
        (np.full(3 * RATE, np.nan, np.float32), "NaN"),
        (np.ones((2, 3 * RATE), np.float32), "one channel"),
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
        (RATE, {"seed": 2**60}, "seed is 1152921504606846976; use a whole number from 0 to"),
        (RATE, {"device": "cuda"}, "no usable GPU"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(rate, changes, message, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(runs.RunError, match=message):
        train(clip, rate, tmp_path / "run", settings=preset("fast", epochs=1, **changes))
    assert not (tmp_path / "run").exists()


def test_the_shortest_clip_trains_with_both_presets(tiny, tiny_paper, tmp_path):
    clip = tune(2.0)
    for name, settings in (("fast", tiny), ("paper", tiny_paper)):
        run = train(clip, RATE, tmp_path / name, settings=settings)
        assert len(run.generate(2.0)) == 2 * run.rate
        assert len(run.vary()) == len(run.reconstruct()) == len(clip)


@pytest.mark.parametrize("rate", [500, 650, 800, 999, 1500])
def test_any_rate_trains_and_draws(rate, clip, tmp_path):
    settings = preset("fast", epochs=1, channels=4, rate=rate)
    run = train(clip, RATE, tmp_path / "run", settings=settings)
    assert run.rate == rate
    assert len(run.generate(1.0)) == rate
    assert len(run.vary()) == 3 * rate


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"depth": 3}, "no setting 'depth'"),
    ],
)
def test_settings_are_checked(changes, message):
    with pytest.raises(SettingsError, match=message):
        preset("fast", **changes)
    with pytest.raises(SettingsError, match="fast, paper"):
        preset("quick")


@pytest.mark.parametrize("name", ["fast", "paper"])
def test_settings_survive_json(name):
    settings = preset(name, epochs=7, seed=3)
    assert from_json(json.loads(json.dumps(to_json(settings)))) == settings
