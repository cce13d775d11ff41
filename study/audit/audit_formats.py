"""The part of the audit that looks at files from outside: their format, and the orders they lie in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from study.audit.file_properties import name_words
from study.audit.findings import Finding, Heard, shown_range
from study.audit.leak_test import ALL_SETS
from study.audit.properties import FORMAT, OUTER, Property

OF_FOLDERS = ("order in the folder", "order of writing")  # of two folders they say how those were filled


def check(
    clips: Sequence[Heard], facts: Mapping[Path, Mapping], loose: bool
) -> tuple[list[Finding], list[Property]]:
    """Findings of format, and the properties that vary and are to be tested as form is."""
    real = np.array([heard.real for heard in clips], bool)
    words = name_words([heard.file for heard in clips], list(real))
    compressed = any(heard.file.suffix == ".flac" for heard in clips)
    findings, varying = [], []
    for wanted in FORMAT:
        if wanted.name == "name words":
            values: list = words
        elif wanted.name == "bytes":
            values = ["as sealed" if heard.as_sealed else "changed since" for heard in clips]
        else:
            values = [facts[heard.file][wanted.name] for heard in clips]
        if wanted.name == "file size" and compressed and not loose:
            continue  # it is tested: COMPRESSED
        kinds = [
            {value for value, is_real in zip(values, real, strict=True) if is_real == kind} for kind in (1, 0)
        ]
        verdict = "same" if len(set(values)) <= 1 else "leak"
        if wanted.name == "bytes" and "changed since" in values:
            verdict = "leak"
        if wanted.name == "chunks" and values and values[0] and not loose:
            verdict = "leak"
        if loose and verdict == "leak" and (kinds[0] & kinds[1] or min(map(len, kinds)) > 1):
            verdict = "unclear"
            if wanted.name in OUTER:
                varying.append(replace(wanted, kind="form", mend=_loose_mend(wanted)))
                continue
        mend = (_loose_mend(wanted) if loose else wanted.mend) if verdict == "leak" else ""
        shown = [shown_range(sorted(kind)) for kind in kinds]
        judged = (None, None, None, None, verdict, mend, wanted.noticed_by)
        findings.append(Finding(ALL_SETS, str(wanted), "format", *shown, *judged))
    return findings, varying


def _loose_mend(wanted: Property) -> str:
    return f"bring all files to one {wanted.name} before they are heard, as `study build` does by [stimuli]"


def numbers(facts: Mapping) -> dict[str, float]:
    return {name: float(facts[name]) for name in OUTER}


def orders(clips: Sequence[Heard]) -> dict[str, np.ndarray]:
    """ORDER's values for clips sorted by name; those of presentation only where every clip has them."""
    stats = [heard.file.stat() for heard in clips]
    listing = {
        folder: {found.name: place for place, found in enumerate(folder.iterdir())}
        for folder in {heard.file.parent for heard in clips}
    }
    found = {
        "order of names": np.arange(len(clips), dtype=float),
        "order in the folder": np.array([float(listing[one.file.parent][one.file.name]) for one in clips]),
        "order of writing": np.array([float(facts.st_ctime_ns) for facts in stats]),
    }
    for name, values in (
        ("order of presentation", [heard.presented for heard in clips]),
        ("times presented", [heard.times for heard in clips]),
    ):
        if None not in values:
            found[name] = np.array(values, float)
    return found
