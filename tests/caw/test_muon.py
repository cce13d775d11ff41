"""Muon in single precision is torch's Muon, whose products are in bfloat16."""

import copy

import pytest
import torch

from caw.flow.training import Muon, orthogonal

COEFFICIENTS = (3.4445, -4.775, 2.0315)


def _matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(24, 24), (40, 16), (16, 40)])
def test_singular_values_come_near_one(shape):
    found = orthogonal(_matrix(*shape), COEFFICIENTS, 5, 1e-7)
    values = torch.linalg.svdvals(found)
    assert found.shape == shape
    assert found.dtype == torch.float32
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
