"""One optimiser step of one scale of the `paper` preset."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from caw import cascade
from caw.config import AdversarialSettings
from caw.losses import gradient_penalty, spectral_distance
from caw.paper import scale
from caw.paper.networks import Critic
from caw.pyramid import Signal


class AdversarialTrainer:
    """The published step: one of the critic, one of the generator, on the whole signal.

    Free of two costs of the public code: the critic's weights take no gradient in the generator's
    step, and the scales below are drawn `settings.draws` times before the first step and reused,
    with fresh noise at this scale in every step, rather than drawn again in every step.
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
        network = scale.network_for(settings, first=index == 0).to(device)
        channels = settings.first_channels if index == 0 else settings.channels
        self.critic = Critic(channels, settings.dilations, kernel=settings.kernel).to(device)
        code = self._noise(samples) if index == 0 else None
        self.scale = scale.AdversarialScale(
            rates[index], rates[index - 1] if index else None, network, 1.0, code
        )
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
        """One critic step and one generator step; returns the losses by name."""
        settings, network = self.settings, self.scale.network
        rate = settings.learning_rate * (0.1 if epoch >= settings.decay_at * settings.epochs else 1.0)
        for group in self.optimizer.param_groups + self.critic_optimizer.param_groups:
            group["lr"] = rate

        choice = int(torch.randint(len(self.bank), (1,), generator=self.generator))
        mix = torch.rand(1, generator=self.generator).item()
        noise = self.scale.amplitude * self._noise(len(self.target))
        fake = scale.add_band(network, self.bank[choice][None, None], noise[None, None])

        self.critic.requires_grad_(True)
        distance = self.critic(self.real).mean() - self.critic(fake.detach()).mean()
        penalty = gradient_penalty(self.critic, self.real, fake.detach(), mix)
        self.critic_optimizer.zero_grad(set_to_none=True)
        (settings.penalty * penalty - distance).backward()
        self.critic_optimizer.step()

        self.critic.requires_grad_(False)
        again = scale.add_band(network, self.reconstructed[None, None], self.code[None, None])
        spectral = spectral_distance(again, self.real)
        self.optimizer.zero_grad(set_to_none=True)
        (settings.reconstruction * spectral - self.critic(fake).mean()).backward()
        self.optimizer.step()
        return {"distance": distance.item(), "penalty": penalty.item(), "spectral": spectral.item()}

    def finish(self) -> scale.AdversarialScale:
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
