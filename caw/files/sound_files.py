"""Sound files of every kind, opened so that their true length is known.

`survey` looks through a whole file once and describes its content; `Survey.read` decodes a piece of it.
libsndfile reads what it reads correctly, and FFmpeg (PyAV) what libsndfile cannot open or ends too early. The
length that a header states is never relied on:

WAV, RF64, W64, AIFF, AU, CAF  the container's sizes are compared with the bytes that are there
FLAC, MP3                      their packets are counted
Ogg                            its pages are checked, and its sound is decoded to the end
any other                      is decoded to the end

A file that holds less than it states is refused; one that does not state its length is read to its end.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from caw.files import containers, ffmpeg
from caw.files.containers import AudioError

READABLE = "WAV, FLAC, OGG, AIFF, MP3, M4A or another common kind of sound"
SUFFIXES = (  # of files that hold sound, videos with a sound track included
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
    *(".ogg", ".oga", ".opus", ".mp3", ".mp2", ".m4a", ".m4b", ".m4p", ".aac", ".alac", ".wma", ".ac3"),
    *(".ape", ".wv", ".tta", ".tak", ".amr", ".dts", ".mka"),
    *(".mp4", ".m4v", ".mov", ".3gp", ".webm", ".mkv", ".avi", ".wmv", ".mpg", ".mpeg"),
)
SLOWEST, FASTEST = 1000, 1_536_000  # Hz; a header that states another rate is damaged
_AGAIN = "get or export the file again"
_MPEG = 1152  # samples in a frame of MP3
_BLOCK = 1 << 16  # frames decoded at a time
_STRAY = 16  # bytes between packets that nobody needs to know of


@dataclass(frozen=True)
class Survey:
    """The format of a sound file and its length, counted to its end.

    subtype and format are libsndfile's names, or FFmpeg's for what libsndfile cannot read; PCM_n for lossless
    codings of n bits.
    """

    path: Path
    rate: int  # Hz
    channels: int
    frames: int  # samples per channel
    subtype: str
    format: str
    remarks: tuple[str, ...] = ()  # what is odd about the file but does not keep it from being read
    by_ffmpeg: bool = False
    true_size: tuple[int, bytes] | None = None  # which libsndfile needs in the header to read all of it

    def read(self, first: int, count: int) -> np.ndarray:
        """`count` frames from `first` on, float32 [count, channels]. Raises AudioError."""
        if self.by_ffmpeg:
            samples = _piece(ffmpeg.Track(self.path).blocks(), first, count, self.channels)
        else:
            try:
                with _libsndfile(self.path, self.true_size) as file:
                    file.seek(first)
                    samples = file.read(count, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                raise _damaged(self.path, "a part of it cannot be decoded") from None
        if len(samples) < count:
            raise _cut_short(self.path, (first + len(samples)) / self.rate, self.frames / self.rate)
        return samples

    def pieces(self, count: int) -> Iterator[np.ndarray]:
        """All of it, decoded once, in pieces of `count` frames and a rest. Raises AudioError."""
        if not self.by_ffmpeg:
            for first in range(0, self.frames, count):
                yield self.read(first, min(count, self.frames - first))
            return
        waiting, ready = [], 0
        for block in ffmpeg.Track(self.path).blocks():
            waiting.append(block)
            ready += len(block)
            while ready >= count:
                joined = np.concatenate(waiting)
                yield joined[:count]
                waiting, ready = [joined[count:]], ready - count
        if ready:
            yield np.concatenate(waiting)


def survey(path: Path) -> Survey:
    """Look through a sound file. Raises AudioError where it is missing, no sound, damaged or cut short."""
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: is a folder", f"give a sound file ({READABLE})")
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise AudioError(f"{path}: is no file but a pipe or device", "write the sound to a file first")
        if facts.st_size == 0:
            raise AudioError(f"{path}: is empty (0 bytes)", _AGAIN)
        return _surveyed(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file", "check the name") from None
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror})", "check the file's rights") from None


def holds_sound(file: Path) -> bool:
    """Whether a file has a suffix of sound or begins as sound does.

    Hidden files, as ._ of a Mac, do not count. Whether the file can be read is another matter, see `survey`.
    """
    if file.name.startswith("."):
        return False
    if file.suffix.lower() in SUFFIXES:
        return True
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return False
        with file.open("rb") as content:
            return containers.is_sound(content.read(16))
    except OSError:
        return False


def in_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """(files with sound, other files) of a folder, by name, without hidden ones. Raises OSError."""
    shown = sorted(
        entry for entry in folder.iterdir() if not entry.name.startswith(".") and not entry.is_dir()
    )
    sounds = [file for file in shown if holds_sound(file)]
    return sounds, sorted({*shown} - {*sounds})


@lru_cache(maxsize=1024)
def _surveyed(path: Path, size: int, *_stamp: int) -> Survey:
    with path.open("rb") as file:
        start = containers.after_id3(file)
        file.seek(start)
        head = file.read(512)
        if path.name.startswith("._") or head[:4] == b"\x00\x05\x16\x07":
            raise _no_sound(path, head)
        try:
            body = containers.body(file, start, size)
            pages = containers.ogg_pages(file, start, size) if head[:4] == b"OggS" else None
        except containers.Damaged as error:
            raise _damaged(path, str(error)) from None
        asf, headless = containers.asf_bytes(file), containers.lacks_index(file, size)
        frames = containers.mpeg_frames(file, start)
        flac = containers.flac_samples(file, start) if head[:4] == b"fLaC" else None
    if body and body.missing:
        there, stated = body.seconds(body.there), body.seconds(body.stated or 0)
        if there is None or stated is None:
            extent = f"{body.missing} of {body.stated} bytes of sound are missing"
            raise AudioError(f"{path}: is cut short ({extent})", _AGAIN)
        raise _cut_short(path, there, stated)
    if pages and len(pages.forms) > 1:
        streams = sorted(pages.forms)
        forms = " and ".join(f"{n} channel{'s' * (n != 1)} at {rate or 48000} Hz" for n, rate in streams)
        raise AudioError(f"{path}: holds streams of {forms}", "cut it there into files of one form")
    if headless:
        raise AudioError(f"{path}: is cut short (its index, written last, is missing)", _AGAIN)
    if asf > size:
        raise AudioError(f"{path}: is cut short ({size} of {asf} bytes)", _AGAIN)
    if pages and not pages.whole:
        raise AudioError(f"{path}: is cut short (the last page of its stream is missing)", _AGAIN)
    remarks = []
    if body and body.behind:
        seconds = body.seconds(body.behind)
        extent = f" (as much as {seconds:.2f} s)" if seconds else ""
        remark = f"{body.behind} bytes behind its sound belong to no part of it{extent} and were left out"
        remarks.append(f"{remark}; listen whether it ends too early")
    try:
        with _libsndfile(path) as opened:
            result = _by_libsndfile(path, opened, body, pages, frames, flac)
    except (soundfile.LibsndfileError, TypeError):
        result = None
        if body is not None and body.frame and body.true_size:
            with suppress(soundfile.LibsndfileError):
                result = _with_true_size(path, body, body.there // body.frame)
    if result is None:
        result = _by_ffmpeg(path, body, head, ffmpeg.Track(path, start, knows_start=frames is not None))
    if not SLOWEST <= result.rate <= FASTEST:
        raise _damaged(path, f"its header states a rate of {result.rate} Hz")
    return replace(result, remarks=(*remarks, *result.remarks))


def _by_libsndfile(
    path: Path,
    file: soundfile.SoundFile,
    body: containers.Body | None,
    pages: containers.OggPages | None,
    mpeg_frames: int | None,
    flac: int | None,
) -> Survey | None:
    """The file as libsndfile reads it; None where it does not read all of it."""
    frames, rate = file.frames, file.samplerate
    if flac is not None:
        counted = ffmpeg.Packets(path)
        if flac and counted.frames < flac:
            raise _cut_short(path, counted.frames / rate, flac / rate)
        if counted.frames != frames:
            return None
    elif file.format == "MP3" and body is None:
        counted = ffmpeg.Packets(path)
        if mpeg_frames and counted.number < mpeg_frames:
            length = counted.seconds * mpeg_frames / max(1, counted.number)
            raise _cut_short(path, counted.seconds, length)
        padding = counted.seconds * rate - frames  # of the encoder, where libsndfile knows the length
        if counted.number != mpeg_frames or padding > 4 * _MPEG or _decoded(path, file) != frames:
            return None
    elif pages is not None:
        if pages.links > 1:
            return None
        counted = _decoded(path, file)
        if counted < frames:
            raise _cut_short(path, counted / rate, frames / rate)
    elif body is not None and body.frame:
        counted = body.there // body.frame
        if frames != counted:
            return _with_true_size(path, body, counted)
    else:
        frames = _decoded(path, file)
    return Survey(path, rate, file.channels, frames, file.subtype, file.format)


def _with_true_size(path: Path, body: containers.Body, counted: int) -> Survey | None:
    """As `_by_libsndfile`, for a file that does not state its length in a way that libsndfile knows."""
    if body.true_size is None:
        return None
    with _libsndfile(path, body.true_size) as file:
        if file.frames != counted:
            return None
        kind = (file.samplerate, file.channels, counted, file.subtype, file.format)
    return Survey(path, *kind, true_size=body.true_size)


class _Sized(io.FileIO):
    """A file that is read as if its header held the size that its writer did not know."""

    def __init__(self, path: Path, place: int, size: bytes):
        super().__init__(path)
        self._place, self._size = place, size

    def readinto(self, buffer) -> int:
        first = self.tell()
        count = super().readinto(buffer)
        for offset, byte in enumerate(self._size, start=self._place - first):
            if 0 <= offset < count:
                buffer[offset : offset + 1] = bytes([byte])
        return count


def _decoded(path: Path, file: soundfile.SoundFile) -> int:
    """How many frames a file gives when it is decoded to its end."""
    count = 0
    try:
        while got := len(file.read(_BLOCK, dtype="float32", always_2d=True)):
            count += got
    except soundfile.LibsndfileError:
        raise _damaged(path, "a part of it cannot be decoded") from None
    return count


@contextmanager
def _libsndfile(path: Path, true_size: tuple[int, bytes] | None = None) -> Iterator[soundfile.SoundFile]:
    """The file in libsndfile. Raises LibsndfileError, and TypeError for .raw, which states no format."""
    with ExitStack() as opened:
        if true_size:
            place: Any = opened.enter_context(_Sized(path, *true_size))
        else:
            place = os.fsencode(path)
        yield opened.enter_context(soundfile.SoundFile(place))


def _by_ffmpeg(path: Path, body: containers.Body | None, head: bytes, track: ffmpeg.Track) -> Survey:
    """The file as FFmpeg decodes it to its end. Raises AudioError."""
    try:
        count = sum(len(block) for block in track.blocks())
    except ffmpeg.NoTrack as error:
        if error.coding:
            raise AudioError(f"{path}: {error.coding}", "convert it to WAV or FLAC") from None
        raise (_no_sound(path, head) if body is None else _damaged(path, "no decoder opens it")) from None
    if count == 0:
        raise _no_sound(path, head)
    length = count / track.rate
    if track.stated is not None and track.stated - length > track.slack:
        raise _cut_short(path, length, track.stated)
    if body is not None and body.frame and count < body.there // body.frame:
        raise _cut_short(path, length, (body.there // body.frame) / track.rate)
    remarks = []
    if track.broken and body is None:
        fault = f"{track.broken} of its {track.packets} packets cannot be decoded"
        if track.ends_broken and track.broken == 1:
            fault = "its last packet is broken off, so that its end may be missing"
        remarks.append(f"{fault}; {length:.2f} s were read, {_AGAIN} if there is more")
    if track.skipped > _STRAY:
        remarks.append(f"{track.skipped} bytes before or between its sound are none, and were left out")
    if track.left_out:
        share = f"its edit list, as of a trim in a phone or player, leaves out {track.left_out:.0%} of it"
        remarks.append(f"{share}; save it as another file to get all of it")
    if track.stated is not None and length - track.stated > ffmpeg.PADDING / track.rate + track.slack:
        remarks.append(f"states {track.stated:.2f} s and holds {length:.2f} s; all of it was read")
    return Survey(
        path, track.rate, track.channels, count, track.subtype, track.format, tuple(remarks), by_ffmpeg=True
    )


def _piece(blocks: Iterator[np.ndarray], first: int, count: int, channels: int) -> np.ndarray:
    """`count` frames from `first` on; only one block is in memory beside them."""
    piece, place, filled = np.empty((count, channels), np.float32), 0, 0
    for block in blocks:
        wanted = block[max(0, first - place) :][: count - filled]
        piece[filled : filled + len(wanted)] = wanted
        filled, place = filled + len(wanted), place + len(block)
        if filled == count:
            break
    return piece[:filled]


def _cut_short(path: Path, there: float, stated: float) -> AudioError:
    return AudioError(f"{path}: is cut short ({there:.2f} s of {stated:.2f} s)", _AGAIN)


def _damaged(path: Path, how: str) -> AudioError:
    return AudioError(f"{path}: is damaged or cut short ({how})", _AGAIN)


def _no_sound(path: Path, head: bytes) -> AudioError:
    kind = containers.what_else(head)
    if kind:
        what, _, fix = kind.partition("; ")
        return AudioError(f"{path}: is not sound but {what}", fix or f"give {READABLE}")
    return AudioError(f"{path}: is not sound that can be read", f"give {READABLE}")
