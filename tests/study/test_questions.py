"""Which questions a design can answer: what is missing is named, with what would give it."""

from collections import Counter
from math import comb

import pytest
from scipy import stats

from analysis.results.stimuli import LEAST_CLIPS, LEAST_EQUIVALENCE, LEAST_ORIGINALS
from study import answerable_questions, design
from study.answerable_questions import Draw, Group, smallest_p

KINDS = ("tell", "rate", "vary", "pass", "backends", "modes", "epoch counts", "better", "anew", "other")
CAW = {"file": "a.wav", "epochs": [750, 1500, 3000], "clips": 3}
MOSAIC = {"file": "a.wav", "clips": 3, "backend": "mosaic"}


def asked(*sources: dict, **tables) -> dict[str, answerable_questions.ResearchQuestion]:
    """Each question by a word of its own."""
    made = design.parse({"study": {"title": "T", "seed": 1}, "source": list(sources), **tables})
    found = answerable_questions.questions(made)
    assert len(found) == len(KINDS)
    return {kind: one for kind, one in zip(KINDS, found, strict=True) if kind in one.text or 1 / 0}


def sets(fakes: int, originals: int) -> dict:
    return {"UMG": {"fakes": fakes, "originals": originals}, "VAR": {"fakes": fakes, "originals": originals}}


def unanswered(found: dict[str, answerable_questions.ResearchQuestion]) -> set[str]:
    return {kind for kind, one in found.items() if one.why_not}


def test_the_defaults_compare_with_originals_modes_and_epochs():
    found = asked(CAW)
    assert unanswered(found) == {"vary", "pass", "backends", "anew", "other"}
    assert found["backends"].why_not == "All clips are of caw"


def test_a_design_can_answer_all():
    three = [table | {"file": f"{name}.wav"} for name in "abc" for table in (CAW, MOSAIC)]
    found = asked(*three, set=sets(24, 5), listening={"listeners": 24}, analysis={"equivalence": 1.0})
    assert not unanswered(found)


