"""Timelines of clips, walks over their bars, plans laid over them, and the rows that a network is shown."""

import numpy as np
import pytest

from caw.compose import guide, timeline
from caw.compose.arranging import Material, RandomWalk, arrange, varied
from caw.compose.chords import parse
from caw.compose.guide import Guide
from caw.compose.plan import Bar, Plan, Section
from tests.caw.band import RATE, band, plucks

TEMPO = 120.0


@pytest.fixture(scope="module")
def clip() -> timeline.Timeline:
    return timeline.analyse(band(TEMPO, 4, 24.0)[0], RATE)


@pytest.fixture(scope="module")
def material(clip) -> Material:
    return Material.of([clip])


@pytest.fixture(scope="module")
def notes() -> timeline.Timeline:
    return timeline.analyse(plucks(), RATE)


def dice():
    return np.random.default_rng(0)


def test_a_timeline_has_the_clips_beats_and_bars(clip):
    assert clip.has_beat
    at = np.interp(np.arange(8, 40), clip.beat, clip.bounds)
    np.testing.assert_allclose(np.diff(at), 60 / TEMPO, atol=0.02)
    assert set(np.diff(clip.phrases)) == {8}, "bars of four beats, in half beats"
    np.testing.assert_allclose(clip.bar[clip.phrases] % 1, 0, atol=1e-6)
    kicks = clip.accents[clip.phrases[1:-1], 0]
    others = np.delete(clip.accents[:, 0], clip.phrases)
    assert np.median(kicks) > 2 * np.median(others) + 0.5, "the kick falls on the first beat"


def test_a_timeline_hears_the_chord_of_each_bar(clip):
    for number, first in enumerate(clip.phrases[1:9], start=1):
        chord = clip.chroma[first : first + 8].mean(axis=0)
        names = ["A", "D", "E", "F#m"]
        fits = [chord @ parse(name).template() for name in names]
        assert np.argmax(fits) == number % 4


def test_music_without_a_beat_has_notes_for_units(notes):
    assert not notes.has_beat
    assert len(notes.bar) == 0
    assert 12 < notes.units < 60
    assert notes.phrases[0] == 0
    lengths = np.diff(notes.bounds[np.append(notes.phrases, notes.units)])
    assert 0.5 < np.median(lengths) < 4, "phrases of about two seconds"


def test_a_plan_of_the_clip_decides_over_what_is_heard():
    samples, beats = band(TEMPO, 4, 12.0)
    plan = Plan(beats=tuple(beats[:20]), first_bar=1, metre="3/4")
    clip = timeline.analyse(samples, RATE, plan)
    np.testing.assert_allclose(np.interp(np.arange(10), clip.beat, clip.bounds), beats[1:11], atol=1e-9)
    assert set(np.diff(clip.phrases)) == {6}
    assert clip.bar[np.searchsorted(clip.beat, 3.0)] == pytest.approx(1.0)


@pytest.mark.parametrize("novelty", [0.0, 0.5, 1.0])
def test_a_walk_jumps_more_the_more_novel_it_is(material, novelty):
    walked = material.walk.draw(200, novelty, dice())
    jumps = np.mean(np.diff(walked) != 1)
    assert set(walked) <= set(range(len(material.walk)))
    assert jumps == pytest.approx(novelty, abs=0.15) if novelty < 1 else jumps == 1


def test_a_walk_keeps_to_the_order_of_the_chords(material):
    walked = np.array(material.walk.draw(200, 1.0, dice())) % 4
    assert np.mean(np.diff(walked) % 4 == 1) > 0.6, "jumps lead to where the same chord went before"


def test_a_walk_over_one_bar_stays_there(clip):
    one = clip.changed(phrases=clip.phrases[:1])
    assert RandomWalk([one]).draw(5, 0.5, dice()) == [0] * 5


def test_a_plan_without_anything_is_a_walk_on_a_steady_grid(material):
    made = arrange(Plan(), material, dice(), 30.0)
    assert made.seconds > 30
    assert np.ptp(np.diff(made.bounds)) < 1e-9
    assert np.diff(made.bounds)[0] == pytest.approx(0.25, abs=0.005)
    assert np.all(np.diff(made.bar) > 0)


