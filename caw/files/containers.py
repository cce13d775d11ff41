"""What the bytes of a sound file say before anything is decoded: its kind, and whether all of it is there.

The sizes that a container states are compared with the bytes that are there. No decoder does this: libsndfile
and FFmpeg both read a cut WAV to where it stops, without an error. Sizes that a writer to a pipe could not
know (0, or the largest number) are taken as unknown: such sound ends where its file ends.

Sources: RIFF/WAVE and RF64 (EBU Tech 3306), Sony Wave64, AIFF and AIFF-C 1.3, Sun .snd, Apple Core Audio
Format 1.0, RFC 3533 (Ogg), ID3v2.4, and the Xing and VBRI headers of MP3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from caw.problems import ProblemError

_PIPED = ((0x7F000000, 0x7F000010), (0x7FFFF000, 0x80000010), (0xFFFFF000, 0xFFFFFFFF))  # 32-bit sizes
_TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"3DI", b"ID3")  # that programs put behind anything
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # per sample, by encoding
_AIFF_PLAIN = (b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64")
_MAGIC = (  # files that often bear the name of a sound file: offset, first bytes, what it is
    (0, b"PK\x03\x04", "a zip archive; unpack it"),
    (0, b"Rar!", "a RAR archive; unpack it"),
    (0, b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (0, b"\x1f\x8b", "a gzip archive; unpack it"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"\xff\xd8\xff", "a picture (JPEG)"),
    (0, b"GIF8", "a picture (GIF)"),
    (8, b"WEBP", "a picture (WebP)"),
    (0, b"MThd", "MIDI, notes without sound; render it in a DAW"),
    (0, b"\x00\x05\x16\x07", "what a Mac keeps about a file (AppleDouble); give the one without ._"),
    (0, b"SQLite format", "a database"),
    (0, b"version https://git-lfs", "a pointer of Git LFS; fetch the file with `git lfs pull`"),
    (0, b"#EXTM3U", "a playlist; give the files that it names"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"bplist", "a property list of Apple's"),
    (0, b"DSD ", "DSD sound; convert it to WAV or FLAC"),
)


class AudioError(ProblemError):
    """A sound file or array that cannot be used."""


class Damaged(ValueError):
    """A header that contradicts itself; the message says how."""


@dataclass(frozen=True)
class Body:
    """The sound in a container, in bytes."""

    stated: int | None  # by the header; None where it does not say
    there: int  # in the file
    frame: int  # of one sample of all channels; 0 where that varies
    rate: float  # frames per second
    behind: int = 0  # after the sound, that belong to no part of the container
    true_size: tuple[int, bytes] | None = None  # place and bytes of the size, for a header that lacks it

    @property
    def missing(self) -> int:
        """Bytes that are stated but not there; those of a broken frame or a pad byte do not count."""
        stated, unit = self.stated or 0, max(1, self.frame)
        return max(0, stated - self.there) if stated // unit > self.there // unit else 0

    def seconds(self, count: int) -> float | None:
        """How long so many bytes of sound last; None where that varies."""
        return count / self.frame / self.rate if self.frame and self.rate > 0 else None


def what_else(head: bytes) -> str:
    """What kind of file it is that is no sound, by its first bytes, with what to do; "" where unknown."""
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page (HTML); download the file itself"
    if start.startswith(b"<?xml"):
        return "XML text"
    if head and not head.strip(b"\0"):
        return "nothing but zero bytes; get the file again"
    text = " ".join(head[:512].decode("utf-8", "ignore").split())
    return "text" if len(text) > 0.8 * min(512, len(head)) and text.isprintable() else ""


def is_sound(head: bytes) -> bool:
    """Whether the first 12 bytes or more mark a kind of sound file."""
    riff = head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE"
    form = head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")
    return riff or form or head[:4] in (b"fLaC", b"OggS", b"caff", b".snd") or head[4:11] == b"ftypM4A"


def body(file: BinaryIO, start: int, size: int) -> Body | None:
    """The sound of a WAV, RF64, BW64, Wave64, AIFF, AIFF-C, AU or CAF file; None for any other kind.

    start: where the container begins, behind an ID3 tag. size: of the file. Raises Damaged where its parts
    contradict each other.
    """
    file.seek(start)
    head = file.read(40)
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wave(file, start + 12, size, ">" if head[:4] == b"RIFX" else "<")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, start + 12, size)
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return _wave64(file, start + 40, size)
    if head[:4] in (b".snd", b"dns.") and len(head) >= 24:
        return _au(file, start, size)
    if head[:4] == b"caff":
        return _caf(file, start + 8, size)
    return None


def after_id3(file: BinaryIO) -> int:
    """Where a file's own format begins: behind the ID3v2 tags before it."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
            return place
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        place += 10 + length + (10 if head[5] & 0x10 else 0)


