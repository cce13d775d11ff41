"""The plan: what it unrolls to and what it refuses."""

import pytest

from caw.compose import plan
from caw.compose.chords import ChordError
from caw.compose.plan import Bar, Plan, PlanError, Section


@pytest.mark.parametrize(
    ("metre", "beats"), [("4/4", 4), ("7/8", 3.5), ("6/8", 3), ("5/4", 5), ("2/2", 4), ("15/16", 3.75)]
)
def test_a_metre_is_a_number_of_quarter_notes(metre, beats):
    assert plan.beats_in(metre) == beats


@pytest.mark.parametrize("metre", ["", "4", "4/3", "0/4", "99/4", "a/b", "4/4/4", 4, None, "-3/4"])
def test_what_is_no_metre_is_refused(metre):
    with pytest.raises(PlanError, match="metre"):
        plan.beats_in(metre)


def test_bars_are_unrolled_in_the_order_of_the_form():
    a = Section("A", (Bar(chords=("Em",)), Bar("7/8", ("C", "D"))))
    song = Plan((a, Section("B", (Bar(),))), form=("A", "B", "A"), metre="4/4")
    assert song.bars() == [
        Bar("4/4", ("Em",)), Bar("7/8", ("C", "D")), Bar("4/4"), Bar("4/4", ("Em",)), Bar("7/8", ("C", "D")),
    ]  # fmt: skip
    assert song.section_of_bar() == ["A", "A", "B", "A", "A"]
    assert Plan((a,)).section_of_bar() == ["A", "A"]
    assert Plan().bars() == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bpm": 29.9}, "bpm is 29.9; use a number from 30 to 300"),
        ({"bpm": float("nan")}, "bpm is nan"),
        ({"bpm": "fast"}, "bpm is 'fast'"),
        ({"novelty": 2}, "novelty is 2; use a number from 0 to 1"),
        ({"metre": "4/5"}, "metre '4/5' cannot be read"),
        ({"form": ("A", "C")}, "form names section C, which is not defined; sections: A"),
        ({"beats": (0.0, 1.0, 0.5)}, "beats must ascend; number 3 is 0.5, after 1"),
        ({"beats": (0.0, 1.0), "first_bar": 2}, "first_bar is 2; use a whole number from 0 to 1"),
        ({"sections": (Section("A", ()),)}, "section A has no bars"),
        ({"sections": (Section("A", (Bar(),)), Section("A", (Bar(),)))}, "section A is there twice"),
        ({"sections": (Section("A", (Bar(), Bar("x"))),)}, "section A, bar 2: metre 'x' cannot be read"),
        (
            {"sections": (Section("A", (Bar("4/4", loudness=(1.0, 2.0)),)),)},
            "section A, bar 1: loudness has 2 values; a bar of 4/4 has 4 beats",
        ),
        ({"sections": (Section("A", (Bar(density=99.0),)),)}, "section A, bar 1: density is 99.0"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(wrong, message):
    with pytest.raises(PlanError) as caught:
        Plan(**{"sections": (Section("A", (Bar(),)),)} | wrong)
    assert message in str(caught.value)


def test_an_unreadable_chord_says_where_it_is():
    with pytest.raises(ChordError, match="section A, bar 2: chord 'Hm' cannot be read"):
        Plan((Section("A", (Bar(), Bar(chords=("Em", "Hm")))),))
