"""The trainers of a run, whatever its preset. A trainer holds everything a checkpoint needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from caw import cascade
from caw.compose import timeline
from caw.compose.plan import Plan
from caw.config import AdversarialSettings, FlowSettings, Settings
from caw.flow.score import Bands
from caw.flow.training import ScoreTrainer, WaveTrainer
from caw.paper.training import AdversarialTrainer


class Trainer(Protocol):
    """What the loop in `caw.training` needs."""

    def step(self, epoch: int) -> dict[str, float]: ...

    def finish(self) -> cascade.Scale: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def independent(settings: Settings) -> bool:
    """Whether a scale trains without the scales below."""
    return isinstance(settings, FlowSettings)


def costs(settings: Settings, rates: tuple[float, ...]) -> list[float]:
    """About how long a step of each scale takes, as shares of 1."""
    if isinstance(settings, AdversarialSettings):
        widths = [settings.first_channels] + [settings.channels] * (len(rates) - 1)
        weights = [rate * width**2 for rate, width in zip(rates, widths, strict=True)]
    else:
        weights = [float(settings.score_steps)] + [1.0] * (len(rates) - 1)
    return [w / sum(weights) for w in weights]


def trainers_for(
    clips: list[Tensor],
    rates: tuple[float, ...],
    scales: list[cascade.Scale | None],
    settings: Settings,
    plans: list[Plan | None] | None = None,
    album: Sequence[Tensor] = (),
) -> list[Callable[[], Trainer]]:
    """For each scale what makes its trainer, fresh from its seed.

    clips: [channels, n] at the last rate. scales: the finished ones by index, as they come: the published
    recipe needs those below. plans: of each clip what is known of its beats and chords (`caw.compose`).
    album: more clips, which the first epochs of the flow-matching presets learn from as well.
    """
    if isinstance(settings, FlowSettings):
        bands, own = Bands.of(clips, int(rates[-1]), settings.bands).to(clips[0].device), len(clips)
        pyramids = [cascade.pyramid_of(clip, rates, bands) for clip in [*clips, *album]]
        timelines = None
        if settings.guide:
            known = [*(plans or [None] * own), *[None] * len(album)]
            timelines = [
                timeline.analyse(clip.cpu().numpy(), int(rates[-1]), plan)
                for clip, plan in zip([*clips, *album], known, strict=True)
            ]
        makers: list[Callable[[], Trainer]] = [
            lambda: ScoreTrainer([p[0].score for p in pyramids], bands, settings, rates, timelines, own)
        ]
        for index in range(1, len(rates)):
            makers.append(lambda index=index: WaveTrainer(pyramids, rates, index, bands, settings, own))
        return makers
    pyramid = cascade.pyramid_of(clips[0], rates, None)
    return [
        lambda index=index: AdversarialTrainer(pyramid, rates, scales[:index], settings)
        for index in range(len(rates))
    ]
