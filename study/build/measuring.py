"""Machine-made clips beside the passages they were made from: measurements of all, and a page about one.

The measurements tell real from fake, so they lie beside the key in private/. They change nothing that
listeners hear, so they may be taken after listeners have answered.

The researcher's page "Pool" runs `python -m study.build.measuring DIR CLIP PAGE` for the page about one clip,
in a process of its own: the analysis and its plots stay out of the server that listeners use.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from caw import audio
from caw.files import atomic
from caw.measures import spectra
from study import blinding, pool
from study.build import stimuli
from study.build.curation import CurationError
from study.build.progress import BuildProgress
from study.build.sources import Passage
from study.design import LONGEST_DEFAULT_PASSAGE, Design
from study.design import load as load_design
from study.folder import PRACTICE, StudyFolder

_FORM = 2  # raise it when clips are measured in another way than before
_SECONDS_PER_CLIP = 2.0  # of work; for the progress bar
_AT_ONCE = 4  # clips, where there are as many processors


def measure(
    folder: StudyFolder,
    design: Design,
    passages: Mapping[str, Passage],
    rates: Mapping[str, int],
    progress: BuildProgress,
) -> int:
    """Measure what is not measured yet, write private/measures.json, and return how many clips that were.

    passages: by the name of their source. A clip without a passage is listed without measures.
    rates: in Hz, of every clip in the sets before it was shaped; they decide the band that all clips share.
    """
    bandwidth = stimuli.common_bandwidth(design.stimuli, rates)
    rate = stimuli.rate_for(bandwidth, design.stimuli)
    known = read(folder)
    old = {(clip["set"], clip["name"], clip.get("recipe")): clip for clip in known.get("clips", [])}
    clips, due = [], []
    for row in blinding.rows(folder):
        if row["set"] == PRACTICE or row["truth"] != "fake":
            continue
        passage = passages.get(row["source"])
        recipe = _digest(row["sha256"], passage, rate, bandwidth)
        clip = old.get((row["set"], row["name"], recipe))
        if clip is None:
            clip = {"set": row["set"], "name": row["name"], "source": row["source"], "recipe": recipe}
            due.append((clip, folder.stimulus(row["set"], row["stimulus_id"]), passage))
        clips.append(clip)
    record = {"rate": rate, "bandwidth": bandwidth, "clips": clips, "anchors": {}}
    used = {source: passages[source] for source in sorted({clip["source"] for clip in clips} & {*passages})}
    recipes = {source: _digest("", passage, rate, bandwidth) for source, passage in used.items()}
    for source, anchors in known.get("anchors", {}).items():
        if anchors.get("recipe") == recipes.get(source):
            record["anchors"][source] = anchors
    if due or record != known:
        fresh = [source for source in used if source not in record["anchors"]]
        cost = _SECONDS_PER_CLIP * (len(due) + 5 * len(fresh))
        with progress.over(cost), progress.step(cost, "measure the clips"):
            reals = {source: _real(passage, rate, bandwidth) for source, passage in used.items()}
            _fill(record, due, fresh, reals, recipes, progress)
        atomic.write(folder.measures, json.dumps(record, indent=1, allow_nan=False) + "\n", mode=0o600)
    return len(due)


def read(folder: StudyFolder) -> dict[str, Any]:
    """The content of private/measures.json: rate and bandwidth in Hz, clips and anchors.

    Empty where there is none, or where it is damaged.

    clips: one mapping each, with set, name, source and measures. The measures are values by their names; they
        are missing where the clip's source is not known.
    anchors: by the source, the measures of its halves, of noise and so on (`measures.anchors`). An older
        version took fewer of them.
    """
    try:
        record = atomic.read_json(folder.measures)
    except (OSError, ValueError):
        return {}
    clips, anchors = record.get("clips", []), record.get("anchors", {})
    whole = isinstance(clips, list) and all(map(_is_clip, clips)) and isinstance(anchors, dict)
    return record if whole and all(isinstance(one, dict) for one in anchors.values()) else {}


def _is_clip(clip: Any) -> bool:
    named = isinstance(clip, dict) and {"set", "name", "source"} <= clip.keys()
    return named and isinstance(clip.get("measures", {}), dict)


def _fill(record: dict, due: list, fresh: list[str], reals: dict, recipes: dict, progress: BuildProgress):
    """Measure the clips that are due and the anchors that are missing, on several processors."""
    from caw import measures

    rate = record["rate"]

    def of_clip(clip: dict, file, passage: Passage | None) -> None:
        if passage is not None:
            samples = audio.read(file, rate=rate)[0]
            clip["measures"] = _measures_or_none(
                lambda: measures.evaluate(reals[passage.source], samples, rate)
            )

    def of_source(source: str) -> None:
        anchors = _measures_or_none(lambda: measures.anchors(reals[source], rate))
        record["anchors"][source] = {"recipe": recipes[source], "halves": {}, "noise": {}} | anchors

    with warnings.catch_warnings(), ThreadPoolExecutor(min(_AT_ONCE, os.cpu_count() or 1)) as workers:
        warnings.simplefilter("ignore")  # a warning would name a stimulus, and only fakes are read here
        jobs = [workers.submit(of_source, source) for source in fresh]
        jobs += [workers.submit(of_clip, *one) for one in due]
        for done, job in enumerate(jobs, start=1):
            job.result()
            progress.update(done / len(jobs), "measure the clips")
    record["anchors"] = dict(sorted(record["anchors"].items()))


def _measures_or_none(measure: Callable[[], dict]) -> dict:
    """Measures, or {} for a clip that has none because its band is silent."""
    try:
        return measure()
    except spectra.MeasureError:
        return {}


def _real(passage: Passage, rate: int, bandwidth: float) -> spectra.AnalysedClip:
    """The passage in the band of the stimuli, at `rate` Hz."""
    samples = audio.read(passage.file, start=passage.start, seconds=passage.seconds, rate=rate)[0]
    return spectra.AnalysedClip(stimuli.low_pass(samples, rate, bandwidth), rate)


def _digest(stimulus_sha256: str, passage: Passage | None, rate: int, bandwidth: float) -> str:
    place = passage and [passage.sha256, passage.start, passage.seconds]
    content = json.dumps([_FORM, stimulus_sha256, place, rate, bandwidth])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def write_comparison(folder: StudyFolder, clip: str, page: Path) -> Path:
    """Write the comparison of a clip with its source's passage to `page`, readable by its owner alone.

    Raises CurationError for a clip without a source in study.toml, and AudioError and other ValueErrors for
    files that cannot be read or compared.
    """
    from analysis.sounds import comparison

    settings = load_design(folder.require().path)
    row = next((row for row in pool.rows(folder) if row["name"] == clip), None)
    source = next((one for one in settings.recordings if row and one.name == row["source"]), None)
    if source is None:
        raise CurationError(
            f"{clip}: no clip of the pool with a [[source]] or [[song]] in study.toml", "see `study pool`"
        )
    file = folder.path / source.file
    rest = audio.inspect(file).seconds - source.start
    seconds = min(rest, source.seconds or LONGEST_DEFAULT_PASSAGE)
    made = folder.pool / f"{clip}.wav"
    text = comparison.page(file, [made], [source.name, clip], start=source.start, seconds=seconds)
    page.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic.write(page, text, mode=0o600)
    return page


def main() -> None:
    """Exit with code 2 and one line on stderr for a problem that the researcher can solve."""
    try:
        write_comparison(StudyFolder(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
    except (ValueError, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
