import json
import shutil

import numpy as np
import pytest
import torch

from caw import run_folder, runs
from tests.caw.conftest import RATE


@pytest.fixture(params=["trained", "trained_paper"])
def run(request):
    return request.getfixturevalue(request.param)


def test_draws_have_the_asked_length_and_level(run, clip):
    for seconds in (0.1, 1.0, 2.345, 9.0):  # the clip has 3 s
        assert run.generate(seconds, seed=1).shape == (round(seconds * run.rate),)
    assert run.generate(1.0).dtype == np.float32
    assert np.isfinite(run.generate(1.0)).all()


def test_seed_decides_the_draw(run):
    np.testing.assert_array_equal(run.generate(1.0, seed=4), run.generate(1.0, seed=4))
    assert not np.array_equal(run.generate(1.0, seed=4), run.generate(1.0, seed=5))
    assert not np.array_equal(run.vary(seed=4), run.vary(seed=5))


def test_same_draw_before_and_after_loading(run):
    again = runs.load(run.folder)
    np.testing.assert_array_equal(run.generate(1.5, seed=3), again.generate(1.5, seed=3))
    np.testing.assert_array_equal(run.vary(seed=3), again.vary(seed=3))
    np.testing.assert_array_equal(run.reconstruct(), again.reconstruct())


def test_weights_load_without_running_code(run):
    assert not list(run.folder.glob("*.pt"))
    assert not list(run.folder.glob("*.pkl"))


def test_a_variation_of_strength_0_keeps_the_first_scale(run):
    first, original = run.scales[0], run.pyramid()[0]
    strength = 0 if run.guided else None
    assert first.vary(original, run._generator(1), strength) is original
    assert not np.array_equal(run.vary(seed=1), run.vary(seed=2))  # what lies above it is drawn


def test_variation_follows_the_clips_score(trained):
    wanted = trained.pyramid()[0].score
    score = trained.scales[0].bands.measure(
        torch.from_numpy(trained.vary(strength=0.1) / trained.config["peak"])[None]
    )
    other = trained.scales[0].bands.measure(
        torch.from_numpy(trained.generate(3.0) / trained.config["peak"])[None]
    )
    likeness = [np.corrcoef(measured.flatten(), wanted.flatten())[0, 1] for measured in (score, other)]
    assert likeness[0] > 0.8
    assert likeness[0] > likeness[1] + 0.2


@pytest.mark.parametrize("index", [0, 1])
def test_variation_grows_with_strength(trained, index):
    original = trained.pyramid()[index]
    drawn = [trained.scales[index].vary(original, trained._generator(1), s) for s in (0, 0.1, 0.9)]
    kept, *varied = [signal.score if index == 0 else signal.wave for signal in (original, *drawn)]
    correlation = [np.corrcoef(kept.flatten(), one.flatten())[0, 1] for one in varied]
    assert torch.equal(varied[0], kept)
    assert correlation[1] > 0.8
    assert correlation[2] < correlation[1] - 0.2


def test_two_channels_of_several_clips_end_to_end(trained_band, stereo):
    run = trained_band
    assert (run.channels, run.clips, run.seconds) == (2, 2, 3.0)
    for drawn in (run.generate(1.0), run.vary(), run.vary(clip=1), run.reconstruct(clip=1)):
        assert drawn.dtype == np.float32
        assert np.isfinite(drawn).all()
        assert (drawn.std(axis=1) > 0.005).all()
        assert np.abs(np.corrcoef(drawn)[0, 1]) < 0.95
    assert run.generate(1.0).shape == (2, RATE)
    assert run.vary().shape == stereo.shape
    assert run.vary(clip=1).shape == run.reconstruct(clip=1).shape == (2, 14000)
    assert np.corrcoef(run.reconstruct().flatten(), stereo.flatten())[0, 1] > 0.8
    for clip in (2, -1):
        with pytest.raises(runs.RunError, match=f"clip is {clip}; this run was trained on 2"):
            run.vary(clip=clip)


def test_reconstruction_is_the_clip(trained, clip):
    # the flow is inverted and drawn again: even a hardly trained network comes back close
    assert np.corrcoef(trained.reconstruct(), clip)[0, 1] > 0.8


@pytest.mark.parametrize("name", ["config.json", "clips.safetensors", "scale-01.safetensors"])
def test_a_missing_file_is_named(trained, tmp_path, name):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(runs.RunError, match=name):
        runs.load(folder)


def test_a_damaged_file_is_named(trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    (folder / "scale-01.safetensors").write_bytes(b"not weights")
    with pytest.raises(runs.RunError, match=r"scale-01\.safetensors"):
        runs.load(folder).generate(1.0)
    (folder / "config.json").write_text("{")
    with pytest.raises(runs.RunError, match=r"config\.json is damaged"):
        runs.load(folder)


def test_a_run_of_another_version_is_named(trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    for changes, reason in [
        ({"clips": None, "clip": {}}, "of another version"),
        ({"settings": {**config["settings"], "given_noise": 0.1}}, "no setting 'given_noise'"),
        ({"settings": {}}, "of another version"),
    ]:
        (folder / "config.json").write_text(json.dumps({**config, **changes}))
        with pytest.raises(runs.RunError, match=reason):
            runs.load(folder)


def test_weights_of_other_settings_are_refused(trained, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    config["settings"]["channels"] = 24
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(runs.RunError, match="does not fit"):
        runs.load(folder).generate(1.0)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), 1e9])
