"""New bars beside passages: how they are laid, that passages stay as they are, and that seams hardly show."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from caw import audio
from caw.cascade import Signal
from caw.cli.commands import app
from caw.compose import bridging
from caw.compose import timeline as timelines
from caw.compose.arranging import Material
from caw.compose.plan import Bar, Plan
from caw.flow import passages
from caw.flow.passages import Passages, constraint, let_ring, seam_change
from caw.flow.score import Bands
from caw.measures import artefacts
from caw.run_folder import RunError
from caw.tasks import bridges
from tests.caw.band import band

RATE = 4000
BEAT = 0.5  # seconds, at 120 beats a minute


@pytest.fixture(scope="module")
def song():
    """Sixteen bars of 4/4 at 120, from the first bar line on. [n]"""
    samples, beats = band(120, 4, 32.5, rate=RATE)
    return samples[round(beats[0] * RATE) :]


@pytest.fixture(scope="module")
def material(song):
    return Material.of([timelines.analyse(song, RATE)])


@pytest.fixture(scope="module")
def sides(song, material):
    """Four bars, and the four bars from the ninth on."""
    first, second = song[None, : 8 * RATE], song[None, 16 * RATE : 24 * RATE]
    return [bridging.analyse_passage(one, RATE, material) for one in (first, second)]


@pytest.fixture(scope="module")
def guided(song, tiny, tmp_path_factory):
    from caw.training import train

    return train(song[: 12 * RATE], RATE, tmp_path_factory.mktemp("runs") / "guided", settings=tiny)


def dice():
    return np.random.default_rng(0)


def test_a_bridge_is_as_many_bars_as_are_asked_for(sides, material):
    laid = bridging.compose_bridge(*sides, material, 4, dice())
    assert laid.last - laid.first == pytest.approx(16 * BEAT, abs=0.03)


def test_beats_run_on_through_both_seams(sides, material):
    laid = bridging.compose_bridge(*sides, material, 4, dice())
    line = laid.timeline
    np.testing.assert_allclose(np.diff(line.bounds) / np.diff(line.beat), BEAT, rtol=0.15)
    for seam, bars in ((laid.first, 0.0), (laid.last, 4.0)):
        assert np.interp(seam, line.bounds, line.bar) == pytest.approx(bars, abs=0.03)


def test_a_passage_cut_within_a_bar_has_it_completed(song, sides, material):
    cut = bridging.analyse_passage(
        song[None, : round(9.25 * RATE)], RATE, material
    )  # two beats and a half of a bar
    laid = bridging.compose_bridge(cut, None, material, 2, dice())
    assert laid.last - laid.first == pytest.approx(9.5 * BEAT, abs=0.05)
    bridge = bridging.compose_bridge(cut, sides[1], material, 2, dice())
    assert (bridge.last - bridge.first) / BEAT % 4 == pytest.approx(1.5, abs=0.1)


def test_a_cut_on_a_beat_is_taken_for_a_bar_line(song, material):
    cut = bridging.analyse_passage(song[None, : 9 * RATE], RATE, material)
    laid = bridging.compose_bridge(cut, None, material, 2, dice())
    assert laid.last - laid.first == pytest.approx(8 * BEAT, abs=0.05)


def test_the_tempo_goes_from_the_one_side_to_the_other(sides, material):
    quick = band(132, 4, 8.5, rate=RATE)
    quick = bridging.analyse_passage(quick[0][None, round(quick[1][0] * RATE) :], RATE, material)
    laid = bridging.compose_bridge(sides[0], quick, material, 8, dice())
    line = laid.timeline
    new = (line.bounds[:-1] > laid.first) & (line.bounds[1:] < laid.last)
    periods = (np.diff(line.bounds) / np.diff(line.beat))[new]
    assert np.all(np.diff(periods) < 0)
    assert periods[0] == pytest.approx(0.5, rel=0.01)
    assert periods[-1] == pytest.approx(60 / 132, rel=0.01)


def test_named_chords_are_asked_for_bar_by_bar(sides, material):
    laid = bridging.compose_bridge(*sides, material, 4, dice(), plan=Plan.from_options(chords="C F"))
    line = laid.timeline
    for bar in range(4):
        inside = (line.bar[:-1] > bar - 0.01) & (line.bar[:-1] < bar + 0.95)
        loudest = line.chroma[inside].mean(0).argsort()[-3:]
        assert set(loudest) == ({0, 4, 7} if bar % 2 == 0 else {0, 5, 9})


def test_a_foreign_chord_is_modelled_on_bars_that_have_it_transposed(sides, material):
    """The band plays A, D, E and F#m; Bb is its A, a semitone higher."""
    walked = {}
    for chord in ("A", "A#"):
        bars = [Bar(chords=(chord,))] * 8
        walked[chord] = bridging._best_walk(material, 0, bars, 0.3, dice())
    assert walked["A"] == walked["A#"]


