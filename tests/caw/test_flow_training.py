"""The trainers of the flow-matching presets: their crops, schedules, loss and optimiser."""

import copy
import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch

from caw.cascade import pyramid
from caw.config import preset
from caw.flow.scales import unfolded
from caw.flow.score import RATE, Bands
from caw.flow.training import (
    Muon,
    ScoreTrainer,
    WaveTrainer,
    averaging,
    flow_matching,
    orthogonal,
    rate_share,
)

RATES = (RATE, 1000, 2000)


def trainers(clips, settings):
    """Of a score and two waveforms, for clips [channels, n] at 2000 Hz."""
    waves = [torch.from_numpy(clip) for clip in clips]
    bands = Bands.of(waves, 2000, settings.bands)
    pyramids = [pyramid(wave, RATES, bands.measure(wave)) for wave in waves]
    score = ScoreTrainer([p[0].score for p in pyramids], bands, settings, RATES)
    return [score] + [WaveTrainer(pyramids, RATES, index, bands, settings) for index in (1, 2)]


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    return [rng.standard_normal((1, n)).astype(np.float32) for n in (4000, 7000)]


def test_every_start_of_every_clip_is_as_likely(clips, tiny):
    trainer = trainers(clips, tiny)[1]
    counts = Counter(place for _ in range(120) for place in trainer._places([3, 1, 8], 500))
    assert sorted(counts) == [(0, s) for s in range(3)] + [(1, 0)] + [(2, s) for s in range(8)]
    assert all(abs(count - 5000) < 300 for count in counts.values())


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_crop_lies_within_one_clip(index, clips, tiny):
    trainer = trainers(clips, tiny)[index]
    wholes = trainer.scores if index == 0 else trainer.clean
    fold = 1 if index == 0 else trainer.scale.fold
    clips_seen = set()
    for _ in range(10):
        clean, lower, _, _ = trainer.crops()
        assert clean.shape[-1] == trainer.crop
        assert lower is None or lower.shape == clean.shape
        for piece in clean:
            piece = piece if index == 0 else unfolded(piece, fold)
            places = [
                clip
                for clip, whole in enumerate(wholes)
                for window in [whole.unfold(-1, piece.shape[-1], 1)[0]]
                for sign in (1, -1)
                if (window == sign * piece[0]).all(-1).any()
            ]
            assert len(places) == 1
            clips_seen |= set(places)
    assert clips_seen == {0, 1}


def test_what_is_told_of_the_score_is_what_lies_under_the_crop(clips, tiny):
    """The network's reading of a crop's score agrees with the reading of the whole, as when drawing."""
    trainer = trainers(clips, tiny)[1]
    starts = [0, 37, 1500]
    conditioning = trainer._conditioning([(1, s) for s in starts], torch.zeros(3))
    per_frame = RATE * trainer.scale.fold / 1000
    for piece, start in zip(conditioning, starts, strict=True):
        where = start / 1000 * RATE + (torch.arange(trainer.crop) + 0.5) * per_frame
        whole = trainer.network.condition(trainer.scores[1][None], where[None])[0]
        torch.testing.assert_close(piece[:, 8:], whole[:, 8:], atol=1e-4, rtol=1e-4)


