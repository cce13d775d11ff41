import pytest
import torch

from caw.flow import network
from caw.flow.network import Layer, Velocity, integrate


def as_it_is(x):
    return x


def small_network(channels=6, kernel=5, layers=3, **sizes):
    """One whose every weight counts, unlike a fresh one's."""
    torch.manual_seed(0)
    made = Velocity(channels, kernel, layers, **sizes)
    torch.nn.init.normal_(made.leave.weight)
    for layer in made.layers:
        torch.nn.init.normal_(layer.mix, std=0.3)
    return made


def follow(net, start, lower=None, conditioning=lambda a, b: None, **options):
    return integrate(net, start, lower, conditioning, 0.1, **{"steps": 3} | options)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("lower", [0, 5])
def test_velocity_sees_its_receptive_field(kernel, lower):
    net = small_network(kernel=kernel, signal=2, lower=lower)
    noisy = torch.randn(1, 2, 101, requires_grad=True)
    given = torch.randn(1, lower, 101) if lower else None
    out = net(noisy, given, None, torch.tensor([0.5]), torch.tensor([0.0]))
    assert out.shape == (1, 2, 101)
    out[0, 0, 50].backward()
    touched = noisy.grad[0].abs().sum(0).nonzero().flatten()
    assert touched.max() - touched.min() + 1 == net.receptive_field
    assert touched.min() + touched.max() == 100


@pytest.mark.parametrize("dilation", [2, 7])
@pytest.mark.parametrize("frames", [1, 6, 50])
def test_a_dilated_layer_treats_interleaved_signals_alike(dilation, frames):
    torch.manual_seed(0)
    dilated, plain = Layer(4, 3, dilation), Layer(4, 3, 1)
    torch.nn.init.normal_(dilated.mix)
    plain.load_state_dict(dilated.state_dict())
    x, embedding = torch.randn(2, 4, frames), torch.randn(2, network.EMBEDDING)
    result = dilated(x, embedding, as_it_is)
    assert result.shape == x.shape
    for first in range(min(dilation, frames)):
        torch.testing.assert_close(
            result[..., first::dilation], plain(x[..., first::dilation], embedding, as_it_is)
        )


@pytest.mark.parametrize("block", [1, 10, 37, 200])
def test_blocks_change_nothing(block, monkeypatch):
    net = small_network(signal=2, lower=3, bands=4)
    generator = torch.Generator().manual_seed(0)
    start, lower = (torch.randn(rows, 150, generator=generator) for rows in (2, 3))
    read = net.read(torch.randn(1, 4, 40, generator=generator)).detach()

    def conditioning(a, b):
        return network.interpolate(read, torch.arange(a, b)[None] * (40 / 150))

    monkeypatch.setattr(network, "BLOCK", 1000)
    whole = follow(net, start, lower, conditioning)
    monkeypatch.setattr(network, "BLOCK", block)
    torch.testing.assert_close(follow(net, start, lower, conditioning), whole, atol=1e-5, rtol=1e-5)


def test_no_piece_exceeds_a_block_and_its_surroundings(monkeypatch):
    """What is in memory at once does not grow with the length."""
    net = small_network(signal=2)
    monkeypatch.setattr(network, "BLOCK", 20)
    widths = []
    net.enter.register_forward_pre_hook(lambda _, given: widths.append(given[0].shape[-1]))
    follow(net, torch.randn(2, 3000), steps=1)
    assert max(widths) <= 20 + net.receptive_field
    assert len(widths) == 150


def test_hold_is_asked_after_every_step():
    net = small_network(signal=2)
    times, known = [], torch.randn(2, 10)

    def constrain(state, time):
        times.append(time)
        state = state.clone()
        state[:, :10] = known
        return state

    result = follow(net, torch.randn(2, 40), steps=4, constrain=constrain)
    assert times == pytest.approx([0.75, 0.5, 0.25, 0.0])
    torch.testing.assert_close(result[:, :10], known)


def test_part_of_the_way_takes_its_part_of_the_steps():
    net = small_network(signal=2)
    times = []
    follow(net, torch.randn(2, 10), steps=4, time=0.5, constrain=lambda x, t: times.append(t) or x)
    assert times == pytest.approx([0.25, 0.0])


def test_there_and_back_is_where_it_began():
    net = small_network(signal=2)
    torch.nn.init.normal_(net.leave.weight, std=0.1)
    start = torch.randn(2, 40)
    noise = follow(net, start, steps=100, time=0.0, end=1.0)
    torch.testing.assert_close(follow(net, noise, steps=100), start, atol=0.02, rtol=0)
    assert (noise - start).abs().max() > 0.1
