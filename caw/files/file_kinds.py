"""What a file is that bears the name of a sound file and holds no sound, told by its first bytes."""

from __future__ import annotations

_MAGIC = (  # what may bear the name of a sound file; offset, bytes, what it is
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


def what_else(head: bytes) -> str:
    """What a file that is no sound is, with what to do, by its first bytes; "" where they do not say."""
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
    """Whether the first 12 bytes or more are those of a kind of sound file that says so."""
    riff = head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE"
    form = head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC")
    return riff or form or head[:4] in (b"fLaC", b"OggS", b"caff", b".snd") or head[4:11] == b"ftypM4A"
