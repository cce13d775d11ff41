import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caw.run_folder import RunError, check_digests, read_state
from caw.samplernn import runs, training
from caw.samplernn.config import weights_file
from caw.samplernn.training import train
from tests.caw.conftest import RATE, tune
from tests.caw.samplernn.conftest import tiny


def weights(run, epochs: int) -> dict[str, torch.Tensor]:
    return load_file(run.folder / weights_file(epochs))


def same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("epochs", [8, 16])
def test_a_snapshot_is_the_run_of_so_many_epochs(trained, clip, tmp_path, epochs):
    alone = train(clip, RATE, tmp_path / "run", settings=trained.settings, epochs=epochs)
    assert same(weights(alone, epochs), weights(trained, epochs))
    assert not same(weights(trained, 8), weights(trained, 16))


@pytest.fixture
def steps(monkeypatch) -> list[int]:
    """The epoch before each step that is taken in this process."""
    taken, plain = [], training._Training._step
    monkeypatch.setattr(training._Training, "_step", lambda self: (taken.append(self.epoch), plain(self))[1])
    return taken


@pytest.mark.slow
def test_a_run_goes_on_to_more_epochs_and_back_to_fewer(trained, clip, tmp_path, steps):
    folder = tmp_path / "run"

    def at(epochs: int, **also):
        steps.clear()
        return train(clip, RATE, folder, settings=trained.settings, epochs=epochs, resume=True, **also)

    at(8)
    run = at(24)
    assert run.epochs == [8, 24]
    assert same(weights(run, 24), weights(trained, 24))
    longer = (folder / runs.CHECKPOINT).read_bytes()
    run = at(16)  # passed by without being kept
    assert run.epochs == [8, 16, 24]
    assert same(weights(run, 16), weights(trained, 16))
    assert run.scores() == trained.scores()
    assert [json.loads(line)["epoch"] for line in (folder / runs.LOSSES).open()] == list(range(1, 25))
    assert (folder / runs.CHECKPOINT).read_bytes() == longer  # the longer run's state has survived
    assert not (folder / runs.RETURN).exists()
    at(26, snapshots=[4])
    assert steps == [0, 1, 2, 3, 24, 25]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process")
def test_a_way_back_that_was_killed_goes_on(trained, clip, tmp_path, monkeypatch, steps):
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    for count in (8, 16):
        (folder / weights_file(count)).unlink()
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)

    def at(epochs: int):
        return train(clip, RATE, folder, settings=trained.settings, epochs=epochs, resume=True)

    child = os.fork()
    if child == 0:
        _die_at("step", 12)
        at(16)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert same(weights(at(16), 16), weights(trained, 16))
    assert steps == [11, 12, 13, 14, 15]
    shutil.copy(folder / runs.CHECKPOINT, folder / runs.RETURN)  # as left by one that had gone farther
    assert same(weights(at(8), 8), weights(trained, 8))
    assert steps[5:] == list(range(8))


def test_a_count_at_which_an_interrupted_run_stands_is_kept_as_well(trained, clip, tmp_path, steps):
    def at(epochs: int):
        return train(clip, RATE, tmp_path / "run", settings=trained.settings, epochs=epochs, resume=True)

    (at(8).folder / weights_file(8)).unlink()  # its checkpoint may stand at any count
    run = at(8)
    assert same(weights(run, 8), weights(trained, 8))
    assert run.scores()[8] == trained.scores()[8]
    assert steps == list(range(8))


@pytest.mark.filterwarnings("ignore:This process")
def test_killed_and_resumed_ends_with_the_same_weights(trained, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)
    for where, count in [("step", 3), ("replace", 9), ("step", 5)]:
        child = os.fork()
        if child == 0:
            _die_at(where, count)
            train(clip, RATE, tmp_path / "run", settings=trained.settings, epochs=24, resume=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert 5 < read_state(tmp_path / "run" / runs.CHECKPOINT, "")["epoch"] < 24
    run = train(
        clip, RATE, tmp_path / "run", settings=trained.settings, epochs=24, snapshots=[16], resume=True
    )
    assert same(weights(run, 24), weights(trained, 24))
    lines = [json.loads(line) for line in (run.folder / runs.LOSSES).read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 25))


def _die_at(where: str, count: int) -> None:
    """Have this process killed after the `count`th step, or as the `count`th file takes its place."""
    owner, name = (training._Training, "_step") if where == "step" else (Path, "replace")
    plain, left = getattr(owner, name), [count]

    def counted(*arguments):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return plain(*arguments)

    setattr(owner, name, counted)


def test_it_learns(tmp_path):
    """A steady tone is soon expected, on what was held out too."""
    tone = (0.5 * np.sin(2 * np.pi * 125 * np.arange(6000) / 2000)).astype(np.float32)
    run = train(tone, 2000, tmp_path / "run", settings=tiny(held_out=0.2, dim=32), epochs=120, snapshots=[1])
    scores = run.scores()
    assert scores[1]["held_out"] > 7
    assert scores[120]["held_out"] < 5
    assert abs(scores[120]["held_out"] - scores[120]["train"]) < 0.5


