"""The part of an audit's page that says what the machine-made clips measured."""

import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from study.audit import audit, file_properties, page, properties, repetition, tables
from study.audit.audit import AuditedFile, LeakError
from study.blinding import even_out_times
from tests.study.audit.planted import (
    FORM_LEAKS,
    FORMAT_LEAKS,
    MUSIC_CHANGES,
    RATE,
    TRACES,
    bursts,
    clean_set,
    in_steps,
    low_band,
)


@pytest.fixture(scope="module", autouse=True)
def measured_once():
    """The tests plant their leaks into a few clips of sets that are the same otherwise: files of the same
    bytes are measured once."""

    def once(measure):
        known = {}

        def of(file):
            key = file.suffix, file.read_bytes()
            if key not in known:
                known[key] = measure(file)
            return known[key]

        return of

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "measure_content", once(audit.measure_content))
        patch.setattr(repetition, "_read", once(repetition._read))
        yield


def bare(name: str) -> str:
    """A property without its unit."""
    return name.split(" (")[0]


def verdicts(result: audit.Audit, set_name: str) -> dict[str, str]:
    return {bare(finding.property): finding.verdict for finding in result.findings if finding.set == set_name}


def two_sets(folder, **more):
    """Two sets of 2 real and 8 fake clips, as most studies have."""
    return {
        name: clean_set(folder / name, seed=seed, **more)
        for seed, name in enumerate(("UMG", "VAR"), start=more.pop("seed", 0))
    }


def everyone(sets) -> list[AuditedFile]:
    return [heard for clips in sets.values() for heard in clips]


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_clean_sets_have_no_leak(tmp_path, suffix):
    result = audit.run(two_sets(tmp_path, suffix=suffix), alpha=0.0004)  # no chance: 1/2025 is the least p
    result.require_no_leak()
    assert not result.leaks
    assert {finding.verdict for finding in result.findings if finding.kind == "format"} == {"same"}


@pytest.mark.parametrize("name", FORMAT_LEAKS)
def test_each_planted_leak_of_the_format_is_found(tmp_path, name):
    if name == "owner" and os.geteuid() != 0:
        pytest.skip("only root may give files away")
    clips = clean_set(tmp_path)
    for heard in clips:
        if heard.real:
            FORMAT_LEAKS[name](heard.file)
        even_out_times(heard.file)
    result = audit.run({"UMG": clips})
    leak = next(leak for leak in result.leaks if bare(leak.property) == name)
    assert leak.fix == next(entry.fix for entry in properties.FORMAT if entry.name == name)
    with pytest.raises(LeakError, match=r"leak: .* differs in all sets: .* real, .* fake.*; "):
        result.require_no_leak()


def test_one_file_that_differs_is_enough(tmp_path):
    clips = clean_set(tmp_path)
    odd = next(heard for heard in clips if not heard.real)
    FORMAT_LEAKS["samples"](odd.file)
    even_out_times(odd.file)
    assert "samples" in {bare(leak.property) for leak in audit.run({"UMG": clips}).leaks}


def test_times_and_names_are_looked_at(tmp_path):
    clips = clean_set(tmp_path)
    os.utime(clips[0].file, (1, 1))
    longer = clips[1].file.rename(tmp_path / f"x{clips[1].file.name}")
    result = audit.run({"UMG": [*clips[:1], AuditedFile(longer, clips[1].real), *clips[2:]]})
    assert {"changed", "name length"} <= {bare(leak.property) for leak in result.leaks}


def test_other_suffixes_are_looked_at(tmp_path):
    clips = clean_set(tmp_path / "a") + clean_set(tmp_path / "b", suffix=".flac")
    assert "suffix" in {bare(leak.property) for leak in audit.run({"UMG": clips}).leaks}


def test_words_that_only_one_kind_of_names_holds_are_a_leak(tmp_path):
    clips = []
    for heard in clean_set(tmp_path):
        word = "Take" if heard.real else "gen"
        clips.append(AuditedFile(heard.file.rename(tmp_path / f"{word}_{heard.file.name}"), heard.real))
    result = {bare(leak.property): leak for leak in audit.run({"UMG": clips}).leaks}
    assert (result["name words"].real, result["name words"].fake) == ("take", "gen")
    songs = [Path(f"/x/{name}.wav") for name in ("blue moon", "red moon", "old sun", "new sun stone")]
    assert file_properties.name_words(songs, [True, False, True, False]) == ["", "", "", ""]


