"""The losses of the `paper` preset, and one optimiser step of one of its scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from caw import cascade
from caw.cascade import Signal
from caw.config import AdversarialSettings
from caw.paper.networks import Critic
from caw.paper.scale import AdversarialScale, add_band, untrained_network

# (n_fft, hop, window) in samples, the same at every rate (Greshler et al. 2021, supplementary A).
STFT_RESOLUTIONS = ((2048, 240, 1200), (1024, 120, 600), (512, 50, 240))


def spectral_distance(output: Tensor, target: Tensor) -> Tensor:
    """Multi-resolution STFT loss: mean Frobenius norm of the difference of magnitudes.

    output, target: [B, 1, N]. Signals too short to be reflected at their edges are zero-padded, so that clips
    of any length train.
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

    real, fake: [B, 1, N]; mix: one number in [0, 1] per call. The gradient is that of the sum of the critic's
    outputs, and its norm is taken over the single channel, as in the published code (Gulrajani et al. 2017
    take it over the whole sample).
    """
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.abs() - 1).square().mean()


class AdversarialTrainer:
    """The published step: one of the critic and one of the generator, on the whole signal.

    It avoids two costs of the public code. The critic's weights take no gradient in the generator's step. And
    the scales below are drawn `settings.draws` times before the first step and reused, with new noise at this
    scale in every step, instead of being drawn anew in every step.
    """

    def __init__(
        self,
        pyramid: list[Signal],
        rates: tuple[float, ...],
        lower: list[cascade.Scale],
        settings: AdversarialSettings,
    ) -> None:
        index = len(lower)
        self.settings = settings
        self.target = pyramid[index].wave[0]
        device = self.target.device
        samples = len(self.target)
        self.generator = torch.Generator().manual_seed(settings.seed * 1000 + index)
        torch.manual_seed(settings.seed * 1000 + index)  # the weights' initial values
        network = untrained_network(settings, first=index == 0).to(device)
        channels = settings.first_channels if index == 0 else settings.channels
        self.critic = Critic(channels, settings.dilations, kernel=settings.kernel).to(device)
        code = self._noise(samples) if index == 0 else None
        lower_rate = rates[index - 1] if index else None
        self.scale = AdversarialScale(rates[index], lower_rate, network, 1.0, code)
        self.real = self.target[None, None]
        self.code = torch.zeros(samples, device=device) if code is None else code
        self.reconstructed = torch.zeros(samples, device=device)
        self.bank = [self.reconstructed]
        if index:
            below = cascade.reconstruct(lower, pyramid)[-1]
            self.reconstructed = self.scale.lift(below, samples)
            self.scale.amplitude = self._amplitude(pyramid, index)
            seconds = samples / rates[index]
            self.bank = [
                self.scale.lift(cascade.generate(lower, seconds, self.generator), samples)
                for _ in range(settings.draws)
            ]
        if index >= 2:  # the first scale has other widths
            network.load_state_dict(lower[-1].network.state_dict())
            self.critic.load_state_dict(lower[-1].critic_state)
        options = {"lr": settings.learning_rate, "betas": settings.betas, "fused": self.target.is_cuda}
        self.optimizer = torch.optim.Adam(network.parameters(), **options)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), **options)

    def step(self, epoch: int) -> dict[str, float]:
        """Take one step of the critic and one of the generator; returns the losses by name."""
        settings, network = self.settings, self.scale.network
        rate = settings.learning_rate * (0.1 if epoch >= settings.decay_at * settings.epochs else 1.0)
        for group in self.optimizer.param_groups + self.critic_optimizer.param_groups:
            group["lr"] = rate

        choice = int(torch.randint(len(self.bank), (1,), generator=self.generator))
        mix = torch.rand(1, generator=self.generator).item()
        noise = self.scale.amplitude * self._noise(len(self.target))
        fake = add_band(network, self.bank[choice][None, None], noise[None, None])

        self.critic.requires_grad_(True)
        distance = self.critic(self.real).mean() - self.critic(fake.detach()).mean()
        penalty = gradient_penalty(self.critic, self.real, fake.detach(), mix)
        self.critic_optimizer.zero_grad(set_to_none=True)
        (settings.penalty * penalty - distance).backward()
        self.critic_optimizer.step()

        self.critic.requires_grad_(False)
        reconstruction = add_band(network, self.reconstructed[None, None], self.code[None, None])
        spectral = spectral_distance(reconstruction, self.real)
        self.optimizer.zero_grad(set_to_none=True)
        (settings.reconstruction * spectral - self.critic(fake).mean()).backward()
        self.optimizer.step()
        return {"distance": distance.item(), "penalty": penalty.item(), "spectral": spectral.item()}

    def finish(self) -> AdversarialScale:
        """The scale in evaluation mode; the next scale's critic starts from this one's weights."""
        self.scale.network.eval()
        self.scale.critic_state = {k: v.clone() for k, v in self.critic.state_dict().items()}
        return self.scale

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimisers, drawn signals and random state."""
        return {
            "network": self.scale.network.state_dict(),
            "critic": self.critic.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "critic_optimizer": self.critic_optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.scale.network.load_state_dict(state["network"])
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.critic_optimizer.load_state_dict(state["critic_optimizer"])
        self.generator.set_state(state["generator"])

    def _noise(self, samples: int) -> Tensor:
        return torch.randn(samples, generator=self.generator).to(self.target.device)

    def _amplitude(self, pyramid: list[Signal], index: int) -> float:
        """Standard deviation of the noise at the input (Greshler et al. 2021, supplementary A)."""
        if index == 1:
            return self.reconstructed.std().item()
        energy, below = (pyramid[i].wave.square().mean().item() for i in (index, index - 1))
        return self.settings.fine_noise * math.sqrt(max(0.0, energy - below))
