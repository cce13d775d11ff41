"""Continue a passage by Jukebox (Dhariwal et al. 2020, arXiv 2005.00341), as it stands in transformers 4.

A program of its own: it imports transformers, torch, numpy and soundfile, nothing of this project, so that it
also runs in an environment made for it. Weights come from a folder; the network is never asked.

The end of the passage (or a place of it) is encoded by the VQ-VAE and stands before what each level samples;
the prime is decoded with its continuation, so that the decoder knows what came before, and cut off then: no
clip holds any of it. Levels are counted from the top here, as the priors are: 0 is the coarsest.

Sampling is done here window by window with `JukeboxPrior.sample`, since four things of `JukeboxModel` go
wrong in transformers 4.57: `primed_sample` hands the finest level's codes to the coarsest prior (encoder and
priors count in opposite directions); `get_music_tokens_conds` does not cut the codes above to the window, so
that nothing longer than one window (1.5 s of the finest level) can be upsampled; `decode` reads the coarsest
codes with the finest decoder when it is given all levels; and a configuration that leaves `mask` at its
default lets each code of the prime attend to those after it, which no model of the paper does. Masked, what
is sampled with a cache agrees with the forward pass.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

_BATCH = 4  # clips at once: what a level costs in memory grows with it
_CHUNK = 32  # codes of the prime that are read at once
_OVERLAP = (0.875, 0.5, 0.5)  # share of a window that is kept as its context, by level; the paper's choice
_PIECE_LENGTH = 60.0  # seconds: the length of the whole piece to condition on, where the range allows it


def main(arguments: list[str] | None = None) -> None:
    options = _arguments().parse_args(arguments)
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    try:
        import numpy as np
        import soundfile
        import torch
        import transformers
        from transformers import JukeboxModel
    except ImportError as error:
        sys.exit(f"{sys.executable} lacks what Jukebox needs ({error}); install transformers>=4.57,<5 there")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    samples, rate = soundfile.read(options.clip, dtype="float32", always_2d=True)
    torch.manual_seed(options.seed)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        sys.exit(f"{device} cannot be used ({_first_line(error)}); write device = 'cpu' or 'auto'")
    model = _loaded(JukeboxModel, options.weights)
    if rate != model.config.sampling_rate:
        sys.exit(f"{options.clip} has {rate} Hz; Jukebox takes {model.config.sampling_rate} Hz")
    done = 0
    while done < options.n:
        count = min(_BATCH, options.n - done)
        ends = _ends(len(samples), rate, options, count)

        def print_share(share: float, before: int = done, batch: int = count) -> None:
            print(f"{(before + share * batch) / options.n:.4f}", flush=True)

        clips = continuations(
            model,
            torch.from_numpy(samples.mean(axis=1)),
            ends,
            prime=round(options.prime * rate),
            new=round(options.seconds * rate),
            levels=options.levels,
            temperature=options.temperature,
            device=device,
            progress=print_share,
        )
        for clip in clips:
            done += 1
            path = Path(options.out) / f"{done:05d}.wav"
            soundfile.write(path, clip.astype(np.float32), rate, subtype="FLOAT")


def _loaded(kind, weights: str):
    """The model from its folder.

    Exits where weights are missing in the files, as transformers would draw these at random.
    """
    name = Path(weights).name  # not the whole path: the last line of the output is cut, and must hold the fix
    try:
        model, report = kind.from_pretrained(weights, local_files_only=True, output_loading_info=True)
    except Exception as error:  # whatever the readers of three file formats raise
        sys.exit(f"{name} cannot be loaded ({_first_line(error)}); get its files again")
    if missing := sorted(report["missing_keys"]) + sorted(map(str, report["mismatched_keys"])):
        sys.exit(f"{name} lacks {len(missing)} of the model's weights, as {missing[0]}; get its files again")
    return model.eval()


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:80]


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True, help="folder with config.json and weights")
    parser.add_argument("--clip", required=True, help="the passage, at the model's own rate")
    parser.add_argument("--out", required=True, help="folder for the clips")
    parser.add_argument("--n", type=int, default=1)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prime", type=float, default=8.0, help="s of the passage to go on from")
    parser.add_argument("--place", choices=("end", "anywhere"), default="end", help="where the prime ends")
    parser.add_argument("--levels", type=int, choices=(1, 2, 3), default=3, help="1: the coarsest alone")
    parser.add_argument("--temperature", type=float, default=0.98)
    parser.add_argument("--device", default="auto")
    return parser


def _ends(length: int, rate: int, options: argparse.Namespace, count: int) -> list[int]:
    """Where each clip's prime ends in the passage, in samples."""
    import torch

    first = min(length, round(options.prime * rate))
    if options.place == "end" or first == length:
        return [length] * count
    return torch.randint(first, length + 1, (count,)).tolist()