def test_a_finished_run_is_returned_as_it_is(trained, clip, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    train(clip, RATE, folder, settings=trained.settings, epochs=24, resume=True)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_several_clips_are_learned_together(clip, tmp_path):
    heard = []
    run = train(
        [clip, tune(2.5, seed=8)], RATE, tmp_path / "run", settings=tiny(), epochs=2, progress=heard.append
    )
    assert [item["samples"] for item in run.config["clips"]] == [6000, 5000]
    assert heard[-1].fraction == 1.0
    assert heard[-1].remaining == 0.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"samples": np.zeros(9000, np.float32)}, "the clip is silent"),
        ({"samples": np.full(9000, 0.3, np.float32)}, "the clip is silent"),
        ({"samples": np.ones((2, 9000), np.float32)}, r"samples have shape \(2, 9000\); give mono"),
        ({"samples": np.full(9000, np.nan, np.float32)}, "NaN or infinite"),
        ({"samples": tune(1.0)}, "the clip is 1.00 s long; give 2 s or more"),
        ({"settings": tiny(window=4096)}, "window is 4096 samples, too long for a clip of 6000 samples"),
        ({"snapshots": [5]}, "a snapshot is asked for at epoch 5 of 2; use 1 to 2"),
        ({"samples": []}, "no clip was given"),
    ],
)
def test_what_cannot_be_trained_on_is_told(clip, tmp_path, changes, said):
    given = {"samples": clip, "settings": tiny(), "epochs": 2} | changes
    with pytest.raises(RunError, match=said):
        train(given.pop("samples"), RATE, tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"settings": tiny(held_out=0.2, dim=24)}, "was begun with dim 16, not 24; use the same settings"),
        ({"samples": tune(seed=9)}, "was trained on another clip; choose another folder"),
        ({"resume": False}, "already holds a run; give --resume to go on, or another folder"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(trained, clip, changes, said):
    given = {"samples": clip, "settings": trained.settings, "epochs": 24, "resume": True} | changes
    with pytest.raises(RunError, match=said):
        train(given.pop("samples"), RATE, trained.folder, **given)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (runs.CONFIG, b"{", "is damaged"),
        (runs.CONFIG, b"{}", "is of another version"),
        (runs.CONFIG, None, "is no run folder"),
        (runs.CLIPS, None, "lacks clips.safetensors"),
        ("epochs-000024.safetensors", b"x", "has changed since it was written"),
    ],
)
def test_a_damaged_folder_is_told(trained, tmp_path, name, content, said):
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    with pytest.raises(RunError, match=said):
        runs.load(folder).network()


def test_a_line_that_a_kill_cut_short_takes_no_scores_away(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    with (folder / runs.LOSSES).open("a") as losses:
        losses.write('{"epoch": 25, "bi')
    assert runs.load(folder).scores() == trained.scores()


def test_a_flipped_bit_in_what_a_run_keeps_is_noticed_wherever_it_is_read(trained, clip, tmp_path):
    def flipped(name: str) -> runs.SampleRNNRun:
        folder = shutil.copytree(trained.folder, tmp_path / name)
        content = bytearray((folder / name).read_bytes())
        content[len(content) * 2 // 3] ^= 4
        (folder / name).write_bytes(content)
        return runs.load(folder)

    weights_name = weights_file(24)
    fix = "restore it, or delete .* and train the run again"
    for name, use in ((weights_name, lambda run: run.network(24)), (runs.CLIPS, lambda run: run.clips)):
        run = flipped(name)
        for reading in (use, lambda run: check_digests(run.folder, run.config)):
            with pytest.raises(RunError, match=f"{name} has changed since it was written .*; {fix}"):
                reading(run)
    run = flipped(runs.CHECKPOINT)
    with pytest.raises(RunError, match=r"checkpoint.pt cannot be read \(its content has changed"):
        train(clip, RATE, run.folder, settings=trained.settings, epochs=30, resume=True)


def test_a_run_without_digests_is_used_as_before_and_notes_those_of_new_weights(trained, clip, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    config = json.loads((folder / runs.CONFIG).read_text())
    del config["sha256"]
    (folder / runs.CONFIG).write_text(json.dumps(config))
    sealed = (folder / runs.CHECKPOINT).read_bytes()
    (folder / runs.CHECKPOINT).write_bytes(sealed[:-39])
    assert not check_digests(folder, runs.load(folder).config)
    run = train(clip, RATE, folder, settings=trained.settings, epochs=26, resume=True)
    assert check_digests(folder, run.config)
    assert list(run.config["sha256"]) == [weights_file(26)]
    assert same(weights(run, 24), weights(trained, 24))
