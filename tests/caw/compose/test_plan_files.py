"""Plans in files: what is written comes back exactly, and what is wrong is one line."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caw.compose import plan
from caw.compose.chords import ChordError
from caw.compose.plan import Bar, Certainty, Plan, PlanError, Section

METRES = st.sampled_from([None, "4/4", "7/8"])
LOUD, DENSE = st.floats(-60, 20), st.floats(0, 10)


def _values(numbers):
    """Nothing, one number for the bar, or one for each of four beats (as 4/4 and 7/8 both have)."""
    return st.none() | numbers | st.tuples(*[numbers] * 4)


BARS = st.builds(
    Bar, METRES, st.lists(st.sampled_from(["Em", "F#m7b5", "C/E", "N", "E:7(b9,13)"]), max_size=3).map(tuple),
    _values(LOUD), _values(DENSE),
)  # fmt: skip
SECTIONS = st.lists(
    st.builds(
        Section,
        st.sampled_from(["A", "B", "chorus", "A'", "Brücke"]),
        st.lists(BARS, min_size=1, max_size=3).map(tuple),
    ),
    max_size=3,
    unique_by=lambda section: section.name,
).map(tuple)
HEARD = st.none() | st.builds(
    Certainty, st.text(max_size=8), st.none() | st.floats(0, 1), st.none() | st.floats(0, 1),
    st.lists(st.floats(0, 1), max_size=12).map(tuple), st.lists(st.text(), max_size=2).map(tuple),
)  # fmt: skip


@st.composite
def plans(draw):
    sections = draw(SECTIONS)
    form = draw(st.lists(st.sampled_from([s.name for s in sections]), max_size=4)) if sections else []
    beats = draw(st.none() | st.lists(st.floats(0, 100), min_size=2, max_size=25, unique=True).map(sorted))
    return Plan(
        sections, tuple(form), draw(st.none() | st.floats(30, 300)), tuple(beats) if beats else None,
        draw(st.integers(0, len(beats) - 1)) if beats else 0, draw(METRES), draw(st.floats(0, 1)),
        draw(HEARD),
    )  # fmt: skip


@settings(max_examples=30, derandomize=True, deadline=None)
@given(plans())
def test_what_is_written_comes_back(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("plans")
    for suffix in ("toml", "json"):
        plan.write(folder / f"plan.{suffix}", drawn)
        assert plan.read(folder / f"plan.{suffix}") == drawn


def test_a_file_says_only_what_is_asked_and_can_be_read_by_people(tmp_path):
    wanted = Plan.from_options(
        chords="Em C,D G D", bpm=np.float64(138.5), metre="4/4", form="A A", novelty=0.5
    )
    wanted = plan.replace(wanted, heard=Certainty("riff.wav", 0.5, chords=(0.9, 0.25, 1.0, 0.5) * 2))
    plan.write(tmp_path / "plan.toml", wanted)
    lines = (tmp_path / "plan.toml").read_text().splitlines()
    assert lines[5:12] == [
        "bpm = 138.5             # quarter notes a minute",
        'metre = "4/4"',
        "novelty = 0.5           # 0: on as the clip goes; 1: new turns wherever they fit",
        'form = "A A"            # sections in order; each comes back as often as it is named',
        "",
        "[section.A]",
        'chords = "Em  C,D G    D"',
    ]
    assert lines[12] == "# certain:90% 25% 100% 50%"
    assert "loudness =" not in "\n".join(lines[5:])
    assert plan.read(tmp_path / "plan.toml") == wanted


def test_a_short_file_of_a_songwriter(tmp_path):
    path = tmp_path / "song.toml"
    path.write_text("""
form = "verse chorus verse"
[section.verse]
chords = "Em C"
bars = 4
metre = "4/4 7/8"
loudness = -6
[section.chorus]
chords = "| G | D Am |"
metre = "4/4"
loudness = [[0, 0, 0, 3], "?"]
density = [1.5, 2]
""")
    song = plan.read(path)
    quiet = [Bar("4/4", ("Em",), -6), Bar("7/8", ("C",), -6)]
    loud = [Bar("4/4", ("G",), (0, 0, 0, 3), 1.5), Bar("4/4", ("D", "Am"), None, 2)]
    assert song.bars() == quiet * 2 + loud + quiet * 2


WRONG = {
    "bpm = 29": "bpm is 29; use a number from 30 to 300",
    'bpm = "fast"': "bpm is 'fast'; use a number",
    "tempo = 120": "the plan has 'tempo', which is no key; use bpm",
    "metre = 4": "metre is 4; use a text between quotation marks",
    'metre = "4/5"': "metre '4/5' cannot be read; write it as 4/4, 7/8 or 5/4",
    'form = "A B"': "form names section B, which is not defined; sections: A",
    "novelty = nan": "novelty is nan; use a number from 0 to 1",
    "section = 3": "section is 3; write each one as a table, as [section.A]",
    "section = {B = 3}": "section.B is 3; it is a table of chords, bars, metre, loudness, density",
    "section = {B = {}}": 'section.B has no bars; write chords = "Em C G D", a bar a word, or bars = 4',
    "section = {B = {bars = 0}}": "section.B.bars is 0; use a whole number from 1 to",
    'section = {B = {chords = "Em Hm"}}': "section.B.chords, bar 2: chord 'Hm' cannot be read; write",
    'section = {B = {chord = "Em"}}': "section.B has 'chord', which is no key; use chords",
    'section = {B = {bars = 3, metre = "4/4 7/8"}}': "section.B.metre is '4/4 7/8', 2 bars; the section",
    "section = {B = {bars = 3, loudness = [1, 2]}}": "section.B.loudness has 2 values; the section has",
    'section = {B = {bars = 1, density = ["x"]}}': "section.B.density holds 'x'; use a number",
    "section = {B = {bars = 1, density = [[]]}}": "section.B.density holds []; use a number",
    "section = {B = {bars = 1, density = [99]}}": "section B, bar 1: density is 99; use a number",
    'section = {B = {bars = 1, metre = "4/4", loudness = [[1, 2]]}}': "loudness has 2 values; a bar of",
    'section = {"B B" = {bars = 1}}': "section 'B B' cannot be called so; use a word, as A or chorus",
    "beats = {seconds = [1]}": "beats must be two or more times in seconds",
    "beats = {seconds = 1}": "beats.seconds must be a list of numbers",
    'heard = {remarks = "x"}': "heard.remarks is 'x'; use a list of texts",
    "bpm = ": "is no TOML: Invalid value (at line 1, column 7)",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_in_a_file_is_one_line(tmp_path, text):
    path = tmp_path / "song.toml"
    path.write_text(text + ("" if "section" in text else '\n[section.A]\nchords = "Em"\n'))
    with pytest.raises((PlanError, ChordError)) as caught:
        plan.read(path)
    assert str(caught.value).startswith(f"song.toml: {WRONG[text]}") or WRONG[text] in str(caught.value)
    assert str(caught.value).startswith("song.toml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b"{", b"[1]", b'{"bpm": 1e999}', b"null"])
def test_no_content_of_a_file_ends_in_anything_but_one_line(tmp_path, content):
    for name in ("song.toml", "song.json"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PlanError, match=f"^{name}: .*"):
            plan.read(tmp_path / name)


def test_json_holds_the_same_tables(tmp_path):
    plan.write(tmp_path / "plan.json", Plan.from_options(chords="Em C", form="A A", novelty=0.25))
    tables = json.loads((tmp_path / "plan.json").read_text())
    assert tables == {"novelty": 0.25, "form": "A A", "section": {"A": {"chords": "Em C"}}}
