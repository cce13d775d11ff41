"""Plans from the command line to the samples: generate, vary and train by plans, an album, runs of before."""

import dataclasses

import numpy as np
import pytest

from caw import audio, run_folder, runs
from caw.compose import plan as plans
from caw.compose.plan import Plan
from caw.config import from_json, to_json
from caw.training import train
from tests.caw.band import band
from tests.caw.conftest import RATE, same_weights, tune
from tests.caw.test_cli import caw


@pytest.fixture(scope="module")
def small(tiny):
    """Settings of a run that takes less than a second, at 1 kHz."""
    return dataclasses.replace(tiny, epochs=3, rate=1000, scales=(1000,), album_epochs=2)


@pytest.fixture(scope="module")
def beaten(small, tmp_path_factory):
    """A run of a clip with a clear beat of 120 a minute in 4/4."""
    return train(band(120, 4, 16.0)[0], 16000, tmp_path_factory.mktemp("beaten") / "run", settings=small)


def same(a, b) -> bool:
    return a.shape == b.shape and np.array_equal(a, b)


def test_a_plan_decides_over_the_draw_and_its_length(beaten):
    plan = Plan.from_options(chords="A D", bpm=100, metre="3/4")
    drawn = beaten.generate(plan=plan, seed=1)
    assert len(drawn) == round(beaten.rate * 2 * 3 * 0.6)
    assert same(drawn, beaten.generate(plan=plan, seed=1))
    other = Plan.from_options(chords="E F#m", bpm=100, metre="3/4")
    assert not same(drawn, beaten.generate(plan=other, seed=1))
    assert len(beaten.generate(5.0, plan=plan)) == 5 * beaten.rate
    assert len(beaten.generate(seed=1)) == round(beaten.seconds * beaten.rate)


def test_a_variation_is_changed_by_its_strength_its_chart_and_what_it_keeps(beaten):
    chart = Plan.from_options(chords="E A")
    drawn = [
        beaten.vary(seed=1, strength=0.0),
        beaten.vary(seed=1, strength=0.5),
        beaten.vary(seed=1),
        beaten.vary(seed=1, plan=chart),
        beaten.vary(seed=1, keep="rhythm"),
        beaten.vary(seed=1, keep="harmony"),
    ]
    assert {len(one) for one in drawn} == {round(beaten.seconds * beaten.rate)}
    assert not any(same(a, b) for i, a in enumerate(drawn) for b in drawn[:i])
    assert same(beaten.vary(seed=1), beaten.vary(seed=1, strength=beaten.settings.variation))


def test_a_run_knows_what_it_was_told_of_its_clip(small, beaten, tmp_path):
    assert beaten.plan().metre == "4/4"
    assert beaten.plan().bpm == pytest.approx(120, abs=2)
    samples, beats = band(120, 4, 8.0)
    known = Plan(beats=tuple(float(b) for b in beats), metre="3/4", bpm=120)
    run = train(samples, 16000, tmp_path / "run", settings=small, plan=known)
    assert run.plan() == known
    assert set(np.diff(run.scales[0].guide.clips[0].phrases)) == {6}
    assert runs.load(run.folder).plan() == known
    with pytest.raises(runs.RunError, match="another plan"):
        train(samples, 16000, run.folder, settings=small, resume=True)


@pytest.mark.slow
def test_an_album_is_learnt_from_first_and_changes_the_weights(small, tmp_path):
    clip, other = tune(2.5), tune(4.0, seed=9)
    alone = train(clip, RATE, tmp_path / "alone", settings=small)
    after = train(clip, RATE, tmp_path / "after", settings=small, album=[other])
    again = train(clip, RATE, tmp_path / "again", settings=small, album=[other])
    without = train(
        clip, RATE, tmp_path / "without", settings=dataclasses.replace(small, album_epochs=0), album=[other]
    )
    assert same_weights(after, again)
    assert not same_weights(after, alone)
    assert same_weights(without, alone), "an album that no epoch learns from is none"
    assert (after.clips, after.seconds) == (1, 2.5)
    assert len(after.config["album"]) == 1
    with pytest.raises(runs.RunError, match="another album"):
        train(clip, RATE, after.folder, settings=small, resume=True)


