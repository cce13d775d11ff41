"""Muon, the optimiser of the matrices between hidden channels, as quick on any processor.

torch's own makes the matrices of each step orthogonal in bfloat16, a format for which many processors have no
instructions: on one with AVX2 alone a step of the score's network took 2.9 s that way, and takes .32 s in
single precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` with its state and defaults, in single precision off a GPU.

    stacked: those of the matrices that are two, one over the other, each of which is made orthogonal by
    itself: for the score's network that takes a quarter off a step. On a GPU they are taken as one.
    """

    def __init__(
        self, matrices: Iterable[Tensor], rate: float, *, weight_decay: float, stacked: Iterable[Tensor] = ()
    ) -> None:
        super().__init__(matrices, rate, weight_decay=weight_decay)
        self.stacked = {id(parameter) for parameter in stacked}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; returns the closure's loss, where there is a closure."""
        if any(p.is_cuda for group in self.param_groups for p in group["params"]):
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        mean = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"])  # Nesterov's
        parts = ahead.chunk(2) if id(parameter) in self.stacked else (ahead,)
        how = (group["ns_coefficients"], group["ns_steps"], group["eps"])
        direction = torch.cat([orthogonal(part, *how) for part in parts])
        rows, columns = parts[0].shape
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """A matrix [m, n] with its singular values brought near 1, by Newton and Schulz's iteration.

    Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    tall = len(matrix) > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / found.norm().clamp(min=eps)
    a, b, c = coefficients
    for _ in range(steps):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if tall else found
