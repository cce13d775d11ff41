"""Jukebox's real code on a model of its form, tiny and random: that it is loaded, primed, sampled and cut."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from study import backends, design
from study.backends import BackendError, Cell, Task
from study.backends.programs import jukebox_continuation
from study.build import sources
from study.design import DesignError

RATE, WINDOW, CODES, COARSEST = 8000, 64, 32, 128


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Three priors with lyrics, metadata and factored attention, as the published ones; 8, 32, 128 samples a
    code. `mask` is left at its default."""
    pytest.importorskip("transformers", exc_type=ImportError)
    import torch
    from transformers import JukeboxConfig, JukeboxModel

    prior = {"hidden_size": 16, "num_layers": 3, "n_heads": 1, "blocks": 8, "n_ctx": WINDOW}
    prior |= {"music_vocab_size": CODES, "lyric_vocab_size": 8, "attention_multiplier": 1.0}
    prior |= {"res_conv_depth": 1, "res_conv_width": 8, "metadata_dims": [3, 3]}
    top = prior | {"level": 0, "nb_relevant_lyric_tokens": 16, "is_encoder_decoder": True, "num_layers": 16}
    finer = {"nb_relevant_lyric_tokens": 0, "is_encoder_decoder": False}
    finer |= {"attention_pattern": "raw_column_previous_row_attention"}
    vqvae = {"nb_discrete_codes": CODES, "embed_dim": 8, "res_conv_depth": 1, "res_conv_width": 8}
    priors = [top, prior | finer | {"level": 1}, prior | finer | {"level": 2}]
    times = {"sampling_rate": RATE, "min_duration": 1.5, "max_duration": 60.0, "timing_dims": 8}
    torch.manual_seed(0)
    model = JukeboxModel(JukeboxConfig(vqvae_config=vqvae, prior_config_list=priors, **times))
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    for block in model.vqvae.bottleneck.level_blocks:
        block.codebook.normal_()
    for decoder in model.vqvae.decoders:  # sound of a sound's level
        decoder.out.weight.data.mul_(0.003)
    folder = tmp_path_factory.mktemp("weights") / "tiny {n}"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(weights):
    from transformers import JukeboxModel

    return JukeboxModel.from_pretrained(weights, local_files_only=True).eval()


@pytest.fixture
def passage():
    import torch

    return torch.randn(RATE, generator=torch.Generator().manual_seed(1)) * 0.3


@pytest.fixture
def task(tmp_path, clip, weights):
    def make(mode="VAR", names=("a", "b"), **options) -> Task:
        cell = Cell("riff", clip, 1.0, 4.0, mode, None, "jukebox", "0")
        options = {"weights": str(weights), "device": "cpu", "timeout": 250} | options
        return Task(cell, list(names), 1.2, 7, tmp_path / "models", options, tmp_path)

    return make


def test_clips_from_weights_on_disk(task):
    asked = task(levels=1, prime=0.5)
    told = []
    clips = list(backends.get("jukebox").make(asked, lambda share, text: told.append(share)))
    assert [clip.name for clip in clips] == ["a", "b"]
    assert {(clip.rate, clip.samples.shape) for clip in clips} == {(RATE, (round(1.2 * RATE),))}
    assert not np.array_equal(clips[0].samples, clips[1].samples)
    assert all(np.isfinite(clip.samples).all() and np.abs(clip.samples).max() > 1e-3 for clip in clips)
    assert told[0] == 0.0
    assert [file.name for file in asked.models.iterdir()] == ["riff-jukebox-VAR.log"]