def mpeg_frames(file: BinaryIO, start: int) -> int | None:
    """How many frames the Xing, Info or VBRI header of an MP3 states; None where it has no such header."""
    file.seek(start)
    head = file.read(8192)
    for name in (b"Xing", b"Info"):
        place = head.find(name)
        if 0 < place < len(head) - 12:
            flags, frames = struct.unpack(">II", head[place + 4 : place + 12])
            return frames if flags & 1 else None
    place = head.find(b"VBRI")
    return struct.unpack(">I", head[place + 14 : place + 18])[0] if 0 < place < len(head) - 18 else None


def flac_samples(file: BinaryIO, start: int) -> int:
    """The number of samples that a FLAC's STREAMINFO states; 0 stands for unknown."""
    file.seek(start + 21)
    return int.from_bytes(file.read(5), "big") & 0xFFFFFFFFF


@dataclass(frozen=True)
class OggPages:
    """The streams of an Ogg file."""

    links: int  # streams one after another: 1 for a plain file
    whole: bool  # whether the last one ends as it must
    forms: frozenset[tuple[int, int]] = frozenset()  # (channels, rate); rate 0 where the coding has only one


def ogg_pages(file: BinaryIO, start: int, size: int) -> OggPages:
    """Check that each page of an Ogg file is as it was written, and that none is missing.

    Decoders silently leave out a page whose checksum is wrong. Raises Damaged.
    """
    place, links, opened, ended, numbers, forms = start, 0, False, False, {}, set()
    while place < size:
        file.seek(place)
        head = file.read(27)
        if head[:4] != b"OggS":
            if place > start and (ended or _is_tag(head)):
                break  # a tag, or what else lies behind the end
            raise Damaged(f"no page of Ogg begins at byte {place}")
        table = file.read(head[26]) if len(head) == 27 else b""
        content = file.read(sum(table))
        if len(head) < 27 or len(table) < head[26] or len(content) < sum(table):
            return OggPages(links, False)
        serial, number, checksum = struct.unpack("<III", head[14:26])
        if _ogg_checksum(head[:22] + bytes(4) + head[26:] + table + content) != checksum:
            raise Damaged(f"the page at byte {place} is not as it was written")
        first = bool(head[5] & 2)
        if not first and number != numbers.get(serial, number - 1) + 1:
            raise Damaged(f"pages are missing before byte {place}")
        numbers[serial] = number
        links += first and not opened
        if first and content[:7] == b"\x01vorbis":
            forms.add((content[11], int.from_bytes(content[12:16], "little")))
        elif first and content[:8] == b"OpusHead":
            forms.add((content[9], 0))
        opened, ended = first, bool(head[5] & 4)
        place += 27 + len(table) + len(content)
    return OggPages(links, ended, frozenset(forms))


def asf_bytes(file: BinaryIO) -> int:
    """The size of the whole file as an ASF (WMA) header states it; 0 where there is none."""
    file.seek(0)
    head = file.read(8192)
    place = head.find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 40
    known = head.startswith(bytes.fromhex("3026b2758e66cf11")) and place > 40
    return int.from_bytes(head[place : place + 8], "little") if known else 0


def lacks_index(file: BinaryIO, size: int) -> bool:
    """Whether a file is MP4 or M4A without its index, the box `moov`, which recorders write last.

    Boxes are those of ISO/IEC 14496-12, section 4.2: their length, their name, their content.
    """
    place, names = 0, set()
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length, name = int.from_bytes(head[:4]), head[4:8]
        if not names and name != b"ftyp":
            return False
        names.add(name)
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length < 8:  # 0: up to the end of the file
            break
        place += length
    return bool(names) and not names & {b"moov", b"moof"}


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 as RFC 3533 has it: zlib's, with every byte and the result mirrored and another start."""
    checksum = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(checksum.to_bytes(4, "little").translate(_MIRRORED), "big")


