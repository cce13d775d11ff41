"""The blinded sets: from clips in the pool to the files that listeners hear, and the key that joins the two.

They are made in a folder of their own, audited there, and take the place of the old ones in one rename.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis import loudness
from caw import audio
from caw.files import atomic
from study import blinding
from study.audit import audit, tables
from study.audit.audit import Audit, Heard
from study.backends import seed_for
from study.build import stimuli
from study.build.progress import BuildProgress
from study.build.recordings import Original
from study.build.sources import Passage
from study.design import LATER_FACTS, Design
from study.folder import PRACTICE, StudyFolder, make_private
from study.pool import ORIGIN, ORIGINAL, Pool

_STAGING, _OLD = ".sets-staging", ".sets-old"
_FORM = 1  # raise it when stimuli are shaped in another way than before


def recipe(design: Design, picks: Mapping[str, Sequence[str]], clips: Mapping[str, str]) -> str:
    """Digest of all that decides what the sets hold. clips: recipe of each clip by its name."""
    later = set() if design.stimuli.lowest else {"lowest"}  # sets of earlier versions stay current
    form = design.stimuli.model_dump(exclude={"repeats", "accept"} | later)
    chosen = {name: [(clip, clips[clip]) for clip in sorted(names)] for name, names in picks.items()}
    content = json.dumps([_FORM, form, design.study.seed, chosen], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def are_current(folder: StudyFolder, wanted: str, pool: Pool | None = None) -> bool:
    """Whether the sets in the folder are those of this recipe, every file of them as its key says.

    pool: where given, the clips must also be the very ones that the sets were made from.
    """
    try:
        record = atomic.read_json(folder.build_record)
        if record["recipe"] != wanted or record["key_sha256"] != blinding.seal(folder):
            return False
        if pool and any(pool.rows[name]["sha256"] != sha256 for name, sha256 in record["clips"].items()):
            return False
        rows = blinding.rows(folder)
        return all(
            atomic.sha256(folder.stimulus(row["set"], row["stimulus_id"])) == row["sha256"] for row in rows
        )
    except (OSError, ValueError, KeyError, AttributeError):  # a damaged record: they are made again
        return False


def originals_of(folder: StudyFolder, passages: Mapping[str, Passage]) -> dict[str, list[Original]] | None:
    """Set -> the originals that the sets in the folder were built with; None where that is not recorded, as
    by earlier versions, or where one is of a source that there is none of any more."""
    try:
        record = atomic.read_json(folder.build_record)["originals"]
        return {
            set_name: [Original(**{**facts, "passage": passages[facts["passage"]]}) for facts in chosen]
            for set_name, chosen in record.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def ids_in_key(folder: StudyFolder) -> dict[str, list[str]]:
    """Set -> ids, as they stand in the key; practice included."""
    ids: dict[str, list[str]] = {}
    for row in blinding.rows(folder):
        ids.setdefault(row["set"], []).append(row["stimulus_id"])
    return ids


def sweep(folder: StudyFolder) -> None:
    """Remove the folders that a killed build leaves."""
    for name in (_STAGING, _OLD):
        shutil.rmtree(folder.path / name, ignore_errors=True)


def prepare(
    folder: StudyFolder,
    design: Design,
    picks: Mapping[str, Sequence[str]],
    pool: Pool,
    progress: BuildProgress,
) -> tuple[list[dict[str, Any]], Audit]:
    """Make all sets anew beside the old ones, with new ids, from the clips `picks` names.

    Returns the rows of their key and their audit; `replace` puts them in place.
    Raises: StimulusError, LeakError; nothing of the new sets is left then.
    """
    staging = folder.path / _STAGING
    sweep(folder)
    picks = {name: clips for name, clips in picks.items() if clips}
    try:
        rows = _write(staging, design, picks, pool, progress)
        findings = _audited(staging, design, rows)
        tables.write(findings, folder.make_private() / folder.audit.name)
        findings.require_no_leak()
    except BaseException:
        sweep(folder)  # on a full disk, this is the room to mend it
        raise
    return rows, findings


def replace(
    folder: StudyFolder,
    design: Design,
    rows: Sequence[Mapping[str, Any]],
    pool: Pool,
    wanted: str,
    originals: Sequence[Original],
) -> None:
    """Put the prepared sets in the place of the old ones and seal their key.

    rows: of the key, from `prepare`. wanted: the recipe, to be recorded with where the originals among
    `originals` that the sets hold were cut, so that a later version keeps them.
    """
    staging, old = folder.path / _STAGING, folder.path / _OLD
    if folder.sets.exists():
        folder.sets.rename(old)
    staging.rename(folder.sets)
    record = {
        "recipe": wanted,
        "key_sha256": blinding.write_key(folder, rows),
        "design_digest": design.digest(),
        "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "clips": {row["name"]: pool.rows[row["name"]]["sha256"] for row in rows},
        "originals": _recorded(rows, {one.name: one for one in originals}),
    }
    atomic.write(folder.build_record, json.dumps(record, indent=1) + "\n", mode=0o600)
    shutil.rmtree(old, ignore_errors=True)


def _recorded(
    rows: Sequence[Mapping[str, Any]], originals: Mapping[str, Original]
) -> dict[str, list[dict[str, Any]]]:
    """What `originals_of` reads."""
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
    """Write every stimulus file below `staging`; returns the rows of the key."""
    form, seed = design.stimuli, design.study.seed
    clips = [(set_name, clip) for set_name, names in picks.items() for clip in names]
    rates = {clip: audio.inspect(pool.path(clip)).rate for _, clip in clips}
    bandwidth = stimuli.common_bandwidth(form, rates)
    progress.note(f"all clips: {form.seconds:g} s, {form.rate} Hz, up to {bandwidth:.0f} Hz, mono, 16 bits")

    def shaped(clip: str):
        samples, rate = pool.read(clip)
        where = seed_for(seed, "excerpt", clip) / 2**31
        try:
            return stimuli.cut(samples, rate, form, bandwidth=bandwidth, where=where)
        except stimuli.StimulusError as error:
            raise stimuli.StimulusError(f"{pool.path(clip)}: {error}") from None

    measured = {}
    for done, (_, clip) in enumerate(clips):
        progress.tell(0.5 * done / len(clips), f"measure {clip}")
        samples = shaped(clip)  # cut again when written: a large study would not fit into memory
        measured[clip] = loudness.integrated(samples, form.rate), loudness.true_peak(samples)
    factors, target, highest = stimuli.gains(measured, form.loudness)
    if target < form.loudness - 0.005:
        told = f"loudness lowered for ALL clips from {form.loudness:g} to {target:.1f} LUFS"
        progress.note(f"{told}: {highest} would have exceeded {stimuli.HIGHEST_TRUE_PEAK:g} dBTP")
    rows = []
    make_private(staging)
    ids = blinding.new_ids(len(clips))
    for done, (stimulus_id, (set_name, clip)) in enumerate(zip(ids, blinding.shuffled(clips), strict=True)):
        progress.tell(0.5 + 0.5 * done / len(clips), "write the sets")
        file = make_private(staging / set_name) / f"{stimulus_id}.{form.format}"
        dither = seed_for(seed, "dither", stimulus_id)
        samples = stimuli.quantise(shaped(clip) * factors[clip], dither)
        audio.write(file, samples, form.rate, subtype="PCM_16")
        file.chmod(0o600)
        blinding.even_out_times(file)
        facts = pool.rows[clip]
        row = {name: facts.get(name, "") for name in ("name", *ORIGIN, *LATER_FACTS)}
        row |= {"set": set_name, "stimulus_id": stimulus_id, "sha256": atomic.sha256(file)}
        row["truth"] = "real" if facts["backend"] == ORIGINAL else "fake"
        a_set = next(iter(design.sets)) if set_name == PRACTICE else set_name
        row["mode"] = row["mode"] or design.mode_of(a_set)
        rows.append(row)
    levels = stimuli.check_levels([_file(staging, design, row) for row in rows])
    told = f"loudness {levels.softest:.2f} to {levels.loudest:.2f} LUFS (spread {levels.spread:.2f} LU)"
    progress.note(f"{told}, highest true peak {levels.highest_peak:.1f} dBTP")
    return rows


def _audited(staging: Path, design: Design, rows: Sequence[Mapping[str, Any]]) -> Audit:
    heard: dict[str, list[Heard]] = {}
    for row in rows:
        heard.setdefault(row["set"], []).append(Heard(_file(staging, design, row), row["truth"] == "real"))
    practice = heard.pop(PRACTICE, [])
    sets = {name: heard[name] for name in design.sets if name in heard}
    return audit.run(sets, practice, accept=design.stimuli.accept, orders_too=False)


def _file(staging: Path, design: Design, row: Mapping[str, Any]) -> Path:
    return staging / row["set"] / f"{row['stimulus_id']}.{design.stimuli.format}"
