"""Clips that are made for a song: what models learn from, and music drawn beside the song's own passages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from caw import audio
from study import gaps
from study.backends import Cell, Task

if TYPE_CHECKING:
    from caw.compose.plan import Plan
    from caw.runs import Run
    from caw.tasks.bridges import NewBars

SECONDS_PER_CLIP = 20.0  # of one core, measured for new bars of 16 s beside two passages
ENDING = "ending"
_RINGS = 1.5  # s of an ending's last chord that a stimulus holds at least
_TRIES = 4


def learnt(cell: Cell) -> tuple[list[np.ndarray], int, list[Plan | None]]:
    """What models learn from: the passages of a song, their rate in Hz, and what is known of each.

    Raises AudioError for a file that cannot be read.
    """
    samples, rate = [], 0
    for begin, end in cell.gap.learnt:
        passage, rate = audio.read(cell.file, start=begin, seconds=end - begin)
        samples.append(passage)
    return samples, rate, [_known(cell, passage, rate) for passage in samples]


def _known(cell: Cell, passage: np.ndarray, rate: int) -> Plan | None:
    """The plan of a passage, where tempo or metre are stated, or its beat is clear in its surroundings."""
    from caw.compose import timeline
    from caw.compose.transcription import transcribe

    gap = cell.gap
    if gap.bpm is None and gap.metre is None and timeline.analyse(passage, rate).has_beat:
        return None
    bpm = gaps.tempo(cell.file, gap)
    return None if bpm is None and gap.metre is None else transcribe(passage, rate, bpm=bpm, metre=gap.metre)


def draw(run: Run, task: Task, seed: int) -> np.ndarray:
    """One clip for a song, float32 [n] at the run's rate, just as long as the task asks for.

    Where new music follows a passage, the clip begins with the end of that passage, as long as is trimmed off
    stimuli: the stimulus then begins where the passage ends. Music that leads into a passage ends with it.
    """
    gap = task.cell.gap
    if gap.passage is not None:
        return _first(run.vary(seed=seed, strength=task.cell.strength), run, task)
    if gap.lacks == ENDING:
        return _ending(run, task, seed)
    seams = gaps.seams(task.cell.file, gap)
    if gap.before is None:
        return _long_enough(run, task, seed, None, (seams.enter, gap.after[1]), seams)
    if gap.after is None:
        return _long_enough(run, task, seed, (gap.before[0], seams.leave), None, seams)
    if seams.resume is not None:
        places = (seams.bar - seams.upbeat) % seams.bar, 1.0
        sides = (gap.before[0], seams.leave), (seams.resume, gap.after[1])
        made = _beside(run, task, seed, *sides, bars=seams.bars, bar=seams.bar, places=places)
        if made.last - made.first >= math.floor(gap.seconds * run.rate) - 2:
            return _from(made, task)
    return _long_enough(run, task, seed, gap.before, gap.after, seams)


def _beside(run: Run, task: Task, seed: int, before, after, **options: Any) -> NewBars:
    """New bars beside stretches of the song. before, after: in s of the file, or None."""
    sides, rate = [], 0
    for stretch in (before, after):
        side = None
        if stretch is not None:
            side, rate = audio.read(task.cell.file, start=stretch[0], seconds=stretch[1] - stretch[0])
        sides.append(side)
    return run.beside(*sides, rate, seed=seed, plan=task.cell.requested_plan, **options)


def _long_enough(run: Run, task: Task, seed: int, before, after, seams: gaps.Seams) -> np.ndarray:
    """New bars, as many as fill a stimulus."""
    from caw.compose.bridging import PHRASE

    wanted = math.ceil((task.cell.gap.seconds + task.cell.gap.trim) * run.rate)
    seconds_of_bar = PHRASE if seams.beat is None else seams.beat * (seams.bar or 4.0)
    bars = max(1, math.ceil(wanted / run.rate / seconds_of_bar - 1e-3))
    while True:
        made = _beside(run, task, seed, before, after, bars=bars, bar=seams.bar)
        if (count := made.last - made.first) >= wanted:
            return _from(made, task) if before is not None else _up_to(made, task)
        bars = math.ceil(bars * wanted / count) + 1


def _ending(run: Run, task: Task, seed: int) -> np.ndarray:
    """Bars that close, as many as let the last chord ring out at the stimulus's end."""
    gap = task.cell.gap
    seams = gaps.seams(task.cell.file, gap)
    before = gap.before[0], seams.leave
    bar = seams.bar or 4.0
    seconds_of_bar = 2.0 if seams.beat is None else seams.beat * bar
    bars = max(1, math.floor((gap.seconds - _RINGS) / seconds_of_bar) + 1)
    for _ in range(_TRIES):
        made = _beside(run, task, seed, before, None, bars=bars, bar=seams.bar, ending=True)
        rings = gap.seconds - _close(made, bar)
        if rings >= _RINGS or bars == 1:
            break
        bars -= 1
    return _from(made, task)


def _close(made: NewBars, bar: float) -> float:
    """Seconds from the beginning of an ending to that of its last chord, which lasts a bar."""
    halves = round(2 * bar)
    if len(made.beats) > halves:
        return float(made.beats[-1 - halves] - made.first / made.rate)
    return (made.last - made.first) / made.rate - 2.0


def _from(made: NewBars, task: Task) -> np.ndarray:
    """The clip that begins with the new bars, after as much of the passage as is trimmed off."""
    begin = max(0, made.first - round(task.cell.gap.trim * made.rate))
    count = math.ceil(task.seconds * made.rate)
    part = made.samples[begin : begin + count]
    return np.pad(part, (0, count - len(part)))


def _up_to(made: NewBars, task: Task) -> np.ndarray:
    """The clip that ends with the new bars, before as much of the passage as is trimmed off."""
    end = min(len(made.samples), made.last + round(task.cell.gap.trim * made.rate))
    return made.samples[max(0, end - math.ceil(task.seconds * made.rate)) : end]


def _first(samples: np.ndarray, run: Run, task: Task) -> np.ndarray:
    """The beginning of a variation, as long as a clip must last."""
    return samples[: math.ceil(task.seconds * run.rate)]
