"""How long a panel's answers take: loading, one value per clip, every result, the whole report.

Run: python tests/benchmarks/report_speed.py [largest number of listeners, 1000]

Prints a row per study, in seconds. The design's bounds: 200 listeners x 20 clips in 20 s on 2 cores, report
included; a frame of 1e5 answers in 60 s.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from analysis import report, responses, statistics, stimuli
from tests.analysis import panels

STUDIES = (
    (24, {"caw": 14, "jukebox": 2, "originals": 4}),
    (200, {"caw": 14, "jukebox": 2, "originals": 4}),
    (1000, {"caw": 60, "jukebox": 20, "originals": 20}),
)


def timed(listeners: int, counts: dict[str, int], folder: Path) -> list[float]:
    """Seconds of load (from CSV), by_stimulus, evaluate and the whole report, evaluation included."""
    table = folder / "answers.csv"
    panels.panel(listeners=listeners, effect=0.5, **counts).to_csv(table, index=False)
    marks = [time.perf_counter()]
    frame = responses.load(table)
    marks.append(time.perf_counter())
    stimuli.by_stimulus(frame)
    marks.append(time.perf_counter())
    statistics.evaluate(frame)
    marks.append(time.perf_counter())
    report.write(frame, folder / "report")
    marks.append(time.perf_counter())
    return [later - earlier for earlier, later in zip(marks[:-1], marks[1:], strict=True)]


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(f"{os.cpu_count()} cores")
    print("listeners  clips  answers    load  by_stimulus  evaluate  report (with evaluate)")
    for listeners, counts in STUDIES:
        if listeners <= most:
            with tempfile.TemporaryDirectory() as folder:
                seconds = timed(listeners, counts, Path(folder))
            clips = sum(counts.values())
            load, values, results, page = seconds
            told = f"{listeners:9}  {clips:5}  {listeners * clips:7}  {load:6.2f}  {values:11.2f}"
            print(f"{told}  {results:8.1f}  {page:22.1f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
