"""The rule by which a next round is chosen."""

import json
from collections import Counter

import pytest

from study.rounds import rule
from study.rounds.rule import Arm, RuleError

GRID = [
    Arm("riff", "caw", mode, epochs, plan)
    for mode in ("UMG", "VAR")
    for epochs in (100, 1000)
    for plan in ("", "bold")
]
LIKED = [(arm, float(arm.plan == "bold")) for arm in GRID for _ in range(3)]


def test_what_is_liked_is_made_again_and_a_fresh_share_is_kept():
    chosen = rule.choose(GRID, LIKED, clips=40, fresh=0.25, seed=1)
    assert Counter(choice.why for choice in chosen) == {"sampled": 30, "fresh": 10}
    sampled = Counter(choice.arm.plan for choice in chosen if choice.why == "sampled")
    fresh = Counter(choice.arm for choice in chosen if choice.why == "fresh")
    assert sampled["bold"] > 25
    assert len(fresh) == len(GRID)
    assert set(fresh.values()) <= {1, 2}


def test_the_same_answers_and_seed_lead_to_the_same_choices():
    assert rule.choose(GRID, LIKED, 8, 0.25, seed=3) == rule.choose(GRID, LIKED, 8, 0.25, seed=3)
    assert rule.choose(GRID, LIKED, 8, 0.25, seed=3) != rule.choose(GRID, LIKED, 8, 0.25, seed=4)


def test_fresh_clips_do_not_depend_on_the_answers():
    """Only so are they the comparison that the adaptation does not bias."""

    def fresh(outcomes):
        chosen = rule.choose(GRID, outcomes, 16, 0.5, seed=5)
        return [one.arm for one in chosen if one.why == "fresh"]

    assert fresh(LIKED) == fresh([(arm, 1 - value) for arm, value in LIKED])


def test_beliefs_by_hand():
    """Two answers, 1 and .5: overall (1.5 + 1) / 4 = .625, with either part (1.5 + 4 * .625) / 6 = .667."""
    one, near, far = Arm(mode="UMG", plan="a"), Arm(mode="UMG", plan="b"), Arm(mode="VAR", plan="b")
    beliefs = rule.beliefs([one, near, far], [(one, 1.0), (one, 0.5)])
    both, single, neither = (4 * (0.625 + count * (4 / 6 - 0.625)) for count in (2, 1, 0))
    assert beliefs[0] == pytest.approx((both + 1.5, 4 - both + 0.5))
    assert beliefs[1] == pytest.approx((single, 4 - single))
    assert beliefs[2] == pytest.approx((neither, 4 - neither))


def test_many_answers_on_a_setting_have_the_last_word():
    good, bad = Arm(mode="UMG", plan="a"), Arm(mode="UMG", plan="b")
    likes, dislikes = rule.beliefs([bad], [(good, 1.0)] * 500 + [(bad, 0.0)] * 100)[0]
    assert likes / (likes + dislikes) < 0.04


def test_all_or_nothing_is_no_certainty():
    for value in (0.0, 1.0):
        assert min(min(belief) for belief in rule.beliefs(GRID, [(GRID[0], value)] * 50)) > 0


def test_new_settings_come_fresh_until_they_have_answers():
    new = Arm("riff", "caw", "UMG", 100, "wild", new=True)
    chosen = rule.choose([*GRID, new], LIKED, clips=90, fresh=0.2, seed=2)
    assert {one.why for one in chosen if one.arm == new} == {"fresh"}
    known = [*LIKED, *[(Arm("riff", "caw", "UMG", 100, "wild"), 1.0)] * 30]
    chosen = rule.choose([*GRID, new], known, clips=90, fresh=0.2, seed=2)
    assert "sampled" in {one.why for one in chosen if one.arm == new}


def test_without_any_answer_all_settings_are_drawn():
    chosen = rule.choose(GRID, [], clips=200, fresh=0.1, seed=2)
    assert {one.arm for one in chosen if one.why == "sampled"} == set(GRID)


@pytest.mark.parametrize(
    ("kept", "inspiring", "worth"),
    [
        (True, None, 1.0),
        (True, "no", 1.0),
        (False, "yes", 1.0),
        (None, "maybe", 0.5),
        (False, "no", 0.0),
        (False, "other", None),
        (False, None, None),
    ],
)
def test_rewards(kept, inspiring, worth):
    assert rule.reward(kept=kept, inspiring=inspiring) == worth


def test_the_record_is_json_and_explains_each_choice():
    chosen = rule.choose(GRID, LIKED, 8, 0.25, seed=3)
    record = json.loads(json.dumps(rule.record(GRID, LIKED, chosen, 0.25, 3)))
    assert [record["arms"][one["arm"]]["plan"] for one in record["choices"]] == [
        one.arm.plan for one in chosen
    ]
    sampled = [one for one in record["choices"] if one["why"] == "sampled"]
    assert all(one["draws"][one["arm"]] == max(one["draws"]) for one in sampled)
    assert record["arms"][0]["answers"] == 3


@pytest.mark.parametrize(
    ("arms", "clips", "fresh", "says"),
    [
        ([], 8, 0.25, "no setting"),
        (GRID * 2, 8, 0.25, "stands twice"),
        (GRID, 1, 0.25, "a round of 1 clips"),
        (GRID, 8, 0.0, "a fresh share of 0"),
        (GRID, 8, 1.5, "a fresh share of 1.5"),
    ],
)
def test_what_cannot_be_is_refused(arms, clips, fresh, says):
    with pytest.raises(RuleError, match=says):
        rule.choose(arms, [], clips, fresh, seed=1)