def test_sections_of_one_name_are_modelled_on_the_same_bars(material):
    plan = Plan(
        sections=(Section("A", (Bar(),) * 4), Section("B", (Bar(),) * 4)), form=("A", "B", "A"), novelty=1.0
    )
    made = arrange(plan, material, dice())
    first, other, again = np.split(made.accents, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_plan_repeats_until_it_is_long_enough_and_has_its_own_length_otherwise(material):
    plan = Plan(sections=(Section("A", (Bar(metre="4/4"),) * 2),), bpm=60)
    assert arrange(plan, material, dice()).seconds == pytest.approx(8.0)
    assert arrange(plan, material, dice(), 30.0).seconds >= 30.0


@pytest.mark.parametrize(("metre", "units"), [("7/8", 7), ("5/4", 10), ("3/4", 6), ("4/4", 8)])
def test_bars_are_as_long_as_their_metre(material, metre, units):
    plan = Plan(sections=(Section("A", (Bar(metre=metre), Bar(metre="2/4"))),), bpm=90)
    made = arrange(plan, material, dice())
    assert list(np.diff(np.append(made.phrases, made.units))) == [units, 4]
    assert made.bounds[units] == pytest.approx(units / 2 * 60 / 90)
    assert made.bar[units] == pytest.approx(1.0)


def test_beats_of_a_plan_bend_the_tempo(material):
    beats = tuple(np.cumsum(np.linspace(0.4, 0.8, 16)))
    made = arrange(Plan(beats=beats, sections=(Section("A", (Bar(metre="4/4"),) * 4),)), material, dice())
    np.testing.assert_allclose(made.bounds[::2][:16] + beats[0], beats, atol=1e-9)


@pytest.mark.parametrize(("name", "shift"), [("A", 0), ("F#m", 0), ("A#", 1), ("G#", -1), ("C", -2)])
def test_a_chord_that_the_clip_lacks_is_one_of_its_own_transposed(material, name, shift):
    chroma, semitones = material.chord_target(parse(name))
    assert semitones == shift
    plain = chroma - np.roll(material.mean, shift)
    fits = {n: plain @ parse(n).template() for n in ("A", "F#m", "A#", "G#", "C", "E")}
    assert max(fits, key=fits.get) == name


@pytest.mark.parametrize(("name", "own"), [("A", "A"), ("A#", "A"), ("G#", "A"), ("C", "D")])
def test_a_bar_is_modelled_on_one_that_has_its_chord_before_it_is_transposed(material, name, own):
    (wanted,) = material.wanted_chroma([Bar(chords=(name,))])
    plain = wanted - material.mean
    fits = {n: plain @ parse(n).template() for n in ("A", "D", "E", "F#m", "A#", "G#", "C")}
    assert max(fits, key=fits.get) == own
    assert not material.wanted_chroma([Bar()]).any()


def test_rows_of_a_transposed_clip_are_those_of_the_clip_moved(clip):
    own = Guide.of([clip])
    rows = own.rows(clip, 500, 62.5)
    moved = rows.copy()
    own.transpose(moved, 3)
    higher = own.rows(clip.changed(chroma=np.roll(clip.chroma, 3, axis=1)), 500, 62.5)
    np.testing.assert_allclose(moved[guide.CHROMA], higher[guide.CHROMA], atol=1e-3)
    np.testing.assert_array_equal(moved[: guide.CHROMA.start], rows[: guide.CHROMA.start])
    assert set(moved[guide.SHIFT].ravel()) == {0.5}


def test_a_chord_is_asked_for_where_it_stands(material):
    plan = Plan.from_options(chords="C#m Ab,Eb", bpm=120, metre="4/4")
    made = arrange(plan, material, dice())
    asked = made.chroma - material.mean
    for place, name in ((0, "C#m"), (7, "C#m"), (8, "Ab"), (11, "Ab"), (12, "Eb"), (15, "Eb")):
        fits = {n: asked[place] @ parse(n).template() for n in ("C#m", "Ab", "Eb")}
        assert max(fits, key=fits.get) == name


def test_loudness_and_density_are_as_asked(material):
    bars = (Bar(loudness=-6.0, density=0.5), Bar(loudness=(1.0, 2.0, 3.0, 4.0), metre="4/4"))
    made = arrange(Plan(sections=(Section("A", bars),)), material, dice())
    assert set(made.loudness[:8]) == {-6.0}
    assert set(made.density[:8]) == {0.5}
    assert made.loudness[8:].tolist() == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]


def test_without_a_beat_phrases_follow_each_other_as_long_as_they_are(notes):
    material = Material.of([notes])
    made = arrange(Plan(novelty=0.9), material, dice(), 20.0)
    assert made.seconds >= 20
    assert not made.has_beat
    assert set(np.round(np.diff(made.bounds), 6)) <= set(np.round(np.diff(notes.bounds), 6))
    asked = arrange(Plan(bpm=100, metre="4/4"), material, dice(), 10.0)
    assert asked.has_beat, "a tempo that is asked for makes a beat"


