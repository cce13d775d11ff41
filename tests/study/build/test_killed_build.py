"""Builds that are killed, at every rename and at random moments, and go on."""

import os
import random
import signal
import time

import pytest

from study.folder import StudyFolder

from .test_build import built, check_whole, key_of


def die_at(call: int, after: bool):
    """Patch renames in this (child) process so that it is killed at the given one."""
    count = [0]

    def deadly(rename):
        def patched(*args, **kwargs):
            count[0] += 1
            if count[0] == call and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = rename(*args, **kwargs)
            if count[0] == call and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return patched

    os.replace, os.rename = deadly(os.replace), deadly(os.rename)


def build_in_child(folder: StudyFolder, prepare) -> int:
    child = os.fork()
    if child == 0:
        try:
            prepare()
            built(folder)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return child


SMALL = {
    "sets": "[set.UMG]\nfakes = 2\noriginals = 1\n[set.VAR]\nfakes = 1\noriginals = 0\n",
    "stimuli": "[stimuli]\nseconds = 0.5\ntrim = 0.1\n",
    "listening": "[listening]\npractice = 1\n",
}


@pytest.mark.filterwarnings("ignore:This process")
def test_killed_at_any_rename_a_build_goes_on_to_the_same_end(new_study):
    whole = new_study("whole", **SMALL)
    whole.toml.write_text(whole.toml.read_text().replace("[100, 200]", "[100]"))
    built(whole)
    expected = sorted((row["set"], row["name"]) for row in key_of(whole))
    finished, call = False, 0
    while not finished:
        call += 1
        folder = new_study(f"killed-{call}", **SMALL)
        folder.toml.write_text(whole.toml.read_text())
        child = build_in_child(folder, lambda call=call: die_at(call, after=call % 2 == 0))
        status = os.waitpid(child, 0)[1]
        finished = os.WIFEXITED(status)
        assert finished or os.WTERMSIG(status) == signal.SIGKILL
        if folder.sets.exists():  # then they are whole
            assert len(list(folder.sets.rglob("*.wav"))) == len(expected)
        built(folder)
        check_whole(folder)
        assert sorted((row["set"], row["name"]) for row in key_of(folder)) == expected
        same = [
            file.read_bytes() == (whole.pool / file.name).read_bytes() for file in folder.pool.glob("*.wav")
        ]
        assert same == [True] * len(list(whole.pool.glob("*.wav")))
    assert os.WEXITSTATUS(status) == 0
    assert call > 15


@pytest.mark.filterwarnings("ignore:This process")
def test_killed_at_random_moments_again_and_again(new_study):
    folder = new_study()
    dice = random.Random(1)
    for _ in range(12):
        child = build_in_child(folder, lambda: None)
        time.sleep(dice.uniform(0.0, 0.4))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    built(folder)
    check_whole(folder)
