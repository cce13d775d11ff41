import dataclasses
import json
import shutil

import pytest
import torch

from caw import run_folder, runs
from caw.flow.training import FlowTrainer, WaveTrainer
from caw.training import train
from tests.caw.conftest import RATE, same_weights

COUNTS = (2, 3, 6)


class Killed(BaseException):
    """Where nothing is left to a process, nothing is caught either."""


def losses(run):
    """What the run tells of its steps, in an order that no thread decides."""
    lines = [json.loads(line) for line in (run.folder / run_folder.LOSSES).read_text().splitlines()]
    return sorted(lines, key=lambda line: (line["scale"], line["epoch"]))


def counted(settings, epochs):
    return dataclasses.replace(settings, epochs=epochs)


def chain(clip, folder, settings, counts=COUNTS):
    """A run for each count, sharing their steps; one that was begun is gone on with."""
    return [
        train(
            clip,
            RATE,
            folder / f"run-{n}",
            settings=counted(settings, n),
            shared_checkpoint=folder / "trunk.pt",
            resume=True,
        )
        for n in counts
    ]


@pytest.fixture(scope="module")
def small(tiny):
    """Of two scales."""
    return dataclasses.replace(tiny, rate=1000, scales=(1000,))


@pytest.fixture(scope="module")
def alone(clip, small, tmp_path_factory):
    """A run for each count, trained by itself."""
    folder = tmp_path_factory.mktemp("alone")
    return [train(clip, RATE, folder / f"{n}", settings=counted(small, n)) for n in COUNTS]


@pytest.fixture
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def same(runs_, others) -> bool:
    return all(same_weights(a, b) and losses(a) == losses(b) for a, b in zip(runs_, others, strict=True))


@pytest.mark.parametrize("threads", [1, 2, 4], indirect=True)
def test_a_run_that_shared_steps_is_what_it_is_alone(threads, trained, clip, tiny, tmp_path):
    """Of four scales, by as many workers as threads."""
    begun = chain(clip, tmp_path, tiny, (2, 6))[1]
    assert same([begun], [trained])
    assert json.loads((begun.folder / runs.FINISHED).read_text())["workers"] == torch.get_num_threads()


@pytest.mark.slow
def test_runs_that_share_steps_take_each_once(alone, clip, small, tmp_path, monkeypatch):
    def counted_step(trainer, epoch):
        taken.append(epoch)
        return step(trainer, epoch)

    taken, step = [], FlowTrainer.step
    monkeypatch.setattr(FlowTrainer, "step", counted_step)
    shared = chain(clip, tmp_path, small)
    assert same(shared, alone)
    assert sorted(taken) == sorted([*range(6), *range(12)])  # of the waveform; the score takes two an epoch
    assert [run.config.get("begun") for run in shared] == [
        None,
        {"epochs": 2, "trunk": "trunk.pt"},
        {"epochs": 3, "trunk": "trunk.pt"},
    ]
    assert not list(tmp_path.glob("*/*.pt"))  # a finished run keeps no state of its own
    assert run_folder.epochs_in(tmp_path / "trunk.pt") == 6


@pytest.mark.slow
def test_a_shorter_run_that_comes_later_is_trained_from_nothing(alone, clip, small, tmp_path):
    later = chain(clip, tmp_path, small, (6, 2, 3))
    assert same(later, [alone[2], alone[0], alone[1]])
    assert run_folder.epochs_in(tmp_path / "trunk.pt") == 6
    shutil.rmtree(tmp_path / "run-6")
    assert same(chain(clip, tmp_path, small, (6,)), [alone[2]])  # of the same count: nothing to train


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["checkpoint", "losses", "config", "step", "trunk", "finished", "deleted"])
def test_a_chain_that_was_killed_goes_on_to_the_same_runs(moment, alone, clip, small, tmp_path, monkeypatch):
    chain(clip, tmp_path, small, COUNTS[:1])
    names = {"finished": runs.FINISHED, "config": runs.CONFIG, "losses": run_folder.LOSSES}
    names |= {"checkpoint": run_folder.CHECKPOINT, "trunk": "trunk.pt"}

    def dying(path, *arguments, **options):
        if path.name == names.get(moment):
            raise Killed
        return write(path, *arguments, **options)

    def fatal(*_):
        raise Killed

    def staying(path, missing_ok=False):
        if path.name == run_folder.CHECKPOINT and (path.parent / runs.FINISHED).exists():
            raise Killed
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        write, unlink = run_folder.atomic.write, type(tmp_path).unlink
        patch.setattr(run_folder.atomic, "write", dying)
        if moment == "step":  # of a scale that begins when the one before it has ended
            patch.setattr(WaveTrainer, "step", fatal)
        if moment == "deleted":
            patch.setattr(type(tmp_path), "unlink", staying)
        with pytest.raises(Killed):
            chain(clip, tmp_path, small, COUNTS[1:2])
    counts = 3 if moment in ("trunk", "finished") else 2  # the third goes on from what the second left
    assert same(chain(clip, tmp_path, small, COUNTS[:counts]), alone[:counts])
    assert run_folder.epochs_in(tmp_path / "trunk.pt") == COUNTS[counts - 1]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["clip", "settings", "seed", "damage"])
def test_a_trunk_that_does_not_fit_is_left_aside(what, alone, clip, small, tmp_path):
    if what == "damage":
        (tmp_path / "trunk.pt").write_bytes(b"not a state")
    else:
        other = {"settings": {"channels": 12}, "seed": {"seed": 1}}.get(what, {})
        samples = clip[::-1] if what == "clip" else clip
        settings = dataclasses.replace(small, epochs=2, **other)
        train(samples, RATE, tmp_path / "other", settings=settings, shared_checkpoint=tmp_path / "trunk.pt")
    assert same(chain(clip, tmp_path, small, (3,)), alone[1:2])
    assert run_folder.epochs_in(tmp_path / "trunk.pt") == 3


def test_only_schedules_that_do_not_look_ahead_share(clip, small, tiny_paper, tmp_path):
    for settings in (tiny_paper, dataclasses.replace(small, schedule="cosine")):
        with pytest.raises(runs.RunError, match="share no steps; give no shared checkpoint"):
            train(clip, RATE, tmp_path / "run", settings=settings, shared_checkpoint=tmp_path / "trunk.pt")
    assert not (tmp_path / "run").exists()


def test_a_run_from_before_the_schedules_still_draws(clip, small, tmp_path):
    """It has no such setting, and fell by a cosine."""
    run = train(
        clip, RATE, tmp_path / "run", settings=dataclasses.replace(small, epochs=2, schedule="cosine")
    )
    drawn = run.generate(1.0)
    file = run.folder / runs.CONFIG
    config = json.loads(file.read_text())
    del config["settings"]["schedule"]
    file.write_text(json.dumps(config))
    assert (runs.load(run.folder).generate(1.0) == drawn).all()
    wanted = dataclasses.replace(small, epochs=2)
    with pytest.raises(runs.RunError, match="begun with schedule 'cosine', not 'root'"):
        train(clip, RATE, run.folder, settings=wanted, resume=True)
