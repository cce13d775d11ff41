"""An inventory of recordings: nothing is lost, nothing stops it, names tell split and song."""

import csv
import os
import re
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from analysis.plots import render
from analysis.sounds import inventory, inventory_page, recording_names
from analysis.sounds import inventory_page as plots
from analysis.sounds.inventory import InventoryError

RATE = 16000


def pulses(seconds: float, channels: int = 1) -> np.ndarray:
    """Bursts at 120 beats a minute over a faint floor, [n, channels]."""
    dice = np.random.default_rng(0)
    t = np.arange(round(seconds * RATE)) / RATE
    x = 0.3 * np.sin(2 * np.pi * 440 * t) * (t * 2 % 1 < 0.2) + 1e-4 * dice.standard_normal(t.size)
    return np.stack([x] * channels, axis=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("band") / "Recordings"
    for name in ("Training/Blue/vocals.wav", "Training/Blue/mix.flac", "test/Red_take_2.wav", "Green.wav"):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(top / "Training/Blue/vocals.wav", pulses(4), RATE, subtype="PCM_24")
    soundfile.write(top / "Training/Blue/mix.flac", pulses(5, 2), RATE)
    half = np.concatenate([pulses(2), np.zeros((2 * RATE, 1))])
    soundfile.write(top / "test/Red_take_2.wav", half, RATE, subtype="FLOAT")
    soundfile.write(top / "Green.wav", np.zeros(RATE), RATE)
    (top / "test/words.wav").write_bytes(b"no sound at all")
    (top / "test/cut.wav").write_bytes((top / "Training/Blue/vocals.wav").read_bytes()[:9000])
    (top / "test/song.m4a").write_bytes(b"....ftypM4A ")
    (top / "notes.txt").write_text("no sound")
    (top / ".hidden").mkdir()
    soundfile.write(top / ".hidden/x.wav", pulses(1), RATE)
    soundfile.write(top / "test/._Red.wav", pulses(1), RATE)
    (top / "Training/loop").symlink_to(top)
    (top / "test/gone.wav").symlink_to(top / "nowhere.wav")
    return top


@pytest.fixture(scope="module")
def found(folder):
    return inventory.take(folder, workers=1)


def test_every_file_is_there_once_and_hidden_ones_are_not(found):
    names = [entry.file for entry in found.entries]
    assert names == [
        "Green.wav",
        "test/cut.wav",
        "test/gone.wav",
        "test/Red_take_2.wav",
        "test/song.m4a",
        "test/words.wav",
        "Training/Blue/mix.flac",
        "Training/Blue/vocals.wav",
    ]
    assert found.hidden == 2


def test_what_is_measured_of_a_file(found):
    by_name = {entry.file: entry for entry in found.entries}
    one = by_name["Training/Blue/vocals.wav"]
    assert (one.split, one.song) == ("training", "Blue")
    assert (one.seconds, one.rate, one.channels, one.bits, one.format) == (4.0, RATE, 1, 24, "WAV PCM_24")
    assert one.peak == pytest.approx(20 * np.log10(0.3), abs=0.1)
    assert one.true_peak >= one.peak
    assert one.tempo == pytest.approx(120, abs=2)
    assert -30 < one.loudness < -15
    assert one.note == "vocals: not checked"
    assert by_name["Training/Blue/mix.flac"].channels == 2
    red = by_name["test/Red_take_2.wav"]
    assert (red.split, red.song, red.bits) == ("testing", "Red", 32)
    assert red.silence >= 0.49
    silent = by_name["Green.wav"]
    assert (silent.problem, silent.loudness, silent.silence, silent.split) == ("", None, 1.0, "-")
    assert "silent" in silent.note


def test_what_cannot_be_read_is_told_and_not_fatal(found):
    told = {entry.file: entry.problem for entry in found.unreadable}
    assert set(told) == {"test/words.wav", "test/cut.wav", "test/song.m4a", "test/gone.wav"}
    assert "not sound" in told["test/words.wav"]
    assert "cut short" in told["test/cut.wav"]
    assert "its index, written last, is missing" in told["test/song.m4a"]
    assert "no such file" in told["test/gone.wav"]


def test_totals_by_split_and_by_song(found):
    splits = found.totals("split").set_index("split")
    assert list(splits.index) == ["training", "testing", "-"]
    assert splits.loc["training", ["files", "songs", "seconds"]].tolist() == [2, 1, 9.0]
    assert splits.loc["testing", ["files", "unreadable"]].tolist() == [1, 4]
    songs = found.totals("song").set_index("song")
    assert songs.loc["Blue", "seconds"] == 9.0
    assert sum(songs["files"]) + sum(songs["unreadable"]) == len(found.entries)


def test_a_song_in_two_splits_is_named(found):
    assert "in more than one split" not in inventory_page.summary(found)
    places = [
        ("testing", "a"),
        ("training", "a"),
        ("testing", "b"),
        ("-", "b"),
        ("validation", "<c>"),
        ("training", "<c>"),
    ]
    known = {"seconds": 1.0, "rate": RATE, "channels": 1, "format": "WAV PCM_16"}
    files = [inventory.Entry(f"{split}/{song}.wav", split, song, **known) for split, song in places]
    twice = inventory.Inventory(found.folder, files)
    assert twice.in_two_splits()["a"] == {"training": ["training/a.wav"], "testing": ["testing/a.wav"]}
    told = inventory_page.summary(twice)
    assert told.startswith("6 files of 3 songs, 6.0 s in all. 2 songs lie in more than one split: ")
    assert "a (training and testing)" in told
    assert "b (" not in told, "a file outside of every split is in none"
    page = inventory_page.html(twice)
    assert (
        "<b>&lt;c&gt;</b>: training has training/&lt;c&gt;.wav; validation has validation/&lt;c&gt;.wav"
        in page
    )


def test_many_songs_in_two_splits_are_counted(found):
    files = [
        inventory.Entry(f"{kind}/{n}", kind, f"s{n}", seconds=1.0)
        for n in range(8)
        for kind in ("training", "testing")
    ]
    told = inventory_page.summary(inventory.Inventory(found.folder, files))
    assert "s4 (training and testing), 3 more." in told


def test_an_unreadable_file_counts_for_its_split(found):
    files = [
        inventory.Entry("train/a.wav", "training", "a", seconds=1.0),
        inventory.Entry("test/a.wav", "testing", "a", problem="x"),
    ]
    assert list(inventory.Inventory(found.folder, files).in_two_splits()) == ["a"]


@pytest.mark.slow
def test_processes_give_what_one_process_gives(folder, found):
    counted = []
    again = inventory.take(folder, workers=2, progress=lambda done, total: counted.append((done, total)))
    assert again.entries == found.entries
    assert counted == [(place, 8) for place in range(1, 9)]


@pytest.mark.slow
def test_a_file_that_ends_its_process_is_told_of(tmp_path, monkeypatch):
    for name in ("a.wav", "deadly.wav", "z.wav"):
        soundfile.write(tmp_path / name, pulses(1), RATE)
    monkeypatch.setattr(inventory, "look", _deadly)
    entries = {entry.file: entry.problem for entry in inventory.take(tmp_path, workers=2).entries}
    assert entries["a.wav"] == entries["z.wav"] == ""
    assert "ended the process" in entries["deadly.wav"]


def _deadly(folder, name):
    if name == "deadly.wav":
        os._exit(9)
    return inventory.Entry(name, "-", "x", seconds=1.0)


def test_a_stop_by_the_user_writes_nothing(folder):
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(inventory.Stopped, match="nothing was written") as stopped:
        inventory.take(folder, workers=1, progress=stop)
    assert stopped.value.exit_code == 130


@pytest.mark.parametrize(
    ("name", "split", "song"),
    [
        ("train/SongA/vocals.wav", "training", "SongA"),
        ("training/song03/take_7.wav", "training", "song03"),
        ("Songs_Testing/Band - Blue (verse 2).wav", "testing", "Band - Blue"),
        ("validation/wav/Track_02.wav", "validation", "Track_02"),
        ("a/val/Blue_003.flac", "validation", "Blue"),
        ("train/a/test/x.wav", "testing", "x"),
        ("trainer/detest/x.wav", "-", "x"),
        ("umg/0_piano_fake1.flac", "-", "0_piano"),
        ("riff-umg-0.wav", "-", "riff"),
        ("01.wav", "-", "01"),
    ],
)
def test_names_tell_split_and_song(name, split, song):
    assert (recording_names.split_of(name), recording_names.song_of(name)) == (split, song)


@pytest.mark.parametrize(
    ("names", "song", "parts"),
    [
        ("S1_V S1_UMG S1_UMG_2", "S1", [("", "VAR"), ("", "UMG"), ("", "UMG")]),
        ("S1_V S1_C S1_B2", "S1", [("verse", ""), ("chorus", ""), ("bridge 2", "")]),
        ("S1_V S1_VAR S1_UMG", "S1", [("verse", ""), ("", "VAR"), ("", "UMG")]),
        ("S1_V", "S1", [("", "verse or VAR")]),
        ("S1_V S1_CH S1_U", "S1", [("", "verse or VAR"), ("chorus", ""), ("", "UMG")]),
        ("S3-ending S3_Pre-Chorus S3_verse_2", "S3", [("ending", ""), ("prechorus", ""), ("verse 2", "")]),
        ("S1_Ud S1_U_3 s01_V_0", "S1", [("", ""), ("", "UMG"), ("", "VAR")]),
        ("S1/V.wav S1/chorus.wav", "S1", [("verse", ""), ("chorus", "")]),
        ("Blue_(verse_2) Blue-middle-8 blue_umg_3", "Blue", [("verse 2", ""), ("middle 8", ""), ("", "UMG")]),
        ("Plan_B Plan_B_intro", "Plan_B", [("", ""), ("intro", "")]),
        ("Vitamin_C", "Vitamin_C", [("", "")]),
        ("I_am_V2 I_am_CH I_am", "I_am", [("verse", ""), ("chorus", ""), ("", "")]),
        ("Blue_moon_CH train/blue-moon_(verse_2).wav", "Blue_moon", [("chorus", ""), ("verse 2", "")]),
        ("UMG/Blue.wav VAR/Blue.wav", "Blue", [("", "UMG"), ("", "VAR")]),
    ],
)
def test_names_say_section_and_mode(names, song, parts):
    read = recording_names.read([name if "/" in name else f"{name}.wav" for name in names.split()])
    assert {one.song for one in read} == {song}
    assert [(one.section, one.mode) for one in read] == parts


@pytest.mark.parametrize(
    ("name", "song", "mode", "epochs"),
    [
        ("S1_V_2000ep", "S1", "VAR", 2000),
        ("S2_VAR_1500", "S2", "VAR", 1500),
        ("S3_2000_U", "S3", "UMG", 2000),
        ("S4_3_V", "S4", "verse or VAR", None),
        ("Song 4 UMG 700 epochs", "Song 4", "UMG", 700),
        ("riff-var-epochs-300-2", "riff", "VAR", 300),
        ("VAR/2000ep/Blue", "Blue", "VAR", 2000),
        ("S1 ending 2022", "S1", "", None),
    ],
)
def test_names_say_epochs(name, song, mode, epochs):
    (one,) = recording_names.read([f"{name}.wav"])
    assert (one.song, one.mode, one.epochs) == (song, mode, epochs)


def test_spelling_parts_no_songs():
    names = ["train/Blue Moon.wav", "test/blue_moon (take 2).wav", "test/S01_V.wav", "train/S1/intro.wav"]
    assert [one.song for one in recording_names.read(names)] == ["Blue Moon", "Blue Moon", "S01", "S01"]


def test_the_given_folder_may_be_the_split():
    assert recording_names.split_of("x.wav", "Validation set") == "validation"


def test_the_histogram_counts_every_file(found):
    import pandas as pd

    files = pd.DataFrame([{"seconds": e.seconds, "split": e.split} for e in found.readable])
    table, step = plots.histogram(files)
    assert table["files"].sum() == len(files)
    assert np.allclose(table["high"] - table["low"], step)
    assert (table["above"] - table["below"] == table["files"]).all()
    assert plots.durations(files).to_dict()["encoding"]["color"]["scale"]["domain"] == [
        "training",
        "testing",
        "-",
    ]


def test_one_file_alone_makes_a_histogram():
    import pandas as pd

    table, _ = plots.histogram(pd.DataFrame([{"seconds": 3.0, "split": "-"}]))
    assert table["files"].tolist() == [1]


def test_the_files_written_and_the_page_by_itself(found, tmp_path):
    page = inventory_page.write(found, tmp_path / "out")
    text = page.read_text()
    assert sorted(path.name for path in page.parent.iterdir()) == [
        "durations.png",
        "durations.svg",
        "index.html",
        "inventory.csv",
        "songs.csv",
        "splits.csv",
    ]
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "4 files of " in text
    assert "4 more files could not be read" in text
    with (page.parent / "inventory.csv").open() as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    assert len(rows) == 8
    assert rows["Green.wav"]["split"] == "-"
    assert rows["test/words.wav"]["problem"]


def test_every_row_plays_its_recording_where_it_lies(found, folder, tmp_path):
    page = inventory_page.write(found, tmp_path / "out")
    links = dict(re.findall(r'class="play" href="(.*?)" aria-label="Play (.*?)"', page.read_text()))
    assert sorted(links.values()) == sorted(entry.file for entry in found.readable)
    for link, name in links.items():
        assert (page.parent / unquote(link)).resolve() == (folder / name).resolve()
    assert not (page.parent / "sounds").exists(), "nothing is copied that a browser plays"


def test_what_browsers_do_not_play_has_a_copy_beside_the_page(tmp_path):
    top = tmp_path / "a b#c"
    top.mkdir()
    soundfile.write(top / "S1_V?%.aiff", pulses(3, 2), RATE)
    soundfile.write(top / "slow.wav", pulses(3)[::4], RATE // 4)
    page = inventory_page.write(inventory.take(top, workers=1), tmp_path / "out")
    links = re.findall(r'class="play" href="(.*?)"', page.read_text())
    copies = [soundfile.info(page.parent / link) for link in links]
    assert [(one.format, one.channels, one.samplerate, one.duration) for one in copies] == [
        ("FLAC", 2, RATE, 3.0),
        ("FLAC", 1, RATE, 3.0),
    ]


def test_what_names_say_is_on_the_page_and_in_the_table(tmp_path):
    for name in ("S1_V_2000ep.wav", "S1 ending.wav"):
        soundfile.write(tmp_path / name, pulses(1), RATE)
    page = inventory_page.write(inventory.take(tmp_path, workers=1), tmp_path / "out")
    assert "VAR, 2000 epochs" in page.read_text()
    with (page.parent / "inventory.csv").open() as file:
        rows = [(row["song"], row["section"], row["mode"], row["epochs"]) for row in csv.DictReader(file)]
    assert rows == [("S1", "ending", "", ""), ("S1", "", "VAR", "2000")]


def test_names_of_files_run_nowhere(tmp_path):
    soundfile.write(tmp_path / "=1+1<script>alert(1)<.wav", pulses(1), RATE)
    page = inventory_page.write(inventory.take(tmp_path, workers=1), tmp_path / "out")
    assert "<script>alert" not in page.read_text()
    assert "'=1+1" in (page.parent / "inventory.csv").read_text()


def test_all_unreadable_is_still_an_inventory(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"x")
    found = inventory.take(tmp_path, workers=1)
    assert "0 files" in inventory_page.write(found, tmp_path / "out").read_text()


def test_folders_without_audio_are_refused(tmp_path):
    with pytest.raises(InventoryError, match="holds no audio file"):
        inventory.take(tmp_path)
    with pytest.raises(InventoryError, match="no such folder"):
        inventory.take(tmp_path / "none")
    (tmp_path / "x").write_text("")
    with pytest.raises(InventoryError, match="is a file"):
        inventory.take(tmp_path / "x")
    with pytest.raises(InventoryError, match="give at least 1"):
        inventory.take(tmp_path, workers=0)


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_files_are_counted_in_whole_numbers(count):
    import pandas as pd

    files = pd.DataFrame([{"seconds": 3.04 + number / 1000, "split": "-"} for number in range(count)])
    svg = render(plots.durations(files))
    axis = svg[svg.index("Y-axis titled 'files'") :]
    ticks = re.findall(r">(\d+)</text>", axis[: axis.index("role-axis-title")])
    assert len(ticks) == len(set(ticks)) > 1


def test_every_kind_is_listed_and_what_is_passed_over_is_counted(tmp_path):
    soundfile.write(tmp_path / "take one", pulses(2), RATE, format="FLAC")
    soundfile.write(tmp_path / "b.w64", pulses(2), RATE, format="W64")
    for name in ("notes.txt", "more.txt", "song.mid", "README", "._b.w64"):
        (tmp_path / name).write_bytes(b"MThd and no sound")
    (tmp_path / "fake.wav").write_bytes(b"PK\x03\x04" + bytes(100))
    found = inventory.take(tmp_path, workers=1)
    assert {entry.file: entry.problem for entry in found.entries} == {
        "b.w64": "",
        "fake.wav": "is not sound but a zip archive; unpack it",
        "take one": "",
    }
    assert found.left_out == {"": 1, ".mid": 1, ".txt": 2}
    told = inventory_page.summary(found)
    assert "Left out as no sound: 1 without a suffix, 1 .mid, 2 .txt." in told
    assert "1 hidden entry was left out" in told


def test_a_name_that_is_no_text_ends_no_inventory(tmp_path):
    sound = tmp_path / "a.wav"
    soundfile.write(sound, pulses(2), RATE)
    for name in (b"caf\xe9.wav", b"line\nbreak\x1b[31m.wav", "\u202eevil.wav".encode()):
        os.link(sound, os.path.join(os.fsencode(tmp_path), name))
    found = inventory.take(tmp_path, workers=1)
    assert len(found.entries) == 4
    assert not found.unreadable
    page = inventory_page.write(found, tmp_path / "out")
    assert "caf\ufffd.wav" in page.read_text()
    with (page.parent / "inventory.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
