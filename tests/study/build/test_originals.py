"""Which originals a plan takes, and from where."""

import itertools
from collections import Counter

import numpy as np
import pytest
import soundfile

from caw import audio
from study import design
from study.build import curation, plan, sources
from study.build.curation import CurationError
from study.build.originals import RepetitionError, _place_excerpts, place_as_before
from study.folder import PRACTICE
from tests.study.build.conftest import planned
from tests.study.conftest import song

LENGTH = 1.2  # s of an original


def refused(folder) -> RepetitionError:
    with pytest.raises(RepetitionError) as caught:
        planned(folder)
    assert "\n" not in str(caught.value)
    return caught.value


def chosen(made: plan.BuildPlan) -> dict[str, list]:
    """The originals of each set."""
    by_name = {one.name: one for one in made.originals}
    return {name: [by_name[clip] for clip in clips if clip in by_name] for name, clips in made.picks.items()}


def overlapping(made: plan.BuildPlan) -> list[tuple[str, str]]:
    """Pairs of originals in the sets that share sound."""
    everything = list(itertools.chain(*chosen(made).values()))
    return [
        (one.name, other.name)
        for one, other in itertools.combinations(everything, 2)
        if one.passage.sha256 == other.passage.sha256 and abs(one.start - other.start) < LENGTH - 1e-9
    ]


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Two songs of 20 s: a.wav and b.wav."""
    folder = tmp_path_factory.mktemp("songs")
    for seed, name in enumerate("ab"):
        audio.write(folder / f"{name}.wav", song(20.0, 8000, seed=seed), 8000)
    return folder


def source(file, *more: str) -> str:
    lines = [f'file = "{file}"', "epochs = [100, 200]", "clips = 4", 'backend = "tiny"', *more]
    return "[[source]]\n" + "\n".join(lines) + "\n"


def sets(*counts: int, more: str = "") -> str:
    names = zip(("UMG", "VAR"), counts, strict=False)
    return "".join(f"[set.{name}]\nfakes = 4\noriginals = {count}\n{more}" for name, count in names)


# where they lie


@pytest.mark.parametrize("seed", range(5))
def test_no_two_overlap_and_none_lies_in_what_models_learn_from(new_study, songs, seed):
    study = f'[study]\ntitle = "T"\nseed = {seed}\n'
    folder = new_study(
        study=study,
        source=source(songs / "a.wav", "start = 3", "seconds = 8.5"),
        sets=sets(4, 4),
        listening="[listening]\npractice = 2\n",
    )
    made = planned(folder)
    assert {name: len(one) for name, one in chosen(made).items()} == {"UMG": 4, "VAR": 4, PRACTICE: 1}
    assert not overlapping(made)
    for one in made.originals:
        assert one.start + LENGTH <= 3 or one.start >= 11.5
        assert one.start + LENGTH <= 20
    assert not [note for note in made.notes if "original" in note]


def test_a_file_that_is_learnt_whole_gives_its_originals_all_the_same(new_study):
    made = planned(new_study(sets=sets(3, 2)))
    assert not overlapping(made)
    assert "originals from riff.wav lie in what models learn from, as it holds nothing else" in made.notes


def test_two_sources_may_be_passages_of_one_file(new_study, songs):
    copy = songs / "copy.wav"
    copy.write_bytes((songs / "a.wav").read_bytes())
    tables = source(songs / "a.wav", 'name = "verse"', "seconds = 5")
    tables += source(copy, 'name = "chorus"', "start = 10", "seconds = 5")
    made = planned(new_study(source=tables, sets=sets(3, 3)))
    assert not overlapping(made)
    for one in made.originals:
        assert 5 <= one.start <= 10 - LENGTH or one.start >= 15


@pytest.mark.parametrize(("name", "begin"), [("a.flac", 0), ("a.mp3", 0), ("cut.wav", 6)])
def test_one_recording_in_two_files_gives_each_of_its_moments_once(new_study, songs, tmp_path, name, begin):
    samples, rate = audio.read(songs / "a.wav")
    soundfile.write(tmp_path / name, samples[begin * rate :], rate)
    tables = source(songs / "a.wav", "seconds = 5") + source(
        tmp_path / name, 'name = "two"', "start = 5", "seconds = 3"
    )
    made = planned(new_study(source=tables, sets=sets(3, 3)))
    assert len(list(itertools.chain(*chosen(made).values()))) == 7
    starts = sorted(one.start + (begin if one.passage.source == "two" else 0) for one in made.originals)
    assert min(np.diff(starts)) >= LENGTH - 1e-9
    learnt = [(0, 5), (begin + 5, begin + 8)]
    assert all(at + LENGTH <= a + 0.1 or at >= b - 0.1 for at in starts for a, b in learnt)


def test_silence_is_no_original(new_study, tmp_path):
    samples = song(20.0, 8000)
    samples[: 5 * 8000] = samples[12 * 8000 :] = 0
    audio.write(tmp_path / "quiet.wav", samples, 8000)
    folder = new_study(source=source("../quiet.wav", "start = 5", "seconds = 2"), sets=sets(2, 1))
    assert all(7 <= one.start <= 12 - LENGTH for one in planned(folder).originals)


def test_no_original_repeats_an_imported_clip(new_study, songs, tmp_path):
    samples, rate = audio.read(songs / "a.wav")
    soundfile.write(tmp_path / "J1.flac", samples[10 * rate : 14 * rate], rate)
    more = '[[imported]]\nfile = "../J1.flac"\nbackend = "jukebox"\nmode = "VAR"\n'
    made = planned(new_study(source=source(songs / "a.wav", "seconds = 8"), sets=sets(2, 2), more=more))
    assert all(one.start + LENGTH <= 10.01 or one.start >= 13.99 for one in made.originals)
    assert "imported J1 holds sound of a.wav: no original repeats it" in made.notes


# too little


@pytest.mark.parametrize(
    ("seconds", "missing"),
    [(None, None), (13.0, None), (14.0, "0.0"), (16.0, "2.0"), (19.2, "5.2")],
)
def test_the_seconds_that_are_missing_are_just_those_that_are_missing(
    new_study, songs, tmp_path, seconds, missing
):
    """Five originals of 1.2 s take 6.0 s beside the passage."""
    more = [] if seconds is None else [f"seconds = {seconds}"]
    folder = new_study(source=source(songs / "a.wav", *more), sets=sets(2, 2))
    if missing in (None, "0.0"):
        assert not overlapping(planned(folder))
        return
    told = refused(folder)
    assert "5 originals of 1.2 s (2 for UMG, 2 for VAR, 1 for practice) must not overlap" in told.reason
    assert f"; {missing} s more of a.wav are needed" in told.reason
    assert 'accept = ["repetition"] under [stimuli]' in told.fix
    rate, lacking = 8000, float(missing)
    samples = np.concatenate([audio.read(songs / "a.wav")[0], song(lacking, rate, seed=9)])
    for name, count, enough in (("enough", 0, True), ("less", round(0.11 * rate), False)):
        audio.write(tmp_path / f"{name}.wav", samples[: len(samples) - count], rate)
        folder = new_study(name, source=source(tmp_path / f"{name}.wav", *more), sets=sets(2, 2))
        assert (not overlapping(planned(folder))) if enough else refused(folder)


def test_what_a_file_that_is_learnt_whole_lacks(new_study, songs, tmp_path):
    """Once it is longer than 25 s, models learn from these alone, and all originals lie beside them."""
    folder = new_study(source=source(songs / "a.wav"), sets=sets(9, 9))
    told = refused(folder)
    assert told.key == "set.VAR.originals"
    assert "a.wav, all of which models learn from, has room for 16; 27.8 s more of a.wav" in told.reason
    samples = np.concatenate([audio.read(songs / "a.wav")[0], song(27.8, 8000, seed=9)])
    audio.write(tmp_path / "longer.wav", samples, 8000)
    folder = new_study("longer", source=source(tmp_path / "longer.wav"), sets=sets(9, 9))
    assert not overlapping(planned(folder))


def test_practice_may_be_what_is_too_much(new_study):
    told = refused(new_study(sets=sets(3, 3)))
    assert (told.key, told.value) == ("listening.practice", 2)


def test_who_accepts_repetition_hears_as_little_of_it_as_can_be(new_study, songs):
    accepted = '[stimuli]\nseconds = 1.0\ntrim = 0.1\naccept = ["repetition"]\n'
    enough = planned(
        new_study("enough", source=source(songs / "a.wav", "seconds = 14"), stimuli=accepted, sets=sets(2, 2))
    )
    assert not overlapping(enough)
    assert all(one.start >= 14 for one in enough.originals)
    learnt = planned(
        new_study("learnt", source=source(songs / "a.wav", "seconds = 17"), stimuli=accepted, sets=sets(2, 2))
    )
    assert not overlapping(learnt)
    assert sum(one.start >= 17 for one in learnt.originals) == 2
    assert "originals from a.wav lie in what models learn from, as stimuli.accept allows" in learnt.notes
    crowded = planned(new_study("crowded", stimuli=accepted, sets=sets(5, 5)))
    assert [len(one) for one in chosen(crowded).values()] == [5, 5, 1]
    assert len(overlapping(crowded)) == 10
    assert "originals from riff.wav share up to 0.5 s, as stimuli.accept allows" in crowded.notes


def test_a_file_that_sounds_at_its_end_alone_gives_originals_that_end_with_it(new_study, tmp_path):
    samples = song(8.0, 8000, seed=5)
    samples[: 7 * 8000] = 0
    audio.write(tmp_path / "late.wav", samples, 8000)
    accepted = '[stimuli]\nseconds = 1.0\ntrim = 0.1\naccept = ["repetition"]\n'
    one, none = "[set.UMG]\nfakes = 3\noriginals = 1\n", "[listening]\npractice = 0\n"
    made = planned(
        new_study(source=source(tmp_path / "late.wav"), stimuli=accepted, sets=one, listening=none)
    )
    assert len(made.originals) == 1
    assert all(one.start + one.seconds <= 8.0 + 1e-6 for one in made.originals)


def test_accepting_repetition_changes_no_digest_of_another_study(new_study):
    plain = design.load(new_study().path)
    assert plain.stimuli.accept == ()


# the right songs


def songs_of(made: plan.BuildPlan) -> dict[str, Counter]:
    return {name: Counter(one.passage.source for one in ones) for name, ones in chosen(made).items()}


def test_a_song_that_makes_variations_alone_gives_originals_to_their_set(new_study, songs):
    tables = source(songs / "a.wav", 'modes = ["UMG"]', "seconds = 8") + source(
        songs / "b.wav", 'modes = ["VAR"]', "seconds = 8"
    )
    made = planned(new_study(source=tables, sets=sets(3, 3)))
    taken = songs_of(made)
    assert (taken["UMG"], taken["VAR"]) == ({"a": 3}, {"b": 3})


def test_cells_say_which_songs_a_set_is_of(new_study, songs):
    tables = source(songs / "a.wav", "seconds = 8") + source(songs / "b.wav", "seconds = 8")
    named = '[set.one]\nmode = "UMG"\nfakes = 4\noriginals = 3\ncells = [{ source = "b" }]\n'
    made = planned(new_study(source=tables, sets=named + sets(4)))
    taken = songs_of(made)
    assert taken["one"] == {"b": 3}
    assert taken["UMG"] == {"a": 2, "b": 2}


def test_a_set_takes_evenly_and_leaves_another_what_it_alone_can_have(new_study, songs):
    """UMG may have any song, VAR only b, which has room for four in all."""
    tables = source(songs / "a.wav", 'modes = ["UMG"]', "seconds = 8")
    tables += source(songs / "b.wav", "seconds = 15")
    made = planned(new_study(source=tables, sets=sets(4, 3)))
    taken = songs_of(made)
    assert taken["VAR"] == {"b": 3}
    assert taken["UMG"]["b"] <= 1
    assert not overlapping(made)


def test_a_source_without_modes_is_there_for_its_originals(new_study, songs):
    tables = source(songs / "a.wav")
    tables += (
        f'[[source]]\nfile = "{songs / "b.wav"}"\nmodes = []\nbackend = "tiny"\nstart = 2\nseconds = 10\n'
    )
    made = planned(new_study(source=tables, sets=sets(4, 4)))
    ends = [(one.start, one.start + LENGTH) for one in made.originals if one.passage.source == "b"]
    assert all(first >= 2 and last <= 12 for first, last in ends)
    assert songs_of(made)["UMG"] == {"a": 2, "b": 2}


# by hand


@pytest.fixture
def study(new_study, songs):
    folder = new_study(source=source(songs / "a.wav", "seconds = 8"), sets=sets(2, 2))
    made = planned(folder)
    folder.pool.mkdir()
    rows = "".join(f"{one.name},x,original,\n" for one in made.originals)
    folder.pool_table.write_text("name,sha256,backend,mode\n" + rows)
    return folder, made


def say(folder, clip, **said):
    settings = design.load(folder.path)
    said = {what.replace("_", " "): value for what, value in said.items()}
    return curation.change(folder, settings, clip, "Ida", said, answered=False)


def test_the_pool_holds_some_to_choose_from_that_overlap_nothing(study):
    _, made = study
    assert len(made.originals) == 5 + 4
    starts = np.sort([one.start for one in made.originals])
    assert min(np.diff(starts)) >= LENGTH - 1e-9
    assert all(one.name == f"a-original-{one.start:g}" for one in made.originals)


def test_picked_ones_come_first_left_out_ones_never_and_the_rest_is_drawn(study):
    folder, made = study
    free = [one.name for one in made.originals if one not in itertools.chain(*chosen(made).values())]
    out = chosen(made)["UMG"][0].name
    say(folder, free[0], into="VAR")
    say(folder, out, leave_out="")
    again = planned(folder)
    assert free[0] in again.picks["VAR"]
    assert out not in itertools.chain(*again.picks.values())
    assert [len(one) for one in chosen(again).values()] == [2, 2, 1]
    assert not overlapping(again)
    assert "VAR: 1 of 2 originals are picked by hand" in again.notes
    assert len(again.originals) == 5 + 4 + 0


def test_what_cannot_be_picked_is_told(study):
    folder, made = study
    names = [one.name for one in made.originals]
    for name in names[:2]:
        say(folder, name, into="UMG")
    with pytest.raises(CurationError, match="one too many: UMG takes 2 originals, 3 are picked; free one"):
        say(folder, names[2], into="UMG")
    with pytest.raises(CurationError, match="there is no set 'ABC'"):
        say(folder, names[2], into="ABC")
    text = folder.toml.read_text()
    folder.toml.write_text(text.replace("seconds = 8", "seconds = 8.05"))  # the places are others now
    with pytest.raises(CurationError, match="makes and imports no such clip; free it with `study pick"):
        planned(folder)
    folder.toml.write_text(text.replace("originals = 2", "originals = 1", 1))
    with pytest.raises(CurationError, match="one too many: UMG takes 1 originals"):
        planned(folder)


def test_an_original_that_was_put_into_the_pool_by_hand_is_refused(study):
    folder, made = study
    with folder.pool_table.open("a") as table:
        table.write("a-original-8.7,x,original,\n")
    say(folder, "a-original-8.7", into="UMG")
    with pytest.raises(CurationError, match="a-original-8.7 is picked into UMG, but study.toml makes and"):
        planned(folder)


def test_originals_are_where_earlier_versions_cut_them(new_study):
    """As the version of November 2026 placed them: the numbers are its own."""
    folder = new_study()
    settings = design.load(folder.path)
    placed = place_as_before(settings, sources.passages(settings, folder))
    assert {
        name: [(one.name, round(one.start, 3), one.mode) for one in chosen] for name, chosen in placed.items()
    } == {
        "UMG": [("riff-original-UMG-1", 1.887, "UMG"), ("riff-original-UMG-2", 0.057, "UMG")],
        "VAR": [("riff-original-VAR-1", 5.151, "VAR")],
        "practice": [("riff-original-practice-1", 6.422, "UMG")],
    }


def test_too_many_are_spread_evenly():
    starts = _place_excerpts(3, 10.0, 5.0, 25.0, [], np.random.default_rng(0))
    assert sorted(starts) == [5.0, 10.0, 15.0]


def test_taken_excerpts_are_kept_clear_of():
    (start,) = _place_excerpts(1, 10.0, 0.0, 40.0, [15.0], np.random.default_rng(0))
    assert abs(start - 15.0) >= 10.0