def _wave(file: BinaryIO, place: int, size: int, order: str) -> Body:
    frame, rate, large, ds64 = 0, 0.0, None, 0
    for name, start, length in _chunks(file, place, size, order):
        if name == b"ds64":
            ds64 = start + 8
            file.seek(ds64)
            large = int.from_bytes(file.read(8), "little")
        elif name == b"fmt ":
            frame, rate = _wave_format(file, start, order)
        elif name == b"data":
            at, form = start - 4, f"{order}I"
            if length == 0xFFFFFFFF and large is not None:
                length, at, form = (large if 0 < large < 1 << 62 else None), ds64, "<Q"
            elif _is_piped(length) or (length == 0 and not _all_chunks(file, start, size, order)):
                length = None
            sound = _bounded(file, start, size, length, frame, rate, order)
            return _with_size(sound, at, form)
    raise Damaged("no part of it is marked as its sound")


def _wave_format(file: BinaryIO, start: int, order: str) -> tuple[int, float]:
    """(bytes per frame or 0, rate) of a fmt chunk. Raises Damaged."""
    file.seek(start)
    fields = file.read(16)
    if len(fields) < 16:
        raise Damaged("its format is broken off")
    kind, channels, rate, _, block, bits = struct.unpack(f"{order}HHIIHH", fields)
    if channels == 0 or rate == 0:
        raise Damaged(f"its header states {channels} channels at {rate} Hz")
    if kind == 0xFFFE:
        file.seek(start + 24)
        kind = int.from_bytes(file.read(2), "little" if order == "<" else "big")
    if kind not in (1, 3, 6, 7):
        return 0, float(rate)
    if block % channels or not (bits + 7) // 8 <= block // channels <= 8:
        raise Damaged(f"its header states {channels} channels of {bits} bits in {block} bytes")
    return block, float(rate)


