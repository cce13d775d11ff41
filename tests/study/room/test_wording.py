import pytest

from study import design
from study.room import wording


def designed(repeats: int, fakes: int = 8):
    tables = {
        "study": {"title": "Test", "seed": 1},
        "set": {"UMG": {"fakes": fakes, "originals": 2}},
        "stimuli": {"repeats": repeats},
    }
    return design.parse(tables)


@pytest.mark.parametrize(
    ("repeats", "count", "said"),
    [
        (0, 10, "Here, 2 of the 10 clips are real."),
        (2, 12, "Here, about 20% of the clips are real."),
        (9, 15, "Here, about 20% of the clips are real."),
    ],
)
def test_hidden_repeats_are_counted_and_make_the_base_rate_a_share(repeats, count, said):
    assert wording.clip_count(designed(repeats)) == count
    assert wording.base_rate(designed(repeats)) == said
