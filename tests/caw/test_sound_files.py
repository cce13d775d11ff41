"""Files of every kind are read to their end or refused: what their headers state is believed of none."""

import os
import random
import struct
import tracemalloc
import warnings
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from caw import audio
from caw.files import sound_files

RATE = 44100
SECONDS = 1.5
WRITTEN = {  # by libsndfile: suffix -> format, subtype
    "wav": ("WAV", "PCM_16"),
    "rf64": ("RF64", "PCM_24"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
ENCODED = {  # by FFmpeg: suffix -> format, encoder, options
    "mp3": ("mp3", "libmp3lame", {}),
    "m4a": ("ipod", "aac", {"movflags": "faststart"}),
    "alac.m4a": ("ipod", "alac", {"movflags": "faststart"}),
    "oga": ("ogg", "flac", {}),
    "mka": ("matroska", "libopus", {}),
    "wma": ("asf", "wmav2", {}),
    "tta": ("tta", "tta", {}),
}
EVERY = [*WRITTEN, *ENCODED]


def music(seconds=SECONDS, rate=RATE):
    """Plucked tones over a little noise: nothing of it repeats or is silent."""
    t = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(1).uniform(-0.05, 0.05, t.size)
    return (0.4 * np.sin(2 * np.pi * 330 * t) * np.exp(-2 * (t % 0.5)) + noise).astype(np.float32)


def encode(path, kind, encoder, options=None, samples=None, rate=RATE):
    samples = music(rate=rate) if samples is None else samples
    with av.open(str(path), "w", format=kind, options=options or {}) as out:
        stream = out.add_stream(encoder, rate=rate)
        stream.codec_context.layout = "mono"
        if encoder == "wmav2":
            stream.codec_context.bit_rate = 128_000
        wide = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        wide.sample_rate, wide.pts, wide.time_base = rate, 0, Fraction(1, rate)
        size = stream.codec_context.frame_size or 1024
        wanted = stream.codec_context.format.name
        turned = av.AudioResampler(format=wanted, layout="mono", rate=rate, frame_size=size)
        for frame in [*turned.resample(wide), *turned.resample(None)]:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sound file of every kind, by its suffix."""
    folder, files = tmp_path_factory.mktemp("whole"), {}
    for suffix, (kind, subtype) in WRITTEN.items():
        rate = 48000 if suffix == "opus" else RATE
        files[suffix] = folder / f"a.{suffix}"
        soundfile.write(files[suffix], music(rate=rate), rate, format=kind, subtype=subtype)
    for suffix, (kind, encoder, options) in ENCODED.items():
        rate = 48000 if encoder == "libopus" else RATE
        files[suffix] = encode(folder / f"a.{suffix}", kind, encoder, options, rate=rate)
    return files


def heard(path, **how):
    """(samples, texts of what is warned of)."""
    sound_files._surveyed.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        samples, _ = audio.read(path, **how)
    return samples, [str(warning.message) for warning in caught]


def patched(path, source, place, content):
    data = bytearray(source.read_bytes())
    data[place : place + len(content)] = content
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("suffix", EVERY)
def test_every_kind_is_read_whole(whole, suffix):
    rate = 48000 if suffix in ("opus", "mka") else RATE
    samples, warned = heard(whole[suffix])
    slack = 2048 if suffix in ("wma", "mka") else 0  # these state no padding
    assert abs(samples.size - round(SECONDS * rate)) <= slack
    assert not warned
    assert audio.inspect(whole[suffix]).seconds == samples.size / rate
    likeness = np.corrcoef(samples[:60000], music(rate=rate)[: samples.size][:60000])[0, 1]
    assert likeness > (0.9 if suffix != "wma" else -1)
    piece, _ = audio.read(whole[suffix], start=0.5, seconds=0.25)
    np.testing.assert_allclose(piece, samples[rate // 2 : rate // 2 + rate // 4], atol=1e-3)


@pytest.mark.parametrize("suffix", [suffix for suffix in EVERY])
def test_a_file_cut_anywhere_is_refused(whole, suffix, tmp_path):
    content = whole[suffix].read_bytes()
    dice = random.Random(suffix)
    for _ in range(20):
        path = tmp_path / f"cut.{suffix}"
        path.write_bytes(content[: dice.randrange(1, round(0.97 * len(content)))])
        with pytest.raises(audio.AudioError) as error:
            heard(path, mono=False)
        assert "\n" not in str(error.value)


def test_a_cut_file_whose_index_comes_last_says_so(tmp_path):
    content = encode(tmp_path / "memo.m4a", "ipod", "aac").read_bytes()
    for share in (0.3, 0.9):
        (tmp_path / "cut.m4a").write_bytes(content[: round(share * content.index(b"moov"))])
        with pytest.raises(audio.AudioError, match=r"is cut short \(its index, written last"):
            heard(tmp_path / "cut.m4a")


@pytest.mark.parametrize("suffix", ["wav", "rf64", "w64", "aiff", "au", "caf", "flac", "mp3", "m4a"])
def test_a_cut_file_says_how_much_is_there(whole, suffix, tmp_path):
    content = whole[suffix].read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: round(0.6 * len(content))])
    with pytest.raises(audio.AudioError, match=r"cut short \((0\.[5-9]\d|1\.0\d) s of 1\.5\d s\)"):
        audio.inspect(path)


@pytest.mark.parametrize("suffix", EVERY)
def test_a_flipped_bit_is_never_a_traceback_nor_a_silent_loss(whole, suffix, tmp_path):
    content, dice = whole[suffix].read_bytes(), random.Random(suffix)
    full = heard(whole[suffix])[0].size
    for place in [*range(0, 60, 3), *(dice.randrange(min(600, len(content))) for _ in range(10))]:
        path = patched(
            tmp_path / f"f.{suffix}", whole[suffix], place, [content[place] ^ 1 << dice.randrange(8)]
        )
        try:
            samples, warned = heard(path, mono=False)
        except audio.AudioError:
            continue
        assert samples.size >= full or warned, place


SIZES = [0, 0xFFFFFFFF, 0x7FFFF000, 0xFFFFFFDB]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("suffix", ["wav", "aiff", "au"])
def test_sound_of_a_pipe_is_read_to_its_end(whole, tmp_path, suffix, size):
    name = {"wav": b"data", "aiff": b"SSND", "au": b".snd"}[suffix]
    place = whole[suffix].read_bytes().index(name) + (8 if suffix == "au" else 4)
    path = patched(
        tmp_path / f"p.{suffix}", whole[suffix], place, struct.pack("<I" if suffix == "wav" else ">I", size)
    )
    if suffix == "aiff":  # such writers do not know the number of samples either
        place = path.read_bytes().index(b"COMM") + 10
        path = patched(path, path, place, bytes(4))
    samples, warned = heard(path)
    assert (samples.size, warned) == (round(SECONDS * RATE), [])


@pytest.mark.parametrize(
    ("suffix", "before", "offset", "content"),
    [
        ("flac", b"fLaC", 21, None),
        ("caf", b"data", 4, b"\xff" * 8),
        ("w64", b"data\xf3\xac", 16, b"\xff" * 8),
        ("rf64", b"ds64", 16, bytes(8)),
    ],
)
def test_a_length_that_is_unknown_is_no_fault(whole, tmp_path, suffix, before, offset, content):
    data = whole[suffix].read_bytes()
    place = data.index(before) + offset
    content = bytes([data[place] & 0xF0, 0, 0, 0, 0]) if content is None else content
    samples, warned = heard(patched(tmp_path / f"p.{suffix}", whole[suffix], place, content))
    assert (samples.size, warned) == (round(SECONDS * RATE), [])
    np.testing.assert_array_equal(samples, heard(whole[suffix])[0])


@pytest.mark.parametrize("coding", [{"b": "96k"}, {"q": "6"}])
def test_an_mp3_without_a_length_is_read_whole(tmp_path, coding):
    clip = np.concatenate([music(1.0), 0.01 * music(1.0), music(2.0)])
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w", format="mp3", options={"write_xing": "0"}) as out:
        stream = out.add_stream(
            "libmp3lame", rate=RATE, options={} if "b" in coding else {"compression_level": "4"}
        )
        stream.codec_context.layout = "mono"
        if "b" in coding:
            stream.codec_context.bit_rate = 96000
        else:
            stream.codec_context.flags |= 2  # QSCALE: a variable bit rate
            stream.codec_context.qscale = True
        frame = av.AudioFrame.from_ndarray(clip.reshape(1, -1), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        cut = av.AudioResampler(format="fltp", layout="mono", rate=RATE, frame_size=1152)
        for part in [*cut.resample(frame), *cut.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    samples, warned = heard(path)
    assert 4.0 <= samples.size / RATE < 4.1
    assert not warned
    path.write_bytes(path.read_bytes()[:-100])
    assert "broken off" in heard(path)[1][0]  # it states no length: what is there is read, and told of


def test_an_mp3_with_picture_tags_and_junk_is_read_whole(whole, tmp_path):
    plain = whole["mp3"].read_bytes()
    tag = plain.index(b"\xff\xfb") if plain[:3] == b"ID3" else 0
    picture = b"APIC" + struct.pack(">IH", 200_000, 0) + random.Random(0).randbytes(200_000)
    size = len(picture)
    head = b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    behind = b"APETAGEX" + bytes(24) + b"TAG" + b" " * 125
    for content in (head + picture + plain[tag:], plain + behind, head + picture + plain[tag:] + behind):
        path = tmp_path / "art.mp3"
        path.write_bytes(content)
        assert heard(path)[0].size == round(SECONDS * RATE)


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_streams_one_after_another_are_read_whole_and_told_of(whole, tmp_path, suffix):
    path = tmp_path / f"chain.{suffix}"
    other = tmp_path / f"b.{suffix}"
    if suffix == "ogg":
        soundfile.write(other, music(2), RATE, format="OGG", subtype="VORBIS")
    else:
        encode(other, "mp3", "libmp3lame", samples=music(2))
    path.write_bytes(whole[suffix].read_bytes() + other.read_bytes())
    samples, warned = heard(path)
    assert 3.49 < samples.size / RATE < 3.6
    assert warned


def test_streams_of_two_rates_are_refused(whole, tmp_path):
    path, other = tmp_path / "chain.ogg", tmp_path / "b.ogg"
    soundfile.write(other, music(1, 22050), 22050, format="OGG", subtype="VORBIS")
    path.write_bytes(whole["ogg"].read_bytes() + other.read_bytes())
    with pytest.raises(
        audio.AudioError, match="holds streams of 1 channel at 22050 Hz and 1 channel at 44100 Hz"
    ):
        audio.read(path)


@pytest.mark.parametrize("suffix", ["flac", "wav", "aiff"])
def test_a_tag_in_front_is_no_fault(whole, tmp_path, suffix):
    path = tmp_path / f"tag.{suffix}"
    path.write_bytes(b"ID3\x03\0\0\0\0\0\x14" + bytes(20) + whole[suffix].read_bytes())
    assert heard(path)[0].size == round(SECONDS * RATE)


def test_chunks_pads_and_rests_around_a_wav(whole, tmp_path):
    plain = whole["wav"].read_bytes()
    junk = b"JUNK" + struct.pack("<I", 7) + bytes(8)
    behind = {
        "a chunk behind": (plain[:36] + junk + plain[36:] + junk, False),
        "no pad byte": (plain + junk[:-1] + junk, False),
        "zeros behind": (plain + bytes(500), False),
        "sound behind": (plain + plain[-3000:], True),
    }
    for name, (content, warns) in behind.items():
        path = tmp_path / "a.wav"
        path.write_bytes(content)
        samples, warned = heard(path)
        assert samples.size == round(SECONDS * RATE), name
        assert any("belong to no part of it" in text for text in warned) == warns, name


def test_a_24_bit_file_of_odd_length_needs_no_pad_byte(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, music()[:44101], RATE, subtype="PCM_24")
    content = path.read_bytes()
    place = content.index(b"data")
    path.write_bytes(content[: place + 8 + 3 * 44101])
    assert heard(path)[0].size == 44101


def test_an_aac_with_the_gaps_of_itunes_is_as_long_as_its_sound(whole, tmp_path):
    """iTunes states priming and padding in a tag; here it stands where no edit list does."""
    content = encode(tmp_path / "a.m4a", "ipod", "aac").read_bytes()
    count = round(SECONDS * RATE)
    text = f" 00000000 00000400 00000200 {count:016X}".encode()
    data = struct.pack(">I4sII", 16 + len(text), b"data", 1, 0) + text
    mean = struct.pack(">I4sI", 28, b"mean", 0) + b"com.apple.iTunes"
    name = struct.pack(">I4sI", 20, b"name", 0) + b"iTunSMPB"
    box = struct.pack(">I4s", 8 + len(mean + name + data), b"----") + mean + name + data
    place = content.rindex(b"ilst") - 4
    grown = bytearray(content.replace(b"edts", b"free").replace(b"elst", b"free"))
    grown[place + 8 : place + 8] = box
    for parent in (b"moov", b"udta", b"meta", b"ilst"):
        at = grown.rindex(parent) - 4
        grown[at : at + 4] = struct.pack(">I", struct.unpack(">I", grown[at : at + 4])[0] + len(box))
    path = tmp_path / "itunes.m4a"
    path.write_bytes(bytes(grown))
    samples, _ = heard(path)
    assert samples.size == count
    assert np.corrcoef(samples, music())[0, 1] > 0.9


def test_the_sound_of_a_video_is_read_whatever_its_name(tmp_path):
    path = tmp_path / "film.wav"
    _film(path, sound=True)
    assert heard(path)[0].size >= RATE // 2
    _film(path, sound=False)
    with pytest.raises(audio.AudioError, match="video or picture without sound"):
        audio.inspect(path)


def _film(path, *, sound):
    with av.open(str(path), "w", format="mp4") as out:
        picture = out.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 32
        picture.pix_fmt = "yuv420p"
        if sound:
            stream = out.add_stream("aac", rate=RATE)
            stream.codec_context.layout = "mono"
        for _ in range(5):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        out.mux(picture.encode(None))
        if sound:
            frame = av.AudioFrame.from_ndarray(music(0.5).reshape(1, -1), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            cut = av.AudioResampler(format="fltp", layout="mono", rate=RATE, frame_size=1024)
            for part in [*cut.resample(frame), *cut.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04" + bytes(100), "a zip archive; unpack it"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", r"a web page \(HTML\)"),
        (b"%PDF-1.7\n" + bytes(100), "a PDF document"),
        (b"MThd\0\0\0\x06" + bytes(100), "MIDI"),
        (b"\0\5\26\7\0\2\0\0Mac OS X" + bytes(200), "AppleDouble"),
        (bytes(5000), "nothing but zero bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"#EXTM3U\nhttp://localhost/a.mp3\n", "a playlist"),
        (b"ffconcat version 1.0\nfile other.wav\n", "text"),
    ],
)
def test_what_bears_the_name_of_sound_is_named(tmp_path, content, kind):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(audio.AudioError, match=f"is not sound but .*{kind}"):
        audio.inspect(path)


def test_a_name_is_no_address(tmp_path, monkeypatch):
    """FFmpeg takes "concat:a|b" for a protocol: here it is a file, as every name."""
    monkeypatch.chdir(tmp_path)
    source = encode(tmp_path / "x.m4a", "ipod", "aac")
    source.rename(tmp_path / "concat:a.m4a|b.m4a")
    assert heard("concat:a.m4a|b.m4a")[0].size == round(SECONDS * RATE)


def test_a_piece_of_a_long_file_takes_little_memory(tmp_path):
    path = encode(tmp_path / "long.m4a", "ipod", "alac", samples=np.tile(music(), 40))
    audio.inspect(path)
    tracemalloc.start()
    try:
        audio.read(path, start=50, seconds=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000  # all of it takes ten


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(audio.AudioError, match="pipe or device"):
        audio.inspect(tmp_path / "a.wav")


def test_hidden_files_are_left_out_of_a_folder(whole, tmp_path):
    for name in ("._a.wav", ".b.wav", "c.txt", "d.wav"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "take1").write_bytes(whole["flac"].read_bytes())
    sounds, others = sound_files.in_folder(tmp_path)
    assert [file.name for file in sounds] == ["d.wav", "take1"]
    assert [file.name for file in others] == ["c.txt"]


@pytest.mark.parametrize("suffix", ["wav", "m4a"])
def test_a_file_in_pieces_is_the_file_and_is_decoded_once(whole, suffix, monkeypatch):
    samples, _ = heard(whole[suffix])
    rate = audio.inspect(whole[suffix]).rate
    begun, track = [], sound_files.ffmpeg.Track
    monkeypatch.setattr(sound_files.ffmpeg, "Track", lambda *given: begun.append(given) or track(*given))
    pieces = list(audio.pieces(whole[suffix], rate=rate, seconds=0.3))
    assert len(pieces) > 3
    assert {len(piece) for piece in pieces[:-1]} == {round(0.3 * rate)}
    np.testing.assert_array_equal(np.concatenate(pieces), samples)
    assert len(begun) == (suffix == "m4a")
