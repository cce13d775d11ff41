import hashlib
import os
import shutil
import signal
import time

import numpy as np
import pytest

from caw import atomic
from study import design
from study.design import DesignError
from study.folder import StudyFolder
from study.preparation import backends, plan
from study.preparation.build import build
from study.preparation.grid import CellsFailed

TINY = '[backend.caw]\ndevice = "cpu"\nrate = 4000\nscales = [1000, 4000]\nchannels = 4\nlayers = 2\n'
TINY += "bands = 40\nscore_channels = 4\nscore_layers = 2\nscore_crop = 1.0\nscore_draw_steps = 1\n"
TINY += "finer_layers = 2\ndraw_steps = 2\nfiner_draw_steps = 1\ncrop = 1.0\nfiner_crop = 0.5\nbatch = 1\n"


@pytest.fixture(autouse=True)
def one_thread():
    """Nets this small lose time by sharing their work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def caw_study(new_study, clip):
    """Two seconds of source, two epoch counts, a model of a few hundred weights."""

    def make(name: str = "study", backend: str = TINY) -> StudyFolder:
        source = f'[[source]]\nfile = "{clip}"\nseconds = 2.0\nepochs = [2, 3]\nclips = 1\n'
        sets = "[set.UMG]\nfakes = 2\noriginals = 1\n[set.VAR]\nfakes = 2\noriginals = 1\n"
        return new_study(name, source=source, sets=sets, backend=backend)

    return make


def pool_digest(folder: StudyFolder) -> str:
    rows = sorted((row["name"], row["sha256"]) for row in atomic.read_csv(folder.pool_table))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def test_a_study_is_trained_made_and_blinded(caw_study):
    folder = caw_study()
    built = build(folder)
    assert {name: len(ids) for name, ids in built.stimuli.items()} == {"UMG": 3, "VAR": 3}
    assert sorted(path.name for path in folder.models.iterdir() if path.is_dir()) == ["riff-2", "riff-3"]
    rows = {row["name"]: row for row in atomic.read_csv(folder.pool_table)}
    assert rows["riff-UMG-2-1"]["run"] == rows["riff-VAR-2-1"]["run"] == "riff-2"
    assert {row["epochs"] for row in rows.values() if row["backend"] == "caw"} == {"2", "3"}
    assert len({row["seed"] for row in rows.values() if row["backend"] == "caw"}) == 5


def test_another_build_of_the_same_study_makes_the_same_clips(caw_study):
    folders = [caw_study("one"), caw_study("two")]
    for folder in folders:
        build(folder)
    assert pool_digest(folders[0]) == pool_digest(folders[1])


def test_runs_are_kept_and_only_lost_clips_made_again(caw_study):
    folder = caw_study()
    build(folder)
    weights = folder.models / "riff-2" / "finished.json"
    before, digest = weights.stat().st_mtime_ns, pool_digest(folder)
    (folder.pool / "riff-VAR-2-1.wav").unlink()
    build(folder)
    assert weights.stat().st_mtime_ns == before
    assert pool_digest(folder) == digest


@pytest.mark.filterwarnings("ignore:This process")
def test_a_training_that_was_killed_goes_on(caw_study):
    from caw import runs  # loads torch before the fork, so that the child need not

    whole, killed = caw_study("whole"), caw_study("killed")
    build(whole)
    child = os.fork()
    if child == 0:
        try:
            build(killed)
        finally:
            os._exit(0)
    for _ in range(300):
        if (killed.models / "riff-2" / runs.CONFIG).exists():
            break
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not killed.sets.exists()
    build(killed)
    assert pool_digest(killed) == pool_digest(whole)


def test_a_run_of_other_settings_is_never_taken_for_this_one(caw_study):
    folder = caw_study()
    build(folder)
    shutil.rmtree(folder.pool)
    folder.toml.write_text(folder.toml.read_text().replace("\nlayers = 2", "\nlayers = 3"))
    with pytest.raises(
        CellsFailed, match=r"riff-2: was trained from something else \(layers differ\); move or"
    ):
        build(folder)
    folder.toml.write_text(folder.toml.read_text().replace("\nlayers = 3", "\nlayers = 2"))
    build(folder)


def test_a_run_with_a_missing_file_is_one_clear_line(caw_study):
    folder = caw_study()
    build(folder)
    shutil.rmtree(folder.pool)
    (folder.models / "riff-2" / "scale-01.safetensors").unlink()
    with pytest.raises(
        ValueError, match="riff-2 lacks scale-01.safetensors; restore it or train the run again"
    ):
        build(folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chanels = 4", "backend.caw.chanels = 4: preset fast has no setting 'chanels'"),
        ("epochs = 4", "backend.caw.epochs = 4: epochs is set by [[source]] epochs; delete it here"),
        ('preset = "best"', "backend.caw.preset = \"best\": preset is 'best'; use one of fast"),
        ("channels = 0", "backend.caw.channels = 0: channels is 0; use a whole number of 1 or more"),
    ],
)
def test_options_are_checked_before_anything_is_made(caw_study, line, said):
    folder = caw_study(backend=f"[backend.caw]\n{line}\n")
    with pytest.raises(DesignError) as caught:
        build(folder)
    assert said in str(caught.value)
    assert not folder.pool.exists()


def test_runs_of_one_source_share_their_seed_and_clips_do_not(caw_study):
    folder = caw_study()
    todo = plan.make(design.load(folder.path), folder)
    tasks = [task for name, task in todo.tasks if name == "caw"]
    seeds = {backends.seed_for(task.seed, "train", task.cell.source) for task in tasks}
    assert len(seeds) == 1


def test_costs_share_the_training_of_both_modes(caw_study):
    folder = caw_study()
    todo = plan.make(design.load(folder.path), folder)
    parts = [set(backends.get(name).costs(task)) for name, task in todo.tasks]
    assert parts[0] & parts[1] == {"train riff-2"}
    assert all(
        np.isfinite(c.seconds) for name, task in todo.tasks for c in backends.get(name).costs(task).values()
    )
