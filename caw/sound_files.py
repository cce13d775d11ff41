"""Sound files of every kind, opened so that their length is known: nothing that a header states is believed.

`survey` looks through a whole file once and says what it holds; `Survey.read` decodes a piece of it. What
libsndfile reads right is read by libsndfile, and what it cannot open or ends too early by FFmpeg (PyAV):

WAV, RF64, W64, AIFF, AU, CAF  the container's sizes are held against the bytes that are there
FLAC, MP3                      their packets are counted
Ogg                            its pages are walked, and its sound is decoded to the end
any other                      is decoded to the end

A file that lacks what it states is refused; one that does not state its length is read to its end.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from caw import containers

READABLE = "WAV, FLAC, OGG, AIFF, MP3, M4A or another common kind of sound"
SLOWEST, FASTEST = 1000, 1_536_000  # Hz; a header that states another rate is damaged
_AGAIN = "get or export the file again"
_MPEG = 1152  # samples in a frame of MP3
_BLOCK = 1 << 16  # frames decoded at a time
_PADDING = 8192  # samples that an encoder may add at the end of a file to fill its last packets
_EDGES = 4  # packets that an edit list leaves out for an encoder's priming and padding
_SLACK = 0.1  # s by which a container may round its length
_GUESSED = ("aac", "ac3", "amr", "dts", "eac3", "flac", "mp3", "wav")  # FFmpeg guesses, or it is counted here
_FORMATS = (  # that FFmpeg may open: none that names other files or hosts, as playlists do
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,"
    "mpc8,mpeg,mpegts,ogg,rm,tak,tta,voc,w64,wav,wv"
)
_NAMES = {"mov": "MP4", "matroska": "Matroska", "asf": "ASF", "aac": "ADTS"}
_CODINGS = {"mp3float": "MPEG_LAYER_III", "mp2float": "MPEG_LAYER_II"}  # as libsndfile names them


class AudioError(ValueError):
    """A sound file or array that cannot be used; the message is one line with the value and the mend."""


@dataclass(frozen=True)
class Survey:
    """What a file holds, counted to its end.

    frames: samples per channel. subtype, format: libsndfile's names, or FFmpeg's of what libsndfile cannot
    read; PCM_n for lossless codings of n bits. remarks: what is odd about the file and does not keep it from
    being read.
    """

    path: Path
    rate: int  # Hz
    channels: int
    frames: int
    subtype: str
    format: str
    remarks: tuple[str, ...] = ()
    by_ffmpeg: bool = False

    def read(self, first: int, count: int) -> np.ndarray:
        """`count` frames from `first` on: float32 [count, channels]. Raises: AudioError."""
        if self.by_ffmpeg:
            samples = _piece(_Track(self.path).blocks(), first, count, self.channels)
        else:
            with _libsndfile(self.path) as file:
                try:
                    file.seek(first)
                    samples = file.read(count, dtype="float32", always_2d=True)
                except soundfile.LibsndfileError:
                    raise _damaged(self.path, "a part of it cannot be decoded") from None
        if len(samples) < count:
            raise _cut_short(self.path, (first + len(samples)) / self.rate, self.frames / self.rate)
        return samples


def survey(path: Path) -> Survey:
    """Look through a file. Raises: AudioError where it is missing, no sound, damaged or cut short."""
    path = Path(path)
    if path.is_dir():
        raise AudioError(f"{path}: is a folder; give a sound file ({READABLE})")
    try:
        facts = os.stat(path)
        if not stat.S_ISREG(facts.st_mode):
            raise AudioError(f"{path}: is no file but a pipe or device; write the sound to a file first")
        if facts.st_size == 0:
            raise AudioError(f"{path}: is empty (0 bytes); {_AGAIN}")
        return _surveyed(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file; check the name") from None
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}); check the file's rights") from None


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
        frames = containers.mpeg_frames(file, start)
        flac = containers.flac_samples(file, start) if head[:4] == b"fLaC" else None
    if body and body.missing:
        there, stated = body.seconds(body.there), body.seconds(body.stated or 0)
        if there is None or stated is None:
            told = f"{body.missing} of {body.stated} bytes of sound are missing"
            raise AudioError(f"{path}: is cut short ({told}); {_AGAIN}")
        raise _cut_short(path, there, stated)
    if pages and not pages.whole:
        raise AudioError(f"{path}: is cut short (the last page of its stream is missing); {_AGAIN}")
    remarks = []
    if body and body.behind:
        told = f"{body.behind} bytes behind its sound belong to no part of it"
        lasting = body.seconds(body.behind)
        told += f" (as much as {lasting:.2f} s)" if lasting else ""
        remarks.append(f"{told} and were left out; listen whether it ends too early")
    try:
        with soundfile.SoundFile(os.fsencode(path)) as opened:
            held = _by_libsndfile(path, opened, body, pages, frames, flac)
    except (soundfile.LibsndfileError, TypeError):  # TypeError: soundfile wants more to be told for .raw
        held = None
    if held is None:
        held = _by_ffmpeg(path, body, head)
    if not SLOWEST <= held.rate <= FASTEST:
        raise _damaged(path, f"its header states a rate of {held.rate} Hz")
    return Survey(**(vars(held) | {"remarks": (*remarks, *held.remarks)}))


def _by_libsndfile(
    path: Path,
    file: soundfile.SoundFile,
    body: containers.Body | None,
    pages: containers.OggPages | None,
    mpeg_frames: int | None,
    flac: int | None,
) -> Survey | None:
    """What libsndfile reads of the file; None where it does not read it right."""
    frames, rate = file.frames, file.samplerate
    if flac is not None:
        counted = _Packets(path)
        if flac and counted.frames < flac:
            raise _cut_short(path, counted.frames / rate, flac / rate)
        if counted.frames != frames:
            return None
    elif file.format == "MP3" and body is None:
        counted = _Packets(path)
        if mpeg_frames and counted.number < mpeg_frames:
            length = counted.seconds * mpeg_frames / max(1, counted.number)
            raise _cut_short(path, counted.seconds, length)
        lasting = counted.seconds * rate - frames  # an encoder's padding, where libsndfile knows the length
        if counted.number != mpeg_frames or lasting > 4 * _MPEG or _decoded(path, file) != frames:
            return None
    elif pages is not None:
        if pages.links > 1:
            return None
        counted = _decoded(path, file)
        if counted < frames:
            raise _cut_short(path, counted / rate, frames / rate)
    elif body is not None and body.frame:
        if frames != body.there // body.frame:
            return None
    else:
        frames = _decoded(path, file)
    return Survey(path, rate, file.channels, frames, file.subtype, file.format)


def _decoded(path: Path, file: soundfile.SoundFile) -> int:
    """Frames that come out of a file when it is decoded to its end."""
    count = 0
    try:
        while got := len(file.read(_BLOCK, dtype="float32", always_2d=True)):
            count += got
    except soundfile.LibsndfileError:
        raise _damaged(path, "a part of it cannot be decoded") from None
    return count


@contextmanager
def _libsndfile(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        file = soundfile.SoundFile(os.fsencode(path))
    except soundfile.LibsndfileError:
        raise _damaged(path, "it was changed while it was read") from None
    with file:
        yield file


def _by_ffmpeg(path: Path, body: containers.Body | None, head: bytes) -> Survey:
    """What FFmpeg reads of the file, decoded to its end. Raises: AudioError."""
    track = _Track(path)
    try:
        count = sum(len(block) for block in track.blocks())
    except _NoTrack as error:
        if error.coding:
            raise AudioError(f"{path}: {error.coding}; convert it to WAV or FLAC") from None
        raise _no_sound(path, head) from None
    if count == 0:
        raise _no_sound(path, head)
    length = count / track.rate
    if track.stated is not None and track.stated - length > track.slack:
        raise _cut_short(path, length, track.stated)
    if body is not None and body.frame and count < body.there // body.frame:
        raise _cut_short(path, length, (body.there // body.frame) / track.rate)
    remarks = []
    if track.broken and body is None:
        told = f"{track.broken} of its {track.packets} packets cannot be decoded"
        if track.ends_broken and track.broken == 1:
            told = "its last packet is broken off, so that its end may be missing"
        remarks.append(f"{told}; {length:.2f} s were read, {_AGAIN} if there is more")
    if track.left_out:
        told = f"its edit list, as of a trim in a phone or player, leaves out {track.left_out:.0%} of it"
        remarks.append(f"{told}; save it as another file to get all of it")
    if track.stated is not None and length - track.stated > _PADDING / track.rate + _SLACK:
        remarks.append(f"states {track.stated:.2f} s and holds {length:.2f} s; all of it was read")
    return Survey(
        path, track.rate, track.channels, count, track.subtype, track.format, tuple(remarks), by_ffmpeg=True
    )


class _NoTrack(Exception):
    """A file without sound that FFmpeg could decode. coding: what it holds instead; "" where not known."""

    def __init__(self, coding: str = ""):
        super().__init__(coding)
        self.coding = coding


class _Track:
    """The first sound track of a file, decoded by FFmpeg from its beginning to its end."""

    def __init__(self, path: Path):
        self.path = path
        self._error = _library(path).error.FFmpegError
        self.begins: int | None = None  # byte of the first packet of an MP3
        self.left_out = 0.0  # share of the packets that an edit list leaves out
        self.rate = self.channels = self.packets = self.broken = 0
        self.stated: float | None = None  # s
        self.format = self._coding = ""
        self._lossless, self._bits_used, self._bits = False, 0, 0
        self.slack = _SLACK
        self.ends_broken = False
        self._limit: int | None = None  # samples without an encoder's padding, where they are stated

    def blocks(self) -> Iterator[np.ndarray]:
        """float32 [n, channels], block after block, without an encoder's priming and padding."""
        limit, count, held = None, 0, []
        for block in self._all_blocks():
            if count == 0:
                limit = self._limit
            count += len(block)
            if limit is None or count <= limit:
                yield block
                continue
            held.append(block)
            if count - limit > _PADDING:  # more than padding: its statement is wrong
                yield from held
                limit, held = None, []
        if held:
            rest = np.concatenate(held)
            yield rest[: len(rest) - (count - limit)]

    def _all_blocks(self) -> Iterator[np.ndarray]:
        with _opened(self.path) as container:
            stream = self._choose(container)
            for packet in self._packets(container, stream):
                for frame in self._frames(packet):
                    if not self.rate:
                        self._describe(container, stream, frame)
                    own = (frame.sample_rate, len(frame.layout.channels))
                    if own != (self.rate, self.channels):
                        told = f"changes from {self.rate} Hz ({self.channels} channels) to {own[0]} Hz ({own[1]})"
                        raise AudioError(f"{self.path}: {told}; cut it there into two files")
                    yield self._floats(frame)
            if stream.frames - self.packets > _EDGES and "mp4" in container.format.name:
                self.left_out = 1 - self.packets / stream.frames

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except self._error:
                self.broken, self.ends_broken = self.broken + 1, True
                return
            if packet is None:
                return
            if not self.packets and "mp3" in container.format.name:
                self.begins = packet.pos
            self.packets += packet.size > 0
            yield packet

    def _frames(self, packet: Any) -> list[Any]:
        """What a packet decodes to; one that cannot be decoded, or is a part of one, is counted."""
        try:
            frames = packet.decode()
        except self._error:
            frames, broken = [], True
        else:
            broken = packet.is_corrupt or any(frame.is_corrupt for frame in frames)
            broken |= 0 < packet.size < containers.mpeg_frame_bytes(bytes(packet)[:4])
        if packet.size:
            self.broken, self.ends_broken = self.broken + broken, broken
        return frames

    def _choose(self, container: Any) -> Any:
        tracks = [stream for stream in container.streams if stream.type == "audio"]
        if not tracks:
            kinds = {stream.type for stream in container.streams}
            if "video" in kinds and "mp3" not in container.format.name:
                raise _NoTrack("is a video or picture without sound")
            raise _NoTrack
        for stream in tracks:
            if stream.codec_context is not None:
                return stream
        raise _NoTrack("its sound is in a coding that cannot be read")

    def _floats(self, frame: Any) -> np.ndarray:
        """A frame's samples as libsndfile gives them: float32 [n, channels], full scale 1."""
        samples = frame.to_ndarray()
        samples = samples.T if frame.format.is_planar else samples.reshape(-1, self.channels)
        if samples.dtype == np.uint8:
            return (samples.astype(np.float32) - 128) / 128
        if samples.dtype.kind == "i":
            self._bits = 8 * samples.dtype.itemsize
            self._bits_used |= int(np.bitwise_or.reduce(samples, axis=None))
            return (samples / 2.0 ** (self._bits - 1)).astype(np.float32)
        return samples.astype(np.float32)

    @property
    def subtype(self) -> str:
        """PCM_16 or PCM_24 of whole numbers without loss, however wide the decoder gives them."""
        if not (self._lossless and self._bits):
            return self._coding
        spare = (self._bits_used & -self._bits_used).bit_length() - 1 if self._bits_used else 0
        return f"PCM_{self._bits - spare // 8 * 8}"

    def _describe(self, container: Any, stream: Any, frame: Any) -> None:
        self.rate, self.channels = frame.sample_rate, len(frame.layout.channels)
        if not self.rate:
            raise _damaged(self.path, "it states no sampling rate")
        codec, kind = stream.codec_context, container.format.name.split(",")[0]
        plain = codec.name.startswith("pcm_")
        self._lossless = plain or codec.name == "wavpack" or codec.codec.lossless and not codec.codec.lossy
        self.format = codec.name.upper() if self._lossless and not plain else _NAMES.get(kind, kind.upper())
        self._coding = _CODINGS.get(codec.name, codec.name.upper())
        if kind in _GUESSED:
            return
        if stream.duration is not None:
            self.stated = float(stream.duration * stream.time_base)
        elif container.duration is not None and len(container.streams) == 1:
            self.stated = container.duration / 1e6
        if kind == "mov" and self.stated is not None:
            self._limit, self.slack = round(self.stated * self.rate), 1.5 / self.rate
            if fields := container.metadata.get("iTunSMPB", "").split()[:4]:
                with_end = int(fields[3], 16) if len(fields) == 4 else 0
                self._limit = with_end or self._limit
                self.stated = self._limit / self.rate


