import numpy as np
import pytest
import torch

from caw.samplernn.network import SampleRNN
from tests.caw.samplernn.conftest import tiny

SHAPES = [
    {"cell": "gru", "weight_norm": False},
    {"cell": "lstm", "skip": True},
    {"cell": "lstm", "layers": 2, "frame_sizes": (16, 4, 2)},
    {"cell": "gru", "layers": 2, "frame_sizes": (4,), "context": 4},
]


def network(**changes) -> SampleRNN:
    """With weights that are far from their beginning, so that all of them count."""
    torch.manual_seed(1)
    found = SampleRNN(tiny(**changes)).eval()
    for weights in found.parameters():
        weights.data += 0.2 * torch.randn_like(weights)
    return found


def levels(clips: int, count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).integers(0, 256, (clips, count)))


@pytest.mark.parametrize("changes", SHAPES)
@torch.inference_mode()
def test_a_sample_is_expected_from_those_before_it_alone(changes):
    net, before = network(**changes), tiny(**changes).frame_sizes[0]
    heard = levels(1, before + 64)
    logits, _ = net(heard, net.start(1))
    for place in (0, 1, 17, 30, 63):
        other = heard.clone()
        other[0, before + place] = 255 - other[0, before + place]
        changed = (net(other, net.start(1))[0] - logits).abs().amax(2)[0] > 1e-6
        assert not changed[: place + 1].any()
        if place < 63:
            assert changed[place + 1]


@pytest.mark.parametrize("changes", SHAPES)
@torch.inference_mode()
def test_carried_states_make_two_windows_one(changes):
    net, before = network(**changes), tiny(**changes).frame_sizes[0]
    heard = levels(2, before + 96)
    whole, last = net(heard, net.start(2))
    first, states = net(heard[:, : before + 32], net.start(2))
    second, states = net(heard[:, 32:], states)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-4, rtol=0)
    torch.testing.assert_close(states, last, atol=1e-5, rtol=0)


def test_every_weight_learns():
    net = network(layers=2, skip=True)
    bits, states = net.bits(levels(2, 8 + 32), net.start(2))
    bits.backward()
    assert states.shape == (2, 2, 2, 2, 16)  # tiers, parts, layers, batch, dim
    assert all(weights.grad.abs().sum() > 0 for weights in net.parameters())


def test_an_untrained_network_expects_all_levels_alike():
    net = SampleRNN(tiny())
    bits, _ = net.bits(levels(4, 8 + 64), net.start(4))
    assert 7.9 < bits.item() < 8.3


@torch.inference_mode()
def test_the_table_is_the_layer_over_the_embeddings():
    net, seen = network(), torch.tensor([7, 128, 255])
    wanted = net.gather(net.embedding(seen).flatten())
    torch.testing.assert_close(net.table()[torch.arange(3), seen].sum(0), wanted)
