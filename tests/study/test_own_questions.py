"""[[question]] in study.toml: what is refused, and which answers each kind takes."""

from __future__ import annotations

import pytest

from study import design
from study.design import DesignError
from study.design.own_questions import OwnAnswerError, OwnQuestion, asked, missing, settle

STUDY = {"study": {"title": "T", "seed": 1}}
PLAYS = {"name": "plays", "ask": "before", "kind": "choice", "text": "Do you play?", "options": ["Yes", "No"]}
YEARS = {"name": "years", "ask": "before", "kind": "number", "text": "For how long?", "min": 0, "max": 80}
FEEL = {"name": "feel", "ask": "clip", "kind": "scale", "text": "How does it feel?", "low": 1, "high": 7}
USES = {
    "name": "uses",
    "ask": "clip",
    "kind": "choices",
    "text": "For what?",
    "options": ["Riff", "Fill", "B"],
}
WORDS = {"name": "words", "ask": "end", "kind": "text", "text": "Anything else?"}


def questions(*tables) -> tuple[OwnQuestion, ...]:
    return design.parse(STUDY | {"question": list(tables)}).own_questions


def test_questions_come_in_the_order_of_the_file_and_by_their_page():
    made = design.parse(STUDY | {"question": [FEEL, PLAYS, YEARS, USES, WORDS]})
    assert [one.name for one in asked(made.own_questions, "before")] == ["plays", "years"]
    assert [one.column for one in made.clip_questions] == ["clip_feel", "clip_uses"]
    assert [one.is_required for one in made.own_questions] == [True, True, True, True, False]
    assert design.parse(STUDY).own_questions == ()


@pytest.mark.parametrize(
    ("table", "part"),
    [
        (PLAYS | {"name": "Plays now"}, 'question[1].name = "Plays now": cannot name a question'),
        (PLAYS | {"kind": "list"}, "question[1].kind"),
        (PLAYS | {"options": ["Yes"]}, "has 1 option; give 2 to 50"),
        (PLAYS | {"options": ["Yes", "yes "]}, "names an option twice"),
        (PLAYS | {"options": ["Yes", "a\nb"]}, "cannot be an option"),
        (PLAYS | {"options": []}, "has no options"),
        (PLAYS | {"low": 1}, "'low' is not for a question of kind 'choice'"),
        (PLAYS | {"text": ""}, "question[1].text"),
        (PLAYS | {"screen_out": ["Maybe"]}, "screen_out names 'Maybe'"),
        (PLAYS | {"screen_out": ["Yes", "No"]}, "screens everybody out"),
        (PLAYS | {"ask": "end", "screen_out": ["No"]}, "not asked before the study"),
        (PLAYS | {"pass": "rating"}, "`pass` is for questions on clips"),
        (PLAYS | {"screenout": ["No"]}, "did you mean `screen_out`?"),
        (YEARS | {"min": 80}, "its min 80 is not below its max 80"),
        (YEARS | {"when": {"plays": "Yes"}}, "is no earlier question with ask = 'before'"),
        (FEEL | {"high": 12}, "has a scale from 1 to 12; give it 2 to 11 steps"),
        ({key: FEEL[key] for key in FEEL if key != "low"}, "has a scale without ends"),
        (USES | {"options": ["a; b", "c"]}, "semicolon"),
        (USES | {"name": "take"}, "is taken by a question on songs"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(table, part):
    with pytest.raises(DesignError) as caught:
        questions(table)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tables", "part"),
    [
        ([PLAYS, PLAYS], 'question[2].name = "plays": names two questions of one page'),
        (
            [PLAYS, YEARS | {"when": {"plays": "Perhaps"}}],
            "is no answer that 'plays' offers; choose of Yes, No",
        ),
        ([WORDS, WORDS | {"name": "b", "when": {"words": "x"}}], "ask for a choice or a scale"),
        ([FEEL | {"pass": "verdict"}, USES | {"when": {"feel": 1}}], "is asked in another pass"),
    ],
)
def test_questions_that_do_not_fit_together_are_refused(tables, part):
    with pytest.raises(DesignError) as caught:
        questions(*tables)
    assert part in str(caught.value)


def test_two_pages_may_ask_by_the_same_name():
    assert len(questions(PLAYS, PLAYS | {"ask": "end"})) == 2


@pytest.mark.parametrize(
    ("table", "value", "kept"),
    [
        (PLAYS, "Yes", "Yes"),
        (PLAYS, None, None),
        (USES, ["Fill", "Riff"], ["Riff", "Fill"]),
        (USES, [], None),
        (FEEL, 7, 7),
        (YEARS, 3.0, 3),
        (YEARS | {"min": 0.0, "max": 80.0}, 2.5, 2.5),
        (WORDS, "\U0001f3b8 \u0634", "\U0001f3b8 \u0634"),
        (WORDS, "", None),
    ],
)
def test_answers_are_settled(table, value, kept):
    assert questions(table)[0].check(value) == kept


@pytest.mark.parametrize(
    ("table", "value", "part"),
    [
        (PLAYS, "Maybe", "before_plays = 'Maybe'; it must be one of Yes, No"),
        (PLAYS, ["Yes"], "it must be one of"),
        (USES, ["Riff", "Other"], "it must be one of"),
        (USES, "Riff", "it must be one of"),
        (FEEL, 8, "it must be one of 1, 2"),
        (FEEL, True, "it must be one of 1, 2"),
        (FEEL, 3.0, "it must be one of 1, 2"),
        (YEARS, 81, "number, at least 0 and at most 80"),
        (YEARS, 2.5, "it must be number"),
        (YEARS, float("nan"), "it must be number"),
        (YEARS, "3", "it must be number"),
        (WORDS, 5, "it must be text"),
    ],
)
def test_what_no_page_offers_is_refused(table, value, part):
    with pytest.raises(OwnAnswerError) as caught:
        questions(table)[0].check(value)
    assert part in str(caught.value)


def test_a_question_that_is_no_longer_asked_is_emptied_with_all_that_hang_on_it():
    asked_ones = questions(
        PLAYS,
        YEARS | {"when": {"plays": "Yes"}},
        FEEL | {"ask": "before", "when": {"plays": ["Yes"]}},
        PLAYS | {"name": "more", "when": {"feel": [6, 7]}},
    )
    given = settle(asked_ones, {"plays": "Yes", "years": 3, "feel": 7, "more": "No"}, {})
    assert given == {"plays": "Yes", "years": 3, "feel": 7, "more": "No"}
    assert missing(asked_ones, given) == []
    assert [one.name for one in missing(asked_ones, {"plays": "Yes"})] == ["years", "feel"]
    assert settle(asked_ones, {"plays": "No"}, given) == {"plays": "No"}
    with pytest.raises(OwnAnswerError, match="unknown question 'x'"):
        settle(asked_ones, {"x": 1}, {})


def test_choices_meet_a_condition_where_one_of_them_does():
    asked_ones = questions(USES, FEEL | {"when": {"uses": ["Riff", "Fill"]}})
    assert asked_ones[1].applies({"uses": ["B", "Fill"]})
    assert not asked_ones[1].applies({"uses": ["B"]})
    assert not asked_ones[1].applies({})


def test_who_is_let_go():
    one = questions(PLAYS | {"screen_out": ["No"]})[0]
    assert (one.screens_out("No"), one.screens_out("Yes"), one.screens_out(None)) == (True, False, False)
