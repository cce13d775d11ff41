"""Short pieces whose beats and bars are known, played by General-MIDI instruments: what `beats` measures on.

Rendering needs Debian's fluidsynth and fluid-soundfont-gm, as `compose_riff` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tests.benchmarks import compose_riff

LEAD = 0.2  # seconds before the first beat
STEPS_A_SECOND = 4 * compose_riff.TEMPO / 60  # of the score that any piece's notes are written to
# part: (MIDI channel, General-MIDI program counted from 0, volume, humanising in ticks of 0.87 ms)
PARTS = {
    "piano": (0, 0, 104, 6),
    "guitar": (1, 29, 84, 6),  # overdriven
    "nylon": (2, 24, 112, 7),
    "bass": (3, 33, 104, 6),
    "strings": (4, 48, 104, 16),
    "organ": (5, 16, 84, 6),
    "flute": (6, 73, 104, 10),
    "drums": (9, 0, 112, 4),
}
DRUMS = {
    "kick": 36, "snare": 38, "rim": 37, "hat": 42, "open": 46, "ride": 51, "crash": 49, "tom": 45,
    "clave": 75, "conga": 63, "shaker": 70,
}  # fmt: skip
VELOCITIES = {"x": 88, "X": 114, "o": 50}
# the lowest note that a part plays
LOWEST = {"bass": 28, "piano": 48, "guitar": 40, "nylon": 45, "strings": 48, "organ": 48, "flute": 67}
SCALES = {"": (0, 2, 4, 5, 7, 9, 10), "m": (0, 2, 3, 5, 7, 8, 10)}
ROOTS = dict(zip(("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"), range(12), strict=True))


@dataclass(frozen=True)
class Piece:
    """A score by bars.

    tempo: beats a minute, at the first moment and at the last. lines: by drum or part, bars of one sign a
    step, which come round; of drums x, X (loud) or o (soft); of the others 1 to 8 (the degree on the bar's
    chord) or c (the chord), held by -.
    """

    name: str
    tempo: float | tuple[float, float]
    metre: int  # beats in a bar
    steps: int  # in a beat
    lines: dict[str, str] = field(hash=False)
    chords: str = "C"  # a bar each; they come round
    swing: float = 0.5  # where the middle of a beat is played

    def seconds(self, beat):
        """When beats (any fractions of them) come, counted from the first."""
        first, last = self.tempi
        whole = np.floor(beat)
        part = np.asarray(beat) - whole
        early, late = part * 2 * self.swing, 1 - (1 - part) * 2 * (1 - self.swing)
        beat = whole + np.where(part < 0.5, early, late)
        bend = (last - first) / (2 * compose_riff.SECONDS)  # beats by then: (first t + bend t^2) / 60
        root = np.sqrt(np.maximum(first**2 + 240 * bend * beat, 0))
        return LEAD + 120 * beat / (first + root)

    @property
    def tempi(self) -> tuple[float, float]:
        return self.tempo if isinstance(self.tempo, tuple) else (self.tempo, self.tempo)

    def truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Beats and bars in seconds, as far as the clip goes."""
        beats = self.seconds(np.arange(400.0))
        beats = beats[beats < compose_riff.SECONDS]
        return beats, beats[:: self.metre]

    def at(self, speed: float) -> Piece:
        """The same piece at another tempo."""
        return replace(self, tempo=(speed * self.tempi[0], speed * self.tempi[1]))

    def render(self) -> np.ndarray:
        """The sound [n] at `compose_riff.RATE`."""
        return compose_riff.render(self.score().midi())

    def score(self) -> compose_riff.Score:
        """The notes. Raises: ValueError where a bar has too few or too many steps."""
        score, chords = compose_riff.Score(len(self.name), PARTS), self.chords.split()
        bars = int(np.ceil(len(self.truth()[0]) / self.metre)) + 1
        lines = {part: [bar.replace(" ", "") for bar in line.split("|")] for part, line in self.lines.items()}
        for bar in range(bars):
            for part, line in lines.items():
                signs = line[bar % len(line)]
                if len(signs) != self.metre * self.steps:
                    raise ValueError(f"{self.name}, {part}: {signs} has {len(signs)} steps")
                self._play(score, part, bar, signs, chords[bar % len(chords)])
        return score

    def _play(self, score: compose_riff.Score, part: str, bar: int, signs: str, chord: str) -> None:
        for step, sign in enumerate(signs):
            if sign in ".-":
                continue
            held = len(signs[step + 1 :]) - len(signs[step + 1 :].lstrip("-"))
            at, end = self.seconds(bar * self.metre + np.array([step, step + 1 + held]) / self.steps)
            accent = 10 * (step == 0) + 4 * (step % self.steps == 0)
            if part in DRUMS:
                who, notes, force = "drums", (DRUMS[part],), VELOCITIES[sign]
            else:
                who, notes, force = part, _notes(part, sign, chord), 82 + accent
            score.play(who, at * STEPS_A_SECOND, 0.95 * (end - at) * STEPS_A_SECOND, notes, force)


