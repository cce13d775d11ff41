import tomllib

import pytest

from study.toml_location import key_lines, line_of

TEXT = '''# a comment with [brackets] and = signs
[study]
title = "a = [b"     # not a bracket that opens
note = """
[source]
seed = 1
"""
seed = 2

[[source]]
file = "a.wav"
epochs = [
    100,
    200,  # ]
]
clips = 1

[[source]]
"file" = "b.wav"
options.deep = 3

[set.UMG]
cells = [{ epochs = 3 }, { source = "a" }]
'''


def test_text_is_toml():
    assert tomllib.loads(TEXT)["source"][1]["options"]["deep"] == 3


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("study", "title"), 3),
        (("study", "seed"), 8),
        (("source", 0), 10),
        (("source", 0, "file"), 11),
        (("source", 0, "epochs", 1), 12),
        (("source", 0, "clips"), 16),
        (("source", 1), 18),
        (("source", 1, "file"), 19),
        (("source", 1, "options", "deep"), 20),
        (("source", 1, "missing"), 18),
        (("set", "UMG", "cells", 1, "source"), 23),
        (("set",), 22),
        (("nowhere",), 1),
    ],
)
def test_each_key_is_found_at_its_line(path, line):
    assert line_of(TEXT, path) == line


def test_every_line_with_a_key_is_known():
    assert set(key_lines(TEXT).values()) == {2, 3, 4, 8, 10, 11, 12, 16, 18, 19, 20, 22, 23}
