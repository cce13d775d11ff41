"""The analysis plan: what is settled before there are data, and whether it still is what was settled.

A study keeps the text of its plan, the text's sha256 and the time in its database, when its first listener
begins (study/store/study_log.py). The report uses the plan that was kept, whatever study.toml says by then.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from caw.problems import ProblemError

PRIMARIES = ("judged real", "musicality", "inspiring")
EXCLUSIONS = ("hasty", "unplayed", "constant")  # the rules are those of `analysis.results.sensitivity`
CHECKS = ("headphones", "attention", "inconsistent")  # of listeners who did not pass a check
INCONSISTENT = CHECKS[-1]
_MOST = {"accuracy_bound": math.nextafter(0.5, 0), "musicality_bound": 10.0}  # at 0.5 everything would pass
_HUNDREDTHS = {hundredth / 100 for hundredth in range(1, 101)}
NONE_SET = "no analysis plan was set before the data"


class AnalysisPlanError(ProblemError):
    """A plan that names what there is not; the message says which key, its value and what to write."""


@dataclass(frozen=True)
class AnalysisPlan:
    """What is settled before the data.

    primary: the outcome whose test of machine-made clips against originals is not corrected for other tests,
    one of `PRIMARIES`; None: no outcome was chosen before the data. accuracy_bound: balanced accuracy within
    0.5 +- this counts as passing as real, between 0 and 0.5; None: no such verdict. musicality_bound: points
    of musicality within which originals and machine-made clips count as equivalent, up to 10; None: no such
    verdict. exclude: which answers the main analysis leaves out, of `EXCLUSIONS` and `CHECKS`. consistency:
    the share of hidden repeats, in hundredths, that a listener must judge as before not to be inconsistent.

    Raises: AnalysisPlanError, which names the key and its value.
    """

    primary: str | None = "judged real"
    accuracy_bound: float | None = None
    musicality_bound: float | None = None
    exclude: tuple[str, ...] = ()
    consistency: float | None = None

    def __post_init__(self) -> None:
        if self.primary is not None and self.primary not in PRIMARIES:
            raise AnalysisPlanError(
                f"primary = {self.primary!r} is no outcome", f"write one of {', '.join(PRIMARIES)}"
            )
        for key, most in _MOST.items():
            bound = getattr(self, key)
            number = isinstance(bound, int | float) and not isinstance(bound, bool)
            if bound is not None and not (number and math.isfinite(bound) and 0 < bound <= most):
                raise AnalysisPlanError(
                    f"{key} = {bound!r} is out of range", f"write a number between 0 and {most:g}"
                )
        if (self.consistency is None) == (INCONSISTENT in self.exclude):
            what = (
                f"consistency = {self.consistency!r} and exclude = {list(self.exclude)} do not fit together"
            )
            raise AnalysisPlanError(what, f'write both or neither of consistency = 0.75 and "{INCONSISTENT}"')
        if self.consistency is not None and self.consistency not in _HUNDREDTHS:
            what = f"consistency = {self.consistency!r} is no share in hundredths"
            raise AnalysisPlanError(what, "write a number from 0.01 to 1, as 0.75")
        odd = [name for name in self.exclude if name not in (*EXCLUSIONS, *CHECKS)]
        if odd or isinstance(self.exclude, str):
            message = f"exclude = {self.exclude!r} is no list of exclusions"
            raise AnalysisPlanError(message, f"choose of {', '.join((*EXCLUSIONS, *CHECKS))}")
        # in one order, each once: plans that say the same are the same
        ordered = tuple(name for name in (*EXCLUSIONS, *CHECKS) if name in self.exclude)
        object.__setattr__(self, "exclude", ordered)

    @property
    def text(self) -> str:
        """The plan as one line of JSON, keys in alphabetical order: what `sha256` is of."""
        said = asdict(self)
        if self.consistency is None:  # a key of later versions: plans without it are what they were
            del said["consistency"]
        return json.dumps(said, sort_keys=True, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """Of the plan's text, as 64 hexadecimal digits."""
        return sha256(self.text)

    @classmethod
    def of(cls, text: str) -> AnalysisPlan:
        """The plan that `text` describes, with defaults for absent keys. Raises: AnalysisPlanError."""
        try:
            values = dict(json.loads(text))
            known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
            return cls(**(known | {"exclude": tuple(known.get("exclude") or ())}))
        except (ValueError, TypeError) as error:
            raise AnalysisPlanError(f"{text[:60]!r} is no analysis plan: {error}") from error

    def changes(self, now: AnalysisPlan) -> list[str]:
        """What `now` says otherwise than this plan, key by key, in words."""
        pairs = ((key, value, getattr(now, key)) for key, value in asdict(self).items())
        return [f"{key} was {_shown(was)}, is {_shown(new)}" for key, was, new in pairs if was != new]


@dataclass(frozen=True)
class PlanStatus:
    """The plan that a report uses (None: none was set), what is to be said of it, and whether to warn."""

    plan: AnalysisPlan | None
    sentence: str
    warning: bool = False


@dataclass(frozen=True)
class SealedPlan:
    """A plan as a study's database keeps it: its text, the text's sha256, and since when (UTC)."""

    text: str
    sha256: str
    at: datetime


def standing(
    now: AnalysisPlan, sealed: SealedPlan | None, *, begun: bool, old_bound: float | None = None
) -> PlanStatus:
    """How the plan of study.toml, `now`, stands to the one that was kept when the first listener began.

    begun: there are answers already. old_bound: the key `equivalence` of studies that keep no plan; it is
    part of their sealed design, so it counts as set before the data.
    """
    if sealed is None and not begun:
        sentence = "analysis plan not fixed yet: it is fixed when the first listener begins"
        return PlanStatus(now, f"{sentence}; as it stands, sha256 {now.sha256}")
    if sealed is None:
        before = AnalysisPlan(primary=None, musicality_bound=old_bound)
        late = [
            f"{key} = {_shown(value)}"
            for key, value in asdict(now).items()
            if value not in (getattr(AnalysisPlan(), key), getattr(before, key))
        ]
        sentence = NONE_SET if old_bound is None else f"{NONE_SET}, but the bound equivalence = {old_bound:g}"
        sentence += f"; not used, as it was set afterwards: {', '.join(late)}" if late else ""
        return PlanStatus(None if old_bound is None else before, sentence, warning=bool(late))
    fixed = f"analysis plan fixed at {sealed.at:%Y-%m-%d %H:%M} UTC, sha256 {sealed.sha256}"
    try:
        plan = AnalysisPlan.of(sealed.text)
    except AnalysisPlanError:
        plan = None
    if plan is None or sha256(sealed.text) != sealed.sha256:
        sentence = (
            "but the text beside it is another one: the database was changed by hand, and no plan is used"
        )
        return PlanStatus(None, f"{fixed}, {sentence}", warning=True)
    if changed := plan.changes(now):
        sentence = f"changed after opening: {'; '.join(changed)}; the fixed plan is used"
        return PlanStatus(plan, f"{fixed}, {sentence}", warning=True)
    return PlanStatus(plan, f"{fixed}, unchanged")


def sha256(text: str) -> str:
    """Of a plan's text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value)
