import pytest

from caw.config import SettingsError
from caw.samplernn.config import Odds, settings, to_json


def test_settings_survive_json():
    chosen = settings(frame_sizes=[16, 4, 2], cell="gru")
    assert settings(**to_json(chosen) | {"frame_sizes": [16, 4, 2]}) == chosen


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dimm": 4}, r"samplernn has no setting 'dimm'; did you mean 'dim'\?"),
        ({"colour": 4}, "samplernn has no setting 'colour'; it has averaging"),
        ({"dim": 12}, "dim is 12; use a multiple of 8"),
        ({"dim": "big"}, "dim is 'big'; use a whole number from 1 to 4096"),
        ({"dim": 10**9}, "dim is 1000000000; use a whole number from 1 to 4096"),
        ({"seed": 10**26}, f"seed is {10**26}; use a whole number from 0 to 9007199254740991"),
        ({"window": 10**9}, "window is 1000000000; use a whole number from 8 to 10000000"),
        ({"cell": "rnn"}, "cell is 'rnn'; use gru or lstm"),
        ({"frame_sizes": (2, 8)}, r"frame_sizes is \(2, 8\); use multiples of the next, such as 8, 2"),
        ({"frame_sizes": 8}, "frame_sizes is 8; use whole numbers such as 8, 2"),
        ({"context": 9}, "context is 9; use at most the largest frame, 8"),
        ({"window": 100}, "window is 100; use a multiple of the largest frame, 8"),
        ({"held_out": 0.5}, "held_out is 0.5; use a number from 0 to below 0.5"),
        ({"learning_rate": -1}, "learning_rate is -1; use a number above 0"),
        ({"flip": 1}, "flip is 1; use true or false"),
        ({"quantisation": "a-law"}, "quantisation is 'a-law'; use mu-law or linear"),
    ],
)
def test_a_wrong_setting_is_told_with_its_mend(changes, said):
    with pytest.raises(SettingsError, match=said):
        settings(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"temperature": 0.0}, "temperature is 0.0; use a number from 0.05 to 5, 1 for as learned"),
        ({"top_p": 2.0}, "top_p is 2.0; use a number from 0.01 to 1, 1 for all levels"),
        ({"eta": float("nan")}, "eta is nan; use a number from 0 to 0.1, 0 for all levels"),
        ({"eta": True}, "eta is True; use a number"),
    ],
)
def test_odds_that_cannot_be_are_told_with_their_mend(changes, said):
    with pytest.raises(SettingsError, match=said):
        Odds(**changes)