def test_an_ending_slows_softens_and_holds_its_last_chord(sides, material):
    laid = bridging.compose_bridge(sides[0], None, material, 4, dice(), close="C")
    line = laid.timeline
    periods = np.diff(line.bounds) / np.diff(line.beat)
    assert periods[-1] > 1.3 * periods[0]
    last = line.bounds[:-1] >= laid.close - 1e-6
    assert line.bar[:-1][last][0] == pytest.approx(3.0, abs=0.01)
    assert set(line.chroma[last].mean(0).argsort()[-3:]) == {0, 4, 7}
    assert np.all(line.density[last] == 0)
    assert line.accents[last].sum(1)[0] > 0
    assert line.accents[last].sum(1)[1:].max() == 0
    plain = bridging.compose_bridge(sides[0], None, material, 4, dice()).timeline
    assert line.loudness[~last][-1] < plain.loudness[~last][-1] - 4


def test_without_a_beat_bars_are_phrases_of_two_seconds(sides, material):
    line = material.clips[0]
    shapeless = Material.of([line.changed(beat=np.zeros(0), bar=np.zeros(0))])
    laid = bridging.compose_bridge(*sides, shapeless, 3, dice())
    assert laid.last - laid.first == pytest.approx(6.0)
    assert not laid.timeline.has_beat
    assert np.all(np.diff(laid.timeline.bounds) > 0)


def test_what_is_held_follows_its_own_way():
    clean, noise = torch.ones(2, 4), torch.full((2, 4), 3.0)
    hold = constraint(clean, noise, torch.tensor([1.0, 0, 0, 0.5]))
    state = hold(torch.zeros(2, 4), 0.25)
    assert state[0].tolist() == [1.5, 0, 0, 0.75]


def test_known_samples_are_put_back_and_what_lies_beside_meets_them():
    wave = torch.zeros(1, 1000)
    known = Passages(((0, torch.ones(1, 300)), (700, -torch.ones(1, 300))), 4000, 1000)
    out = known.put_into(wave)
    assert torch.equal(out[:, :300], torch.ones(1, 300))
    assert torch.equal(out[:, 700:], -torch.ones(1, 300))
    assert out.diff().abs().max() < 0.05
    assert out[0, 345:655].abs().max() == 0


def test_a_score_is_known_where_all_of_its_window_is():
    wave = torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))
    bands = Bands.of([wave], 4000, 40)
    known = Passages(((0, wave[:, :4000]), (6016, wave[:, 6016:])), 4000, 8000)
    score, there = known.score(bands, 125)
    whole = bands.measure(wave)
    inside = there == 1
    torch.testing.assert_close(score[:, inside], whole[:, inside], atol=1e-3, rtol=0)
    assert inside.tolist() == [k < 61 or k >= 96 for k in range(125)]
    torch.testing.assert_close(score[:, 78], (18 * score[:, 60] + 18 * score[:, 96]) / 36)


def test_a_chord_that_rings_falls_in_every_band():
    bands = Bands.of([torch.randn(1, 8000, generator=torch.Generator().manual_seed(0))], 4000, 40)
    score = torch.randn(40, 200, generator=torch.Generator().manual_seed(1))
    out = let_ring(score, 1.0, bands)
    assert torch.equal(out[:, :68], score[:, :68])
    assert (out[:, 75:].diff(dim=1) < 0).all()


