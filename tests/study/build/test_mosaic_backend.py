from pathlib import Path

import numpy as np
import pytest

from study import backends
from study.backends import BackendError, Cell, Task
from study.build import build

SOURCE = '[[source]]\nfile = "{clip}"\nclips = 3\nbackend = "mosaic"\n'


def task(clip, mode="UMG", **changes) -> Task:
    cell = Cell(source="riff", file=clip, start=0.0, seconds=8.0, mode=mode, epochs=None, backend="mosaic")
    facts = {"cell": cell, "names": ["a", "b"], "seconds": 3.0, "seed": 7, "models": Path("nowhere")}
    return Task(**(facts | changes))


@pytest.fixture
def mosaic():
    return backends.get("mosaic")


def test_clips_of_both_modes(mosaic, clip):
    told = []
    umg = list(mosaic.make(task(clip), lambda share, text: told.append((share, text))))
    assert [one.name for one in umg] == ["a", "b"]
    assert all(one.samples.shape == (3 * one.rate,) and one.rate == 22050 for one in umg)
    assert not np.array_equal(umg[0].samples, umg[1].samples)
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert "beats a minute" in told[-1][1]
    varied = list(mosaic.make(task(clip, "VAR"), lambda *_: None))
    assert all(one.samples.shape == (8 * 22050,) for one in varied)


def test_a_clip_follows_from_its_name_and_the_study_seed_alone(mosaic, clip):
    both = list(mosaic.make(task(clip), lambda *_: None))
    (alone,) = mosaic.make(task(clip, names=["b"]), lambda *_: None)
    assert alone.samples.tobytes() == both[1].samples.tobytes()
    assert alone.seed == both[1].seed == backends.seed_for(7, "b")


def test_it_trains_nothing_and_keeps_nothing(mosaic, clip):
    one = task(clip, options={"run": 2})
    assert mosaic.modes == ("UMG", "VAR")
    assert (
        mosaic.counts_epochs,
        mosaic.unavailable_reason(),
        mosaic.shared_job(one),
        mosaic.artifacts(one),
    ) == (False, "", "", ())
    assert set(mosaic.costs(one)) == {"a", "b"}
    assert mosaic.recipe(one) == {"run": 2}


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ({"epochs": 3}, "epochs", "unknown option 'epochs'; mosaic has run, beats_per_bar, tempo"),
        ({"run": 0}, "run", "run is 0; use a whole number"),
        ({"beats_per_bar": "four"}, "beats_per_bar", "beats_per_bar is 'four'"),
        ({"tempo": True}, "tempo", "tempo is True"),
    ],
)
def test_wrong_options_are_told_with_their_key(mosaic, options, key, words):
    with pytest.raises(BackendError, match=words) as caught:
        mosaic.validate(options, Path())
    assert caught.value.key == key


def test_a_passage_that_is_too_short_is_told(mosaic, clip):
    cell = Cell("riff", clip, 0.0, 1.0, "UMG", None, "mosaic")
    with pytest.raises(BackendError, match="riff.wav: the clip is 1.00 s long; give at least 2 s"):
        next(mosaic.make(task(clip, cell=cell), lambda *_: None))


def test_a_study_is_built_with_it(new_study, clip):
    folder = new_study(source=SOURCE.format(clip=clip), backend="[backend.mosaic]\nrun = 2\n")
    built = build.build(folder)
    made = [path.name for path in folder.pool.iterdir() if "mosaic" in path.name]
    assert len(made) == 3 + 3 + 1  # one to practise with
    assert built.audit is not None
