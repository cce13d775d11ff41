"""The sounds of the headphone check, measured; and that nothing about them gives the answer away."""

from __future__ import annotations

import numpy as np
import pytest

from study.design.checks import HEADPHONE_TRIALS
from study.server import headphone_check as check
from study.server import routes

KINDS = ("huggins", "antiphase")
BAND = (check.PITCH * (1 - check.BAND), check.PITCH * (1 + check.BAND))


def intervals(samples: np.ndarray) -> list[np.ndarray]:
    """The three intervals, each [2, samples]."""
    step, count = round(check.RATE * (check.SECONDS + check.GAP)), round(check.RATE * check.SECONDS)
    start = round(check.RATE * check.EDGE)
    return [samples[:, start + place * step : start + place * step + count] for place in range(3)]


def spectrum(ear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(ear), 1 / check.RATE), np.fft.rfft(ear)


def middle(ears: np.ndarray) -> np.ndarray:
    """Without the ramps, under a window that parts bands cleanly."""
    edge = round(check.RATE * 0.1)
    return ears[:, edge:-edge] * np.hanning(ears.shape[1] - 2 * edge)


@pytest.mark.parametrize("right", [1, 2, 3])
def test_the_band_of_huggins_is_turned_in_the_right_interval_alone(right):
    for number, ears in enumerate(intervals(check.sound("huggins", right, 5, -26.0)), start=1):
        left, other = (spectrum(ear) for ear in middle(ears))
        frequencies, cross = left[0], left[1] * np.conj(other[1])
        inside = (frequencies > BAND[0] + 5) & (frequencies < BAND[1] - 5)
        outside = (frequencies < BAND[0] - 15) | (frequencies > BAND[1] + 15)
        phase = np.degrees(np.abs(np.angle(cross)))
        assert np.median(phase[outside]) < 1
        assert np.median(phase[inside]) == pytest.approx(180 if number == right else 0, abs=2)


def test_one_ear_alone_has_no_cue_to_the_tone():
    levels = {True: [], False: []}
    for seed in range(40):
        for number, ears in enumerate(intervals(check.sound("huggins", 2, seed, -26.0)), start=1):
            for ear in middle(ears):
                frequencies, bins = spectrum(ear)
                inside = (frequencies > BAND[0]) & (frequencies < BAND[1])
                near = (frequencies > 400) & (frequencies < 800) & ~inside
                power = np.mean(np.abs(bins[inside]) ** 2) / np.mean(np.abs(bins[near]) ** 2)
                levels[number == 2].append(10 * np.log10(power))
    assert np.mean(levels[True]) == pytest.approx(np.mean(levels[False]), abs=0.5)
    assert np.mean(levels[True]) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("right", [1, 2, 3])
def test_of_the_tones_the_right_one_is_softer_and_another_cancels_in_mono(right):
    turned = set()
    for seed in range(20):
        ears = intervals(check.sound("antiphase", right, seed, -26.0))
        rms = [np.sqrt(np.mean(one**2)) for one in ears]
        assert 20 * np.log10(rms[right - 1] / max(rms)) == pytest.approx(-6, abs=0.01)
        assert rms.count(min(rms)) == 1
        mono = [np.abs(one.sum(axis=0)).max() for one in ears]
        gone = [place for place, peak in enumerate(mono) if peak < 1e-12]
        assert len(gone) == 1
        assert gone[0] != right - 1, "from loudspeakers another one seems the softest"
        turned.add(gone[0])
    assert len(turned) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_are_as_loud_as_the_clips_and_never_clip(kind):
    for right in (1, 2, 3):
        for loudness in (-26.0, -10.0):
            samples = check.sound(kind, right, 3, loudness)
            assert np.abs(samples).max() < 0.9
            loud = max(np.sqrt(np.mean(one**2)) for one in intervals(samples))
            wanted = min(loudness, check.LOUDEST) - (3 if kind == "antiphase" else 0)
            assert 20 * np.log10(loud) == pytest.approx(wanted, abs=1)
            assert samples.shape == (2, round(check.RATE * check.LENGTH))


def test_answers_are_spread_and_follow_from_the_secret_alone():
    found = [check.answer("s", listener, 1, trial) for listener in range(300) for trial in range(1, 7)]
    assert [check.answer("s", 4, 1, trial) for trial in range(1, 7)] == found[24:30]
    assert min(found.count(one) for one in (1, 2, 3)) > 540
    assert found != [check.answer("t", who, 1, trial) for who in range(300) for trial in range(1, 7)]
    keys = {check.key("s", who, 1, trial) for who in range(300) for trial in range(1, 7)}
    assert len(keys) == 1800
    assert check.trial_of("s", 4, check.key("s", 4, 2, 3)) == (2, 3)
    assert check.trial_of("s", 5, check.key("s", 4, 2, 3)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_all_answers_are_alike_from_outside(kind):
    files = [check.wav(check.sound(kind, right, seed, -26.0)) for right in (1, 2, 3) for seed in (1, 2)]
    assert len({len(file) for file in files}) == 1
    assert len({file[:44] for file in files}) == 1
    assert len(set(files)) == 6


def test_a_sound_is_sent_to_its_own_listener_alone(tmp_path, serve):
    from gated import gated_client
    from tiny_study import make_tiny_study

    from study.server.links import personal_link

    study = serve(make_tiny_study(tmp_path / "study", listening='[checks]\nheadphones = "huggins"'))
    ann, bo = study.store.invite("Ann"), study.store.invite("Bo")
    who = study.store.find(ann).id
    address = f"{routes.CHECK}/{check.key(study.researcher_key, who, 1, 1)}"
    client = gated_client()
    assert client.get(address).status_code != 200
    client.get(personal_link("", bo))
    assert client.get(address).status_code == 404
    client.get(personal_link("", ann))
    first = client.get(address)
    assert first.status_code == 200
    others = [
        client.get(f"{routes.CHECK}/{check.key(study.researcher_key, who, 1, trial)}")
        for trial in range(2, HEADPHONE_TRIALS + 1)
    ]
    for name in ("content-length", "content-type", "last-modified", "cache-control"):
        assert {one.headers[name] for one in (first, *others)} == {first.headers[name]}
    part = client.get(address, headers={"range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)
    assert client.get(f"{routes.CHECK}/0123456789abcdef").status_code == 404


def test_without_a_check_there_is_no_sound(serving, client, people):
    from study.server.links import personal_link

    client.get(personal_link("", people["Ann"]))
    who = serving.store.find(people["Ann"]).id
    assert client.get(f"{routes.CHECK}/{check.key(serving.researcher_key, who, 1, 1)}").status_code == 404