def _piece(blocks: Iterator[np.ndarray], first: int, count: int, channels: int) -> np.ndarray:
    """`count` frames from `first` on, with no more than a block beside them in memory."""
    piece, place, filled = np.empty((count, channels), np.float32), 0, 0
    for block in blocks:
        wanted = block[max(0, first - place) :][: count - filled]
        piece[filled : filled + len(wanted)] = wanted
        filled, place = filled + len(wanted), place + len(block)
        if filled == count:
            break
    return piece[:filled]


class _Packets:
    """How many packets of sound a file holds, and how long they last, without decoding them."""

    def __init__(self, path: Path):
        self.number, self.frames, self.seconds = 0, 0, 0.0
        av = _library(path)
        try:
            with _opened(path) as container:
                for packet in container.demux(audio=0):
                    self.number += packet.size > 0
                    self.frames += packet.duration or 0  # FLAC counts in samples
                    self.seconds += float((packet.duration or 0) * packet.time_base)
        except (av.error.FFmpegError, _NoTrack, IndexError):
            return


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file in FFmpeg, by its bytes alone: a name would be taken for a protocol, as in "http:x.wav"."""
    av = _library(path)
    with path.open("rb") as file:
        try:
            container = av.open(file, options={"format_whitelist": _FORMATS}, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError):
            raise _NoTrack from None
        with container:
            yield container


def _library(path: Path) -> Any:
    try:
        import av  # here, as FFmpeg takes a while to load and most commands never need it
    except ImportError:
        raise AudioError(f"{path}: is read by PyAV, which is not installed; pip install av") from None
    return av


def _cut_short(path: Path, there: float, stated: float) -> AudioError:
    return AudioError(f"{path}: is cut short ({there:.2f} s of {stated:.2f} s); {_AGAIN}")


def _damaged(path: Path, how: str) -> AudioError:
    return AudioError(f"{path}: is damaged or cut short ({how}); {_AGAIN}")


def _no_sound(path: Path, head: bytes) -> AudioError:
    kind = containers.what_else(head)
    if kind:
        what, _, mend = kind.partition("; ")
        return AudioError(f"{path}: is not sound but {what}; {mend or f'give {READABLE}'}")
    return AudioError(f"{path}: is not sound that can be read; give {READABLE}")