def test_passages_are_in_a_bridge_sample_for_sample(guided, song):
    first, second = song[: 6 * RATE], song[16 * RATE : 21 * RATE + 7]
    made = guided.beside(first, second, RATE, bars=2)
    assert np.array_equal(made.samples[: made.first], first)
    assert np.array_equal(made.samples[made.last :], second)
    assert made.first == len(first)
    assert len(made.new) == pytest.approx(4 * RATE, abs=0.05 * RATE)
    assert np.array_equal(guided.bridge(first, second, RATE, bars=2), made.samples)
    assert not np.array_equal(guided.bridge(first, second, RATE, bars=2, seed=1), made.samples)


def test_new_bars_above_full_scale_keep_their_peaks(guided, song, monkeypatch):
    """Whoever writes them lowers all of it; cut off they would sound distorted."""
    drawn = bridges.draw_beside

    def louder(*args):
        signal = drawn(*args)
        return signal._replace(wave=20 * signal.wave)

    monkeypatch.setattr(bridges, "draw_beside", louder)
    new = guided.beside(song[: 6 * RATE], song[16 * RATE : 21 * RATE], RATE, bars=1).new
    peak = np.abs(new).max()
    assert peak > 1
    assert np.sum(np.abs(new) == peak) == 1


def test_an_ending_falls_silent_and_an_intro_begins_in_silence(guided, song):
    ended = guided.continue_(song[: 6 * RATE], RATE, bars=3, ending=True)
    assert np.abs(ended[-20:]).max() < 1e-3
    begun = guided.intro(song[: 6 * RATE], RATE, bars=2)
    assert begun[0] == 0
    assert np.array_equal(begun[-6 * RATE :], song[: 6 * RATE])


def test_a_section_is_added_inside_a_clip(guided, song):
    made = guided.with_section(2)
    clip = guided.training_clips()[0].numpy()[0] * np.float32(guided.config["peak"])
    assert np.array_equal(np.delete(made.samples, slice(made.first, made.last)), clip)
    assert np.array_equal(guided.add_section(2), made.samples)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bars": 0}, "bars is 0; use a whole number from 1 to 256"),
        ({"before": np.ones(RATE, np.float32)}, "the passage before is 1.00 s long; give 2 s or more"),
        ({"rate": 2000}, "the passage before has 2000 Hz, the run 4000"),
        ({"before": None, "after": None}, "no passage was given"),
        ({"ending": True}, "an ending follows one passage"),
    ],
)
def test_what_cannot_be_is_refused(guided, song, change, message):
    how = {"before": song[: 4 * RATE], "after": song[: 4 * RATE], "rate": RATE} | change
    with pytest.raises(RunError, match=message):
        guided.beside(**how)


def test_a_run_without_a_guide_is_refused(guided, song):
    unguided = replace(guided, settings=replace(guided.settings, guide=False))
    with pytest.raises(RunError, match="without a guide"):
        unguided.bridge(song[: 4 * RATE], song[: 4 * RATE], RATE)


def test_a_seam_shows_where_a_score_leaps_at_it():
    known = Passages(((0, torch.zeros(1, 4000)), (8000, torch.zeros(1, 4000))), 1000, 12000)
    steps = np.arange(0, 12, 0.25)
    score = torch.from_numpy(np.repeat(np.random.default_rng(0).standard_normal((8, 48)), 16, axis=1)).float()
    score = score[:, : round(12 * 62.5)]
    even = torch.ones(8, 1)
    calm = seam_change(score, known, steps, even)
    leaping = score.clone()
    leaping[:, 250:500] += 9.0
    assert calm < 3 < seam_change(leaping, known, steps, even)


@pytest.mark.parametrize(
    ("shown", "taken"),
    [([3, 1, 2, 5, 4, 6] + [7] * 6, 2), ([3, 0.4, 0.1], 2), ([0.5, 0.1], 1), ([9] * 12, 1)],
)
def test_the_first_score_whose_seams_hide_is_taken_or_the_best_of_twelve(shown, taken, monkeypatch):
    """Scores are numbered as they are drawn, from 1."""

    class Numbered:
        rate, bands, drawn = 62.5, SimpleNamespace(deviation=torch.ones(1, 1)), 0

        def draw(self, lower, samples, generator, timeline, passages):
            self.drawn += 1
            return Signal(None, torch.full((1, samples), float(self.drawn)))

    shown = iter(shown)
    monkeypatch.setattr(passages, "seam_change", lambda *_: next(shown))
    lay = lambda: SimpleNamespace(bounds=np.arange(3))  # noqa: E731
    signal = passages.draw_beside([Numbered()], Passages((), 4000, 8000), torch.Generator(), lay, None)
    assert signal.score[0, 0] == taken


