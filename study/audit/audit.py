"""The leak audit: does anything but the music tell real from fake?

Four kinds of properties (properties.py lists them), and what each may do:

format   such as rate, tags, times: must be the same for all stimuli. Any difference is a leak, and fails.
form     such as band edge, level, silence at the ends, padding, noise floor, rumble, and the orders: may
         differ from clip to clip, as sound does, so they are tested, all together at one rate of .05 for the
         whole audit (leak_test.py has the test and its reasons). Significant, and greater than what matters:
         a leak, and fails.
trace    such as phase coherence, spectral holes, steady tones: left by codecs or by the model itself, and no
         setting evens them out. Tested together, apart from form: told with p, and never fail.
music    such as crest factor, roll-off, spectral slope: told, with p and Holm's correction, and never fails.

Why music may not fail: machine-made clips are less musical, flatter or duller, and that is what listeners
are asked to hear. No setting can even it out without taking the music away. Form can be evened out, and a
listener who hears it has learned something about files, not about clips. True peak counts as music: at one
loudness it is the crest factor. The noise floor counts as form, as hiss comes of recordings; but a model may
make noise as well, so a floor counts as different only from 10 dB on, and a researcher may accept it by
`stimuli.accept`.

One classifier a set, and one over all sets, is told of all properties together: what a listener with perfect
ears for such numbers could reach. Only the classifier on form takes part in the test.

With 2 real clips of 10 even a perfect separation has p = 2/45 = .044, and rarely less than .05 with others
tested beside it (the classifier's is 1/45 = .022 at best); the same in two such sets has p = 2/2025 = .001.
The audit says what the clips at hand could have shown, instead of calling them safe.

Measured: .030 false alarms in 400 clean studies with one set of 2 real and 8 fake clips, .030 in 200 with two
of them (tests/benchmarks/audit_false_alarms.py, which has the power too).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from study.audit import findings, leak_test, repetition
from study.audit.file_properties import OF_FOLDERS, check_formats, file_orders, measure_format, outer_numbers
from study.audit.findings import ALPHA, Audit, Finding, Heard, LeakError, Strip
from study.audit.leak_test import ALL_SETS, TOGETHER, Clips
from study.audit.properties import COMPRESSED, CONTENT, ORDER, Property
from study.audit.sound_properties import measure_content

__all__ = ["ALPHA", "Audit", "Finding", "Heard", "LeakError", "judge", "run"]


def run(
    sets: Mapping[str, Sequence[Heard]],
    practice: Sequence[Heard] = (),
    *,
    alpha: float = ALPHA,
    accept: Iterable[str] = (),
    loose: bool = False,
    orders_too: bool = True,
) -> Audit:
    """Audit the finished files of each set; practice clips must share the format of all the others.

    accept: properties of form that may tell real from fake, as the researcher knows why.
    orders_too: also test the orders. A build has just drawn them by the system's random source: however they
        fall they tell nothing, and it should not fail by chance in one of twenty clean studies.
    loose: for files that no build of ours has made: formats may vary, but not by whether a clip is real.
    """
    everyone = [heard for clips in sets.values() for heard in clips] + list(practice)
    facts = {heard.file: measure_format(heard.file) for heard in everyone}
    repeats = repetition.find([heard.file for heard in everyone])
    shared = repetition.longest([heard.file for heard in everyone], repeats)
    formats, varying = check_formats(everyone, facts, loose)
    listed = [*CONTENT, *varying]
    compressed = not loose and any(heard.file.suffix == ".flac" for heard in everyone)
    listed += [COMPRESSED] if compressed else []
    tables: dict[str, Clips] = {}
    order_properties = [
        found for found in ORDER if orders_too and found.name not in (OF_FOLDERS if loose else ())
    ]
    for name, clips in sets.items():
        ordered = sorted(clips, key=lambda heard: heard.file.stem)
        measured = [
            measure_content(heard.file)
            | {"repetition": shared[heard.file]}
            | outer_numbers(facts[heard.file])
            for heard in ordered
        ]
        values = {found.name: np.array([row[found.name] for row in measured]) for found in listed}
        values |= file_orders(ordered)
        tables[name] = Clips(values, np.array([heard.real for heard in ordered], bool))
    order_properties = [
        found for found in order_properties if all(found.name in clips.values for clips in tables.values())
    ]
    judged = judge(tables, [*listed, *order_properties], formats, alpha=alpha, accept=accept)
    return replace(judged, repeats=repeats)


def judge(
    sets: Mapping[str, Clips],
    listed: Sequence[Property],
    formats: Sequence[Finding] = (),
    *,
    alpha: float = ALPHA,
    accept: Iterable[str] = (),
    classify: bool = True,
) -> Audit:
    """The rule itself, on numbers: sets of measured clips, and the properties that were measured.

    classify: also reckon the classifiers on all properties, which are told and decide nothing.
    """
    accept = set(accept)
    tested = [found.name for found in listed if found.kind != "music" and found.name not in accept]
    outcome = leak_test.run(sets, tested)
    told = {name: clips for name, clips in sets.items() if clips.both}
    found = [
        finding for name in told for finding in findings.judged(name, told, listed, outcome, alpha, accept)
    ]
    if len(told) > 1:
        found += findings.judged(ALL_SETS, told, listed, outcome, alpha, accept)
    together = outcome.adjusted.get((ALL_SETS, TOGETHER), 1.0)
    if together <= alpha and not any(entry.verdict == "leak" for entry in found):
        found += findings.jointly(listed, told, outcome)
    classes = []
    if classify:
        classes = [findings.classified(name, {name: sets[name]}, listed, alpha) for name in sets]
        if len(told) > 1:
            classes.append(findings.classified(ALL_SETS, told, listed, alpha))
    strips = [
        Strip(name, str(entry), *(tuple(sorted(map(float, clips.values[entry.name][kind]))) for kind in both))
        for name, clips in told.items()
        for both in [(clips.real, ~clips.real)]
        for entry in listed
        if entry.kind != "order"
    ]
    return Audit([*formats, *found], classes, outcome, alpha, strips)