def test_bytes_that_are_not_the_sealed_ones_are_a_leak(tmp_path):
    clips = clean_set(tmp_path)
    result = audit.run({"UMG": [replace(clips[0], as_sealed=False), *clips[1:]]})
    assert [leak.property for leak in result.leaks if leak.kind == "format"] == ["bytes"]
    assert audit.run({"UMG": [replace(heard, as_sealed=False) for heard in clips]}).leaks


def test_practice_must_share_the_format(tmp_path):
    clips = clean_set(tmp_path)
    FORMAT_LEAKS["samples"](clips[0].file)
    even_out_times(clips[0].file)
    assert audit.run({"UMG": clips[1:]}, practice=clips[:1]).leaks


@pytest.mark.parametrize("name", FORM_LEAKS)
def test_each_planted_leak_of_the_form_is_found(tmp_path, name):
    plant, fix = FORM_LEAKS[name]
    sets = two_sets(tmp_path, change=lambda samples, real: plant(samples) if real else samples)
    result = audit.run(sets)
    leaks = {bare(leak.property): leak for leak in result.leaks if leak.set == "all sets"}
    assert re.search(fix, leaks[name].fix)
    assert leaks[name].p <= 2 / 2025 + 1e-9
    assert leaks[name].p_audit < 0.01
    with pytest.raises(LeakError, match=r"leak: .* tells real from fake in all sets: .*over the whole audit"):
        result.require_no_leak()


def test_a_compressed_size_is_tested(tmp_path):
    sets = two_sets(
        tmp_path, suffix=".flac", change=lambda samples, real: low_band(samples, 0.4) if real else samples
    )
    leaks = {bare(leak.property): leak.fix for leak in audit.run(sets).leaks}
    assert 'set stimuli.format = "wav"' in leaks["file size"]


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACES)
def test_each_planted_trace_is_tested_and_reported_and_is_no_leak(tmp_path, name):
    result = audit.run(
        two_sets(
            tmp_path, change=lambda samples, real: TRACES[name](samples) if real else samples, seconds=1.0
        )
    )
    trace = next(
        entry for entry in result.findings if bare(entry.property) == name and entry.set == "all sets"
    )
    assert (trace.verdict, trace.noticed_by) == ("separates", properties.BY_NAME[name].noticed_by)
    assert trace.p_audit < 0.01
    assert not {bare(leak.property) for leak in result.leaks} & {*TRACES, "all of form together"}
    notes = [note for note in result.notes() if name in note and "tells them apart" in note]
    assert [("not for a listener" in note) for note in notes] == [trace.noticed_by == "program"]


def test_levels_that_no_sample_takes_are_form(tmp_path):
    def change(samples, real):
        return in_steps(0.3 * samples) if real else np.rint(0.3 * samples * 2**15) / 2**15

    result = audit.run(two_sets(tmp_path, change=change, seconds=1.0))
    leaks = {bare(leak.property): leak for leak in result.leaks}
    assert leaks["unused levels"].noticed_by == "program"
    assert "only a program can see" in tables.verdict_line(result)


def test_channels_that_differ_in_one_kind_only_are_form(tmp_path):
    clips = everyone(two_sets(tmp_path))
    for heard in clips:
        samples, _ = soundfile.read(heard.file)
        other = np.roll(samples, 20) if heard.real else samples
        soundfile.write(heard.file, np.stack([samples, other], axis=1), RATE, subtype="PCM_16")
    leaks = {bare(leak.property) for leak in audit.run({"clips": clips}, loose=True).leaks}
    assert "channel difference" in leaks


@pytest.mark.slow
@pytest.mark.parametrize("name", MUSIC_CHANGES)
def test_music_that_differs_is_told_and_is_no_leak(tmp_path, name):
    def change(samples, real):
        changed = MUSIC_CHANGES[name](samples) if real else samples
        return changed * 0.04 / np.sqrt(np.mean(changed**2)) if name != "true peak" else changed

    result = audit.run(two_sets(tmp_path, change=change))
    assert verdicts(result, "all sets")[name] == "separates"
    assert any(name in note and "tells them apart" in note for note in result.notes())
    music = {bare(leak.property) for leak in result.leaks} & set(MUSIC_CHANGES)
    assert not music