def test_impossible_lengths(trained, seconds):
    with pytest.raises(runs.RunError, match="seconds is"):
        trained.generate(seconds)
    with pytest.raises(runs.RunError, match="strength is 2"):
        trained.vary(strength=2)
    with pytest.raises(runs.RunError, match="seed is -1"):
        trained.vary(seed=-1)


@pytest.mark.parametrize("segment", [2, 4, 6])
def test_segments_are_seamless(trained, monkeypatch, segment):
    whole = trained.generate(8.0, seed=4)
    monkeypatch.setattr("caw.flow.scales.SEGMENT", segment)
    parts = trained.generate(8.0, seed=4)
    assert parts.shape == whole.shape
    assert np.abs(parts - whole).max() < 0.02 * np.abs(whole).max()
    assert np.sqrt(np.mean((parts - whole) ** 2)) < 1e-3 * whole.std()


def test_draws_do_not_depend_on_the_number_of_threads(trained):
    """To the last bit: so workers with one core each fill a study's pool as one with all cores does."""
    before, drawn = torch.get_num_threads(), []
    run = runs.load(trained.folder)
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            drawn.append((run.generate(3.0, seed=5), run.vary(seed=5), run.reconstruct()))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for others in drawn[1:]:
        for one, other in zip(drawn[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def flipped(run, folder, name: str, where: float):
    """A copy of a run in which one bit of a file is another."""
    shutil.copytree(run.folder, folder)
    content = bytearray((folder / name).read_bytes())
    content[int(len(content) * where)] ^= 4
    (folder / name).write_bytes(content)
    return runs.load(folder)


@pytest.mark.parametrize("name", ["scale-00.safetensors", "scale-01.safetensors", "clips.safetensors"])
@pytest.mark.parametrize("where", [0.0, 0.6, 0.999])
def test_a_flipped_bit_is_noticed_wherever_the_file_is_read(run, tmp_path, name, where):
    broken = flipped(run, tmp_path / "run", name, where)
    fix = "restore it, or delete .* and train the run again"
    uses = [lambda: run_folder.check_digests(broken.folder, broken.config), lambda: broken.vary(seed=1)]
    uses += [lambda: broken.generate(1.0)] if name.startswith("scale") else [broken.training_clips]
    for use in uses:
        with pytest.raises(runs.RunError, match=f"{name} has changed since it was written .*; {fix}"):
            use()


def test_a_run_of_before_there_were_digests_is_drawn_from_as_before(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    assert set(config.pop("sha256")) == {file.name for file in folder.glob("*.safetensors")}
    (folder / "config.json").write_text(json.dumps(config))
    old = runs.load(folder)
    assert run_folder.check_digests(run.folder, run.config)
    assert not run_folder.check_digests(folder, old.config)
    np.testing.assert_array_equal(old.vary(seed=3), run.vary(seed=3))


def test_a_checkpoint_is_whole_or_refused(tmp_path):
    state = {"epoch": 3, "weights": torch.arange(40.0)}
    file, content = tmp_path / "checkpoint.pt", run_folder.pack_state(state)
    for kept in (content, content[:-39]):  # as written now, and by older versions
        file.write_bytes(kept)
        assert torch.equal(run_folder.read_state(file, "")["weights"], state["weights"])
    for place in range(0, len(content) - 39, 29):
        file.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        with pytest.raises(runs.RunError, match=r"checkpoint.pt cannot be read \(.*\); delete it"):
            run_folder.read_state(file, "delete it")
    for length in (0, 10, len(content) // 2):
        file.write_bytes(content[:length])
        with pytest.raises(runs.RunError, match=r"checkpoint.pt cannot be read \(.*\); delete it"):
            run_folder.read_state(file, "delete it")
    assert run_folder.read_state(tmp_path / "none.pt", "") is None


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("rates", [], r"rates is \[\]"),
        ("rates", ["fast"], "rates is"),
        ("peak", "loud", 'peak is "loud"'),
        ("peak", float("nan"), "peak is NaN"),
        ("channels", 7, "channels is 7"),
        ("clips", [{"samples": "many"}], "clips is"),
        ("versions", 3, "versions is 3"),
        ("sha256", ["x"], "sha256 is"),
        ("sha256", {"../x": "y"}, "sha256 is"),
    ],
)
def test_a_value_that_cannot_be_in_a_record_is_told_in_one_line(trained, tmp_path, key, value, reason):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    config = json.loads((folder / "config.json").read_text()) | {key: value}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(runs.RunError, match=rf"config.json is damaged \({reason}.*\); restore it or train"):
        runs.load(folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 50_000,
        '{"a": ' * 50_000,
        '{"rates": ' + "9" * 5000 + "}",
        "[1]",
        "null",
        "\x00",
        b"\xff\xfe\x00",
    ],
)
def test_a_record_that_is_none_is_told_in_one_line(trained, tmp_path, content):
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    (folder / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(runs.RunError, match=r"config.json is damaged \(.*\); restore it or train") as caught:
        runs.load(folder)
    assert len(str(caught.value)) < 500