def test_a_variation_keeps_what_it_is_to_keep(clip, material):
    whole = varied(clip, material, None, None)
    for name in timeline.VALUES:
        np.testing.assert_allclose(getattr(whole, name), getattr(clip, name), atol=1e-9)
    rhythm = varied(clip, material, None, "rhythm")
    assert np.isnan(rhythm.chroma).all()
    np.testing.assert_array_equal(rhythm.accents, clip.accents)
    harmony = varied(clip, material, None, "harmony")
    assert np.isnan(harmony.accents).all()
    np.testing.assert_array_equal(harmony.chroma, clip.chroma)


def test_a_strong_variation_asks_for_beats_and_chords_alone(clip, material):
    spread = [varied(clip, material, None, None, s).accents.std(axis=0).sum() for s in (0, 0.5, 0.75, 1)]
    assert spread[0] == pytest.approx(spread[1])
    assert spread[2] == pytest.approx(spread[0] / 2)
    assert spread[3] == pytest.approx(0, abs=1e-9)
    np.testing.assert_array_equal(varied(clip, material, None, None, 1).chroma, clip.chroma)


def test_a_variation_takes_a_chart_bar_by_bar_round_and_round(clip, material):
    made = varied(clip, material, Plan.from_options(chords="C#m Ab"), None)
    np.testing.assert_array_equal(made.bounds, clip.bounds)
    np.testing.assert_array_equal(made.accents, clip.accents)
    fits = [
        int(np.argmax([(made.chroma[first] - material.mean) @ parse(n).template() for n in ("C#m", "Ab")]))
        for first in clip.phrases[1:7]
    ]
    assert fits == [1, 0] * 3


def test_rows_say_where_in_the_beat_and_bar_a_frame_lies(clip):
    rows = Guide.of([clip]).rows(clip, 1500, 62.5)
    assert rows.shape == (guide.ROWS, 1500)
    frames = np.arange(1500) / 62.5
    beat = np.interp(frames, clip.bounds, clip.beat)
    inside = (frames > clip.bounds[0]) & (frames < clip.bounds[-1])
    np.testing.assert_allclose(rows[4, inside], np.sin(2 * np.pi * beat)[inside], atol=1e-3)
    bar = np.interp(frames, clip.bounds, clip.bar)
    np.testing.assert_allclose(rows[7, inside], np.cos(2 * np.pi * bar)[inside], atol=1e-3)


def test_rows_of_values_are_in_deviations_and_hold_for_a_unit(clip):
    rows = Guide.of([clip]).rows(clip, 1500, 62.5)[guide.CHROMA]
    np.testing.assert_allclose(rows.mean(axis=1), 0, atol=0.2)
    np.testing.assert_allclose(rows.std(axis=1), 1, atol=0.35)
    changes = np.any(np.diff(rows, axis=1) != 0, axis=0).sum()
    assert changes <= clip.units


def test_what_is_not_asked_for_is_a_row_of_zeros(clip, material):
    open_ = varied(clip, material, None, "rhythm")
    rows = Guide.of([clip]).rows(open_, 500, 62.5)
    assert not rows[guide.CHROMA].any()
    assert rows[guide.ACCENT].any()


def test_rows_of_notes_tell_how_much_of_a_note_has_passed(notes):
    rows = Guide.of([notes]).rows(notes, 700, 62.5)
    assert not rows[4 : guide.PHASE.stop].any()
    assert np.abs(rows[:4]).max() == pytest.approx(1.0, abs=1e-3)


def test_a_guide_is_kept_in_tensors(clip, notes):
    before = Guide.of([clip, notes])
    after = Guide.from_tensors(before.tensors())
    for one in (clip, notes):
        np.testing.assert_array_equal(before.rows(one, 100, 62.5), after.rows(one, 100, 62.5))
    assert [c.units for c in after.clips] == [clip.units, notes.units]
    assert all(np.isfinite(values).all() for values in before.tensors().values())


def test_a_walk_takes_bars_of_the_wanted_length_where_there_are_any(clip):
    ends = [first + (6 if k % 3 else 8) for k, first in enumerate(clip.phrases[:-1])]
    walk = RandomWalk([clip])
    walk.bars = [(0, int(first), int(end)) for first, end in zip(clip.phrases, ends, strict=False)]
    walk.distances = walk._distances()
    wanted = np.resize([8, 6, 6, 6], 60)
    assert walk.lengths[walk.draw(60, 0.5, dice(), lengths=wanted)].tolist() == wanted.tolist()
    assert len(walk.draw(5, 0.5, dice(), lengths=np.full(5, 99))) == 5
