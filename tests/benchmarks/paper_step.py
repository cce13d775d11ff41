"""One full step of preset `paper` against the plain published loop, in one run.

    python tests/benchmarks/paper_step.py [--clip FILE] [--seconds 3] [--rounds 3] [--rate 8000] [--out FILE]

A step is one of the critic and one of the generator, at the scale of `--rate` with the published widths.
The plain loop is written here from the paper's facts: dilated convolutions as they stand, every earlier scale
drawn again in each step with its own generator, for the fake and for the reconstruction, and a critic whose
weights take a gradient in the generator's step too. Both are first shown to do the same (losses, and
gradients of every weight, in double precision, for the same weights and noise), then timed in turns. Earlier
scales hold untrained weights, which cost the same. A short clip costs the plain loop more than its share,
as each earlier scale pads by its receptive field: what of it was drawing is told apart.
"""

import argparse
import dataclasses
import json
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from caw import audio, cascade
from caw.cascade import resample
from caw.config import AdversarialSettings, preset
from caw.files import atomic
from caw.paper.networks import Critic, pre_emphasis, reach
from caw.paper.scale import AdversarialScale, untrained_network
from caw.paper.training import AdversarialTrainer, spectral_distance
from caw.run_folder import choose_device
from caw.training import scale_rates

RIFF = Path(__file__).with_name("riff.flac")
CHECKED_SECONDS = 1.0
TOLERANCE = 1e-6  # of the largest value compared
WARM_UP = 1  # turns that do not count


def plain_body(channels: int, outputs: int, settings: AdversarialSettings) -> nn.Sequential:
    """Seven blocks of dilated convolution, batch norm and LeakyReLU, and one more convolution."""
    layers, inputs = [], 1
    for dilation in settings.dilations[:-1]:
        layers.append(weight_norm(nn.Conv1d(inputs, channels, settings.kernel, dilation=dilation)))
        layers += [nn.BatchNorm1d(channels), nn.LeakyReLU(0.2)]
        inputs = channels
    last = nn.Conv1d(channels, outputs, settings.kernel, dilation=settings.dilations[-1])
    return nn.Sequential(*layers, weight_norm(last))


