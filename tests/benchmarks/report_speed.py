"""How long a panel's answers take: loading, one value per clip, every result, the whole report.

Run: python -m tests.benchmarks.report_speed [largest number of listeners, 1000]

Prints a row per study, in seconds. The design's bounds: 200 listeners x 20 clips in 20 s on 2 cores, report
included; a frame of 1e5 answers in 60 s.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from analysis import responses
from analysis.report import report
from analysis.results import statistics, stimuli
from tests.analysis import panels

STUDIES = (
    (24, {"caw": 14, "jukebox": 2, "originals": 4}),
    (200, {"caw": 14, "jukebox": 2, "originals": 4}),
    (1000, {"caw": 60, "jukebox": 20, "originals": 20}),
)


def timed(listeners: int, counts: dict[str, int], folder: Path) -> list[float]:
    """Seconds of load (from CSV), by_stimulus, evaluate, and the whole report with that evaluation in it.

    Last: the processor's seconds of the whole report, which other work on the machine does not lengthen.
    """
    table = folder / "answers.csv"
    panels.panel(listeners=listeners, effect=0.5, **counts).to_csv(table, index=False)
    marks = [time.perf_counter()]
    frame = responses.load(table)
    marks.append(time.perf_counter())
    stimuli.by_stimulus(frame)
    marks.append(time.perf_counter())
    evaluating, plain = [0.0], statistics.evaluate

    def evaluate(*given, **named):
        start = time.perf_counter()
        found = plain(*given, **named)
        evaluating[0] = time.perf_counter() - start
        return found

    busy = time.process_time()
    with mock.patch.object(statistics, "evaluate", evaluate):
        report.write(frame, folder / "report")
    whole = time.perf_counter() - marks[-1]
    return [marks[1] - marks[0], marks[2] - marks[1], evaluating[0], whole, time.process_time() - busy]


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{os.cpu_count()} cores")
    print("listeners  clips  answers    load  by_stimulus  evaluate  report (with evaluate)  of processor")
    for listeners, counts in STUDIES:
        if listeners <= most:
            with tempfile.TemporaryDirectory() as folder:
                seconds = timed(listeners, counts, Path(folder))
            clips = sum(counts.values())
            load, values, results, page, busy = seconds
            told = f"{listeners:9}  {clips:5}  {listeners * clips:7}  {load:6.2f}  {values:11.2f}"
            print(f"{told}  {results:8.1f}  {page:22.1f}  {busy:12.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
