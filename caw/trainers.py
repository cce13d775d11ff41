"""One optimiser step of one scale, for each preset. A trainer holds everything a checkpoint needs."""

from __future__ import annotations

import copy
import math
from typing import Any, Protocol

import torch
from torch import Tensor

from caw import adversarial, cascade, flow
from caw.config import AdversarialSettings, FlowSettings, Settings
from caw.losses import flow_matching, gradient_penalty, spectral_distance
from caw.networks import Critic
from caw.pyramid import Signal

WARM_UP = 50  # steps over which the learning rate of the flow rises
FINAL_RATE = 0.02  # its share left at the end of the cosine


class Trainer(Protocol):
    """What the loop in `caw.training` needs."""

    def step(self, epoch: int) -> dict[str, float]: ...

    def finish(self) -> cascade.Scale: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class FlowTrainer:
    """Flow matching on crops of the real scale, given the real scale below with noise mixed in.

    Needs nothing drawn, so every scale could be trained by itself.
    """

    def __init__(
        self,
        pyramid: list[Signal],
        rates: tuple[int, ...],
        lower: list[cascade.Scale],
        settings: FlowSettings,
    ) -> None:
        index = len(lower)
        self.settings = settings
        rate, lower_rate = rates[index], rates[index - 1] if index else None
        wave = pyramid[index].wave
        self.generator = torch.Generator().manual_seed(settings.seed * 1000 + index)
        torch.manual_seed(settings.seed * 1000 + index)  # the weights' initial values
        self.network = flow.network_for(settings, rate, first=index == 0).to(wave.device)
        self.average = copy.deepcopy(self.network)
        whitening = flow.Whitening.of(wave.cpu().numpy(), settings.prediction_order)
        self.scale = flow.FlowScale(rate, lower_rate, self.average, whitening, settings)
        clean = self.scale.state(pyramid[index])
        given = self.scale.given(pyramid[index - 1] if index else None, clean.shape[-1])
        # A frame may begin at any sample: one copy of the clip for each place to begin.
        self.clean = [self.scale.shifted(clean, by) for by in range(self.scale.fold)]
        self.given = [self.scale.shifted(given, by) for by in range(self.scale.fold)]
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), settings.learning_rate, betas=(0.9, 0.99), fused=wave.is_cuda
        )
        seconds = settings.finer_crop if index else settings.crop
        self.crop = min(max(1, round(seconds * rate / self.scale.fold)), clean.shape[-1] - 1)

    def step(self, epoch: int) -> dict[str, float]:
        """One optimiser step; returns the loss by name."""
        settings, generator, device = self.settings, self.generator, self.clean[0].device
        rise = min(1.0, (epoch + 1) / WARM_UP)
        fall = 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rise * (FINAL_RATE + (1 - FINAL_RATE) * fall)

        clean, given = self._crops()
        time = torch.sigmoid(torch.randn(settings.batch, generator=generator)).to(device)
        noise = torch.randn(clean.shape, generator=generator).to(device)
        level = torch.rand(settings.batch, generator=generator).to(device) * settings.lower_noise
        level = level * (0.0 if self.scale.first else 1.0)
        mixed = flow.given_noise(self.scale, settings.batch, self.crop, generator).to(device)
        given = given + level[:, None, None] * mixed

        loss = flow_matching(lambda x, t: self.network(x, given, t, level), clean, noise, time)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self._follow(min(settings.averaging, (1 + epoch) / (10 + epoch)))
        return {"flow": loss.item()}

    def finish(self) -> flow.FlowScale:
        """The scale with averaged weights."""
        self.average.eval()
        return self.scale

    def state_dict(self) -> dict[str, Any]:
        """Weights, average, optimiser and random state."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state_dict` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])

    def _crops(self) -> tuple[Tensor, Tensor]:
        """Random crops of the clip and of what is given with them, some with their polarity turned."""
        settings, fold = self.settings, self.scale.fold
        last = self.clean[0].shape[-1] - self.crop
        starts = torch.randint(0, last * fold, (settings.batch,), generator=self.generator).tolist()
        turned = (2 * torch.randint(0, 2, (settings.batch,), generator=self.generator) - 1).tolist()
        crops = []
        for frames in (self.clean, self.given):
            pieces = [frames[s % fold][:, s // fold : s // fold + self.crop].clone() for s in starts]
            for piece, sign in zip(pieces, turned, strict=True):
                piece[:fold] *= sign  # loudness of the bands has no polarity
            crops.append(torch.stack(pieces))
        return crops[0], crops[1]

    @torch.no_grad()
    def _follow(self, decay: float) -> None:
        for kept, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(now, 1 - decay)


class AdversarialTrainer:
    """The published step: one of the critic, one of the generator, on the whole signal.

    Free of two costs of the public code: the critic's weights take no gradient in the generator's
    step, and the scales below are drawn `settings.draws` times before the first step and reused,
    with fresh noise at this scale in every step, rather than drawn again in every step.
    """

    def __init__(
        self,
        pyramid: list[Signal],
        rates: tuple[int, ...],
        lower: list[cascade.Scale],
        settings: AdversarialSettings,
    ) -> None:
        index = len(lower)
        self.settings = settings
        self.target = pyramid[index].wave
        device = self.target.device
        samples = len(self.target)
        self.generator = torch.Generator().manual_seed(settings.seed * 1000 + index)
        torch.manual_seed(settings.seed * 1000 + index)  # the weights' initial values
        network = adversarial.network_for(settings, first=index == 0).to(device)
        channels = settings.first_channels if index == 0 else settings.channels
        self.critic = Critic(channels, settings.dilations, kernel=settings.kernel).to(device)
        code = self._noise(samples) if index == 0 else None
        self.scale = adversarial.AdversarialScale(
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
        fake = adversarial.add_band(network, self.bank[choice][None, None], noise[None, None])

        self.critic.requires_grad_(True)
        distance = self.critic(self.real).mean() - self.critic(fake.detach()).mean()
        penalty = gradient_penalty(self.critic, self.real, fake.detach(), mix)
        self.critic_optimizer.zero_grad(set_to_none=True)
        (settings.penalty * penalty - distance).backward()
        self.critic_optimizer.step()

        self.critic.requires_grad_(False)
        again = adversarial.add_band(network, self.reconstructed[None, None], self.code[None, None])
        spectral = spectral_distance(again, self.real)
        self.optimizer.zero_grad(set_to_none=True)
        (settings.reconstruction * spectral - self.critic(fake).mean()).backward()
        self.optimizer.step()
        return {"distance": distance.item(), "penalty": penalty.item(), "spectral": spectral.item()}

    def finish(self) -> adversarial.AdversarialScale:
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


def trainer_for(
    pyramid: list[Signal], rates: tuple[int, ...], lower: list[cascade.Scale], settings: Settings
) -> Trainer:
    """A trainer for the next scale above `lower`, fresh from its seed."""
    kind = FlowTrainer if isinstance(settings, FlowSettings) else AdversarialTrainer
    return kind(pyramid, rates, lower, settings)
