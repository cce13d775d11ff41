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


def _charts(made):
    return {s.name: " ".join(",".join(bar.chords) or "?" for bar in s.bars) for s in made.sections}


@pytest.mark.parametrize(
    ("options", "charts", "form"),
    [
        ({"chords": "Em C G D"}, {"A": "Em C G D"}, ()),
        ({"chords": "Em C,D % ?"}, {"A": "Em C,D C,D ?"}, ()),
        ({"chords": "Em C | Am F"}, {"A": "Em C", "B": "Am F"}, ()),
        ({"chords": "Em C | Am F", "form": "B A B"}, {"A": "Em C", "B": "Am F"}, ("B", "A", "B")),
        (
            {"chords": "Em C | Am F", "form": "verse chorus verse"},
            {"verse": "Em C", "chorus": "Am F"},
            ("verse", "chorus", "verse"),
        ),
        ({"chords": "Em C", "form": "A B A"}, {"A": "Em C", "B": "Em C"}, ("A", "B", "A")),
        ({"chords": "| Em | C D |"}, {"A": "Em C,D"}, ()),
        ({"chords": "| Em | C D || Am |"}, {"A": "Em C,D", "B": "Am"}, ()),
        ({"form": "A B"}, {"A": "? ? ? ?", "B": "? ? ? ?"}, ("A", "B")),
        ({"bpm": 120}, {}, ()),
    ],
)
def test_plans_from_options(options, charts, form):
    made = Plan.from_options(**options)
    assert (_charts(made), made.form) == (charts, form)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chords": "Em Hm"}, "bar 2: chord 'Hm' cannot be read"),
        ({"chords": " "}, "the chart has no chord"),
        ({"form": " "}, "form names no section"),
        ({"metre": ""}, "metre is empty"),
        ({"metre": "4/4 5"}, "metre '5' cannot be read"),
        ({"chords": "Em | C | D", "form": "verse chorus"}, "chords have 3 sections, the form has 2"),
        ({"chords": "Em", "bpm": 20}, "bpm is 20"),
        ({"form": "A!"}, "section 'A!' cannot be called so"),
        ({"chords": "Em", "bpm": 120, "metre": "4/4", "seconds": 1e9}, "use at most 10000"),
    ],
)
def test_options_that_cannot_be_are_one_line(options, message):
    with pytest.raises((PlanError, ChordError)) as caught:
        Plan.from_options(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_metres_go_round_through_a_section():
    made = Plan.from_options(chords="Em C G", metre="7/8 4/4")
    assert [bar.metre for bar in made.bars()] == ["7/8", "4/4", "7/8"]
    assert [bar.metre for bar in Plan.from_options(metre="7/8 4/4").bars()] == ["7/8", "4/4"]
    assert [bar.metre for bar in Plan.from_options(chords="Em C", metre="5/4").bars()] == ["5/4", "5/4"]


def test_options_change_what_they_name_of_another_plan():
    heard = Plan.from_options(chords="Em C | Am F", form="A B A", bpm=120, metre="4/4")
    heard = plan.replace(heard, beats=(0.0, 0.5, 1.0), first_bar=1)
    faster = Plan.from_options(bpm=140, base=heard)
    assert (faster.bpm, faster.beats, faster.first_bar) == (140, None, 0)
    assert faster.sections == heard.sections
    other = Plan.from_options(chords="G D", base=heard)
    assert (_charts(other), other.form, other.beats) == ({"A": "G D"}, (), heard.beats)
    assert Plan.from_options(form="B B", base=heard).section_of_bar() == ["B"] * 4
    assert Plan.from_options(base=heard) == heard


def test_a_piece_is_repeated_until_it_lasts():
    made = Plan.from_options(chords="Em C | Am", form="A B", bpm=120, metre="4/4", seconds=10)
    assert made.section_of_bar() == ["A", "A", "B"] * 2
    assert made.seconds() == 12
    assert Plan.from_options(chords="Em", seconds=10).section_of_bar() == ["A"]  # the tempo is the clip's
    assert Plan.from_options(chords="Em").lasting(3.6, bpm=60, metre="7/8").section_of_bar() == ["A", "A"]
