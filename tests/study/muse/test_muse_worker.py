"""The worker trains and draws what is missing, is killed at any moment, and ends with its server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caw import audio
from caw.compose import plan as plans
from study.muse.folder import MuseFolder
from study.muse.keeper import Keeper
from study.server import musing
from tests.study.muse.tiny_muse import RATE, new_folder

ROOT = Path(__file__).parents[3]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]  # a busy machine takes minutes


def _worker(folder: MuseFolder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "study.muse.worker", str(folder.path)],
        stdin=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def _until(true, process: subprocess.Popen | None = None) -> None:
    """Waits for what another process does; the test's own time limit ends it."""
    while not true():
        assert process is None or process.poll() is None
        time.sleep(0.02)


def _made(folder: MuseFolder) -> list[str]:
    return [clip.name for each in folder.rounds() for clip in each.clips if folder.clip(clip.name)]


def _whole(folder: MuseFolder, rounds: int) -> bool:
    """Whether so many rounds are there and every clip of them is made."""
    names = [clip.name for each in folder.rounds() for clip in each.clips]
    return len(folder.rounds()) == rounds and _made(folder) == names and folder.progress().doing == "waiting"


def test_a_folder_goes_from_a_song_to_two_rounds(tmp_path):
    folder = new_folder(tmp_path, epochs=90, clips=6)
    here = musing.open_folder(folder)
    here.keeper.start()
    _until(lambda: _whole(folder, 1))
    first = folder.rounds()[0]
    assert [clip.why for clip in first.clips] == ["early"] * 3 + ["first"] * 6
    assert {folder.clip(clip.name).epochs for clip in first.clips if clip.why == "early"} == {40}
    assert {folder.clip(clip.name).epochs for clip in first.clips if clip.why == "first"} == {90}
    for clip in first.clips:
        made = folder.clip(clip.name)
        info = audio.inspect(folder.sound(clip.name))
        assert (info.rate, info.seconds) == (RATE, pytest.approx(made.seconds, abs=0.001))
        assert 0 <= made.first < made.last <= made.seconds + 0.001
        plans.read(folder.plan_of(clip.name))
    assert here.ask("press")
    _until(lambda: _whole(folder, 2))
    here.keeper.stop()
    assert here.keeper.process_id is None
    assert not here.keeper.lost


def test_a_worker_killed_at_any_moment_goes_on_to_the_same_clips(tmp_path):
    """Killed as soon as each next thing is there; at last the clips are those of a run without a kill."""
    straight = new_folder(tmp_path / "straight", seed=5)
    worker = _worker(straight)
    _until(lambda: _whole(straight, 1), worker)
    worker.communicate()
    killed = new_folder(tmp_path / "killed", seed=5)
    moments = [
        lambda: bool(killed.rounds()),
        lambda: (killed.model / "4" / "config.json").is_file(),
        lambda: killed.sound("1-2").is_file(),
    ]
    for moment in moments:
        worker = _worker(killed)
        _until(moment, worker)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    worker = _worker(killed)
    _until(lambda: _whole(killed, 1), worker)
    assert worker.communicate() == (None, None)
    assert worker.returncode == 0
    assert not [file for file in killed.path.rglob(".*.tmp")]
    for name in _made(straight):
        assert straight.clip(name) == killed.clip(name)


def test_a_lost_worker_is_replaced(tmp_path):
    folder = new_folder(tmp_path)
    keeper = Keeper(folder)
    keeper.start()
    _until(lambda: folder.plan.is_file())
    lost = keeper.process_id
    os.kill(lost, signal.SIGKILL)
    _until(lambda: _whole(folder, 1))
    assert keeper.process_id != lost
    keeper.stop()


def test_a_worker_ends_when_its_server_is_killed(tmp_path):
    folder = new_folder(tmp_path, epochs=100_000)
    code = (
        "import sys, time; from study.muse.folder import MuseFolder; from study.muse.keeper import Keeper\n"
        "keeper = Keeper(MuseFolder(sys.argv[1])); keeper.start()\n"
        "while keeper.process_id is None: time.sleep(0.01)\n"
        "print(keeper.process_id, flush=True); time.sleep(10_000)"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    worker = int(server.stdout.readline())
    _until(lambda: folder.progress().share > 0)
    server.kill()
    server.wait()
    _until(
        lambda: not Path(f"/proc/{worker}").exists() or "zombie" in Path(f"/proc/{worker}/status").read_text()
    )
    with folder.worked_on():  # its lock is free for the next one
        assert (folder.model / "40" / "config.json").is_file()
        assert not list(folder.path.rglob(".*.tmp"))
