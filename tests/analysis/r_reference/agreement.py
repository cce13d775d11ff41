"""How near a fit must come to what R gave for the same model of the same answers."""

import numpy as np
import pytest

from analysis import mixed


def agrees(found: mixed.Fit, r: dict[str, list[float]], *, named: bool = True) -> None:
    """Asserts that `found` is what R's lme4, lmerTest or ordinal found: a model's record in a *.json here.

    named: whether R names the spreads right (clmm's ST bears the names of listeners and stimuli in turn).
    """
    np.testing.assert_allclose(found.estimate, r["estimate"], rtol=1e-3)
    np.testing.assert_allclose(found.se, r["se"], rtol=1e-3)
    assert found.deviance == pytest.approx(r["deviance"][0], abs=1e-3)
    if r["df"]:
        np.testing.assert_allclose(found.df, r["df"], rtol=1e-3)
        assert found.residual_sd == pytest.approx(r["residual_sd"][0], rel=1e-3)
    spread = [*found.listener_sd, found.stimulus_sd, *found.nest_sd]
    theirs = [*r["listener_sd"], *r["stimulus_sd"], *r.get("nest_sd", [])]
    if not named:
        spread, theirs = sorted(spread), sorted(theirs)
    np.testing.assert_allclose(spread, theirs, rtol=2e-3, atol=1e-4)