@pytest.fixture
def files(song, tmp_path):
    """Two passages as files, on bar lines."""
    paths = [tmp_path / "before.wav", tmp_path / "after.wav"]
    audio.write(paths[0], song[: 6 * RATE], RATE)
    audio.write(paths[1], song[16 * RATE : 22 * RATE], RATE)
    return paths


def test_the_commands_write_passages_and_new_bars(guided, files, tmp_path, capsys):
    run, out = ["--run", str(guided.folder), "--bars", "2"], ["--out", str(tmp_path / "out")]
    first, second = map(str, files)
    for command in (
        ["bridge", first, second, "--chords", "C F"],
        ["continue", first, "--ending"],
        ["intro", second, "--only-new"],
    ):
        app([*command, *run, *out], standalone_mode=False)
    bridge, _ = audio.read(tmp_path / "out" / "bridge-0.wav")
    before, after = audio.read(files[0])[0], audio.read(files[1])[0]
    assert np.array_equal(bridge[: len(before)], before)
    assert np.array_equal(bridge[-len(after) :], after)
    assert (tmp_path / "out" / "ending-0.wav").exists()
    assert len(audio.read(tmp_path / "out" / "intro-0.wav")[0]) == pytest.approx(4 * RATE, abs=0.1 * RATE)
    stderr = capsys.readouterr().err
    assert "new from 6.00 to" in stderr
    assert "ends on" in stderr


def test_a_section_is_added_by_the_command(guided, tmp_path):
    where = ["--out", str(tmp_path / "out")]
    app(["vary", str(guided.folder), "--add-section", "2", *where], standalone_mode=False)
    assert (tmp_path / "out" / "var-section-0.wav").exists()
    with pytest.raises(RunError, match="leave --strength out"):
        app(
            ["vary", str(guided.folder), "--add-section", "2", "--strength", "0.5", *where],
            standalone_mode=False,
        )


def test_without_a_run_one_is_trained_on_the_passages_and_used_again(files, tiny, tmp_path, monkeypatch):
    from caw import config

    monkeypatch.setitem(config.PRESETS, "fast", tiny)
    command = ["bridge", *map(str, files), "--bars", "1", "--out", str(tmp_path / "out")]
    app(command, standalone_mode=False)
    made = (tmp_path / "out" / "run" / "finished.json").stat().st_mtime_ns
    app([*command, "--seed", "1"], standalone_mode=False)
    assert (tmp_path / "out" / "run" / "finished.json").stat().st_mtime_ns == made
    assert {f.name for f in (tmp_path / "out").iterdir()} == {"run", "bridge-0.wav", "bridge-1.wav"}


def test_a_seam_between_what_follows_itself_hides(song):
    rate = 16000
    samples, beats = band(120, 4, 12.0, rate=rate)
    loud = samples.copy()
    loud[round(beats[12] * rate) :] *= 8
    plain, leaping = (artefacts.seams(x, rate, [beats[12]], samples) for x in (samples, loud))
    assert plain[0] < 1.2 < leaping[0]
    assert np.isnan(artefacts.level_changes(samples, rate, [0.02]))[0]


def test_a_known_place_in_the_bar_counts_more_than_what_is_heard(song, material):
    """The passage before ends one beat early, and the one after begins two beats late."""
    first, second = song[None, : round(7.5 * RATE)], song[None, 17 * RATE : 25 * RATE]
    cut = [bridging.analyse_passage(one, RATE, material) for one in (first, second)]
    laid = bridging.compose_bridge(*cut, material, 3, dice(), bar=4.0, places=(3.0, 2.0))
    assert laid.last - laid.first == pytest.approx((1 + 3 * 4 + 2) * BEAT, abs=0.05)
    line = laid.timeline
    for seam, bars in ((laid.first, 0.75), (laid.last, 4.5)):
        assert np.interp(seam, line.bounds, line.bar) == pytest.approx(bars, abs=0.03)
