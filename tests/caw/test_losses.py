import pytest
import torch

from caw.flow.training import flow_matching
from caw.paper.training import gradient_penalty, spectral_distance


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


def test_flow_matching_is_zero_at_the_true_velocity():
    clean, noise, time = torch.randn(2, 1, 50), torch.randn(2, 1, 50), torch.tensor([0.2, 0.9])
    assert flow_matching(lambda x, t: noise - clean, clean, noise, time) == 0
    assert flow_matching(lambda x, t: torch.zeros_like(x), clean, noise, time) > 1


def test_flow_matching_feeds_the_straight_path():
    clean, noise, time = torch.zeros(1, 1, 5), torch.ones(1, 1, 5), torch.tensor([0.25])
    seen = []
    flow_matching(lambda x, t: seen.append(x) or x, clean, noise, time)
    torch.testing.assert_close(seen[0], torch.full((1, 1, 5), 0.25))