def test_a_clip_shorter_than_the_crop_is_taken_whole(clips):
    settings = preset("fast", score_channels=8, channels=8, score_crop=60.0, crop=60.0, finer_crop=60.0)
    score, low, fine = trainers(clips, settings)
    assert score.crop == round(2 * RATE)
    assert (low.crop * low.scale.fold, fine.crop * fine.scale.fold) == (2000, 4000)
    for trainer in (score, low, fine):
        assert np.isfinite(trainer.step(0)["flow"])


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_restored_trainer_takes_the_same_steps(index, clips, tiny):
    whole, other = trainers(clips, tiny)[index], trainers(clips, tiny)[index]
    for epoch in range(2):
        whole.step(epoch)
    other.step(0)
    other.load_state_dict(copy.deepcopy(whole.state_dict()))
    for epoch in range(2, 4):
        assert whole.step(epoch) == other.step(epoch)
    for a, b in zip(whole.average.parameters(), other.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_root_schedule_looks_at_no_end_and_the_cosine_does():
    shared, ending = preset("fast"), preset("fast", schedule="cosine")
    assert [s.shares_steps for s in (shared, ending)] == [True, False]
    for epoch in (0, 49, 400):
        rates = [
            rate_share(dataclasses.replace(s, epochs=n), epoch) for s in (shared, ending) for n in (500, 900)
        ]
        assert rates[0] == rates[1]
        assert (rates[2] == rates[3]) == (epoch == 0)
    assert [rate_share(shared, epoch) for epoch in (24, 49, 99, 399)] == [0.5, 1.0, 1.0, 0.5]
    assert rate_share(dataclasses.replace(ending, epochs=500), 500) == pytest.approx(0.02)


def test_the_average_is_about_a_tenth_of_the_training_old():
    settings = preset("fast")
    for steps in (200, 3000):
        age = weight = 0.0
        for epoch in range(steps):
            decay = averaging(settings, epoch)
            weight, age = decay * weight + (1 - decay), decay * (age + weight)
        assert age / weight == pytest.approx(steps / 10, rel=0.05)
    capped = preset("fast", schedule="cosine")
    assert averaging(capped, 2000) == 0.99


def test_the_loss_falls(clips):
    settings = preset("fast", epochs=60, score_channels=16, score_layers=3, bands=40, score_crop=1.0)
    time = np.arange(4000) / 2000
    swell = np.sin(2 * np.pi * 3 * time) ** 2
    trainer = trainers([(swell * clips[0]).astype(np.float32)], settings)[0]
    losses = [trainer.step(epoch)["flow"] for epoch in range(60)]
    assert np.mean(losses[-15:]) < 0.8 * np.mean(losses[:15])


COEFFICIENTS = (3.4445, -4.775, 2.0315)


def _matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40)])
def test_singular_values_come_near_one(shape):
    result = orthogonal(_matrix(*shape), COEFFICIENTS, 5, 1e-7)
    values = torch.linalg.svdvals(result)
    assert result.shape == shape
    assert result.dtype == torch.float32
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40)])
def test_its_steps_are_those_of_torch_and_its_state_is_read_by_it(shape):
    ours = torch.nn.Parameter(_matrix(*shape))
    theirs = copy.deepcopy(ours)
    before = ours.detach().clone()
    mine = Muon([ours], 0.02, weight_decay=0.1)
    other = torch.optim.Muon([theirs], 0.02, weight_decay=0.1)
    for seed in range(1, 6):
        ours.grad = _matrix(*shape, seed=seed)
        theirs.grad = ours.grad.clone()
        mine.step()
        other.step()
    moved = (theirs - before).norm()
    assert (ours - theirs).norm() < 0.02 * moved, "no further apart than bfloat16 rounds"
    torch.testing.assert_close(
        mine.state_dict()["state"][0]["momentum_buffer"], other.state_dict()["state"][0]["momentum_buffer"]
    )
    other.load_state_dict(mine.state_dict())
    mine.load_state_dict(other.state_dict())


def test_a_parameter_without_a_gradient_stays_and_a_closure_is_called():
    still, moving = torch.nn.Parameter(_matrix(4, 4)), torch.nn.Parameter(_matrix(4, 4, 1))
    optimizer = Muon([still, moving], 0.02, weight_decay=0.1)
    before = still.detach().clone()

    def closure():
        optimizer.zero_grad()
        loss = (moving**2).sum()
        loss.backward()
        return float(loss)

    first = optimizer.step(closure)
    assert torch.equal(still, before)
    assert optimizer.step(closure) < first


def test_stacked_matrices_are_made_orthogonal_one_by_one():
    whole = torch.nn.Parameter(_matrix(40, 30))
    halves = [torch.nn.Parameter(half.clone()) for half in whole.detach().chunk(2)]
    together = Muon([whole], 0.02, weight_decay=0.1, stacked=[whole])
    apart = Muon(halves, 0.02, weight_decay=0.1)
    for seed in range(1, 4):
        whole.grad = _matrix(40, 30, seed=seed)
        for half, gradient in zip(halves, whole.grad.chunk(2), strict=True):
            half.grad = gradient.clone()
        together.step()
        apart.step()
    torch.testing.assert_close(whole, torch.cat(halves))


def test_flow_matching_is_zero_at_the_true_velocity():
    clean, noise, time = torch.randn(2, 1, 50), torch.randn(2, 1, 50), torch.tensor([0.2, 0.9])
    assert flow_matching(lambda x, t: noise - clean, clean, noise, time) == 0
    assert flow_matching(lambda x, t: torch.zeros_like(x), clean, noise, time) > 1


def test_flow_matching_feeds_the_straight_path():
    clean, noise, time = torch.zeros(1, 1, 5), torch.ones(1, 1, 5), torch.tensor([0.25])
    seen = []
    flow_matching(lambda x, t: seen.append(x) or x, clean, noise, time)
    torch.testing.assert_close(seen[0], torch.full((1, 1, 5), 0.25))
