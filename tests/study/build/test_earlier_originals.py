import numpy as np

from study import design
from study.build import material
from study.build.earlier_originals import place, place_excerpts


def test_originals_are_where_earlier_versions_cut_them(new_study):
    """As the version of November 2026 placed them: the numbers are its own."""
    folder = new_study()
    settings = design.load(folder.path)
    placed = place(settings, material.passages(settings, folder))
    assert {
        name: [(one.name, round(one.start, 3), one.mode) for one in chosen] for name, chosen in placed.items()
    } == {
        "UMG": [("riff-original-UMG-1", 1.887, "UMG"), ("riff-original-UMG-2", 0.057, "UMG")],
        "VAR": [("riff-original-VAR-1", 5.151, "VAR")],
        "practice": [("riff-original-practice-1", 6.422, "UMG")],
    }


def test_too_many_are_spread_evenly():
    starts = place_excerpts(3, 10.0, 5.0, 25.0, [], np.random.default_rng(0))
    assert sorted(starts) == [5.0, 10.0, 15.0]


def test_taken_excerpts_are_kept_clear_of():
    (start,) = place_excerpts(1, 10.0, 0.0, 40.0, [15.0], np.random.default_rng(0))
    assert abs(start - 15.0) >= 10.0