@pytest.mark.parametrize("levels", [1, 3])
def test_every_level_goes_on_from_the_prime_which_is_cut_off(model, passage, monkeypatch, levels):
    import torch

    end, new = 7000, 800
    before = 800 // COARSEST
    decoded = {}

    def decode(codes, start_level, end_level):
        decoded.update(codes=codes, level=start_level)
        return real(codes, start_level=start_level, end_level=end_level)

    real = model.vqvae.decode
    monkeypatch.setattr(model.vqvae, "decode", decode)
    torch.manual_seed(3)
    [clip] = jukebox_continuation.continuations(model, passage, [end], prime=800, new=new, levels=levels)
    [codes] = decoded["codes"]
    hop = COARSEST >> 2 * (levels - 1)
    assert decoded["level"] == 3 - levels
    assert codes.shape == (1, (before + -(-new // COARSEST)) * COARSEST // hop)
    prime = passage[end - before * COARSEST : end]
    known = model.vqvae.encode(prime[None, :, None])[3 - levels]
    assert torch.equal(codes[:, : known.shape[1]], known)
    assert known.shape[1] == before * COARSEST // hop
    sound = real([codes], start_level=3 - levels, end_level=4 - levels)[0, :, 0]
    assert clip.shape == (new,)
    assert np.array_equal(clip, sound[before * COARSEST :][:new].detach().numpy())
    if levels == 3:
        assert codes.shape[1] > 3 * WINDOW  # many windows on the finest level


def test_the_same_seed_gives_the_same_clip(model, passage):
    import torch

    def sampled(seed):
        torch.manual_seed(seed)
        return jukebox_continuation.continuations(model, passage, [6000], prime=500, new=400, levels=1)[0]

    assert np.array_equal(sampled(1), sampled(1))
    assert not np.array_equal(sampled(1), sampled(2))


@pytest.mark.parametrize("level", [0, 1, 2])
def test_sampling_from_a_prime_agrees_with_the_forward_pass(model, passage, level):
    """What the cache holds after the prime is read in chunks, and then step by step, is causal."""
    import torch

    torch.manual_seed(1)
    jukebox_continuation.continuations(
        model, passage, [6000], prime=1000, new=128, levels=1
    )  # sets the masks
    prior = model.priors[level]
    codes = torch.randint(CODES, (1, WINDOW))
    metadata = prior.get_metadata(torch.tensor([[0, 0, 0, 0, 0, -1, -1, -1, -1]]), 0, 20000, 0)
    above = None if level == 0 else [torch.randint(CODES, (1, WINDOW // 4))]
    with torch.inference_mode():
        conditions, start, lyrics = prior.get_cond(above, metadata)
        if prior.is_encoder_decoder:
            codes, conditions = prior.prior_preprocess([lyrics, codes], [None, conditions])
        _, expected = prior.prior(codes, conditions, start, None, get_preds=True)
        for count in (23, 40):
            _, found = prior.prior.primed_sample(
                1, codes[:, :count], conditions, start, get_preds=True, chunk_size=32, sample_tokens=count + 1
            )
            torch.testing.assert_close(found, expected[:, : count + 1], atol=1e-4, rtol=1e-4)


def test_options_decide_by_mode(task):
    backend = backends.get("jukebox")
    assert backend.recipe(task()) == backend.recipe(task(cue=2.0, timeout=9, device="cuda"))
    assert backend.recipe(task()) != backend.recipe(task(prime=2.0))
    assert backend.recipe(task("UMG")) == backend.recipe(task("UMG", prime=2.0))
    assert backend.recipe(task("UMG")) != backend.recipe(task("UMG", cue=2.0))
    assert sum(cost.seconds for cost in backend.costs(task(levels=1)).values()) < 1000


def half_a_file(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def a_weight_less(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("priors.0.prior.fc_proj_out.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (half_a_file, r"damaged cannot be loaded \(SafetensorError: .*\); get its files again"),
        (a_weight_less, "damaged lacks 1 of the model's weights, as priors.0.prior.fc_proj_out.weight; get"),
    ],
)
def test_weights_that_are_not_whole(model, weights, tmp_path, damage, told):
    folder = tmp_path / "damaged"
    shutil.copytree(weights, folder)
    damage(folder)
    with pytest.raises(SystemExit, match=told):
        jukebox_continuation._loaded(type(model), str(folder))


def test_other_weights_of_the_same_size_make_other_clips(task, weights, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(weights, folder)
    backend, asked = backends.get("jukebox"), task(weights=str(folder))
    before = backend.recipe(asked)
    assert backend.recipe(task()) == before
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    assert backend.recipe(asked) != before


def test_a_device_that_is_not_there(weights, clip, tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")  # the program sets them, and this process has more to do
    words = {"weights": weights, "clip": clip, "out": tmp_path, "seconds": 1, "device": "cuda:77"}
    told = r"cuda:77 cannot be used \(.*\); write device = 'cpu' or 'auto'"
    with pytest.raises(SystemExit, match=told):
        jukebox_continuation.main([f"--{key}={value}" for key, value in words.items()])


def test_another_environment_that_lacks_transformers(task, tmp_path):
    bare = tmp_path / "bare python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    told = r"jukebox ended with exit code 1: \S+ lacks what Jukebox needs \(.*; install transformers"
    with pytest.raises(BackendError, match=told):
        list(backends.get("jukebox").make(task(python="./bare python"), lambda share, text: None))


@pytest.mark.parametrize(
    ("options", "key", "told"),
    [
        ({"weights": None}, "weights", "are not named; on a machine with a network run `hf download"),
        ({"weights": "nowhere"}, "weights", "holds no readable config.json; on a machine with"),
        ({"weights": "other"}, "weights", "holds a model of type 'gpt2', not Jukebox; on a machine"),
        ({"weights": "empty"}, "weights", "holds config.json but no weights; on a machine"),
        ({"weights": "slow"}, "weights", "names a sampling_rate of '44 kHz'; on a machine with"),
        ({"weights": 3}, "weights", "write the folder's path in quotes"),
        ({"levels": 4}, "levels", "levels is 4; write 1"),
        ({"levels": True}, "levels", "levels is True; write 1"),
        ({"prime": -1}, "prime", "write a number above 0"),
        ({"temperature": "hot"}, "temperature", "write a number above 0"),
        ({"device": "tpu"}, "device", 'write "auto", "cpu" or "cuda"'),
        ({"python": "no/such/python"}, "python", "there is no such program"),
        ({"epochs": 3}, "epochs", "unknown option 'epochs'"),
    ],
)
def test_options_that_are_refused(tmp_path, options, key, told):
    for name, kind in (("whole", "jukebox"), ("other", "gpt2"), ("empty", "jukebox")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"model_type": kind}))
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/config.json").write_text('{"model_type": "jukebox", "sampling_rate": "44 kHz"}')
    for name in ("whole", "slow"):
        (tmp_path / name / "model.safetensors").touch()
    options = {name: value for name, value in ({"weights": "whole"} | options).items() if value is not None}
    with pytest.raises(BackendError) as fault:
        backends.get("jukebox").validate(options, tmp_path)
    assert fault.value.key == key
    assert told in str(fault.value)


def test_without_transformers(task, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    backend = backends.get("jukebox")
    assert backend.unavailable_reason().startswith("transformers is not installed; pip install")
    with pytest.raises(BackendError, match="transformers is not installed"):
        backend.validate(task().options, Path())
    elsewhere = task(python=sys.executable).options  # another environment's business
    backend.validate(elsewhere, Path())
    assert backends.get("jukebox", elsewhere).unavailable_reason() == ""


def test_a_study_without_weights(new_study, clip):
    folder = new_study(source=f'[[source]]\nfile = "{clip}"\nbackend = "jukebox"\n')
    with pytest.raises(DesignError, match=r"source\[1\].backend = .* run `hf download openai/jukebox-1b"):
        sources.check_backends(design.load(folder.path), folder)
