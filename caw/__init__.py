"""Catch-A-Waveform: a model of music trained on one clip (Greshler, Shaham, Michaeli, NeurIPS 2021).

Arrays in, arrays out; files only at the edge:

    import caw
    from caw import audio

    samples, rate = audio.read("song.wav", seconds=25)
    run = caw.train(samples, rate, "runs/song", settings=caw.preset("fast", seed=1))
    new = run.generate(30.0, seed=7)    # UMG, at run.rate Hz
    varied = run.vary(seed=7)           # VAR
    again = caw.load("runs/song")

    from caw.tasks.denoising import denoise          # denoise(samples, rate)
    from caw.tasks.extension import learn            # learn(material, rate, low_rate).apply(low)
    from caw.tasks.inpainting import inpaint         # inpaint(samples, rate, [(3.0, 3.75)], seed=7)

The functions `train`, `load` and `preset` are loaded when they are first used, so that `import caw` imports
no torch. Neither do `caw.audio`, `caw.config` and `caw.measures`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caw.config import preset
    from caw.runs import load
    from caw.training import train

__all__ = ["load", "preset", "train"]

_MODULES = {"load": "caw.runs", "preset": "caw.config", "train": "caw.training"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