def without_guides(settings) -> dict:
    """The settings of a run as versions wrote them that knew of no guide."""
    later = ("guide", "guide_noise", "guide_dropout", "score_steps", "transposed", "album_epochs")
    record = {k: v for k, v in to_json(settings).items() if k not in later}
    return record | {"variation": 1.0}


@pytest.fixture(scope="module")
def before(small, tmp_path_factory):
    """A run as versions before guides left it."""
    settings = from_json(without_guides(small))
    run = train(tune(2.5), RATE, tmp_path_factory.mktemp("before") / "run", settings=settings)
    run_folder.write_json(run.folder / run_folder.CONFIG, run.config | {"settings": without_guides(small)})
    return runs.load(run.folder)


def test_a_run_without_a_guide_draws_and_varies_and_refuses_plans(before):
    assert not before.guided
    assert len(before.generate(1.0)) == before.rate
    assert not same(before.vary(seed=1), before.vary(seed=2))
    with pytest.raises(runs.RunError, match="cannot follow a plan; train the clip again"):
        before.generate(1.0, plan=Plan(bpm=100))
    with pytest.raises(runs.RunError, match="cannot follow keep"):
        before.vary(keep="rhythm")


def test_an_unfinished_run_of_before_goes_on_as_it_began(before, small, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def stop(now):
        if now.epoch == 2:
            raise KeyboardInterrupt

    settings = from_json(without_guides(small))
    monkeypatch.setattr("caw.training.CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        train(tune(2.5), RATE, folder, settings=settings, progress=stop)
    config = runs.load(folder).config
    run_folder.write_json(folder / run_folder.CONFIG, config | {"settings": without_guides(small)})
    run = train(tune(2.5), RATE, folder, settings=small, resume=True)
    assert run.complete
    assert same_weights(run, before)


def test_the_commands_follow_a_chart(beaten, tmp_path):
    chart = ("--chords", "A D", "--bpm", 120, "--metre", "4/4", "--form", "A A", "--novelty", 0.9)
    done = caw("generate", beaten.folder, *chart, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert audio.inspect(tmp_path / "umg-0.wav").seconds == pytest.approx(8.0)
    done = caw("vary", beaten.folder, "--chords", "E A", "--keep", "rhythm", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    plans.write(tmp_path / "my.toml", Plan.from_options(chords="A", bpm=120, metre="4/4"))
    done = caw("generate", beaten.folder, "--plan", tmp_path / "my.toml", "--out", tmp_path, "--seed", 5)
    assert done.returncode == 0, done.stderr
    assert audio.inspect(tmp_path / "umg-5.wav").seconds == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--chords", "Em Hx"), "bar 2: chord 'Hx' cannot be read; write"),
        (("--metre", "4/5"), "metre '4/5' cannot be read; write it as"),
        (("--bpm", 9), "--bpm is 9; use a number from 30 to 300"),
        (("--novelty", 2), "--novelty is 2; use a number from 0 to 1"),
        (("--plan", "none.toml"), "none.toml"),
    ],
)
def test_an_option_that_cannot_be_read_is_one_line_and_writes_nothing(beaten, arguments, words, tmp_path):
    done = caw("generate", beaten.folder, *arguments, "--out", tmp_path / "new", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_the_command_trains_by_a_plan_and_on_an_album(tmp_path):
    (tmp_path / "album").mkdir()
    for name, seed in (("one", 1), ("two", 2)):
        audio.write(tmp_path / "album" / f"{name}.wav", tune(2.5, 1000, seed), 1000)
    audio.write(tmp_path / "song.wav", tune(2.5, 1000), 1000)
    plans.write(tmp_path / "song.toml", Plan(beats=(0.0, 0.5, 1.0, 1.5, 2.0), metre="4/4", bpm=120))
    done = caw(
        "train", "album", "--passage", "song.wav", "--plan", "song.toml", "--out", "run", "--epochs", 1,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = runs.load(tmp_path / "run")
    assert (run.clips, len(run.config["album"]), run.plan().metre) == (1, 2, "4/4")
    (tmp_path / "empty").mkdir()
    done = caw("train", "empty", "--passage", "song.wav", "--out", "new", cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["caw: empty: holds no recording; put WAV, FLAC, OGG, AIFF, MP3 or M4A there"],
    )
