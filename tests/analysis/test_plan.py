"""The analysis plan: what it refuses, its digest, and what is said of it."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import typing

import pytest

from analysis.plan import (
    CHECKS,
    EXCLUSIONS,
    NONE_SET,
    PRIMARIES,
    AnalysisPlan,
    AnalysisPlanError,
    SealedPlan,
    standing,
)
from study import design

AT = dt.datetime(2026, 11, 3, 9, 30, tzinfo=dt.UTC)
SET = AnalysisPlan("musicality", accuracy_bound=0.1, musicality_bound=1.5, exclude=("unplayed", "hasty"))


def kept(plan: AnalysisPlan) -> SealedPlan:
    return SealedPlan(plan.text, plan.sha256, AT)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"primary": "d-prime"}, "primary = 'd-prime' is no outcome; write one of judged real, musicality"),
        ({"accuracy_bound": 0.5}, "accuracy_bound = 0.5 is out of range; write a number between 0 and 0.5"),
        ({"accuracy_bound": 0.0}, "accuracy_bound = 0.0 is out of range"),
        ({"accuracy_bound": True}, "accuracy_bound = True is out of range"),
        ({"musicality_bound": 10.5}, "musicality_bound = 10.5 is out of range; .* between 0 and 10"),
        ({"musicality_bound": float("nan")}, "musicality_bound = nan is out of range"),
        ({"exclude": ("slow",)}, r"exclude = \('slow',\) is no list .* choose of hasty, unplayed, constant"),
        ({"exclude": "hasty"}, "exclude = 'hasty' is no list of exclusions"),
    ],
)
def test_a_plan_refuses_what_means_nothing(keys, told):
    with pytest.raises(AnalysisPlanError, match=told):
        AnalysisPlan(**keys)


def test_the_digest_is_of_the_text_and_the_order_of_exclusions_does_not_count():
    turned = AnalysisPlan("musicality", 0.1, 1.5, ("hasty", "unplayed", "hasty"))
    assert turned == SET
    assert SET.sha256 == hashlib.sha256(SET.text.encode()).hexdigest()
    assert SET.text == (
        '{"accuracy_bound":0.1,"exclude":["hasty","unplayed"],"musicality_bound":1.5,"primary":"musicality"}'
    )


def test_a_plan_comes_back_from_its_text_and_a_text_without_a_key_has_its_default():
    assert AnalysisPlan.of(SET.text) == SET
    assert AnalysisPlan.of('{"accuracy_bound": 0.2, "later": 1}') == AnalysisPlan(accuracy_bound=0.2)
    for text in ("", "[1]", '{"primary": "x"}', '{"exclude": 3}'):
        with pytest.raises(AnalysisPlanError):
            AnalysisPlan.of(text)


def test_the_longest_plan_fits_into_its_row_of_the_database():
    longest = AnalysisPlan("judged real", 0.1234567890123456, 1.234567890123456, (*EXCLUSIONS, *CHECKS), 0.75)
    assert len(longest.text) <= 200


def test_plans_without_checks_keep_their_text_and_those_with_them_come_back():
    assert "consistency" not in AnalysisPlan(exclude=EXCLUSIONS).text
    assert AnalysisPlan(exclude=("hasty",)).sha256.startswith("4ceac73f37338169")
    plan = AnalysisPlan(exclude=("inconsistent", "headphones", "hasty"), consistency=0.75)
    assert plan.exclude == ("hasty", "headphones", "inconsistent")
    assert AnalysisPlan.of(plan.text) == plan


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"exclude": ("inconsistent",)}, 'write both or neither of consistency = 0.75 and "inconsistent"'),
        ({"consistency": 0.75}, "do not fit together"),
        ({"exclude": ("inconsistent",), "consistency": 0.755}, "0.755 is no share in hundredths"),
    ],
)
def test_inconsistent_is_what_a_plan_says_in_a_number(keys, part):
    with pytest.raises(AnalysisPlanError, match=re.escape(part)):
        AnalysisPlan(**keys)


def test_a_check_that_the_study_does_not_make_cannot_be_planned_for():
    study = {"study": {"title": "T", "seed": 1}}
    for rule, key in (("headphones", "headphones"), ("attention", "attention"), ("inconsistent", "repeats")):
        table = {"exclude": [rule]} | ({"consistency": 0.75} if rule == "inconsistent" else {})
        with pytest.raises(design.DesignError, match=f"this study does not make; add {key} = "):
            design.parse(study | {"analysis": table})
    made = {"checks": {"headphones": "huggins", "attention": 1}, "stimuli": {"repeats": 2}}
    table = {"exclude": ["headphones", "attention", "inconsistent"], "consistency": 0.5}
    assert design.parse(study | made | {"analysis": table}).analysis.plan().consistency == 0.5
    with pytest.raises(design.DesignError, match="write both or neither"):
        design.parse(study | made | {"analysis": {"consistency": 0.5}})


def test_study_toml_offers_what_the_analysis_knows():
    fields = {name: field.annotation for name, field in design.Analysis.model_fields.items()}
    assert typing.get_args(fields["primary"]) == PRIMARIES
    assert set(typing.get_args(typing.get_args(fields["exclude"])[0])) == {*EXCLUSIONS, *CHECKS}
    assert design.Analysis().plan() == AnalysisPlan()


def test_a_plan_that_stands_is_used_and_said_with_its_time_and_digest():
    found = standing(SET, kept(SET), begun=True)
    assert found.plan == SET
    assert found.sentence == f"analysis plan fixed at 2026-11-03 09:30 UTC, sha256 {SET.sha256}, unchanged"
    assert not found.warning


def test_a_plan_that_was_changed_afterwards_is_not_used_but_the_fixed_one():
    now = AnalysisPlan("musicality", accuracy_bound=0.2, exclude=("hasty", "unplayed"))
    found = standing(now, kept(SET), begun=True)
    assert found.plan == SET
    assert found.warning
    told = "changed after opening: accuracy_bound was 0.1, is 0.2; musicality_bound was 1.5, is not set; the "
    assert told in found.sentence


def test_without_a_plan_before_the_data_none_is_used_whatever_was_set_afterwards():
    plain = standing(AnalysisPlan(), None, begun=True)
    assert (plain.plan, plain.sentence, plain.warning) == (None, NONE_SET, False)
    late = standing(SET, None, begun=True)
    assert late.plan is None
    assert late.warning
    told = 'set afterwards: primary = "musicality", accuracy_bound = 0.1, musicality_bound = 1.5'
    assert told in late.sentence


def test_the_bound_of_an_older_study_holds_for_it_was_sealed_with_the_design():
    found = standing(AnalysisPlan(musicality_bound=1.0), None, begun=True, old_bound=1.0)
    assert found.plan == AnalysisPlan(primary=None, musicality_bound=1.0)
    assert found.sentence == f"{NONE_SET}, but the bound equivalence = 1"
    assert not found.warning


def test_before_the_first_listener_the_plan_is_said_to_be_open():
    found = standing(SET, None, begun=False)
    assert found.plan == SET
    assert "not fixed yet" in found.sentence
    assert SET.sha256 in found.sentence


@pytest.mark.parametrize("text", [AnalysisPlan().text, "{", '{"primary":"x"}'])
def test_a_kept_plan_that_was_changed_by_hand_is_not_used(text):
    found = standing(SET, SealedPlan(text, SET.sha256, AT), begun=True)
    assert found.plan is None
    assert found.warning
    assert "changed by hand" in found.sentence
