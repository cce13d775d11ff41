import os
import shutil
import signal
from dataclasses import replace

import pytest

from caw.files import spreadsheet
from study import backends, design
from study.build import plan
from study.build.build import build
from study.design import DesignError
from study.folder import StudyFolder
from tests.study.build.conftest import die_at, pool_digest

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = '[backend.samplernn]\ndevice = "cpu"\nrate = 2000\ndim = 8\nembedding = 4\nstreams = 2\nwindow = 64\n'
TINY += "candidates = 4\n"


@pytest.fixture
def sample_study(new_study, clip):
    """Two seconds of source, two epoch counts, a model of a few hundred weights."""

    def make(name: str = "study", backend: str = TINY, epochs: str = "[4, 9]") -> StudyFolder:
        source = f'[[source]]\nfile = "{clip}"\nseconds = 2.0\nepochs = {epochs}\nclips = 3\n'
        source += 'backend = "samplernn"\n'
        sets = "[set.UMG]\nfakes = 2\noriginals = 1\n[set.VAR]\nfakes = 2\noriginals = 1\n"
        return new_study(name, source=source, sets=sets, backend=backend)

    return make


def tasks(folder: StudyFolder) -> list[backends.Task]:
    return [task for _, task in plan.make(design.load(folder.path), folder).tasks]


@pytest.mark.filterwarnings("ignore:This process")
def test_all_counts_and_modes_of_a_source_share_one_run(sample_study):
    from caw.samplernn import runs, training  # loads torch before the fork, so that the child need not
    from caw.samplernn.config import weights_file

    folder, killed = sample_study(), sample_study("killed")
    todo = tasks(folder)
    assert {backends.get("samplernn").shared_job(task) for task in todo} == {"riff-samplernn"}
    build(folder)
    assert sorted(path.name for path in folder.models.iterdir()) == [
        "riff-samplernn",
        "riff-samplernn.recipe.json",
    ]
    rows = [row for row in spreadsheet.records(folder.pool_table) if row["backend"] == "samplernn"]
    assert {(row["run"], row["epochs"]) for row in rows} == {("riff-samplernn", "4"), ("riff-samplernn", "9")}
    assert runs.load(folder.models / "riff-samplernn").epochs == [4, 9]
    # killed while it trains, the same study has the same clips in the end
    child = os.fork()
    if child == 0:
        try:
            die_at(training._Training, "_step", 6)
            build(killed)
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert (killed.models / "riff-samplernn" / weights_file(4)).exists()
    assert not killed.sets.exists()
    build(killed)
    assert pool_digest(killed) == pool_digest(folder)
    # a later wish for fewer epochs, and a clip that was lost
    (folder.pool / "riff-samplernn-UMG-9-1.wav").unlink()
    folder.toml.write_text(folder.toml.read_text().replace("[4, 9]", "[4, 6, 9]"))
    build(folder)
    assert runs.load(folder.models / "riff-samplernn").epochs == [4, 6, 9]
    kept = {row["name"]: row["sha256"] for row in spreadsheet.records(folder.pool_table)}
    assert {row["name"]: row["sha256"] for row in rows}.items() <= kept.items()
    # never taken for a run of other settings
    shutil.rmtree(folder.pool)
    folder.toml.write_text(folder.toml.read_text().replace("window = 64", "window = 128"))
    with pytest.raises(ValueError, match=r"riff-samplernn: was trained from something else \(window dif"):
        build(folder)


def test_a_clip_is_the_same_in_whatever_company(sample_study, tmp_path):
    folder, backend = sample_study(epochs="[3]"), backends.get("samplernn")
    task = next(task for task in tasks(folder) if task.cell.mode == "UMG" and len(task.names) > 1)
    heard = []
    together = list(backend.make(task, lambda share, text: heard.append((share, text))))
    assert [clip.name for clip in together] == list(task.names)
    assert [share for share, _ in heard] == sorted(share for share, _ in heard)
    assert 0 <= heard[0][0] <= heard[-1][0] <= 1
    alone = list(backend.make(replace(task, names=task.names[1:2]), lambda *_: None))
    assert (alone[0].samples == together[1].samples).all()
    assert alone[0].seed == together[1].seed != together[0].seed


def test_costs_are_shared_by_epoch_counts(sample_study):
    folder, backend = sample_study(epochs="[120, 300]"), backends.get("samplernn")
    umg = {task.cell.epochs: task for task in tasks(folder) if task.cell.mode == "UMG"}

    def training(*counts: int) -> float:
        parts = {}
        for count in counts:
            parts |= backend.costs(umg[count])
        return sum(cost.seconds for name, cost in parts.items() if name.startswith("train"))

    assert training(300) > 2 * training(120)
    assert training(120, 300) < 1.1 * training(300)
    run = umg[300].models / "riff-samplernn"
    run.mkdir(parents=True)
    (run / "epochs-000120.safetensors").touch()
    assert training(120) == 0
    assert training(300) == pytest.approx(training(120, 300))
    (run / "epochs-000120.safetensors").rename(run / "epochs-000100.safetensors")
    ahead = training(120)
    (run / "epochs-000300.safetensors").touch()
    assert training(120) == pytest.approx(6 * ahead)  # passed without being kept: from the start again
    before = backend.recipe(umg[300])
    assert {"temperature": 0.9, "top_p": 1.0}.items() <= before.items()
    assert "eta" not in before  # clips made before there was one stay
    for changed in ({"temperature": 1.2}, {"eta": 0.001}):
        assert backend.recipe(replace(umg[300], options=umg[300].options | changed)) != before
    assert backend.recipe(replace(umg[300], options=umg[300].options | {"device": "auto"})) == before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dimm = 4", "backend.samplernn.dimm = 4: samplernn has no setting 'dimm'"),
        ("epochs = 4", "backend.samplernn.epochs = 4: epochs is set by [[source]] epochs; delete it here"),
        ("dim = 4", "backend.samplernn.dim = 4: dim is 4; use a multiple of 8"),
        (
            "temperature = 0",
            "backend.samplernn.temperature = 0: temperature is 0; use a number from 0.05 to 5",
        ),
        ("eta = 1", "backend.samplernn.eta = 1: eta is 1; use a number from 0 to 0.1"),
        ("candidates = 0", "candidates is 0; use a whole number from 1 to 256"),
    ],
)
def test_options_are_checked_before_anything_is_made(sample_study, line, said):
    folder = sample_study(backend=f"[backend.samplernn]\n{line}\n")
    with pytest.raises(DesignError) as caught:
        build(folder)
    assert said in str(caught.value)
    assert not folder.pool.exists()
