"""The simulation of conclusions: its answers have the truth that it names, its tables count what they say."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.results.outcomes import MUSICALITY
from tests.benchmarks import conclusions, conclusions_after, conclusions_tables
from tests.benchmarks.conclusions import NAMED, SCENARIOS, Design, Study
from tests.benchmarks.conclusions_tables import Cell

pytestmark = pytest.mark.slow

MANY = Design(150, 60, 60)


def observed(study: Study) -> dict[str, float]:
    """What `study.true` names, as it is in the answers; of the tests, the difference."""
    fake = (study.clips["truth"] == "fake").to_numpy()
    real, rated, inspired = (
        [float(values[:, clips].mean()) for clips in (fake, ~fake)]
        for values in (~study.fake, study.rated, study.inspired)
    )
    return {
        conclusions.TOLD_APART: real[1] - real[0],
        conclusions.BALANCED: 0.5 + (real[1] - real[0]) / 2,
        conclusions.FOOLING: real[0],
        conclusions.RATED: rated[0],
        conclusions.INSPIRED: inspired[0],
        conclusions.PREFERRED: rated[0] - rated[1],
        conclusions.INSPIRES_MORE: inspired[0] - inspired[1],
    }


@pytest.mark.parametrize("listeners", [1, 40])
@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if not s.sources], ids=lambda s: s.name)
def test_answers_have_the_true_values(scenario, listeners):
    """The mean of 60 studies' errors is 0, within four of its standard errors."""
    size, errors = Design(listeners, 100, 100), []
    for number in range(100, 160):
        study = conclusions.study(scenario, size, number)
        errors.append([value - study.true[name] for name, value in observed(study).items()])
    errors = np.array(errors)
    bound = 4 * errors.std(axis=0, ddof=1) / math.sqrt(len(errors)) + 1e-9
    assert (np.abs(errors.mean(axis=0)) < bound).all()
    assert (bound < 0.25).all()


def test_backends_and_sources_are_crossed_or_apart():
    def sources(name):
        answers = conclusions.study(NAMED[name], Design(2, 16, 4), 0).answers
        fakes = answers[answers["truth"] == "fake"]
        return fakes.groupby("backend")["source"].unique().map(sorted).to_dict()

    four = [f"song {i}" for i in range(4)]
    assert sources("backends of different sources") == {"caw": four[:2], "mosaic": four[2:]}
    assert sources("backends of the same sources") == {"caw": four, "mosaic": four}


def test_sources_move_all_of_their_clips():
    quiet = replace(NAMED["backends of different sources"], ratings=conclusions.Spread(0, 0, 0, 2.0, 0.0))
    answers = conclusions.study(quiet, Design(3, 16, 4), 0).answers
    assert (answers.groupby("source")["musicality"].nunique() == 1).all()
    assert answers["musicality"].nunique() > 1


def test_those_who_always_say_fake_do_and_perfect_ones_err_never():
    always = conclusions.study(NAMED["a third always says fake"], MANY, 0).answers
    share = (always["verdict"] == "fake").groupby(always["listener"]).mean().eq(1).mean()
    assert share == pytest.approx(1 / 3, abs=0.12)
    perfect = conclusions.study(NAMED["perfect listeners"], MANY, 0).answers
    assert (perfect["verdict"] == perfect["truth"]).all()


def test_listeners_differ_in_their_d_prime_as_much_as_said():
    wide = replace(NAMED["detectable"], verdicts=conclusions.Spread(0, 3.0, 0, 0, 1.0))
    found = [conclusions.study(wide, Design(400, 10, 2), number) for number in range(20)]
    taken = np.mean([1 - study.fake[:, :10].mean() for study in found])
    assert found[0].true[conclusions.FOOLING] == pytest.approx(stats.norm.cdf(-0.75 / math.sqrt(3.25)))
    assert taken == pytest.approx(found[0].true[conclusions.FOOLING], abs=0.015)


def test_clips_of_originals_vary_as_much_as_said():
    wide = replace(NAMED["originals vary twice as much"], ratings=conclusions.Spread(0, 0, 1.0, 0, 0.0))
    answers = conclusions.study(wide, Design(2, 400, 400), 0).answers
    spread = answers.groupby("truth")["musicality"].std()
    assert spread["real"] / spread["fake"] == pytest.approx(2, rel=0.15)


def test_a_study_is_the_same_again_and_another_number_another():
    one, again, other = (conclusions.study(NAMED["null"], Design(3, 8, 2), k).answers for k in (5, 5, 6))
    assert one.equals(again)
    assert not one.equals(other)


def test_the_mean_of_a_rounded_value_is_that_of_its_chances():
    assert conclusions.rounded_mean(5, 2.5) == pytest.approx(5)
    assert conclusions.rounded_mean(-9, 0.1) == 0
    assert conclusions.rounded_mean(99, 0.1) == pytest.approx(10)
    assert conclusions.rounded_mean(7.5, 1e-9) == pytest.approx(7.5, abs=0.5)


@pytest.mark.parametrize("name", ["detectable", "a third always says fake", "all answer at random"])
def test_closed_forms_are_those_of_the_report(name):
    study = conclusions.study(NAMED[name], Design(4, 8, 5), 1)
    quick = conclusions_after.judge(study, NAMED[name].measures)
    fitted = conclusions_after.judge(study, NAMED[name].measures, quick=False)
    assert set(quick) == set(NAMED[name].measures) - {conclusions.ANY, conclusions.PROBIT}
    for measure, values in quick.items():
        assert [value is None for value in values] == [value is None for value in fitted[measure]]
        for one, other in zip(values, fitted[measure], strict=True):
            assert one is None or one == pytest.approx(other, rel=2e-3, abs=2e-3)


