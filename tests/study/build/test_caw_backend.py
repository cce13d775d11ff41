import os
import shutil
import signal
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from caw import audio
from caw.compose.plan import Plan
from caw.files import atomic, spreadsheet
from study import backends, design
from study.build import plan
from study.build.build import build
from study.build.grid import CellsFailed, TrainingGrid
from study.build.progress import BuildProgress
from study.design import DesignError
from study.folder import StudyFolder
from study.pool import Pool
from tests.study.build.conftest import die_at, pool_digest
from tests.study.conftest import song

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = '[backend.caw]\ndevice = "cpu"\nrate = 4000\nscales = [1000, 4000]\nchannels = 4\nlayers = 2\n'
TINY += "bands = 40\nscore_channels = 4\nscore_layers = 2\nscore_crop = 1.0\nscore_draw_steps = 1\n"
TINY += "finer_layers = 2\ndraw_steps = 2\nfiner_draw_steps = 1\ncrop = 1.0\nfiner_crop = 0.5\nbatch = 1\n"


@pytest.fixture
def caw_study(new_study, clip):
    """Two seconds of source, two epoch counts, a model of a few hundred weights."""

    def make(name: str = "study", backend: str = TINY, epochs: tuple[int, ...] = (2, 3)) -> StudyFolder:
        source = f'[[source]]\nfile = "{clip}"\nseconds = 2.0\nepochs = {list(epochs)}\nclips = 1\n'
        fakes = len(epochs)
        sets = f"[set.UMG]\nfakes = {fakes}\noriginals = 1\n[set.VAR]\nfakes = {fakes}\noriginals = 1\n"
        return new_study(name, source=source, sets=sets, backend=backend)

    return make


def made(folder: StudyFolder) -> dict[str, str]:
    """Clip -> digest of its samples."""
    rows = spreadsheet.records(folder.pool_table)
    return {row["name"]: row["sha256"] for row in rows if row["backend"] == "caw"}


def tasks_of(folder: StudyFolder):
    todo = plan.make(design.load(folder.path), folder)
    return [(backends.get(name), task) for name, task in todo.tasks]


def test_a_study_is_trained_made_and_blinded(caw_study):
    folder = caw_study()
    built = build(folder)
    assert {name: len(ids) for name, ids in built.stimuli.items()} == {"UMG": 3, "VAR": 3}
    assert sorted(path.name for path in folder.models.iterdir() if path.is_dir()) == ["riff-2", "riff-3"]
    rows = {row["name"]: row for row in spreadsheet.records(folder.pool_table)}
    assert rows["riff-UMG-2-1"]["run"] == rows["riff-VAR-2-1"]["run"] == "riff-2"
    assert {row["epochs"] for row in rows.values() if row["backend"] == "caw"} == {"2", "3"}
    assert len({row["seed"] for row in rows.values() if row["backend"] == "caw"}) == 5


def test_another_build_of_the_same_study_makes_the_same_clips(caw_study):
    folders = [caw_study("one"), caw_study("two")]
    for folder in folders:
        build(folder, pool_only=True)
    assert pool_digest(folders[0]) == pool_digest(folders[1])


def test_trainings_of_a_source_are_runs_and_jobs_of_their_own(caw_study):
    once, twice = caw_study("once"), caw_study("twice")
    twice.toml.write_text(twice.toml.read_text().replace("clips = 1\n", "clips = 1\ntrainings = 2\n"))
    jobs = TrainingGrid(
        list(plan.make(design.load(twice.path), twice).tasks), Pool(twice), {}, {}, BuildProgress()
    ).jobs
    assert sorted(len(job.tasks) for job in jobs) == [4, 4]  # two epoch counts in two modes each
    for folder in (once, twice):
        build(folder, pool_only=True)
    assert sorted(path.name for path in twice.models.iterdir() if path.is_dir()) == [
        "riff-2",
        "riff-3",
        "riff-t2-2",
        "riff-t2-3",
    ]
    weights = {path.parent.name: path.read_bytes() for path in twice.models.glob("*/scale-00.*")}
    assert len(set(weights.values())) == len(weights) == 4
    first = {name: digest for name, digest in made(once).items() if name in made(twice)}
    assert first.items() <= made(twice).items()
    assert len(first) >= 4
    runs = {row["name"]: row["run"] for row in spreadsheet.records(twice.pool_table)}
    assert runs["riff-VAR-3-t2-1"] == "riff-t2-3"


def test_runs_are_kept_and_only_lost_clips_made_again(caw_study):
    folder = caw_study()
    build(folder, pool_only=True)
    weights = folder.models / "riff-2" / "finished.json"
    before, digest = weights.stat().st_mtime_ns, pool_digest(folder)
    (folder.pool / "riff-VAR-2-1.wav").unlink()
    build(folder, pool_only=True)
    assert weights.stat().st_mtime_ns == before
    assert pool_digest(folder) == digest


