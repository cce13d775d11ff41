"""Chord names: what musicians and MIREX write, and what neither reads."""

import mir_eval.chord
import numpy as np
import pychord
import pytest
from pychord.constants.qualities import DEFAULT_QUALITIES

from caw.compose import chords

ROOTS = ("C", "F#", "Bb", "Ebb", "G##")


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


@pytest.mark.parametrize("root", ROOTS)
def test_every_name_of_pychord_is_read_as_it_reads_it(root):
    for quality, _ in DEFAULT_QUALITIES:
        if (root[-1], quality[:1]) in (("b", "b"), ("#", "#")):
            continue
        read = chords.parse(root + quality)
        wanted = pychord.Chord(root + quality)
        assert set(read.pitch_classes) == {step % 12 for step in wanted.components(visible=False)}, quality
        assert chords.parse(f"{root}{quality}/A").bass == 9, quality


@pytest.mark.parametrize("root", ROOTS)
def test_every_name_of_mirex_is_read_as_mir_eval_reads_it(root):
    unknown = {"maj11", "aug7"}  # in the grammar, not in mir_eval's own tables
    for quality in {*mir_eval.chord.QUALITIES, *mir_eval.chord.EXTENDED_QUALITY_REDUX} - unknown - {""}:
        if quality in ("b9", "#9", "#11", "b13"):  # not in the grammar
            continue
        for more in ("", "(9)", "(*5)", "(b9,#11)", "/3", "/b7"):
            name = f"{root}:{quality}{more}"
            lowest, there, over = mir_eval.chord.encode(name, reduce_extended_chords=True)
            read = chords.parse(name)
            assert set(read.pitch_classes) == {(lowest + step) % 12 for step in np.flatnonzero(there)}, name
            assert (read.root, read.bass) == (lowest % 12, (lowest + over) % 12), name


SAME = {
    "": "maj M major Maj", "m": "min - mi minor −", "7": "dom7", "maj7": "M7 Maj7 ma7 MA7 ^7 ^ Δ Δ7 △7 j7",
    "m7": "min7 -7 mi7 Min7", "dim": "° o º", "dim7": "°7 o7", "m7b5": "ø ø7 hdim7 min7b5 -7b5 m7(b5)",
    "aug": "+", "7#5": "+7 aug7 7+", "mmaj7": "mM7 m(maj7) -^7 minmaj7 mMaj7 -maj7", "7sus4": "7sus",
    "69": "6/9", "m69": "m6/9 -6/9", "add9": "(add9) add2", "m6": "min6 -6", "5": "no3 (no3)",
    "maj9": "M9 ^9 Maj9", "m9": "min9 -9", "13": "dom13", "7b9": "7(b9)", "7#9": "7(#9) 7(♯9)",
    "maj7#11": "maj7(#11) ^7#11", "9sus4": "9sus", "m11": "min11 -11", "7#9#5": "7alt alt",
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_other_ways_to_write_a_chord(name):
    for other in SAME[name].split():
        for root in ("C", "F♯", "Bb"):
            read, wanted = chords.parse(root + other), chords.parse(root + name)
            assert (read.pitch_classes, read.bass) == (wanted.pitch_classes, wanted.bass), root + other


@pytest.mark.parametrize(
    ("name", "over"),
    [
        ("Cmaj9#11", (0, 2, 4, 6, 7, 11)),
        ("C7#5#9", (0, 3, 4, 8, 10)),
        ("Cm9b5", (0, 2, 3, 6, 10)),
        ("C7b5b9", (0, 1, 4, 6, 10)),
        ("Cm7add13", (0, 3, 7, 9, 10)),
        ("Csus2add11", (0, 2, 5, 7)),
        ("C6add9", (0, 2, 4, 7, 9)),
        ("C13(#11)", (0, 2, 4, 6, 7, 9, 10)),
        ("C7no5", (0, 4, 10)),
    ],
)
def test_alterations_that_no_library_lists(name, over):
    assert chords.parse(name).pitch_classes == over
