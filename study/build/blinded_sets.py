"""The blinded sets: from clips in the pool to the files that listeners hear, and the key that connects both.

The sets are made in a folder of their own and audited there. Then they replace the old ones in one rename.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from caw import audio
from caw.files import atomic
from study import blinding
from study.audit import audit, tables
from study.audit.audit import Audit, AuditedFile
from study.backends import seed_for
from study.build import stimuli
from study.build.progress import BuildProgress
from study.build.recordings import Original
from study.build.sources import Passage
from study.design import LATER_FACTS, Design, Stimuli
from study.folder import PRACTICE, StudyFolder, make_private
from study.pool import ORIGIN, ORIGINAL, Pool

_STAGING, _OLD = ".sets-staging", ".sets-old"
_FORM = 1  # raise it when stimuli are shaped in another way than before


def recipe(design: Design, picks: Mapping[str, Sequence[str]], clips: Mapping[str, str]) -> str:
    """The digest of everything that decides what the sets hold. clips: each clip's recipe, by its name."""
    later = set() if design.stimuli.lowest else {"lowest"}  # sets of versions without this key stay current
    form = design.stimuli.model_dump(exclude={"repeats", "accept"} | later)
    chosen = {name: [(clip, clips[clip]) for clip in sorted(names)] for name, names in picks.items()}
    content = json.dumps([_FORM, form, design.study.seed, chosen], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def are_current(folder: StudyFolder, recipe: str, pool: Pool | None = None) -> bool:
    """Whether the sets in the folder are those of this recipe, and every file is the one in the key.

    pool: if passed, its clips must also be the ones that the sets were made from.
    """
    try:
        record = atomic.read_json(folder.build_record)
        if record["recipe"] != recipe or record["key_sha256"] != blinding.seal(folder):
            return False
        if pool and any(pool.rows[name]["sha256"] != sha256 for name, sha256 in record["clips"].items()):
            return False
        rows = blinding.rows(folder)
        return all(
            atomic.sha256(folder.stimulus(row["set"], row["stimulus_id"])) == row["sha256"] for row in rows
        )
    except (OSError, ValueError, KeyError, AttributeError):  # a damaged record: the sets are made again
        return False


def originals_of(folder: StudyFolder, passages: Mapping[str, Passage]) -> dict[str, list[Original]] | None:
    """The originals in each set of the folder, by the set's name.

    None where they are not recorded, as by earlier versions, or where one is of a source that is gone.
    """
    try:
        record = atomic.read_json(folder.build_record)["originals"]
        return {
            set_name: [Original(**{**facts, "passage": passages[facts["passage"]]}) for facts in chosen]
            for set_name, chosen in record.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def ids_in_key(folder: StudyFolder) -> dict[str, list[str]]:
    """The ids in each set, by the set's name, as the key has them; practice is one of the sets."""
    ids: dict[str, list[str]] = {}
    for row in blinding.rows(folder):
        ids.setdefault(row["set"], []).append(row["stimulus_id"])
    return ids


def sweep(folder: StudyFolder) -> None:
    """Remove the folders that a killed build leaves behind."""
    for name in (_STAGING, _OLD):
        shutil.rmtree(folder.path / name, ignore_errors=True)


def prepare(
    folder: StudyFolder,
    design: Design,
    picks: Mapping[str, Sequence[str]],
    pool: Pool,
    progress: BuildProgress,
) -> tuple[list[dict[str, Any]], Audit]:
    """Make all sets anew beside the old ones, with new ids, from the clips that `picks` names.

    Returns the rows of their key, and their audit; `replace` puts the sets in place.
    Raises StimulusError and LeakError. Nothing of the new sets is left then.
    """
    staging = folder.path / _STAGING
    sweep(folder)
    picks = {name: clips for name, clips in picks.items() if clips}
    try:
        rows = _write(staging, design, picks, pool, progress)
        result = _audit(staging, design, rows)
        tables.write(result, folder.make_private() / folder.audit.name)
        result.require_no_leak()
    except BaseException:
        sweep(folder)  # where the disk is full, this makes room on it
        raise
    return rows, result


def replace(
    folder: StudyFolder,
    design: Design,
    rows: Sequence[Mapping[str, Any]],
    pool: Pool,
    recipe: str,
    originals: Sequence[Original],
) -> None:
    """Replace the old sets by the prepared ones and seal their key.

    rows: of the key, from `prepare`. The recipe is recorded, and so is where the originals in the sets were
    cut, so that a later version keeps them.
    """
    staging, old = folder.path / _STAGING, folder.path / _OLD
    if folder.sets.exists():
        folder.sets.rename(old)
    staging.rename(folder.sets)
    record = {
        "recipe": recipe,
        "key_sha256": blinding.write_key(folder, rows),
        "design_digest": design.digest(),
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "clips": {row["name"]: pool.rows[row["name"]]["sha256"] for row in rows},
        "originals": _record_of(rows, {one.name: one for one in originals}),
    }
    atomic.write(folder.build_record, json.dumps(record, indent=1) + "\n", mode=0o600)
    shutil.rmtree(old, ignore_errors=True)


def _record_of(
    rows: Sequence[Mapping[str, Any]], originals: Mapping[str, Original]
) -> dict[str, list[dict[str, Any]]]:
    """The places of the originals in each set, as `originals_of` reads them."""
    record: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if one := originals.get(row["name"]):
            facts = {"name": one.name, "passage": one.passage.source, "start": one.start}
            record.setdefault(row["set"], []).append(facts | {"seconds": one.seconds, "mode": one.mode})
    return record


def _write(
    staging: Path,
    design: Design,
    picks: Mapping[str, Sequence[str]],
    pool: Pool,
    progress: BuildProgress,
) -> list[dict[str, Any]]:
    """Write every stimulus file below `staging`, and return the rows of the key."""
    form, seed = design.stimuli, design.study.seed
    clips = [(set_name, clip) for set_name, names in picks.items() for clip in names]
    rates = {clip: audio.inspect(pool.path(clip)).rate for _, clip in clips}
    bandwidth = stimuli.common_bandwidth(form, rates)
    progress.note(f"all clips: {form.seconds:g} s, {form.rate} Hz, up to {bandwidth:.0f} Hz, mono, 16 bits")

    def shaped(clip: str) -> np.ndarray:
        samples, rate = pool.read(clip)
        where = seed_for(seed, "excerpt", clip) / 2**31
        try:
            return stimuli.cut(samples, rate, form, bandwidth=bandwidth, where=where)
        except stimuli.StimulusError as error:
            what, fix = error.problem.what, error.problem.fix
            raise stimuli.StimulusError(f"{pool.path(clip)}: {what}", fix) from None

    factors = _factors([clip for _, clip in clips], shaped, form, progress)
    rows = []
    make_private(staging)
    ids = blinding.new_ids(len(clips))
    for done, (stimulus_id, (set_name, clip)) in enumerate(zip(ids, blinding.shuffled(clips), strict=True)):
        progress.update(0.5 + 0.5 * done / len(clips), "write the sets")
        file = make_private(staging / set_name) / f"{stimulus_id}.{form.format}"
        dither = seed_for(seed, "dither", stimulus_id)
        samples = stimuli.quantise(shaped(clip) * factors[clip], dither)
        audio.write(file, samples, form.rate, subtype="PCM_16")
        file.chmod(0o600)
        blinding.even_out_times(file)
        row = {name: pool.rows[clip].get(name, "") for name in ("name", *ORIGIN, *LATER_FACTS)}
        row |= {"set": set_name, "stimulus_id": stimulus_id, "sha256": atomic.sha256(file)}
        row["truth"] = "real" if row["backend"] == ORIGINAL else "fake"
        row["mode"] = row["mode"] or design.mode_of(
            next(iter(design.sets)) if set_name == PRACTICE else set_name
        )
        rows.append(row)
    levels = stimuli.check_levels([_file(staging, design, row) for row in rows])
    loudnesses = f"loudness {levels.softest:.2f} to {levels.loudest:.2f} LUFS (spread {levels.spread:.2f} LU)"
    progress.note(f"{loudnesses}, highest true peak {levels.highest_peak:.1f} dBTP")
    return rows


def _factors(
    clips: Sequence[str], shaped: Callable[[str], np.ndarray], form: Stimuli, progress: BuildProgress
) -> dict[str, float]:
    """What to multiply each clip by, so that all have one loudness.

    Clips are shaped here and again when they are written: those of a large study would not fit into memory.
    """
    measured = {}
    for done, clip in enumerate(clips):
        progress.update(0.5 * done / len(clips), f"measure {clip}")
        samples = shaped(clip)
        measured[clip] = audio.loudness(samples, form.rate), audio.true_peak(samples)
    factors, target, highest = stimuli.gains(measured, form.loudness)
    if target < form.loudness - 0.005:
        lowered = f"loudness lowered for ALL clips from {form.loudness:g} to {target:.1f} LUFS"
        progress.note(f"{lowered}: {highest} would have exceeded {stimuli.HIGHEST_TRUE_PEAK:g} dBTP")
    return factors


def _audit(staging: Path, design: Design, rows: Sequence[Mapping[str, Any]]) -> Audit:
    by_set: dict[str, list[AuditedFile]] = {}
    for row in rows:
        file = AuditedFile(_file(staging, design, row), row["truth"] == "real")
        by_set.setdefault(row["set"], []).append(file)
    practice = by_set.pop(PRACTICE, [])
    sets = {name: by_set[name] for name in design.sets if name in by_set}
    return audit.run(sets, practice, accept=design.stimuli.accept, orders_too=False)


def _file(staging: Path, design: Design, row: Mapping[str, Any]) -> Path:
    return staging / row["set"] / f"{row['stimulus_id']}.{design.stimuli.format}"
