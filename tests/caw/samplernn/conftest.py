"""A SampleRNN of a few hundred weights, and a run of it."""

import pytest
import torch

from caw.samplernn import config
from tests.caw.conftest import RATE, tune

torch.set_num_threads(1)  # networks this small only wait for each other


def tiny(**changes) -> config.SampleRNNSettings:
    """Settings of a run that trains in a second."""
    small = {"rate": 2000, "dim": 16, "embedding": 4, "streams": 4, "window": 64, "stretch": 0.5}
    return config.settings(**(small | {"device": "cpu", "context": 3} | changes))


@pytest.fixture(scope="session")
def clip():
    return tune()


@pytest.fixture(scope="session")
def trained(clip, tmp_path_factory):
    """24 epochs, with the weights of 8 and 16 kept."""
    from caw.samplernn.training import train

    out = tmp_path_factory.mktemp("samplernn") / "run"
    return train(clip, RATE, out, settings=tiny(held_out=0.2), epochs=24, snapshots=[8, 16])