@pytest.mark.parametrize(("count", "least"), [("vary", LEAST_ORIGINALS), ("pass", LEAST_EQUIVALENCE)])
def test_originals_are_counted_over_all_sets(count, least):
    bound = {"equivalence": 1.0}
    for originals in (least // 2, least // 2 - 1):
        one = asked(CAW, set=sets(8, originals), analysis=bound)[count]
        assert bool(one.why_not) == (2 * originals < least)
    assert f"{least - 2} originals" in one.why_not
    assert f"to {least} in all" in one.fix


def test_passing_as_real_needs_a_bound_set_beforehand_and_a_panel():
    assert "No bound" in asked(CAW, set=sets(8, 5))["pass"].why_not
    for bound in ("equivalence", "musicality_bound", "accuracy_bound"):
        one = asked(CAW, set=sets(8, 5), analysis={bound: 0.2}, listening={"listeners": 1})["pass"]
        assert one.why_not == "One listener cannot show it"


@pytest.mark.parametrize(("fakes", "originals"), [(16, 2), (8, 1), (4, 4), (3, 3), (19, 1)])
def test_for_one_listener_the_smallest_exact_p_decides(fakes, originals):
    """Of Fisher's test, where each verdict is right."""
    assert smallest_p(fakes, originals) == pytest.approx(
        stats.fisher_exact([[fakes, 0], [0, originals]]).pvalue
    )
    chosen = {"UMG": {"fakes": fakes, "originals": originals}}
    one = asked(CAW | {"clips": 9}, set=chosen, listening={"listeners": 1})["tell"]
    assert bool(one.why_not) == (smallest_p(fakes, originals) >= 0.05)
    assert smallest_p(16, 2) == 1 / comb(18, 2)


def test_of_a_panel_each_kind_needs_the_least_count():
    assert not asked(CAW, set={"UMG": {"originals": LEAST_CLIPS}})["tell"].why_not
    few = asked(CAW, set={"UMG": {"originals": LEAST_CLIPS - 1}})
    assert few["tell"].why_not == few["rate"].why_not
    assert (
        few["rate"].why_not
        == f"There are 8 machine-made clips and 3 originals, {LEAST_CLIPS} of each are needed"
    )


def test_two_epoch_counts_are_compared_and_make_no_trend():
    found = asked(CAW | {"epochs": [1500, 3000], "clips": 4})
    assert not found["epoch counts"].why_not
    assert found["better"].why_not == "A trend needs 3 epoch counts, there are 2"
    assert (
        asked(CAW | {"epochs": [3000], "clips": 9})["epoch counts"].why_not == "All clips are of 3000 epochs"
    )


def test_epoch_counts_of_different_backends_are_not_one_scale():
    other = MOSAIC | {"backend": "rnn", "epochs": [9000]}
    found = asked(CAW | {"epochs": [1500, 3000]}, other, set=sets(12, 3))
    assert found["better"].why_not == "A trend needs 3 epoch counts, there are 2"


def test_what_sets_may_lack_by_the_draw_is_named():
    found = asked(CAW | {"clips": 9}, MOSAIC, set=sets(7, 3))  # a set draws 1 or 2 of 4 kinds
    assert found["backends"].why_not == f"Sets are sure to hold 2 of mosaic, {LEAST_CLIPS} of each are needed"
    assert found["epoch counts"].why_not.startswith("Sets are sure to hold 2 of 750 epochs and 2 of 1500 ")
    assert found["better"].why_not == found["epoch counts"].why_not


def test_backends_of_different_sources_need_several_each():
    here = [CAW | {"file": f"{name}.wav"} for name in "abc"]
    there = [MOSAIC | {"file": f"{name}.wav"} for name in "def"]
    assert not asked(*here, *there, set=sets(24, 3))["backends"].why_not
    one = asked(*here, *there[:2], set=sets(24, 3))["backends"]
    assert one.why_not.startswith("They come from different sources")
    assert one.fix == "give all the same sources, or each 3 or more"
    assert not asked(*here, *(MOSAIC | {"file": f"{name}.wav"} for name in "abc"), set=sets(24, 3))[
        "backends"
    ].why_not


def test_imported_clips_count_as_their_backend():
    brought = [{"file": f"J{n}.wav", "backend": "jukebox", "mode": "VAR", "source": "a"} for n in range(1, 5)]
    held = {"UMG": {}, "VAR": {"imported": 4}}
    assert not asked(CAW, set=held, imported=brought)["backends"].why_not
    held = {"UMG": {}, "VAR": {"imported": 2}}
    assert "2 of jukebox" in asked(CAW, set=held, imported=brought)["backends"].why_not


def test_trainings_of_each_backend_are_counted_over_sources():
    assert "1 of caw" in asked(CAW)["anew"].why_not
    assert not asked(CAW | {"trainings": 3})["anew"].why_not
    assert not asked(*(CAW | {"file": f"{name}.wav"} for name in "abc"))["anew"].why_not


@pytest.mark.parametrize(("listeners", "answered"), [(1, False), (2, True), (24, True)])
def test_one_listener_speaks_of_one(listeners, answered):
    assert bool(asked(CAW, listening={"listeners": listeners})["other"].why_not) != answered


def test_the_least_that_a_draw_holds_of_a_kind():
    a, b, c = (Group("UMG", name, "caw", 100) for name in "abc")
    draw = Draw(Counter({a: 2, b: 2, c: 1}), frozenset({a, b}), 1)
    assert draw.least(lambda group: group == a) == 2
    assert draw.least(lambda group: group in (a, b)) == 5
    assert draw.least(lambda group: group == c) == 1


def test_each_question_is_one_line_and_nothing_is_said_of_nothing():
    made = design.parse({"study": {"title": "T", "seed": 1}, "source": [CAW]})
    head, *rest = answerable_questions.lines(made)
    assert head == "With 16 machine-made clips and 6 originals, can the report answer this?"
    assert {line[:7] for line in rest} == {"  yes  ", "  no   "}
    assert all("; " in line for line in rest if line.startswith("  no "))
    assert not any("\n" in line for line in rest)
    assert answerable_questions.lines(design.parse({"study": {"title": "T", "seed": 1}})) == []
