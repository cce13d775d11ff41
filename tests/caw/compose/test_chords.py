"""Chord names: what musicians and MIREX write, and what neither reads."""

import numpy as np
import pytest

from caw.compose import chords


@pytest.mark.parametrize(
    ("name", "root", "classes", "bass"),
    [
        ("Em", 4, (4, 7, 11), 4),
        ("E:min", 4, (4, 7, 11), 4),
        ("F#m7b5", 6, (0, 4, 6, 9), 6),
        ("F♯ø", 6, (0, 4, 6, 9), 6),
        ("G/B", 7, (2, 7, 11), 11),
        ("D/F#", 2, (2, 6, 9), 6),
        ("Am/G", 9, (0, 4, 7, 9), 7),
        ("Bb:maj7", 10, (2, 5, 9, 10), 10),
        ("B♭maj7", 10, (2, 5, 9, 10), 10),
        ("C:maj/3", 0, (0, 4, 7), 4),
        ("C:min7/b7", 0, (0, 3, 7, 10), 10),
        ("C5", 0, (0, 7), 0),
        ("C:5", 0, (0, 7), 0),
        ("Cno3", 0, (0, 7), 0),
        ("Dsus4", 2, (2, 7, 9), 2),
        ("C°", 0, (0, 3, 6), 0),
        ("C°7", 0, (0, 3, 6, 9), 0),
        ("C+", 0, (0, 4, 8), 0),
        ("C−7", 0, (0, 3, 7, 10), 0),
        ("C-", 0, (0, 3, 7), 0),
        ("CΔ", 0, (0, 4, 7, 11), 0),
        ("CMaj7", 0, (0, 4, 7, 11), 0),
        ("CM7", 0, (0, 4, 7, 11), 0),
        ("Cmin7", 0, (0, 3, 7, 10), 0),
        ("Cm(maj7)", 0, (0, 3, 7, 11), 0),
        ("C6/9", 0, (0, 2, 4, 7, 9), 0),
        ("C7(b9,b13)", 0, (0, 1, 4, 5, 7, 8, 10), 0),
        ("C:maj11", 0, (0, 2, 4, 5, 7, 11), 0),
        ("Cb", 11, (3, 6, 11), 11),
        ("E##m", 6, (1, 6, 9), 6),
    ],
)
def test_names_of_musicians_and_of_mirex_are_read(name, root, classes, bass):
    chord = chords.parse(name)
    assert (chord.root, chord.pitch_classes, chord.bass, chord.label) == (root, classes, bass, name)


@pytest.mark.parametrize("name", ["N", "NC", "N.C.", "X"])
def test_no_chord_is_a_chord_of_no_pitch(name):
    assert chords.parse(name).root is None
    assert not chords.parse(name).template().any()


@pytest.mark.parametrize("name", ["", "H", "Hm", "Q", "C:foo", "Cfoo", "C/H", "C/", "C:", "C/14", "Em,", "5"])
def test_what_neither_reads_is_one_line_that_names_it(name):
    with pytest.raises(chords.ChordError, match=r"chord .*cannot be read; write") as caught:
        chords.parse(name)
    assert repr(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_small_root_is_answered_with_the_large_one():
    with pytest.raises(chords.ChordError, match="chord 'em7' cannot be read; write Em7"):
        chords.parse("em7")


def test_templates_have_norm_one():
    assert np.flatnonzero(chords.parse("Em").template()).tolist() == [4, 7, 11]
    assert np.linalg.norm(chords.parse("E7").template()) == pytest.approx(1)


def test_a_line_holds_a_bar_a_word_and_commas_within():
    line = chords.parse_line("Em C,D % E:7(b9,13)")
    assert [[chord.label for chord in bar] for bar in line] == [
        ["Em"],
        ["C", "D"],
        ["C", "D"],
        ["E:7(b9,13)"],
    ]


def test_a_line_says_the_bar_of_what_it_cannot_read():
    with pytest.raises(chords.ChordError, match="bar 3: chord 'Hm'"):
        chords.parse_line("Em C Hm D")
