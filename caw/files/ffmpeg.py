"""Sound that libsndfile cannot read, decoded by FFmpeg (PyAV): M4A, WMA, MP3 without a length, videos."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from caw.files.containers import AudioError

PADDING = 8192  # samples that an encoder may add at the end of a file to fill its last packets
_EDGES = 4  # packets that an edit list leaves out for an encoder's priming and padding
_SLACK = {"asf": 0.1, "caf": 0.1}  # s by which a container may round its length
_BARE = ("aac", "ac3", "eac3", "mp3")  # packets without a container around them
_GUESSED = ("aac", "ac3", "amr", "dts", "eac3", "flac", "mp3", "wav")  # whose length FFmpeg only guesses
_NAMES = {"mov": "MP4", "matroska": "Matroska", "asf": "ASF", "aac": "ADTS"}
_CODINGS = {"mp3float": "MPEG_LAYER_III", "mp2float": "MPEG_LAYER_II"}  # as libsndfile names them
_FORMATS = (  # that FFmpeg may open: none that names other files or hosts, as playlists do
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dts,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,"
    "mpc8,mpeg,mpegts,ogg,rm,tak,tta,voc,w64,wav,wv"
)

_MPEG1_BITS = {  # kbit/s by layer
    2: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG2_BITS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class NoTrack(Exception):
    """A file has no sound that FFmpeg can decode. coding: what it holds instead; "" where unknown."""

    def __init__(self, coding: str = ""):
        super().__init__(coding)
        self.coding = coding


class Track:
    """The first sound track of a file, decoded by FFmpeg from its beginning to its end."""

    def __init__(self, path: Path, start: int = 0, knows_start: bool = True):
        """start: byte at which the first packet is expected, but where a header lies before it."""
        self.path = path
        self._error = _library(path).error.FFmpegError
        self.start, self.knows_start = start, knows_start
        self.skipped = 0  # bytes before and between packets of a stream without container
        self.left_out = 0.0  # share of the packets that an edit list leaves out
        self.rate = self.channels = self.packets = self.broken = 0
        self.stated: float | None = None  # s
        self.format = self._coding = ""
        self._lossless, self._bits_used, self._bits = False, 0, 0
        self.slack = 0.03
        self.ends_broken = False
        self._limit: int | None = None  # samples without an encoder's padding, where they are stated

    def blocks(self) -> Iterator[np.ndarray]:
        """float32 [n, channels], block after block, without an encoder's priming and padding."""
        limit, count, surplus = None, 0, []
        for block in self._all_blocks():
            if count == 0:
                limit = self._limit
            count += len(block)
            if limit is None or count <= limit:
                yield block
                continue
            surplus.append(block)
            if count - limit > PADDING:  # more than padding: the stated length is wrong
                yield from surplus
                limit, surplus = None, []
        if surplus:
            rest = np.concatenate(surplus)
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
                        change = f"{self.channels} channels at {self.rate} Hz become {own[1]} at {own[0]} Hz"
                        raise AudioError(f"{self.path}: its {change}", "cut it there into two files")
                    yield self._floats(frame)
            if stream.frames - self.packets > _EDGES and "mp4" in container.format.name:
                self.left_out = 1 - self.packets / stream.frames

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        packets, end = container.demux(stream), None
        while True:
            try:
                packet = next(packets, None)
            except self._error:
                self.broken, self.ends_broken = self.broken + 1, True
                return
            if packet is None:
                return
            if packet.pos is not None and container.format.name in _BARE:
                if end is not None or not self.knows_start:
                    self.skipped += max(0, packet.pos - (end or self.start))
                end = packet.pos + packet.size
            self.packets += packet.size > 0
            yield packet

    def _frames(self, packet: Any) -> list[Any]:
        """The frames of a packet; packets that cannot be decoded, or only in part, are counted."""
        try:
            frames = packet.decode()
        except self._error:
            frames, broken = [], True
        else:
            broken = packet.is_corrupt or any(frame.is_corrupt for frame in frames)
            broken |= 0 < packet.size < _mpeg_frame_bytes(bytes(packet)[:4])
        if packet.size:
            self.broken, self.ends_broken = self.broken + broken, broken
        return frames

    def _choose(self, container: Any) -> Any:
        tracks = [stream for stream in container.streams if stream.type == "audio"]
        if not tracks:
            kinds = {stream.type for stream in container.streams}
            if "video" in kinds and "mp3" not in container.format.name:
                raise NoTrack("is a video or picture without sound")
            raise NoTrack
        for stream in tracks:
            if stream.codec_context is not None:
                return stream
        raise NoTrack("its sound is in a coding that cannot be read")

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
        """PCM_16 or PCM_24 for lossless integers, however wide the decoder gives them; else the coding."""
        if not (self._lossless and self._bits):
            return self._coding
        spare = (self._bits_used & -self._bits_used).bit_length() - 1 if self._bits_used else 0
        return f"PCM_{self._bits - spare // 8 * 8}"

    def _describe(self, container: Any, stream: Any, frame: Any) -> None:
        self.rate, self.channels = frame.sample_rate, len(frame.layout.channels)
        if not self.rate:
            raise AudioError(f"{self.path}: states no sampling rate", "get or export the file again")
        codec, kind = stream.codec_context, container.format.name.split(",")[0]
        plain = codec.name.startswith("pcm_")
        self._lossless = plain or codec.name == "wavpack" or codec.codec.lossless and not codec.codec.lossy
        self.format = codec.name.upper() if self._lossless and not plain else _NAMES.get(kind, kind.upper())
        self._coding = _CODINGS.get(codec.name, codec.name.upper())
        if kind in _GUESSED:
            return
        self.slack = _SLACK.get(kind, self.slack)
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


class Packets:
    """The packets of sound in a file, counted without decoding them."""

    def __init__(self, path: Path):
        self.number, self.frames, self.seconds = 0, 0, 0.0
        av = _library(path)
        try:
            with _opened(path) as container:
                for packet in container.demux(audio=0):
                    self.number += packet.size > 0
                    self.frames += packet.duration or 0  # FLAC counts in samples
                    self.seconds += float((packet.duration or 0) * packet.time_base)
        except (av.error.FFmpegError, NoTrack, IndexError):
            return


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file in FFmpeg, by its bytes: it would take some names for a protocol, as in "http:x.wav"."""
    av = _library(path)
    with path.open("rb") as file:
        try:
            container = av.open(file, options={"format_whitelist": _FORMATS}, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError):
            raise NoTrack from None
        with container:
            yield container


def _library(path: Path) -> Any:
    try:
        import av  # here, as FFmpeg takes a while to load and most commands never need it
    except ImportError:
        raise AudioError(f"{path}: is read by PyAV, which is not installed", "pip install av") from None
    return av


def _mpeg_frame_bytes(header: bytes) -> int:
    """Length of an MPEG audio frame of layer II or III by its first four bytes; 0 where they are none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rates = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}.get(version)
    bits, rate = header[2] >> 4, header[2] >> 2 & 3
    if rates is None or rate == 3 or layer not in (2, 3) or bits in (0, 15):
        return 0
    kilobits = _MPEG1_BITS[layer][bits] if version == 3 else _MPEG2_BITS[bits]
    per_byte = 72 if version != 3 and layer == 3 else 144
    return per_byte * 1000 * kilobits // rates[rate] + (header[2] >> 1 & 1)
