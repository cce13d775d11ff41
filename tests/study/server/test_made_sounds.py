"""Sounds that are made when they are asked for: by many at once, and after somebody has tidied up."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from study.server import headphone_check
from study.server.made_sounds import MadeSounds

MANY = 12


def write(path: Path) -> None:
    path.write_bytes(b"sound")


def test_many_who_ask_at_once_are_given_one_file_that_stays():
    """Each of them would have made a folder of its own, and all but one vanished while they were sent."""
    sounds, barrier = MadeSounds(), threading.Barrier(MANY)

    def made(path: Path) -> None:
        barrier.wait(60)  # nobody's is there before all have begun
        write(path)

    with ThreadPoolExecutor(MANY) as pool:
        paths = list(pool.map(lambda _: sounds.file("tone.wav", made), range(MANY)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == b"sound"
    assert [one.name for one in paths[0].parent.iterdir()] == ["tone.wav"]


def test_what_somebody_has_tidied_up_is_made_again():
    sounds = MadeSounds()
    shutil.rmtree(sounds.file("a.wav", write).parent)
    assert sounds.file("a.wav", write).read_bytes() == b"sound"
    sounds.file("a.wav", write).unlink()
    assert sounds.file("a.wav", write).is_file()


def test_of_many_files_those_used_last_stay():
    sounds = MadeSounds(kept=2)
    for number, name in enumerate(("a.wav", "b.wav")):
        os.utime(sounds.file(name, write), (number, number))
    first = sounds.file("a.wav", write)  # used again
    sounds.file("c.wav", write)
    assert sorted(one.name for one in first.parent.iterdir()) == ["a.wav", "c.wav"]


def test_a_file_that_cannot_be_made_leaves_nothing_half():
    sounds = MadeSounds()
    folder = sounds.file("a.wav", write).parent

    def fails(path: Path) -> None:
        write(path)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        sounds.file("b.wav", fails)
    assert [one.name for one in folder.iterdir()] == ["a.wav"]


def test_sounds_of_the_headphone_check_come_back_as_well():
    asked = ("secret", "huggins", -20.0, 1, 1, 1)
    before = headphone_check.file_of(*asked)
    content = before.read_bytes()
    shutil.rmtree(before.parent)
    assert headphone_check.file_of(*asked).read_bytes() == content