class PlainGenerator(nn.Module):
    """[B, 1, n + 2 * 1020] -> [B, 1, n]."""

    def __init__(self, channels: int, settings: AdversarialSettings) -> None:
        super().__init__()
        kernel = settings.kernel
        self.body = plain_body(channels, channels, settings)
        self.content = weight_norm(nn.Conv1d(channels, channels, kernel, padding=kernel // 2))
        self.gate = weight_norm(nn.Conv1d(channels, channels, kernel, padding=kernel // 2))
        self.mix = weight_norm(nn.Conv1d(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return pre_emphasis(self.mix(torch.tanh(self.content(x)) * torch.sigmoid(self.gate(x))))


class PlainCritic(nn.Module):
    """[B, 1, n] -> [B, 1, n - 2 * 1020]."""

    def __init__(self, channels: int, settings: AdversarialSettings) -> None:
        super().__init__()
        self.body = plain_body(channels, 1, settings)

    def forward(self, x: Tensor) -> Tensor:
        return pre_emphasis(self.body(x))


def copy_weights(source: nn.Module, target: nn.Module) -> nn.Module:
    """Both list the same weights in the same order, under other names."""
    with torch.no_grad():
        for kind in (nn.Module.parameters, nn.Module.buffers):
            for one, other in zip(kind(source), kind(target), strict=True):
                other.copy_(one)
    return target


class PlainLoop:
    """The published step at the scale that `trainer` trains, from the same weights."""

    def __init__(self, trainer: AdversarialTrainer, lower: list[AdversarialScale]) -> None:
        settings = self.settings = trainer.settings
        self.padding = reach(settings.dilations, settings.kernel)
        self.real, self.lower, self.code = trainer.real, lower, lower[0].code
        self.rates = [scale.rate for scale in (*lower, trainer.scale)]
        self.amplitudes = [scale.amplitude for scale in (*lower, trainer.scale)]
        device = self.real.device
        widths = [settings.first_channels] + [settings.channels] * len(lower)
        self.networks = [PlainGenerator(width, settings).to(device) for width in widths]
        for scale, network in zip((*lower, trainer.scale), self.networks, strict=True):
            copy_weights(scale.network, network).train(network is self.networks[-1])
        self.critic = copy_weights(trainer.critic, PlainCritic(widths[-1], settings).to(device))
        options = {"lr": settings.learning_rate, "betas": settings.betas}
        self.optimizer = torch.optim.Adam(self.networks[-1].parameters(), **options)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), **options)
        self.generator = torch.Generator().manual_seed(1)
        self.drawing = (0.0, 0.0)  # of the last step: what went into drawing earlier scales, as `clocks`
        self.critic_gradients: list[Tensor] = []

    def step(self, *, given: tuple[Tensor, float, Tensor] | None = None) -> dict[str, float]:
        """given: earlier scales' signal, the penalty's mix and the noise, in place of drawing them."""
        settings, network, samples = self.settings, self.networks[-1], self.real.shape[-1]
        started = clocks(self.real.device)
        drawn, again = self.draw(self.generator), self.draw(None)
        self.drawing = since(started, self.real.device)
        mix = torch.rand(1, generator=self.generator).item()
        noise = self.noise(samples, self.generator) * self.amplitudes[-1]
        if given is not None:
            drawn, mix, noise = given
        fake = self.add(network, drawn, noise)

        self.critic_optimizer.zero_grad()
        distance = self.critic(self.real).mean() - self.critic(fake.detach()).mean()
        between = (mix * self.real + (1 - mix) * fake.detach()).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
        (settings.penalty * penalty - distance).backward()
        self.critic_gradients = [p.grad.clone() for p in self.critic.parameters()] if given else []
        self.critic_optimizer.step()

        self.optimizer.zero_grad()
        spectral = spectral_distance(self.add(network, again, torch.zeros_like(again)), self.real)
        (settings.reconstruction * spectral - self.critic(fake).mean()).backward()
        self.optimizer.step()
        return {"distance": distance.item(), "penalty": penalty.item(), "spectral": spectral.item()}

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> Tensor:
        """What the earlier scales make of fresh noise, or of the code with `generator` None; [n]."""
        seconds = self.real.shape[-1] / self.rates[-1]
        signal = None
        for index, network in enumerate(self.networks[:-1]):
            samples = max(1, round(self.rates[index] * seconds))
            if generator is not None:
                noise = self.amplitudes[index] * self.noise(samples, generator)
            elif index == 0:
                noise = self.code
            else:
                noise = torch.zeros(samples, device=self.real.device)
            signal = self.add(network, self.lift(signal, index, samples), noise)[0, 0]
        return self.lift(signal, len(self.networks) - 1, self.real.shape[-1])

    def lift(self, signal: Tensor | None, index: int, samples: int) -> Tensor:
        if signal is None:
            return torch.zeros(samples, device=self.real.device)
        return resample(signal, self.rates[index - 1], self.rates[index], samples)

    def add(self, network: nn.Module, lifted: Tensor, noise: Tensor) -> Tensor:
        padded = functional.pad(lifted + noise, (self.padding, self.padding))
        return (lifted + network(padded[None, None])[:, :, : len(lifted)]).view(1, 1, -1)

    def noise(self, samples: int, generator: torch.Generator) -> Tensor:
        return torch.randn(samples, generator=generator).to(self.real.device)


@dataclass
class Pair:
    """Our trainer and the plain loop, alike in their weights."""

    ours: AdversarialTrainer
    plain: PlainLoop
    lower: list[AdversarialScale]


def pair(samples: np.ndarray, rate: int, settings: AdversarialSettings, device: torch.device) -> Pair:
    """Both, at the scale of `rate` Hz, for a clip [n] at that rate; the scales below are untrained."""
    clip = torch.from_numpy(samples).to(torch.get_default_dtype())[None] * (0.98 / np.abs(samples).max())
    rates = scale_rates(clip, rate, settings)
    pyramid = cascade.pyramid(clip.to(device), rates, None)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    lower = []
    for index, scale_rate in enumerate(rates[:-1]):
        network = untrained_network(settings, first=index == 0).to(device).eval()
        critic = Critic(settings.channels, settings.dilations, kernel=settings.kernel).to(device)
        code = torch.randn(pyramid[0].wave.shape[-1], generator=generator).to(device) if index == 0 else None
        amplitude = 0.1 if index else 1.0
        below = rates[index - 1] if index else None
        lower.append(AdversarialScale(scale_rate, below, network, amplitude, code, critic.state_dict()))
    ours = AdversarialTrainer(pyramid, rates, lower, settings)
    return Pair(ours, PlainLoop(ours, lower), lower)


def check(samples: np.ndarray, rate: int, settings: AdversarialSettings) -> dict[str, float]:
    """Largest differences between the two, as shares of the largest value: of drawing, losses, gradients.

    In double precision, where rounding does not blur the comparison. Raises: AssertionError beyond TOLERANCE.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        strict = dataclasses.replace(settings, penalty=10.0)  # so that the penalty's gradient counts
        both = pair(samples, rate, strict, torch.device("cpu"))
        ours, plain = both.ours, both.plain
        seconds = len(samples) / rate
        drawn = cascade.generate(both.lower, seconds, torch.Generator().manual_seed(3))
        again = plain.draw(torch.Generator().manual_seed(3))
        found = {"draw": apart([ours.scale.lift(drawn, len(samples))], [again])}
        found["reconstruction"] = apart([ours.reconstructed], [plain.draw(None)])
        twin = torch.Generator()
        twin.set_state(ours.generator.get_state())
        choice = int(torch.randint(len(ours.bank), (1,), generator=twin))
        mix = torch.rand(1, generator=twin).item()
        noise = torch.randn(len(samples), generator=twin) * ours.scale.amplitude
        mine = ours.step(0)
        theirs = plain.step(given=(ours.bank[choice], mix, noise))
        for name in mine:
            found[name] = abs(mine[name] - theirs[name]) / max(1e-12, abs(theirs[name]))
        found["critic gradients"] = apart([p.grad for p in ours.critic.parameters()], plain.critic_gradients)
        networks = ours.scale.network, plain.networks[-1]
        gradients = ([p.grad for p in network.parameters()] for network in networks)
        found["generator gradients"] = apart(*gradients)
    finally:
        torch.set_default_dtype(before)
    if not max(found.values()) <= TOLERANCE:
        raise AssertionError(f"the two loops differ: {found}")
    return found


def apart(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Largest absolute difference over the largest absolute value."""
    largest = max(t.abs().max().item() for t in theirs)
    return max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True)) / largest


def measure(samples: np.ndarray, rate: int, settings: AdversarialSettings, rounds: int) -> dict:
    """Seconds of one step of each, in turns, as medians, and their ratio: by the clock and of processor time.

    On a machine that is busy with other things, processor time says more.
    """
    device = choose_device(settings.device)
    torch.set_flush_denormal(True)  # as `caw.training` does
    both = pair(samples, rate, settings, device)
    turns: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": [], "drawing": []}
    for turn in range(rounds + WARM_UP):
        for name, step in (("ours", lambda: both.ours.step(0)), ("plain", both.plain.step)):
            started = clocks(device)
            step()
            spent = since(started, device)
            if turn >= WARM_UP:
                turns[name].append(spent)
        if turn >= WARM_UP:
            turns["drawing"].append(both.plain.drawing)
    found = {
        "device": str(device),
        "threads": torch.get_num_threads(),
        "clip_seconds": len(samples) / rate,
        "rates": list(both.plain.rates),
        "rounds": rounds,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    for place, clock in enumerate(("wall", "processor")):
        medians = {name: float(np.median([t[place] for t in times])) for name, times in turns.items()}
        found[clock] = medians | {"ratio": medians["plain"] / medians["ours"]}
    return found | {"turns": turns}


def clocks(device: torch.device) -> tuple[float, float]:
    """Seconds by the clock and of processor time, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter(), time.process_time()


def since(started: tuple[float, float], device: torch.device) -> tuple[float, float]:
    now = clocks(device)
    return now[0] - started[0], now[1] - started[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, default=RIFF)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=int, default=8000, help="Hz of the scale")
    parser.add_argument("--rounds", type=int, default=3, help="turns that count, after one to warm up")
    parser.add_argument("--draws", type=int, default=1, help="kept by our trainer before its first step")
    parser.add_argument("--channels", type=int, default=96)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--no-check", action="store_true")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    settings = preset(
        "paper", rate=options.rate, draws=options.draws, channels=options.channels, device=options.device
    )
    samples, rate = audio.read(options.clip, rate=options.rate, seconds=options.seconds)
    differences = {}
    if not options.no_check:
        differences = check(samples[: round(CHECKED_SECONDS * rate)], rate, settings)
        told = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
        print(f"same math: largest relative differences: {told}", flush=True)
    found = measure(samples, rate, settings, options.rounds)
    if options.out:
        atomic.write(options.out, json.dumps(found | {"differences": differences}, indent=2) + "\n")
    print(f"{found['clip_seconds']:g} s at {rate} Hz, {found['threads']} threads, {found['device']}")
    for clock in ("wall", "processor"):
        told = "{ours:.2f} s ours, {plain:.2f} s plain ({drawing:.2f} s of it drawing), ratio {ratio:.2f}"
        print(f"{clock} time of a step: {told.format(**found[clock])}")


if __name__ == "__main__":
    main()
