"""What is drawn for a song: beside which passages, how many bars, and which part of it becomes the clip."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from caw import audio
from caw.files import atomic
from caw.tasks.bridges import NewBars
from study.backends import Cell, Task
from study.backends.training import songs
from study.build.build import build
from study.gaps import EARLY, Gap
from study.pool import Pool
from tests.caw.band import band
from tests.study.build.test_caw_backend import TINY

RATE, BEAT, TRIM, SECONDS = 16000, 0.5, 0.2, 10.0


@pytest.fixture(scope="module")
def beaten(tmp_path_factory):
    """A minute of a band at 120 in 4/4, and its beats in s."""
    samples, beats = band(120, 4, 60.0)
    file = tmp_path_factory.mktemp("band") / "band.wav"
    audio.write(file, samples, RATE)
    return file, beats


class DrawnRun:
    """Draws 1 for every sample of a new bar of 2 s, between passages of 0; notes what it was asked for."""

    rate = RATE

    def __init__(self, ritardando: float = 0.0):
        self.calls, self.ritardando = [], ritardando

    def beside(self, before, after, rate, *, seed, plan, bars, bar=None, places=(None, None), ending=False):
        sides = [None if side is None else len(side) / rate for side in (before, after)]
        self.calls.append(SimpleNamespace(sides=sides, bars=bars, places=places, ending=ending))
        beats = 4.0 * bars
        if None not in places:
            beats += (4.0 - places[0] if places[0] else 0.0) + places[1]
        seconds = beats * BEAT + (self.ritardando if ending else 0.0)
        parts = [np.zeros(0 if side is None else round(side * RATE)) for side in sides]
        new = np.ones(round(seconds * RATE))
        first = len(parts[0])
        halves = np.linspace(0, seconds, round(2 * beats) + 1) + first / RATE
        if ending:  # half of the slowing down lies before the last bar
            close = first / RATE + seconds - 4 * BEAT - self.ritardando / 2
            halves[:-9] = np.linspace(first / RATE, close, len(halves) - 9, endpoint=False)
            halves[-9:] = np.linspace(close, first / RATE + seconds, 9)
        return NewBars(np.concatenate([parts[0], new, parts[1]]), RATE, first, first + len(new), halves)

    def vary(self, *, seed, strength):
        return np.full(round(16 * RATE), strength)


def task_of(beaten, lacks: str, *, before=None, after=None, passage=None, **more) -> Task:
    file, beats = beaten
    sides = [one and (float(beats[one[0]]), float(beats[one[1]])) for one in (before, after, passage)]
    gap = Gap(lacks, *sides, SECONDS, TRIM)
    mode = "UMG" if passage is None else "VAR"
    cell = Cell("song", file, 0.0, 1.0, mode, 10, "caw", song="song", gap=gap, **more)
    return Task(cell, ["song-1"], SECONDS + 2 * TRIM, 7, file.parent)


def test_a_bridge_is_drawn_beside_both_passages_and_begins_where_the_first_is_left(beaten):
    """Ten seconds hold 19 beats: an upbeat of three and four bars. One more is drawn, over the bar line."""
    _, beats = beaten
    run, task = DrawnRun(), task_of(beaten, "bridge", before=(0, 32), after=(64, 96))
    clip = songs.draw(run, task, seed=1)
    (call,) = run.calls
    assert (call.bars, call.places) == (4, (1.0, 1.0))
    assert call.sides[0] == pytest.approx(beats[29] - EARLY - beats[0], abs=0.03)
    assert call.sides[1] == pytest.approx(beats[96] - beats[65] + EARLY, abs=0.03)
    assert len(clip) == round(task.seconds * RATE)
    assert not clip[: round(TRIM * RATE)].any()
    assert clip[round(TRIM * RATE) : round((TRIM + SECONDS) * RATE)].all()


def test_a_bridge_in_another_tempo_than_was_heard_is_as_long_all_the_same(beaten, monkeypatch):
    heard = songs.gaps.seams
    monkeypatch.setattr(songs.gaps, "seams", lambda *of: replace(heard(*of), bars=2))
    run, task = DrawnRun(), task_of(beaten, "bridge", before=(0, 32), after=(64, 96))
    clip = songs.draw(run, task, seed=1)
    assert [call.places for call in run.calls] == [(1.0, 1.0), (None, None)]
    assert clip[round(TRIM * RATE) :].all()


def test_a_section_after_a_passage_begins_with_it_and_one_before_ends_with_it(beaten):
    run = DrawnRun()
    after = songs.draw(run, task_of(beaten, "verse", before=(0, 32)), seed=1)
    before = songs.draw(run, task_of(beaten, "intro", after=(64, 96)), seed=1)
    edge = round(TRIM * RATE)
    for clip in (after, before[::-1]):
        assert len(clip) == pytest.approx(round((SECONDS + 2 * TRIM) * RATE), abs=1)
        assert not clip[:edge].any()
        assert clip[edge : edge + round(SECONDS * RATE)].all()
    assert [call.bars for call in run.calls] == [6, 6]


def test_the_last_chord_of_an_ending_rings_as_the_stimulus_ends(beaten):
    """With five bars the chord begins at second 8, with slowing down at 8.6: then one bar less is drawn."""
    run = DrawnRun()
    clip = songs.draw(run, task_of(beaten, "ending", before=(0, 32)), seed=1)
    assert [(call.bars, call.ending) for call in run.calls] == [(5, True)]
    assert len(clip) == round((SECONDS + 2 * TRIM) * RATE)
    slower = DrawnRun(ritardando=1.2)
    songs.draw(slower, task_of(beaten, "ending", before=(0, 32)), seed=1)
    assert [call.bars for call in slower.calls] == [5, 4]


def test_a_rework_is_the_beginning_of_a_variation(beaten):
    clip = songs.draw(DrawnRun(), task_of(beaten, "rework", passage=(0, 32), strength=0.25), seed=1)
    assert len(clip) == round((SECONDS + 2 * TRIM) * RATE)
    assert set(clip) == {0.25}


def test_models_learn_from_the_passages_alone_and_from_what_is_known_of_them(beaten):
    file, beats = beaten
    task = task_of(beaten, "bridge", before=(0, 32), after=(64, 96))
    passages, rate, plans = songs.learnt(task.cell)
    assert [len(one) / rate for one in passages] == pytest.approx([16.0, 16.0], abs=0.01)
    assert plans == [None, None]
    known = replace(task.cell, gap=replace(task.cell.gap, bpm=120.0, metre="4/4"))
    assert [plan.metre for plan in songs.learnt(known)[2]] == ["4/4", "4/4"]


def test_new_bars_follow_the_plan_of_the_song(beaten):
    seen = []

    class Noting(DrawnRun):
        def beside(self, *sides, plan, **options):
            seen.append(plan)
            return super().beside(*sides, plan=plan, **options)

    plan = object()
    songs.draw(Noting(), task_of(beaten, "chorus", before=(0, 32), requested_plan=plan), seed=1)
    assert seen == [plan]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("asking", "mode", "name"),
    [
        ('lacks = "bridge"\nbefore = [0.11, 8.11]\nafter = [16.11, 24.11]\n', "UMG", "band-UMG-2-bridge-1"),
        ('lacks = "ending"\nbefore = [0.11, 8.11]\n', "UMG", "band-UMG-2-ending-1"),
        ('lacks = "rework"\npassage = [0.11, 8.11]\nstrength = 0.5\n', "VAR", "band-VAR-2-s50-1"),
    ],
)
def test_a_run_that_learnt_from_the_song_makes_its_clips(new_study, beaten, asking, mode, name):
    file, _ = beaten
    source = f'[[song]]\nfile = "{file}"\nepochs = [2]\nclips = 1\nbpm = 120\nmetre = "4/4"\n{asking}'
    sets = f"[set.{mode}]\nfakes = 1\noriginals = 1\n"
    listening = "[listening]\npractice = 0\n"
    stimuli = "[stimuli]\nseconds = 4.0\ntrim = 0.1\n"
    folder = new_study(source=source, sets=sets, backend=TINY, listening=listening, stimuli=stimuli)
    build(folder, pool_only=True)
    pool = Pool(folder)
    samples, rate = pool.read(name)
    assert len(samples) / rate == pytest.approx(4.2, abs=0.01)
    assert pool.rows[name]["song"] == "band"
    learnt = atomic.read_json(folder.models / "band-2.recipe.json")
    assert learnt["passages"] == [[0.11, 8.11], [16.11, 24.11]][: len(learnt["passages"])]
    config = atomic.read_json(folder.models / "band-2" / "config.json")
    assert [clip["source"]["start"] for clip in config["clips"]] == [one[0] for one in learnt["passages"]]