def in_place(order: str, sets, monkeypatch) -> dict[str, list[AuditedFile]]:
    """The real clips put first in one of the orders."""
    reals_first = {name: sorted(clips, key=lambda heard: not heard.real) for name, clips in sets.items()}
    if order == "order of writing":
        last = 0
        for heard in everyone(reals_first):
            before = heard.file.stat().st_ctime_ns
            while heard.file.stat().st_ctime_ns <= max(before, last):  # its clock ticks in steps
                heard.file.chmod(0o600)
                heard.file.chmod(0o644)
                even_out_times(heard.file)
            last = heard.file.stat().st_ctime_ns
    elif order == "order in the folder":
        listed = [heard.file for heard in everyone(reals_first)]
        monkeypatch.setattr(
            Path, "iterdir", lambda folder: [file for file in listed if file.parent == folder]
        )
    elif order == "order of names":
        for clips in reals_first.values():
            for number, heard in enumerate(clips):
                target = heard.file.with_name(f"{'abcdefghij'[number]}2345678.wav")
                clips[number] = AuditedFile(heard.file.rename(target), heard.real)
    elif order == "order of presentation":
        places = {heard.file: float(place) for place, heard in enumerate(everyone(reals_first))}
        return {
            name: [replace(heard, presented=places[heard.file]) for heard in clips]
            for name, clips in sets.items()
        }
    else:
        return {
            name: [replace(heard, times=1.0 + heard.real) for heard in clips] for name, clips in sets.items()
        }
    return reals_first


@pytest.mark.parametrize("order", [result.name for result in properties.ORDER])
def test_each_planted_order_is_found_and_names_no_clip(tmp_path, monkeypatch, order):
    result = audit.run(in_place(order, two_sets(tmp_path), monkeypatch))
    leak = next(leak for leak in result.leaks if leak.property == order)
    assert leak.fix == properties.BY_NAME[order].fix
    assert {entry.real + entry.fake for entry in result.findings if entry.kind == "order"} == {""}
    assert not [strip for strip in result.strips if strip.property == order]


def test_a_leak_in_one_large_set_only_is_found_there(tmp_path):
    sets = {"UMG": clean_set(tmp_path / "UMG", reals=4, fakes=8)}
    sets["VAR"] = clean_set(
        tmp_path / "VAR",
        reals=4,
        fakes=8,
        change=lambda samples, real: low_band(samples) if real else samples,
    )
    leaks = {(leak.set, bare(leak.property)) for leak in audit.run(sets).leaks}
    assert ("VAR", "bandwidth") in leaks
    assert ("UMG", "bandwidth") not in leaks


def test_one_set_of_two_real_clips_is_too_few_and_that_is_said(tmp_path):
    def change(samples, real):
        return 0.8 * samples if real else samples

    clips = clean_set(tmp_path, change=change)
    result = audit.run({"UMG": clips})
    assert verdicts(result, "UMG")["loudness"] == "hint"  # p = 2/45 at best
    assert any("loudness" in note and "by chance" in note for note in result.notes())
    assert any("no property can be significant" in note for note in result.notes())
    assert any(note.startswith("not tested in so few clips (45 relabelings") for note in result.notes())


def test_what_the_researcher_accepts_is_told_and_is_no_leak(tmp_path):
    plant, _ = FORM_LEAKS["noise floor"]
    sets = two_sets(tmp_path, change=lambda samples, real: samples if real else plant(samples))
    assert "noise floor" in {bare(leak.property) for leak in audit.run(sets).leaks}
    result = audit.run(sets, accept=["noise floor"])
    assert "noise floor" not in {bare(leak.property) for leak in result.leaks}
    assert verdicts(result, "all sets")["noise floor"] == "accepted"
    assert any("stimuli.accept allows it" in note for note in result.notes())


def test_differences_that_do_not_matter_are_none(tmp_path):
    sets = two_sets(tmp_path, change=lambda samples, real: samples * (1.004 if real else 1.0))
    result = audit.run(sets)
    assert "loudness" not in {bare(leak.property) for leak in result.leaks}


def test_one_kind_of_clip_is_nothing_to_tell_apart(tmp_path):
    result = audit.run({"UMG": clean_set(tmp_path, reals=0)})
    assert not result.leaks
    assert result.notes() == ["UMG: all clips are fake: there is nothing to tell apart"]


def test_one_real_clip_among_few_gives_no_hints(tmp_path):
    result = audit.run({"VAR": clean_set(tmp_path, reals=1, fakes=4)})
    assert result.separations == []
    assert result.classifications[0].accuracy is None
    assert any("no difference of form could be told" in note for note in result.notes())


