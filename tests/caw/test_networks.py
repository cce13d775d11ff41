import pytest
import torch
from torch.nn import functional

from caw.config import AdversarialSettings
from caw.paper import networks
from caw.paper.networks import Critic, DilatedConvolution, Generator, pre_emphasis, reach
from caw.paper.training import gradient_penalty, spectral_distance

PAPER = AdversarialSettings()


@pytest.mark.parametrize("dilation", [1, 2, 7, 128])
@pytest.mark.parametrize("samples", [1200, 1201])
def test_folding_the_dilation_changes_nothing(dilation, samples):
    torch.manual_seed(0)
    folded = DilatedConvolution(3, 4, 9, dilation, fold=True)
    plain = DilatedConvolution(3, 4, 9, dilation, fold=False)
    plain.load_state_dict(folded.state_dict())
    x = torch.randn(2, 3, samples)
    torch.testing.assert_close(folded(x), plain(x), rtol=1e-5, atol=1e-6)


def test_paper_networks_have_the_published_sizes():
    generator = Generator(PAPER.channels, PAPER.dilations, kernel=PAPER.kernel)
    critic = Critic(PAPER.channels, PAPER.dilations, kernel=PAPER.kernel)
    count = lambda net: sum(p.numel() for p in net.parameters())  # noqa: E731
    assert round(count(generator), -4) == 750_000
    assert round(count(critic), -3) == 502_000
    assert generator.reach == critic.reach == reach(PAPER.dilations, PAPER.kernel) == 1020


def test_generator_sees_its_receptive_field_and_no_more():
    torch.manual_seed(0)
    net = Generator(4, (1, 2, 4), kernel=9).eval()
    n = 60
    x = torch.randn(1, 1, n + 2 * net.reach, requires_grad=True)
    out = net(x)
    assert out.shape == (1, 1, n)
    out[0, 0, 30].backward()
    size = x.grad[0, 0].abs()
    touched = (size > 1e-5 * size.max()).nonzero().flatten()  # rounding reaches a little farther
    # the gate's own padding (4) and the pre-emphasis (1 back) widen the field a little
    assert touched.min() == 30 - 4 - 1
    assert touched.max() == 30 + 2 * net.reach + 4


def test_critic_pads_only_what_is_shorter_than_its_field():
    net = Critic(4, (1, 2, 4), kernel=9)
    assert net(torch.randn(2, 1, 100)).shape == (2, 1, 100 - 2 * net.reach)
    assert net(torch.randn(2, 1, 40)).shape == (2, 1, 40)


def test_pre_emphasis_is_a_first_difference():
    x = torch.tensor([[[1.0, 2.0, 0.0]]])
    torch.testing.assert_close(pre_emphasis(x), torch.tensor([[[1.0, 2 - 0.97, -1.94]]]))
    constant = functional.pad(torch.ones(1, 1, 50), (0, 0))
    assert pre_emphasis(constant)[..., 1:].max() < 0.031


@pytest.mark.slow
@pytest.mark.parametrize("dilation", [1, 3])
def test_the_convolution_differentiates_twice_across_rows(dilation):
    torch.manual_seed(0)
    shapes = (2, 62, 2), (3, 2, 3), (3,)
    x, weight, bias = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes)
    plain = functional.conv1d(x.transpose(1, 2), weight, bias, dilation=dilation).transpose(1, 2)
    torch.testing.assert_close(networks.Convolution.apply(x, weight, bias, dilation), plain)
    arguments = x, weight, bias, dilation
    assert torch.autograd.gradcheck(networks.Convolution.apply, arguments)
    assert torch.autograd.gradgradcheck(networks.Convolution.apply, arguments)


@pytest.mark.parametrize("samples", [200, 800, 5000])
def test_spectral_distance_is_zero_only_for_the_same_signal(samples):
    x = torch.randn(1, 1, samples)
    assert spectral_distance(x, x) == 0
    assert spectral_distance(2 * x, x) > 0


def test_spectral_distance_scales_with_the_signal():
    x, y = torch.randn(1, 1, 4000), torch.randn(1, 1, 4000)
    torch.testing.assert_close(spectral_distance(3 * x, 3 * y), 3 * spectral_distance(x, y))


@pytest.mark.parametrize("slope", [0.0, 1.0, -2.5])
def test_gradient_penalty_of_a_linear_critic(slope):
    weight = torch.tensor(slope, requires_grad=True)
    real, fake = torch.randn(1, 1, 30), torch.randn(1, 1, 30)
    penalty = gradient_penalty(lambda x: weight * x, real, fake, 0.3)
    assert penalty.item() == pytest.approx((abs(slope) - 1) ** 2)
    penalty.backward()
    assert weight.grad is not None
