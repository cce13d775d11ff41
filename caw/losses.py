"""Losses, each a function of tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# (n_fft, hop, window) in samples, the same at every rate (Greshler et al. 2021, supplementary A).
STFT_RESOLUTIONS = ((2048, 240, 1200), (1024, 120, 600), (512, 50, 240))


def spectral_distance(output: Tensor, target: Tensor) -> Tensor:
    """Multi-resolution STFT loss: mean Frobenius norm of the magnitude difference.

    output, target: [B, 1, N]. Signals too short to be reflected at the edges are zero-padded,
    so clips of any length train.
    """
    total = output.new_zeros(())
    for n_fft, hop, size in STFT_RESOLUTIONS:
        window = torch.hann_window(size, device=output.device)
        mode = "reflect" if output.shape[-1] > n_fft // 2 else "constant"
        a, b = (
            torch.stft(x[:, 0], n_fft, hop, size, window, pad_mode=mode, return_complex=True).abs()
            for x in (output, target)
        )
        total = total + torch.linalg.norm(a - b)
    return total / len(STFT_RESOLUTIONS)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean over time of (|d critic / d x_t| - 1)^2 at one point between real and fake.

    real, fake: [B, 1, N]; mix: one number in [0, 1] per call. The gradient is that of the sum of
    the critic's outputs and its norm is taken over the single channel, as in the published code
    (Gulrajani et al. 2017 take it over the whole sample).
    """
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.abs() - 1).square().mean()


def flow_matching(
    velocity: Callable[[Tensor, Tensor], Tensor], clean: Tensor, noise: Tensor, time: Tensor
) -> Tensor:
    """Squared error of the velocity on the straight path from clean (time 0) to noise (time 1).

    clean, noise: [B, 1, N]; time: [B] in (0, 1). Lipman et al. 2023, equation 23.
    """
    t = time[:, None, None]
    return (velocity((1 - t) * clean + t * noise, time) - (noise - clean)).square().mean()
