"""Catch-A-Waveform: a model of music trained on one clip (Greshler, Shaham, Michaeli, NeurIPS 2021).

Arrays in, arrays out; files only at the edge:

    from caw import audio, config
    from caw.training import train      # imports torch

    samples, rate = audio.read("song.wav", seconds=25)
    run = train(samples, rate, "runs/song", settings=config.preset("fast", seed=1))
    new = run.generate(30.0, seed=7)    # UMG, at run.rate Hz
    varied = run.vary(seed=7)           # VAR

    from caw.tasks.denoising import denoise          # denoise(samples, rate)
    from caw.tasks.extension import learn            # learn(material, rate, low_rate).apply(low)
    from caw.tasks.inpainting import inpaint         # inpaint(samples, rate, [(3.0, 3.75)], seed=7)

Importing `caw`, `caw.audio`, `caw.config` or `caw.measures` does not import torch.
"""