def continuations(
    model,
    samples,
    ends: list[int],
    *,
    prime: int,
    new: int,
    levels: int = 3,
    temperature: float = 0.98,
    device: str = "cpu",
    progress: Callable[[float], None] = lambda share: None,
) -> list:
    """Continue the passage from each of `ends`: arrays [new], at the model's rate.

    samples: the passage, tensor [n]. prime: samples before each end to continue; rounded to whole codes of
    the coarsest level, and at most as many as leave room in its window. levels: how many are sampled; the
    decoder of the finest of them does the rest.
    """
    import torch

    priors = list(model.priors)
    for prior in priors:
        for layer in prior.prior.transformer._attn_mods:
            layer.attn.mask = True
    coarsest = int(priors[0].raw_to_tokens)  # samples of a code
    codes = -(-new // coarsest)
    room = int(priors[0].n_ctx * _OVERLAP[0])
    before = max(1, min(prime // coarsest, min(ends) // coarsest, room))
    starts = [end - before * coarsest for end in ends]
    batch = torch.stack([samples[start:end] for start, end in zip(starts, ends, strict=True)])[:, :, None]
    with torch.inference_mode():
        finest_first = model.vqvae.to(device).encode(batch.to(device))
    known = finest_first[::-1]  # of the prime, by level from the top
    work = [(before + codes) * coarsest / int(prior.raw_to_tokens) for prior in priors[:levels]]
    above, decoded = None, None
    for level in range(levels):
        finer = coarsest // int(priors[level].raw_to_tokens)

        def share(done: float, at: int = level) -> None:
            progress((sum(work[:at]) + done * work[at]) / sum(work))

        above = decoded = _sample_level(
            priors[level].to(device),
            known[level],
            above,
            (before + codes) * finer,
            duration=_duration(model.config, (before + codes) * coarsest),
            # the finest level is sampled close to its own distribution, as the paper's code does
            temperature=0.99 if level == len(priors) - 1 else temperature,
            context=_OVERLAP[min(level, len(_OVERLAP) - 1)],
            progress=share,
        )
        priors[level].to("cpu")  # one at a time has room on a small GPU
    with torch.inference_mode():
        index = len(priors) - levels  # the VQ-VAE counts from the finest
        sound = model.vqvae.decode([decoded], start_level=index, end_level=index + 1)[:, :, 0]
    first = before * coarsest
    return list(sound[:, first : first + new].float().cpu().numpy())


def _sample_level(prior, tokens, above, total: int, *, duration, temperature, context, progress):
    """Codes [batch, total] of one level, beginning with `tokens`. above: the codes of the level above."""
    import torch

    window, ratio = int(prior.n_ctx), int(prior.cond_downsample or 1)
    hop = max(1, round(window * (1 - context)))
    # artist and genre 0 are unknown, -1 is no further genre; there are no lyrics
    labels = [duration, 0, 0, 0, 0, *[-1] * (prior.config.max_nb_genres - 1)]
    labels = torch.tensor([labels] * len(tokens), device=tokens.device)
    known = tokens.shape[1]
    with torch.inference_mode():
        while tokens.shape[1] < total:
            progress((tokens.shape[1] - known) / (total - known))
            start = max(0, tokens.shape[1] - (window - hop))
            start = min(start, max(0, total - window))  # the last window keeps all the context it can
            start -= start % ratio
            conditions = None
            if above is not None:
                cut = above[:, start // ratio : (start + window) // ratio]
                conditions = [torch.nn.functional.pad(cut, (0, window // ratio - cut.shape[1]))]
            context_tokens = tokens[:, start:]
            sampled = prior.sample(
                len(tokens),
                music_tokens=context_tokens,
                music_tokens_conds=conditions,
                metadata=prior.get_metadata(labels, start, duration, 0),
                temp=temperature,
                chunk_size=_CHUNK,
                sample_tokens=min(window, total - start),
            )
            tokens = torch.cat([tokens, sampled[:, context_tokens.shape[1] :]], dim=1)
    progress(1.0)
    return tokens


def _duration(config, needed: int) -> int:
    """The length of the whole piece, in samples, to condition the models on: they know only a range."""
    rate = config.sampling_rate
    longest = int(config.max_duration * rate) - 1
    return min(longest, max(needed, int((config.min_duration + 1) * rate), round(_PIECE_LENGTH * rate)))


if __name__ == "__main__":
    main()
