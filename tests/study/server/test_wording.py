import pytest

from study import design
from study.languages import wording
from study.store.protocol import missing


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


def test_pairs_name_the_limit_of_an_open_link_too():
    limited = {"study": {"title": "Test", "seed": 1}, "listening": {"task": "paired"}}
    link = {"timeout_minutes": 47, "resume": "same browser"}
    plain, told = (wording.welcome(design.parse(limited | more)) for more in ({}, {"open_link": link}))
    assert not any("47" in line for line in plain)
    assert any("47" in line for line in told)
    assert plain[-1] not in told


def test_missing_fields_read_as_a_phrase():
    owed = missing({"verdict": "fake"}, heard=True)
    told = wording.owed(designed(0), owed)
    assert told == "how easy it was to tell, the musicality and whether it is inspiring"
    assert wording.owed(designed(0), missing({"inspiring": "other"}, heard=False, confidence=True))
    assert wording.owed(designed(0), []) == ""


def test_two_passes_take_longer_and_consent_is_to_the_text_of_its_language():
    tables = {"study": {"title": "Test", "seed": 1}}
    once = design.parse(tables)
    twice = design.parse(tables | {"listening": {"passes": 2}})
    german = design.parse({"study": {"title": "Test", "seed": 1, "language": "de"}})
    assert wording.minutes(twice) > wording.minutes(once)
    assert len({wording.consent_version(one) for one in (once, twice, german)}) == 3
