"""The leak audit: does anything but the music tell real from fake?

There are five kinds of properties (properties.py lists them), and each may do something else:

format   such as rate, tags and times: must be the same for all stimuli. Any difference is a leak and fails.
form     such as band edge, level, silence at the ends, padding, noise floor and rumble: may differ from clip
         to clip, as sound does, so it is tested. All properties of form and order are tested together, at one
         false-alarm rate of .05 for the whole audit (leak_test.py has the test and its reasons). What is
         significant, and greater than what matters, is a leak and fails.
order    in which clips lie, were written and are presented: tested as form is.
trace    such as phase coherence, spectral holes and steady tones: left by codecs or by the model itself, and
         no setting evens them out. Traces are tested together, apart from form; they are reported and never
         fail.
music    such as crest factor, roll-off and spectral slope: reported with p and Holm's correction, never
         fails.

Music may not fail because machine-made clips are less musical, flatter or duller, and that is what listeners
are asked to hear. No setting can even it out without taking the music away. Form can be evened out, and a
listener who hears it has learned something about files, not about clips. True peak counts as music: at one
loudness it is the crest factor. The noise floor counts as form, because hiss comes from recordings; but a
model may make noise as well, so a floor counts as different only from 10 dB on, and a researcher may accept
it by `stimuli.accept`.

One classifier for each set, and one over all sets, is given all properties together: what it reaches, a
listener with perfect ears for such numbers could reach. Only the classifier on form takes part in the test.

With 2 real clips of 10 even a perfect separation has p = 2/45 = .044, and rarely less than .05 with others
tested beside it (the classifier's is 1/45 = .022 at best); the same in two such sets has p = 2/2025 = .001.
The audit says what the clips at hand could have shown, instead of calling them safe.

Measured: .030 false alarms in 400 clean studies with one set of 2 real and 8 fake clips, .030 in 200 with two
of them (tests/benchmarks/audit_false_alarms.py, which has the power, too).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from study.audit import findings, leak_test, repetition
from study.audit.file_properties import OF_FOLDERS, check_formats, file_orders, measure_format, outer_numbers
from study.audit.findings import ALPHA, Audit, AuditedFile, Finding, LeakError, Strip
from study.audit.leak_test import ALL_SETS, TOGETHER, MeasuredSet
from study.audit.properties import COMPRESSED, CONTENT, ORDER, Property
from study.audit.sound_properties import measure_content

__all__ = ["ALPHA", "Audit", "AuditedFile", "Finding", "LeakError", "judge", "run"]


def run(
    sets: Mapping[str, Sequence[AuditedFile]],
    practice: Sequence[AuditedFile] = (),
    *,
    alpha: float = ALPHA,
    accept: Iterable[str] = (),
    loose: bool = False,
    orders_too: bool = True,
) -> Audit:
    """Audit finished files.

    Parameters
    ----------
    sets : mapping of str to sequence of AuditedFile
        The files of each set, by its name.
    practice : sequence of AuditedFile
        Practice clips. They must share the format of all others, and are not tested.
    alpha : float
        The false-alarm rate of the whole audit.
    accept : iterable of str
        Properties that may tell real from fake, because the researcher knows why.
    loose : bool
        For files that no build of ours has made: formats may vary, but not by whether a clip is real.
    orders_too : bool
        Also test the orders. A build has just drawn them by the system's random source: however they fall
        they tell nothing, and it should not fail by chance in one of twenty clean studies.

    Returns
    -------
    Audit
        All findings. Nothing is raised for a leak; `Audit.require_no_leak` does that.
    """
    everyone = [*(file for files in sets.values() for file in files), *practice]
    formats = {file.file: measure_format(file.file) for file in everyone}
    repeats = repetition.find([file.file for file in everyone])
    shared = repetition.longest([file.file for file in everyone], repeats)
    format_findings, varying = check_formats(everyone, formats, loose)
    listed = [*CONTENT, *varying]
    if not loose and any(file.file.suffix == ".flac" for file in everyone):
        listed.append(COMPRESSED)
    tables: dict[str, MeasuredSet] = {}
    for name, files in sets.items():
        ordered = sorted(files, key=lambda file: file.file.stem)
        rows = [
            measure_content(file.file) | {"repetition": shared[file.file]} | outer_numbers(formats[file.file])
            for file in ordered
        ]
        values = {entry.name: np.array([row[entry.name] for row in rows]) for entry in listed}
        values |= file_orders(ordered)
        tables[name] = MeasuredSet(values, np.array([file.real for file in ordered], bool))
    orders = [
        entry
        for entry in ORDER
        if orders_too
        and not (loose and entry.name in OF_FOLDERS)
        and all(entry.name in table.values for table in tables.values())
    ]
    audit = judge(tables, [*listed, *orders], format_findings, alpha=alpha, accept=accept)
    return replace(audit, repeats=repeats)


def judge(
    sets: Mapping[str, MeasuredSet],
    listed: Sequence[Property],
    formats: Sequence[Finding] = (),
    *,
    alpha: float = ALPHA,
    accept: Iterable[str] = (),
    classify: bool = True,
) -> Audit:
    """Judge measured numbers: the rule of the audit itself.

    Parameters
    ----------
    sets : mapping of str to MeasuredSet
        What the clips of each set measure.
    listed : sequence of Property
        The properties that were measured.
    formats : sequence of Finding
        The findings of format, which are only passed on.
    alpha, accept
        As of `run`.
    classify : bool
        Also compute the classifiers on all properties, which are reported and decide nothing.

    Returns
    -------
    Audit
        All findings.
    """
    accept = set(accept)
    tested = [entry.name for entry in listed if entry.kind != "music" and entry.name not in accept]
    outcome = leak_test.run(sets, tested)
    mixed = {name: measured for name, measured in sets.items() if measured.both}
    scopes = [*mixed, ALL_SETS] if len(mixed) > 1 else [*mixed]
    result = [
        finding
        for scope in scopes
        for finding in findings.judged(scope, mixed, listed, outcome, alpha, accept)
    ]
    together = outcome.adjusted.get((ALL_SETS, TOGETHER), 1.0)
    if together <= alpha and not any(finding.verdict == "leak" for finding in result):
        result += findings.jointly(listed, mixed, outcome)
    classifications = []
    if classify:
        classifications = [findings.classified(name, {name: sets[name]}, listed, alpha) for name in sets]
        if len(mixed) > 1:
            classifications.append(findings.classified(ALL_SETS, mixed, listed, alpha))
    strips = [
        Strip(
            name, str(entry), *(tuple(sorted(map(float, measured.values[entry.name][kind]))) for kind in both)
        )
        for name, measured in mixed.items()
        for both in [(measured.real, ~measured.real)]
        for entry in listed
        if entry.kind != "order"
    ]
    return Audit([*formats, *result], classifications, outcome, alpha, strips)
