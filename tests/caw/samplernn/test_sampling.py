import numpy as np
import pytest
import torch

from caw.run_folder import RunError
from caw.samplernn import data, sampling
from caw.samplernn.config import Odds
from tests.caw.samplernn.conftest import tiny
from tests.caw.samplernn.test_network import SHAPES, levels, network


@pytest.mark.slow
@pytest.mark.parametrize("changes", SHAPES)
@torch.inference_mode()
def test_the_compiled_step_is_the_network(changes):
    net, before = network(**changes), tiny(**changes).frame_sizes[0]
    heard = levels(3, 64)
    silence = torch.full((3, before), data.SILENCE)
    wanted, states = net(torch.cat([silence, heard], 1), net.start(3))
    voices = sampling.voices(net, 3)
    found = voices.logits(heard.numpy().astype(np.uint8))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)
    np.testing.assert_allclose(voices.hidden, states[:, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize(
    "odds", [Odds(temperature=0.7), Odds(temperature=1.0, eta=0.02), Odds(temperature=1.3, eta=0.1)]
)
@torch.inference_mode()
def test_the_compiled_draw_is_the_networks(odds):
    net = network()
    net.logits.bias.data = 2 * torch.randn(256, generator=torch.Generator().manual_seed(0))
    uniforms = np.random.default_rng(5).random((1, 48), np.float32)
    drawn = sampling.voices(net, 1).draw(uniforms, odds)
    told, dropped = torch.full((1, 8 + 48), data.SILENCE), 0
    for place in range(48):
        likely = torch.softmax(net(told, net.start(1))[0][0, place].double() / odds.temperature, 0)
        entropy = -(likely * likely.log()).sum()
        tail = likely < min(odds.eta, odds.eta**0.5 * float((-entropy).exp()))
        dropped += int(tail.sum())
        sums = likely.masked_fill(tail, 0).cumsum(0)
        told[0, 8 + place] = int(torch.searchsorted(sums, float(uniforms[0, place]) * sums[-1], right=True))
    np.testing.assert_array_equal(drawn, told[:, 8:].numpy())
    assert (dropped > 48) == (odds.eta > 0)


def test_a_clip_drawn_among_others_is_the_clip_drawn_alone(trained):
    among = trained.generate(0.5, seeds=[4, 5, 6, 7, 8])
    assert among.shape == (5, 1000)
    for index, seed in enumerate([4, 5, 6, 7, 8]):
        np.testing.assert_array_equal(trained.generate(0.5, seeds=[seed])[0], among[index])
    assert len({clip.tobytes() for clip in among}) == 5
    np.testing.assert_array_equal(trained.generate(0.3, seeds=[4])[0], among[0, :600])


def test_threads_change_nothing(trained):
    alone = trained.generate(0.3, seeds=[1, 2, 3])
    torch.set_num_threads(2)
    try:
        np.testing.assert_array_equal(trained.generate(0.3, seeds=[1, 2, 3]), alone)
    finally:
        torch.set_num_threads(1)


def test_temperature_and_top_p_narrow_the_draw():
    net = network()
    net.logits.bias.data = 2 * torch.randn(256, generator=torch.Generator().manual_seed(0))
    uniforms = np.linspace(0, 0.999, 400, dtype=np.float32)[:, None].repeat(8, 1)

    def first(**how) -> np.ndarray:  # the levels that the first sample may take
        return np.unique(sampling.voices(net, 400).draw(uniforms, Odds(**({"temperature": 1.0} | how)))[:, 0])

    logits = sampling.voices(net, 1).logits(np.zeros((1, 8), np.uint8))[0, 0].astype(np.float64)
    odds = np.exp(logits - logits.max())
    likeliest = np.sort(odds)[::-1]
    count = int(np.searchsorted(likeliest.cumsum() / odds.sum(), 0.5)) + 1
    assert set(first(top_p=0.5)) <= set(np.argsort(-odds)[:count])
    assert len(first(top_p=0.5)) >= 0.7 * count
    assert list(first(temperature=0.05)) == [odds.argmax()]
    assert len(first()) > count


def test_what_was_heard_steers_what_is_drawn():
    net, uniforms = network(), np.random.default_rng(0).random((2, 32), np.float32)
    voices = sampling.voices(net, 2)
    voices.read(np.stack([np.full(64, 10), np.full(64, 240)]).astype(np.uint8))
    same_dice = np.repeat(uniforms[:1], 2, 0)
    drawn = voices.draw(same_dice, Odds())
    assert (drawn[0] != drawn[1]).any()
    voices.take(np.array([1, 1]))
    drawn = voices.draw(same_dice, Odds())
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_draws_have_the_level_of_the_clip(trained, clip):
    drawn = trained.generate(1.0, seeds=[0])[0]
    assert drawn.dtype == np.float32
    assert np.abs(drawn).max() <= np.abs(clip).max() / 0.98 + 1e-6
    assert trained.rate == 2000


def test_a_variation_is_nearer_to_its_clip_than_a_free_draw(trained):
    clip = trained.clips[0]
    steered = trained.vary(seeds=[3, 4], candidates=16) / np.float32(trained.config["peak"])
    free = trained.vary(seeds=[3], candidates=1) / np.float32(trained.config["peak"])
    assert steered.shape == (2, len(clip))
    block = 128

    def distance(sound: np.ndarray) -> float:
        blocks = len(clip) // block
        target = sampling._BlockSpectra(np.pad(clip, (block, 0))[: (blocks + 1) * block], block, trained.rate)
        padded = np.pad(sound, (block, 0))
        return np.mean(
            [target.distance(padded[None, i * block : (i + 2) * block], i)[0] for i in range(blocks)]
        )

    assert distance(clip) == pytest.approx(0, abs=1e-3)
    assert distance(steered[0]) < 0.97 * distance(free[0])
    np.testing.assert_array_equal(trained.vary(seeds=[4]), steered[1:] * np.float32(trained.config["peak"]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [-1]}, "seed is -1; use a whole number from 0"),
        ({"seconds": float("nan")}, "seconds is nan; use a length from 0.1 to 3600"),
        ({"epochs": 9}, "keeps no weights of epoch 9; choose one of 8, 16, 24, or train on"),
    ],
)
def test_what_cannot_be_drawn_is_told(trained, changes, said):
    with pytest.raises(RunError, match=said):
        trained.generate(**({"seconds": 0.2, "seeds": [0]} | changes))