@pytest.mark.filterwarnings("ignore:This process")
def test_a_training_that_was_killed_goes_on(caw_study):
    from caw import runs  # loads torch before the fork, so that the child need not
    from caw.flow import training as flow_trainer

    whole, killed = caw_study("whole"), caw_study("killed")
    build(whole, pool_only=True)
    child = os.fork()
    if child == 0:
        try:
            die_at(flow_trainer.FlowTrainer, "step", 4)
            build(killed)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert (killed.models / "riff-2" / runs.CONFIG).exists()
    assert not killed.sets.exists()
    build(killed, pool_only=True)
    assert pool_digest(killed) == pool_digest(whole)


def test_a_run_of_other_settings_is_never_taken_for_this_one(caw_study):
    folder = caw_study()
    build(folder, pool_only=True)
    shutil.rmtree(folder.pool)
    folder.toml.write_text(folder.toml.read_text().replace("\nlayers = 2", "\nlayers = 3"))
    with pytest.raises(
        CellsFailed, match=r"riff-2: was trained from something else \(layers differ\); move or"
    ):
        build(folder, pool_only=True)
    folder.toml.write_text(folder.toml.read_text().replace("\nlayers = 3", "\nlayers = 2"))
    build(folder, pool_only=True)


def test_a_run_with_a_missing_file_is_one_clear_line(caw_study):
    folder = caw_study()
    build(folder, pool_only=True)
    shutil.rmtree(folder.pool)
    (folder.models / "riff-2" / "scale-01.safetensors").unlink()
    with pytest.raises(
        ValueError, match="riff-2 lacks scale-01.safetensors; restore it or train the run again"
    ):
        build(folder, pool_only=True)


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


def test_runs_that_share_steps_make_what_they_make_alone(caw_study, monkeypatch):
    from caw.flow import training as flow_trainer

    steps = []
    step = flow_trainer.FlowTrainer.step

    def counted(trainer, epoch):
        steps.append(epoch)
        return step(trainer, epoch)

    monkeypatch.setattr(flow_trainer.FlowTrainer, "step", counted)
    shared = caw_study("shared", epochs=(2, 3, 5))
    build(shared, pool_only=True)
    assert len(steps) == 4 * 5  # of three scales, the first of which takes two in each epoch
    assert (shared.models / "riff.trunk.pt").exists()
    for epochs in (2, 3, 5):
        alone = caw_study(f"alone-{epochs}", epochs=(epochs,))
        build(alone, pool_only=True)
        both = made(alone).keys() & made(shared).keys()
        assert {f"riff-UMG-{epochs}-1", f"riff-VAR-{epochs}-1"} <= both
        assert all(made(alone)[name] == made(shared)[name] for name in both)


def test_a_shorter_count_that_is_added_later_makes_what_it_makes_alone(caw_study):
    whole, later = caw_study("whole", epochs=(2, 3)), caw_study("later", epochs=(3,))
    build(whole, pool_only=True)
    build(later, pool_only=True)
    text = later.toml.read_text().replace("epochs = [3]", "epochs = [2, 3]").replace("fakes = 1", "fakes = 2")
    later.toml.write_text(text)
    build(later, pool_only=True)
    common = made(whole).keys() & made(later).keys()
    assert len(common) >= 4
    assert all(made(whole)[name] == made(later)[name] for name in common)


@pytest.mark.parametrize("moment", ["second run", "trunk", "second end"])
def test_a_chain_that_was_killed_goes_on_to_the_same_clips(caw_study, moment, monkeypatch):
    from caw import runs

    class Killed(BaseException):
        """Where nothing is left to a process, nothing is caught either."""

    def dying(path, *arguments, **options):
        if (path.parent.name, path.name) == moments[moment]:
            raise Killed
        return write(path, *arguments, **options)

    moments = {"second run": ("riff-3", runs.CONFIG), "second end": ("riff-3", runs.FINISHED)}
    moments["trunk"] = ("models", "riff.trunk.pt")
    whole, killed = caw_study("whole"), caw_study("killed")
    build(whole, pool_only=True)
    with monkeypatch.context() as patch:
        write = atomic.write
        patch.setattr(atomic, "write", dying)
        with pytest.raises(Killed):
            build(killed, pool_only=True)
    build(killed, pool_only=True)
    assert pool_digest(killed) == pool_digest(whole)


def test_runs_of_one_source_are_one_piece_of_work(caw_study):
    shared = tasks_of(caw_study("shared"))
    assert {backend.shared_job(task) for backend, task in shared} == {"riff"}
    assert {backend.artifacts(task) for backend, task in shared} == {
        (f"riff-{n}", f"riff-{n}.recipe.json", "riff.trunk.pt") for n in (2, 3)
    }
    apart = tasks_of(caw_study("apart", backend='[backend.caw]\npreset = "paper"\n'))
    assert {backend.shared_job(task) for backend, task in apart} == {"riff-2", "riff-3"}
    assert {backend.artifacts(task) for backend, task in apart} == {
        (f"riff-{n}", f"riff-{n}.recipe.json") for n in (2, 3)
    }