def test_any_two_folders_are_audited_by_what_differs_by_kind(tmp_path):
    clips = [heard for clips in two_sets(tmp_path).values() for heard in clips]
    dice = np.random.default_rng(3)
    for heard in clips:
        soundfile.write(heard.file, bursts(dice, 0.5 + 0.1 * dice.random()), RATE, subtype="PCM_16")
    assert audit.run({"clips": clips}).leaks  # as a study's, lengths must agree
    result = audit.run({"clips": clips}, loose=True)
    assert not [leak for leak in result.leaks if bare(leak.property) in ("duration", "samples", "file size")]
    for heard in clips:
        if heard.real:
            samples, _ = soundfile.read(heard.file)
            soundfile.write(heard.file, np.tile(samples, 2), RATE, subtype="PCM_16")
    result = audit.run({"clips": clips}, loose=True)
    assert {"duration", "samples", "file size"} <= {bare(leak.property) for leak in result.leaks}


def test_tables_are_written_for_the_owner_alone(tmp_path):
    sets = two_sets(tmp_path / "clips") if (tmp_path / "clips").mkdir() is None else {}
    result = audit.run(sets)
    tables.write(result, tmp_path / "audit", title="Leak audit of <Ours>")
    for name in ("audit.json", "audit.csv", "index.html"):
        assert stat.S_IMODE((tmp_path / "audit" / name).stat().st_mode) == 0o600
        content = (tmp_path / "audit" / name).read_text()
        assert not [heard for heard in everyone(sets) if heard.file.stem in content]
    content = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert len(content["findings"]) == len(result.findings)
    assert content["classifier"][0]["smallest_p"] == pytest.approx(1 / 45)
    assert content["test"]["labelings"] == 2025
    page = (tmp_path / "audit" / "index.html").read_text()
    assert "Leak audit of &lt;Ours&gt;" in page
    assert page.count("<svg") > 5
    assert not re.search(r"<script|<link|https?://|src=", page)
    assert "prefers-color-scheme: dark" in page
    rows = len(properties.FORMAT) + len(properties.CONTENT)
    assert len(verdicts(result, "all sets")) == rows + 3  # orders of names, folder and writing
    assert tables.as_table(result).row_count == 2 + len(properties.CONTENT) + 3


def test_metadata_of_flac_is_seen(tmp_path):
    file = tmp_path / "abcdefgh.flac"
    with soundfile.SoundFile(file, "w", RATE, 1, "PCM_16") as made:
        made.title = "fake"
        made.write(np.zeros(100))
    assert file_properties.chunks(file) != ""


def clip(set_, name, pulse, frechet):
    return {"set": set_, "name": name, "source": "a", "measures": {"pulse": pulse, "frechet_0.13": frechet}}


RECORD = {
    "rate": 16000,
    "bandwidth": 7200,
    "clips": [
        clip("UMG", "one", 0.1, 0.02), clip("UMG", "two", 0.2, 0.03), clip("UMG", "three", 0.3, 0.09),
        clip("VAR", "four", None, 0.01), {"set": "UMG", "name": "stranger", "source": "?"},
    ],
    "anchors": {
        "a": {
            "recipe": "r",
            "real": {"pulse": 0.5},
            "halves": {"frechet_0.13": 0.1, "pulse": 0.5},
            "imposed": {"frechet_0.13": 0.004, "pulse": 0.2},
            "noise": {"frechet_0.13": 4.0, "pulse": 0.08},
        },
    },
}  # fmt: skip


def test_medians_stand_by_set_with_the_anchors_after_them():
    heads, rows = page.measures_rows(RECORD)
    assert heads == ["measure", "better", "UMG", "VAR", "real", "halves", "imposed", "noise", "meaning"]
    assert [row[0] for row in rows] == ["frechet_0.13", "pulse"]
    assert rows[0][2:-1] == ["0.030", "0.010", "-", "0.100", "0.004*", "4.00"]
    assert rows[1][2:-1] == ["0.200", "-", "0.500", "0.500", "0.200", "0.080"]


def test_a_study_of_an_older_version_has_fewer_anchors():
    old = RECORD | {"anchors": {"a": {"halves": {"frechet_0.13": 0.1}, "noise": {"frechet_0.13": 4.0}}}}
    assert page.measures_rows(old)[0] == ["measure", "better", "UMG", "VAR", "halves", "noise", "meaning"]


def test_a_study_that_measured_nothing_has_no_such_part():
    assert page._measures_section({}) == ""
    assert page._measures_section({"clips": [{"set": "UMG", "name": "x", "source": "?"}]}) == ""


def test_the_part_names_measures_and_no_clip_and_is_harmless():
    record = RECORD | {"clips": [clip("<script>", "secret", 0.1, 0.02)]}
    text = page._measures_section(record)
    assert "frechet_0.13" in text
    assert "pulse" in text
    assert "secret" not in text
    assert "<script>" not in text
