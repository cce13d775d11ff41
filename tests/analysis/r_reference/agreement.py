"""How near a fit must come to what R gave for the same model of the same answers."""

from collections.abc import Iterable

import numpy as np
import pytest

from analysis.models import mixed


def agrees(found: mixed.Fit, r: dict[str, list[float]], *, named: bool = True) -> None:
    """Asserts that `found` is what R's lme4, lmerTest or ordinal found: a model's record in a *.json here.

    named: whether R names the spreads right (clmm's ST bears the names of listeners and stimuli in turn).
    """
    _agree(found.estimate, found.se, found.df, r)
    assert found.deviance == pytest.approx(r["deviance"][0], abs=1e-3)
    spread, theirs = _spreads(found), [*r["listener_sd"], *r["stimulus_sd"], *r.get("nest_sd", [])]
    if not named:
        spread, theirs = sorted(spread), sorted(theirs)
    if theirs:
        np.testing.assert_allclose(spread, theirs, rtol=2e-3, atol=1e-4)
    if r["residual_sd"]:
        assert found.residual_sd == pytest.approx(r["residual_sd"][0], rel=1e-3)


def contrasts_agree(found: mixed.Fit, r: dict[str, list[float]], others: Iterable[str], base: str) -> None:
    """Asserts that each of `others` less `base` is what lmerTest found, and so are the spreads."""
    made = [found.contrast({other: 1.0, base: -1.0}) for other in others]
    _agree([c.estimate for c in made], [c.se for c in made], [c.df for c in made], r)
    theirs = [*r["listener_sd"], *r["stimulus_sd"], *r.get("nest_sd", []), *r["residual_sd"]]
    # As variances: near 0 the likelihood is flat in a standard deviation, and processors end apart.
    spreads, theirs = np.square([*_spreads(found), found.residual_sd]), np.square(theirs)
    np.testing.assert_allclose(spreads, theirs, rtol=2e-3, atol=1e-3 * theirs[-1])


def _agree(estimate, se, df, r: dict[str, list[float]]) -> None:
    np.testing.assert_allclose(estimate, r["estimate"], rtol=1e-3)
    np.testing.assert_allclose(se, r["se"], rtol=1e-3)
    if r["df"]:
        np.testing.assert_allclose(df, r["df"], rtol=1e-3)


def _spreads(found: mixed.Fit) -> list[float]:
    of_listeners = (found.listener_sd, found.level_sd)
    return [*(sd for sd in of_listeners if sd is not None), found.stimulus_sd, *found.nest_sd]