def _notes(part: str, sign: str, chord: str) -> tuple[int, ...]:
    scale = SCALES["m" if chord.endswith("m") else ""]
    root = LOWEST[part] + (ROOTS[chord.removesuffix("m")] - LOWEST[part]) % 12
    if sign == "c":
        return tuple(root + scale[degree] for degree in (0, 2, 4))
    octave, degree = divmod(int(sign) - 1, 7)
    return (root + 12 * octave + scale[degree],)


def riff() -> tuple[np.ndarray, np.ndarray]:
    """Beats (eighths) and bars in seconds of the riff: 7/8, 4/4 and 5/4 in turn."""
    bars = np.array([step for step, _ in compose_riff.compose().metres]) / STEPS_A_SECOND
    return np.arange(0, compose_riff.SECONDS, 2 / STEPS_A_SECOND), bars


PIECES = (
    Piece("rock 4/4", 120, 4, 4, {
        "kick": "X... .... X.x. ....", "snare": ".... X... .... X...", "hat": "x.x. x.x. x.x. x.x.",
        "guitar": "c-c- c-.c c--- c-c-", "bass": "1-1- 1-1- 1-1- 5-5-"}, "E G A C"),
    Piece("waltz 3/4", 156, 3, 2, {
        "piano": "..c- c-|..c- c-|..c- c-|..c- .5", "bass": "1--- --|5--- --",
        "flute": "5--- 6-|8--- --|7-6- 5-|3--- --"}, "G D Em C"),
    Piece("jazz 5/4", 168, 5, 2, {
        "ride": "x. xx x. x. xx", "hat": ".. x. .. .. x.", "kick": "X. .. .o x. ..",
        "piano": "c- -c -- c- c-", "bass": "1- .5 -- 1- 5-"}, "Ebm Bbm", swing=0.64),
    Piece("ballad 6/8", 54, 2, 6, {
        "kick": "X..... ....x.", "snare": "...... X.....", "hat": "x.x.x. x.x.x.",
        "piano": "1-3-5- 8-5-3-", "bass": "1----- 1---5-"}, "C Am F G"),
    Piece("folk 7/8", 210, 7, 2, {
        "kick": "X. .. .. .. x. .. ..", "snare": ".. .. x. .. .. .. x.", "nylon": "1. 5. 3. 5. 1. 5. 3.",
        "bass": "1- -- 5- -- 1- -- --", "flute": "5- 6- 5- 3- 4- -- --|3- -- 2- -- 1- -- --"}, "Dm C Bb C"),
    Piece("bop 4/4", 188, 4, 2, {
        "ride": "x. xx x. xx", "hat": ".. x. .. x.", "snare": ".o .. .. .o|.. .. o. ..",
        "bass": "1- 3- 5- 6-|8- 7- 5- 3-", "piano": "c. .c .. ..|.. c. .c ..",
        "flute": "13 56 7- .5|.6 53 -- 1-"}, "Dm G C Am", swing=0.63),
    Piece("pop, faster and faster", (100, 116), 4, 2, {
        "kick": "X. .. xx ..", "snare": ".. X. .. X.", "hat": "xx xx xx xx", "bass": "11 11 11 15",
        "piano": "c- -- c- c-"}, "C G Am F"),
    Piece("band, slower and slower", (138, 124), 4, 2, {
        "kick": "X. .x X. ..", "snare": ".. X. .. X.", "ride": "x. xx x. xx", "guitar": "c- .c .. c-",
        "bass": "1- .1 5- .."}, "A D E D"),
    Piece("sparse piano", 66, 4, 2, {
        "piano": "1- -- -- 5-|c- -- .. ..|3- -5 -- --|c- -- c- --"}, "F Dm Bb C"),
    Piece("drums, funk", 98, 4, 4, {
        "kick": "X..x ..x. ..x. .x..|X..x .... x.x. .x..", "snare": ".... X..o .o.. X..o|.... X..o .o.. X.x.",
        "hat": "x.xx x.x. xxx. x.x."}),
    Piece("drums, breaks", 172, 4, 2, {
        "kick": "X. x. .x ..|X. x. .. .x", "snare": ".. X. .o X.|.. X. .o .X", "ride": "x. x. x. x."}),
    Piece("plucked, no drums", 84, 4, 2, {
        "nylon": "15 85 35 85|15 85 35 88", "flute": "5- -- -6 5-|3- -- -- --"}, "Am G F Em"),
    Piece("strings, no drums", 92, 3, 2, {
        "strings": "c- -- --|c- -- c-", "bass": "1- -- --", "flute": "5- -6 7-|8- -- 5-"}, "D Bm G A"),
    Piece("reggae", 76, 4, 4, {
        "kick": ".... .... X... ....", "rim": ".... .... X... ..o.", "hat": "..x. ..x. ..x. ..xo",
        "organ": "..c. ..c. ..c. ..c.", "bass": "..1- 3-5- ..1- ....|..1- 5-3- 1-.. 5-.."}, "Am Dm"),
    Piece("montuno", 104, 4, 4, {
        "clave": "X..x ..x. ..x. x...", "conga": "x..o x.xx x..o x.xx",
        "piano": "1.35 .8.5 .3.5 .8.5", "bass": "...1 --5- ...1 --5-"}, "Dm G"),
    Piece("fast punk", 190, 4, 2, {
        "kick": "X. .. x. ..", "snare": ".. X. .. X.", "hat": "x. x. x. x.", "guitar": "cc cc cc cc",
        "bass": "11 11 11 11"}, "A A D E"),
    Piece("slow rock", 60, 4, 4, {
        "kick": "X... ...x x... ....", "snare": ".... X... .... X..o", "hat": "x.x. x.x. x.x. x.x.",
        "guitar": "c--- ---- c--- ----", "bass": "1--- ---1 5--- ----"}, "Em C G D"),
    Piece("blues shuffle", 88, 4, 2, {
        "kick": "X. .x X. ..", "snare": ".. X. .. Xo", "ride": "xx xx xx xx", "guitar": "c. c. c. c.",
        "bass": "1- 3- 5- 6-"}, "A A D A E D A E", swing=0.667),
    Piece("house", 128, 4, 4, {
        "kick": "X... X... X... X...", "open": "..x. ..x. ..x. ..x.", "snare": ".... x... .... x...",
        "piano": "c..c ..c. .c.. c...", "bass": "..1. ..1. ..1. ..5."}, "Fm Db Ab Eb"),
    Piece("soul 4/4, pushed", 112, 4, 4, {
        "kick": "X... ...x .x.. ....", "snare": ".... X... .... X...", "hat": "x.x. x.x. x.x. x.x.",
        "bass": "1--1 ..3. .5.. ..1-", "guitar": "...c --.. ...c --..",
        "organ": "c--- ---- ---- --c-"}, "Bb Gm Eb F"),
    Piece("march 2/4, winds", 116, 2, 4, {
        "bass": "1... 5...", "flute": "8.76 5.5.|6.5. 3---", "strings": "..c. ..c.",
        "snare": "X.oo x.oo"}, "C G"),
)  # fmt: skip
