"""What a training is worth that was killed, interrupted or failed half-way, with one worker and with two."""

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from caw import audio, run_folder, runs, training
from caw.flow.training import FlowTrainer, WaveTrainer
from caw.paper.training import AdversarialTrainer
from caw.training import train
from tests.caw.conftest import RATE, same_weights, tune

KILLS = [("step", 3), ("checkpoint", 2), ("write", 1), ("checkpoint", 1)]


@pytest.fixture
def threads(request):
    """As many of torch's threads as the test's parameter says, hence as many workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def processes():
    """New processes that have all that is slow to load and no threads yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])  # an optimiser imports the latter
    return context


def dying(clip, folder, settings, threads, where, count):
    """Train until this process is killed at the `count`th moment of the kind `where`."""
    calls = itertools.count(1)  # of all threads: no two get the same number

    def kill_at(owner, name, *, after, wanted=lambda *_: True):
        plain = getattr(owner, name)

        def counted(*arguments):
            ours = wanted(*arguments) and next(calls) == count
            if ours and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = plain(*arguments)
            if ours:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, counted)

    if where == "step":
        kill_at(FlowTrainer, "step", after=True)
        kill_at(AdversarialTrainer, "step", after=True)
    elif where == "checkpoint":
        kill_at(training._Training, "_write_checkpoint", after=True)
    else:  # as the new checkpoint is about to take the old one's place
        kill_at(Path, "replace", after=False, wanted=lambda _, path: path.name == run_folder.CHECKPOINT)
    torch.set_num_threads(threads)
    training.CHECKPOINT_SECONDS = 0.0
    train(clip, RATE, folder, settings=settings, resume=True)


@pytest.mark.parametrize(("which", "threads"), [("trained", 1), ("trained", 2), ("trained_paper", 1)])
def test_killed_and_resumed_ends_with_the_same_weights(which, threads, request, processes, clip, tmp_path):
    whole = request.getfixturevalue(which)
    for where, count in KILLS:
        arguments = (clip, tmp_path / "run", whole.settings, threads, where, count)
        process = processes.Process(target=dying, args=arguments)
        process.start()
        process.join(240)
        assert process.exitcode == -signal.SIGKILL
        with pytest.raises(runs.RunError, match="--resume"):
            runs.load(tmp_path / "run").generate(1.0)
    assert (tmp_path / "run" / run_folder.CHECKPOINT).exists()
    run = train(clip, RATE, tmp_path / "run", settings=whole.settings, resume=True)
    assert same_weights(run, whole)
    lines = [json.loads(line) for line in (run.folder / run_folder.LOSSES).read_text().splitlines()]
    assert sorted((s["scale"], s["epoch"]) for s in lines) == [
        (scale, epoch + 1) for scale in range(len(run.rates)) for epoch in range(run.epochs)
    ]
    assert not (run.folder / run_folder.CHECKPOINT).exists()


@pytest.mark.parametrize("threads", [2, 3, 4], indirect=True)
def test_several_workers_give_the_weights_of_one(threads, trained, clip, tmp_path):
    """Each has one thread, as the one has."""
    run = train(clip, RATE, tmp_path / "run", settings=trained.settings)
    assert json.loads((run.folder / runs.FINISHED).read_text())["workers"] == threads
    assert same_weights(run, trained)
    assert torch.get_num_threads() == threads


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2], indirect=True)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interruption_stops_the_workers_and_can_be_gone_on_from(
    threads, error, trained, clip, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)

    def interrupt(progress):
        if progress.fraction > 0.3:
            raise error

    before = threading.active_count()
    with pytest.raises(error):
        train(clip, RATE, tmp_path / "run", settings=trained.settings, progress=interrupt)
    assert threading.active_count() == before
    assert torch.get_num_threads() == threads
    assert not runs.load(tmp_path / "run").complete
    run = train(clip, RATE, tmp_path / "run", settings=trained.settings, resume=True)
    assert same_weights(run, trained)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2], indirect=True)
def test_an_interrupted_training_keeps_all_its_steps(threads, trained, clip, tmp_path):
    def interrupt(progress):
        if progress.fraction > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(clip, RATE, tmp_path / "run", settings=trained.settings, progress=interrupt)
    saved = torch.load(tmp_path / "run" / run_folder.CHECKPOINT, weights_only=True)
    steps = sum(scale["epoch"] for scale in saved["scales"].values())
    assert steps >= 0.6 * len(trained.rates) * trained.epochs
    assert same_weights(train(clip, RATE, tmp_path / "run", settings=trained.settings, resume=True), trained)


class Fault(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 4], indirect=True)
@pytest.mark.parametrize("name", ["step", "finish"])
def test_a_workers_error_is_the_callers(threads, name, trained, clip, tmp_path):
    def faulty(trainer, *arguments):
        if trainer.scale.rate == 2000:
            raise Fault("as it was raised")
        return plain(trainer, *arguments)

    before = threading.active_count()
    with pytest.MonkeyPatch.context() as patch:
        plain = getattr(WaveTrainer, name)
        patch.setattr(WaveTrainer, name, faulty)
        with pytest.raises(Fault, match="as it was raised"):
            train(clip, RATE, tmp_path / "run", settings=trained.settings)
    assert threading.active_count() == before
    run = train(clip, RATE, tmp_path / "run", settings=trained.settings, resume=True)
    assert same_weights(run, trained)


def test_control_c_ends_the_command_within_seconds(tmp_path):
    audio.write(tmp_path / "song.wav", tune(3.0), RATE)
    command = ["train", "song.wav", "--out", "run", "--epochs", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "caw.cli.commands", *command], cwd=tmp_path, text=True, stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not (tmp_path / "run" / run_folder.LOSSES).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    try:
        for _ in range(3):  # Python loses an interruption that comes while it tidies an object away
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                _, stderr = process.communicate(timeout=100)
                break
    finally:
        process.kill()
    assert process.returncode in (130, -signal.SIGINT)  # a shell shows either as 130
    *begun, last = stderr.splitlines()
    assert last == "caw: interrupted; the training goes on with the same command and --resume"
    assert begun in ([], ["Training song, 100000 epochs per scale"])  # once there was progress to tell
    assert not runs.load(tmp_path / "run").complete