def _aiff(file: BinaryIO, place: int, size: int) -> Body:
    frame, rate, frames, sound = 0, 0.0, None, None
    for name, start, length in _chunks(file, place, size, ">"):
        if name == b"COMM":
            file.seek(start)
            fields = file.read(22)
            if len(fields) < 18:
                raise Damaged("its format is broken off")
            channels, frames, bits, exponent, mantissa = struct.unpack(">HIHHQ", fields[:18])
            rate = mantissa / 2**63 * 2.0 ** ((exponent & 0x7FFF) - 16383) if exponent < 0x4020 else 0.0
            if channels == 0 or rate < 1:
                raise Damaged(f"its header states {channels} channels at {rate:g} Hz")
            plain = length < 22 or fields[18:22] in _AIFF_PLAIN
            frame = channels * ((bits + 7) // 8) if plain else 0
        elif name == b"SSND":
            sound = (start, length)
            if _is_piped(length) or (length == 0 and not _all_chunks(file, start, size, ">")):
                break
    if sound is None or frames is None:
        raise Damaged("no part of it is marked as its sound" if frames is not None else "it has no format")
    start, length = sound
    file.seek(start)
    skipped = 8 + int.from_bytes(file.read(4), "big")
    if skipped > 8:
        raise Damaged(f"its sound is said to begin {skipped - 8} bytes after its place")
    piped = _is_piped(length) or (length == 0 and not _all_chunks(file, start, size, ">"))
    whole = _bounded(file, start + skipped, size, None if piped else length - skipped, frame, rate, ">")
    if piped:
        return _with_size(whole, start - 4, ">I", more=skipped)
    if not frame or not frames:
        return whole
    stated = max(whole.stated or 0, frames * frame)  # two places state the length, and neither is trusted
    behind = max(whole.behind, (whole.stated or 0) - frames * frame)
    return Body(stated, whole.there, frame, rate, behind if behind >= frame else 0)


def _wave64(file: BinaryIO, place: int, size: int) -> Body:
    frame, rate = 0, 0.0
    while place + 24 <= size:
        file.seek(place)
        name, length = struct.unpack("<4s12xQ", file.read(24))
        if name == b"fmt ":
            frame, rate = _wave_format(file, place + 24, "<")
        elif name == b"data":
            stated = None if length in (0, 24) and place + 24 < size or length >= 1 << 62 else length - 24
            there = size - place - 24
            if stated is None:
                return _with_size(Body(None, there, frame, rate), place + 16, "<Q", more=24)
            end = min(size, place + 24 + stated)
            file.seek(end + -stated % 8 + 16)
            after = int.from_bytes(file.read(8), "little")
            behind = 0 if 24 <= after <= size - end or size - end < 8 else size - end
            return Body(stated, min(there, stated), frame, rate, behind)
        if length < 24:
            break
        place += length + -length % 8
    raise Damaged("no part of it is marked as its sound")


def _au(file: BinaryIO, start: int, size: int) -> Body:
    file.seek(start)
    head = file.read(24)
    order = ">" if head[:4] == b".snd" else "<"
    offset, length, encoding, rate, channels = struct.unpack(f"{order}5I", head[4:24])
    if offset < 24 or start + offset > size:
        raise Damaged(f"its sound is said to begin at byte {offset} of {size}")
    if not file.read(min(offset - 24, 256)).replace(b"\0", b" ").decode("latin-1").isprintable():
        raise Damaged(f"its sound is said to begin at byte {offset}, and does before")
    if channels == 0 or rate == 0:
        raise Damaged(f"its header states {channels} channels at {rate} Hz")
    there = size - start - offset
    stated = None if _is_piped(length) or (length == 0 and there) else length
    behind = 0 if stated is None else max(0, there - stated)
    frame = channels * _AU_BYTES.get(encoding, 0)
    sound = Body(stated, min(there, length) if stated is not None else there, frame, float(rate), behind)
    return _with_size(sound, start + 8, f"{order}I")


def _caf(file: BinaryIO, place: int, size: int) -> Body:
    frame, rate = 0, 0.0
    while place + 12 <= size:
        file.seek(place)
        name, length = struct.unpack(">4sq", file.read(12))
        start = place + 12
        if name == b"desc":
            rate, coding, _, packet, frames, channels, _ = struct.unpack(
                ">d4s5I", file.read(32).ljust(32, b"\0")
            )
            if channels == 0 or not 1 <= rate < 1e9:
                raise Damaged(f"its header states {channels} channels at {rate:g} Hz")
            if coding == b"lpcm" and frames != 1:
                raise Damaged(f"its header states {frames} samples in one packet of {packet} bytes")
            frame = packet if frames == 1 else 0
        elif name == b"data":
            there = max(0, size - start - 4)
            if length == -1:
                return _with_size(Body(None, there, frame, rate), start - 8, ">q", more=4)
            behind = _caf_behind(file, start + length, size)
            return Body(length - 4, min(there, length - 4), frame, rate, behind)
        if length < 0:
            break
        place = start + length
    raise Damaged("no part of it is marked as its sound")


def _caf_behind(file: BinaryIO, place: int, size: int) -> int:
    """Bytes from `place` on that are no chunks. Raises Damaged for a chunk that is broken off."""
    while place + 12 <= size:
        file.seek(place)
        name, length = struct.unpack(">4sq", file.read(12))
        if length < 0 or not all(32 <= letter < 127 for letter in name):
            return size - place
        place += 12 + length
        if place > size:
            raise Damaged("its last part is broken off")
    return 0


def _bounded(
    file: BinaryIO, start: int, size: int, stated: int | None, frame: int, rate: float, order: str
) -> Body:
    """The sound from `start` on, and how many bytes behind it belong to nothing."""
    there = max(0, size - start)
    if stated is None or stated >= there:
        return Body(stated, there, frame, rate)
    end = start
    for place in {start + stated + stated % 2, start + stated}:  # some writers leave the pad byte out
        end = max(end, place)
        for _, begin, length in _chunks(file, place, size, order):
            end = max(end, min(size, begin + length))
    file.seek(min(end, start + stated))
    rest = file.read(16)
    file.seek(end)
    left = file.read(1 << 16)
    behind = size - end if left.strip(b"\0") and not _is_tag(left) and not _is_tag(rest) else 0
    return Body(stated, stated, frame, rate, behind)


def _with_size(sound: Body, place: int, form: str, more: int = 0) -> Body:
    """The sound with its true size, where its header states none and has room for it."""
    size = sound.there + more
    if sound.stated is not None or size >= 1 << 8 * struct.calcsize(form):
        return sound
    return replace(sound, true_size=(place, struct.pack(form, size)))


def _chunks(file: BinaryIO, place: int, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content begins, its length) of each chunk, up to what is no name of a chunk."""
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack(f"{order}4sI", file.read(8))
        if not all(32 <= letter < 127 for letter in name):
            return
        yield name, place + 8, length
        place += 8 + length
        if length % 2:  # padded to an even length, which some writers forget
            file.seek(place)
            after = file.read(5)
            place += 0 if len(after) > 3 and after[0] and after[:4].strip().isalnum() else 1


def _all_chunks(file: BinaryIO, place: int, size: int, order: str) -> bool:
    """Whether there are only whole chunks from `place` to the end."""
    end = place
    for _, start, length in _chunks(file, place, size, order):
        end = start + length
    return size - 1 <= end <= size + 1


def _is_piped(length: int) -> bool:
    return any(low <= length <= high for low, high in _PIPED)


def _is_tag(rest: bytes) -> bool:
    return rest.startswith(_TAGS)