def test_a_variance_near_none_is_not_taken_for_none():
    """Listeners' variance of this share is small: the search ended at 0, with 15 degrees of freedom for 3."""
    study = conclusions.study(NAMED["detectable"], Design(3, 16, 4), 2002)
    quick, fitted = (
        conclusions_after.judge(study, [conclusions.FOOLING], quick=quick)[conclusions.FOOLING]
        for quick in (True, False)
    )
    assert fitted[1:] == pytest.approx(quick[1:], rel=2e-3)


def test_a_closed_form_pools_what_is_less_than_the_rest():
    """With listeners alike the difference is Student's t-test on clip means."""
    answers = np.random.default_rng(3).normal(size=(1, 9))
    answers = answers + 0.5 * np.random.default_rng(4).normal(size=(3, 9))
    answers -= answers[:, :5].mean(axis=1, keepdims=True) * (np.arange(9) < 5)
    answers -= answers[:, 5:].mean(axis=1, keepdims=True) * (np.arange(9) >= 5)
    answers += np.arange(9) >= 5
    p, low, high = conclusions_after.contrast(answers[:, :5], answers[:, 5:], MUSICALITY)
    test = stats.ttest_ind(answers[:, :5].mean(axis=0), answers[:, 5:].mean(axis=0))
    assert p == pytest.approx(test.pvalue)
    assert (low, high) == pytest.approx(tuple(test.confidence_interval()))


def test_without_any_variance_but_the_answers_a_closed_form_is_least_squares():
    """Listeners' own levels are constants, so it is Student's t-test on what they leave."""
    noise = np.random.default_rng(5).normal(size=(4, 8))
    for part in (noise[:, :4], noise[:, 4:]):
        part -= 0.9 * (part.mean(axis=0) - part.mean())
        part -= 0.9 * (part.mean(axis=1, keepdims=True) - part.mean())
    p, low, high = conclusions_after.contrast(noise[:, :4], noise[:, 4:] + 1, MUSICALITY)
    left = np.hstack([noise[:, :4], noise[:, 4:] + 1])
    left = left - left.mean(axis=1, keepdims=True)
    difference = left[:, :4].mean() - left[:, 4:].mean()
    rest = ((left[:, :4] - left[:, :4].mean()) ** 2).sum() + ((left[:, 4:] - left[:, 4:].mean()) ** 2).sum()
    df = left.size - 4 - 1
    assert p == pytest.approx(2 * stats.t.sf(abs(difference) / math.sqrt(rest / df / 8), df))
    assert (low + high) / 2 == pytest.approx(difference)


def test_balanced_accuracy_of_perfect_listeners_lies_above_a_half():
    for listeners in (1, 3):
        study = conclusions.study(NAMED["perfect listeners"], Design(listeners, 10, 10), 0)
        _, low, high = conclusions_after.judge(study, [conclusions.BALANCED])[conclusions.BALANCED]
        assert 0.5 <= low < high == 1


def test_a_panels_report_needs_four_clips_of_a_group():
    study = conclusions.study(NAMED["null"], Design(3, 8, 2), 0)
    judged = conclusions_after.judge(study, [conclusions.TOLD_APART, conclusions.FOOLING])
    assert judged[conclusions.TOLD_APART] is None
    assert judged[conclusions.FOOLING] is not None


def test_a_cell_counts_rejections_coverage_and_what_was_not_reported():
    judged = [[1.0, 0.01, 0.5, 2.0], [1.0, 0.2, 1.5, 2.0], [1.0, math.nan, None, None], None]
    cell = Cell.of(judged)
    assert not cell.null
    assert (cell.studies, cell.reported, cell.undefined, cell.tested, cell.intervals) == (4, 3, 1, 3, 2)
    assert cell.rejects == pytest.approx(2 / 3)  # a p that is NaN read as a finding
    assert (cell.covers, cell.width) == (0.5, pytest.approx(1.0))
    assert conclusions_tables.error(0.5, 100) == pytest.approx(0.05)
    assert 0 < conclusions_tables.error(0.0, 100) < 0.02


def test_the_page_sets_before_and_after_side_by_side(tmp_path):
    rows = [
        {
            "code": code,
            "scenario": "null",
            "design": {"listeners": 2, "fakes": 16, "originals": 4},
            "number": number,
            "slow": None,
            "judged": {conclusions.PREFERRED: p and [0.0, p, -1.0, 1.0]},
        }
        for code, of_code in (("before", (0.01, 0.5) * 20), ("after", (0.5, None) * 20))
        for number, p in enumerate(of_code)
    ]
    kept = tmp_path / "rows.jsonl"
    kept.write_text("".join(json.dumps(one) + "\n" for one in rows))
    conclusions.main(["--rows", str(kept), "--studies", "0", "--results", str(tmp_path)])
    text = (tmp_path / "conclusions.md").read_text()
    assert "| null | 16+4 |  | **.500** / .000 (50%) |  |  |  |  |" in text
    assert "| null | 16+4 |  | 1 / 1 (50%) |  |  |  |  |" in text
    pooled = "| musicality, difference | null |  |  | **.500** [.500, .500] | .000 [.000, .000] (50%) |"
    assert pooled in text
    table = (tmp_path / "conclusions.csv").read_text().splitlines()
    assert table[0].split(",") == list(conclusions_tables.COLUMNS)
    assert table[1].startswith("after,null,2,16,4,")
    assert len(table) == 3