@pytest.mark.parametrize(("preset", "epochs"), [("fast", 400), ("standard", 400), ("paper", 1020)])
def test_costs_count_shared_work_once(caw_study, preset, epochs):
    """Runs of several counts take about the steps of the longest, or each its own."""
    backend = f'[backend.caw]\npreset = "{preset}"\n'
    costs = {}
    tasks = tasks_of(caw_study(backend=backend, epochs=(100, 250, 270, 400)))
    for found, task in tasks:
        costs |= found.costs(task)
    training = sum(cost.seconds for name, cost in costs.items() if name.startswith("train"))
    length = 2.0 / 25.0 if preset == "paper" else 1.0
    per_epoch = {"fast": 0.5, "standard": 0.8, "paper": 600.0 * length}[preset]
    assert training / per_epoch == pytest.approx(epochs, abs=20)
    assert sum(cost.disk for cost in costs.values()) > 4 * 7e6


def test_costs_fall_as_the_work_is_done(caw_study):
    folder = caw_study(epochs=(2, 3))
    before = [sum(c.seconds for c in backend.costs(task).values()) for backend, task in tasks_of(folder)]
    build(folder, pool_only=True)
    after = [sum(c.seconds for c in backend.costs(task).values()) for backend, task in tasks_of(folder)]
    assert all(a < b for a, b in zip(after, before, strict=True))
    longer = [task for _, task in tasks_of(caw_study("longer", epochs=(4,)))][0]
    shutil.copytree(folder.models, longer.models)
    costs = backends.get("caw").costs(longer)
    assert costs["train riff from 0 to 4"].seconds == pytest.approx(0.5)  # one epoch of the four is missing


def test_clips_follow_plans_and_strengths_and_one_training_serves_them_all(caw_study):
    from caw import runs

    folder = caw_study(epochs=(2,))
    asking = 'plans = { chart = "Em C", own = {} }\nstrength = [0.0, 1.0]\nbridge = true\nclips = 1\n'
    folder.toml.write_text(folder.toml.read_text().replace("clips = 1\n", asking))
    build(folder, pool_only=True)
    pool = Pool(folder)
    run = runs.load(folder.models / "riff-2")
    assert [entry.name for entry in folder.models.iterdir() if entry.is_dir()] == ["riff-2"]
    draws = {
        "riff-UMG-2-chart-1": partial(run.generate, 1.2, plan=Plan.from_options(chords="Em C")),
        "riff-UMG-2-own-1": partial(run.generate, 1.2),
        "riff-VAR-2-s0-1": partial(run.vary, strength=0.0),
        "riff-VAR-2-s100-1": partial(run.vary, strength=1.0),
    }
    for name, draw in draws.items():
        samples = draw(seed=int(pool.rows[name]["seed"]))
        assert np.allclose(samples, pool.read(name)[0], atol=1e-6), name
    facts = {name: (pool.rows[name]["plan"], pool.rows[name]["strength"]) for name in draws}
    assert pool.rows["riff-UMG-2-bridge-1"]["plan"] == "bridge"
    assert len(pool.read("riff-UMG-2-bridge-1")[0]) >= 1.2 * run.rate
    assert list(facts.values()) == [("chart", ""), ("own", ""), ("", "0"), ("", "1")]


def test_an_album_is_learnt_from_first(caw_study, tmp_path):
    audio.write(tmp_path / "album.wav", song(3.0, rate=8000), 8000)
    folder = caw_study(epochs=(2,))
    text = folder.toml.read_text()
    folder.toml.write_text(text.replace("clips = 1\n", 'clips = 1\nalbum = ["../album.wav"]\n'))
    build(folder, pool_only=True)
    assert len(atomic.read_json(folder.models / "riff-2" / "config.json")["album"]) == 1
    shutil.rmtree(folder.pool)
    folder.toml.write_text(text)
    with pytest.raises(
        CellsFailed, match=r"riff-2: was trained from something else \(album differ\); move or"
    ):
        build(folder, pool_only=True)


def test_a_bridge_is_of_new_bars_as_many_as_a_clip_takes(caw_study, monkeypatch):
    from caw.tasks import bridges

    folder = caw_study(epochs=(2,))
    folder.toml.write_text(folder.toml.read_text().replace("clips = 1\n", "clips = 1\nbridge = true\n"))
    ((caw, task),) = [one for one in tasks_of(folder) if one[1].cell.plan == "bridge"]
    asked = []

    def beside(before, after, rate, *, bars, seed):
        """New bars of 0.4 s between two passages, at 4000 Hz."""
        assert np.array_equal(before, after)
        assert (len(before), rate) == (2 * 22050, 22050)
        asked.append(bars)
        new = np.ones(round(bars * 0.4 * 4000), np.float32)
        whole = np.concatenate([np.zeros(100, np.float32), new, np.zeros(100, np.float32)])
        return bridges.NewBars(whole, 4000, 100, 100 + len(new), np.zeros(0))

    monkeypatch.setattr(type(caw), "_trained", lambda *_: SimpleNamespace(rate=4000, beside=beside))
    (clip,) = caw.make(task, lambda *_: None)
    assert asked == [1, 4]
    assert (clip.name, len(clip.samples), clip.samples.min()) == ("riff-UMG-2-bridge-1", 6400, 1.0)
