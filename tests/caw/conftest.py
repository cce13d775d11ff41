"""A synthesised clip and a run small enough to train in a second."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caw.config import preset

RATE = 4000
torch.set_num_threads(1)  # networks this small only wait for each other


def tune(seconds: float = 3.0, rate: int = RATE, seed: int = 5) -> np.ndarray:
    """Plucked notes over a beat: energy in all bands, quiet gaps, no clipping. [n]"""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    signal = np.zeros_like(time)
    for beat in np.arange(0, seconds, 0.25):
        age = np.clip(time - beat, 0, None)
        on = time >= beat
        pitch = rng.choice([110.0, 146.8, 164.8, 220.0])
        signal += (
            on * np.exp(-age * 9) * (np.sin(2 * np.pi * pitch * age) + 0.3 * np.sin(6 * np.pi * pitch * age))
        )
        signal += on * np.exp(-age * 60) * 0.2 * rng.standard_normal(len(time))
    return (0.6 * signal / np.abs(signal).max()).astype(np.float32)


def same_weights(a, b) -> bool:
    """Whether two runs' files of weights agree in every bit."""
    files = [{f.name: load_file(f) for f in run.folder.glob("scale-*.safetensors")} for run in (a, b)]
    names = [{(file, name) for file in weights for name in weights[file]} for weights in files]
    return names[0] == names[1] and all(torch.equal(files[0][f][n], files[1][f][n]) for f, n in names[0])


@pytest.fixture(scope="session")
def clip() -> np.ndarray:
    return tune()


@pytest.fixture(scope="session")
def tiny():
    """Settings of a fast run that takes about a second."""
    return preset(
        "fast", epochs=6, scales=(1000, 2000), bands=40, score_channels=8, score_layers=3, score_crop=1.0,
        channels=8, layers=3, finer_layers=2, crop=1.0, finer_crop=0.5,
        score_draw_steps=2, draw_steps=2, finer_draw_steps=1,
    )  # fmt: skip


@pytest.fixture(scope="session")
def tiny_paper():
    """Settings of a paper run that takes a few seconds."""
    return preset("paper", epochs=2, first_channels=4, channels=6, draws=2, scales=(500, 1000, 2000))


@pytest.fixture(scope="session")
def stereo() -> np.ndarray:
    """Two channels that share their beat and little else, the right one fainter. [2, n]"""
    left = tune()
    right = 0.5 * tune(seed=6)
    return np.stack([left, right])


@pytest.fixture(scope="session")
def trained(clip, tiny, tmp_path_factory):
    from caw.training import train

    return train(clip, RATE, tmp_path_factory.mktemp("runs") / "tiny", settings=tiny)


@pytest.fixture(scope="session")
def trained_band(stereo, tiny, tmp_path_factory):
    """A run of two stereo clips, the second longer."""
    from caw.training import train

    clips = [stereo, np.concatenate([stereo[:, ::-1], stereo[:, :2000]], 1)]
    return train(clips, RATE, tmp_path_factory.mktemp("runs") / "band", settings=tiny)


@pytest.fixture(scope="session")
def trained_paper(clip, tiny_paper, tmp_path_factory):
    from caw.training import train

    return train(clip, RATE, tmp_path_factory.mktemp("runs") / "paper", settings=tiny_paper)
