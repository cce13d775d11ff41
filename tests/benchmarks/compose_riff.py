"""Compose and render the riff of the benchmarks: 25 s of a guitar band, 144 quarter notes a minute, in E.

    python tests/benchmarks/compose_riff.py [OUT.flac]

Needs Debian's fluidsynth and fluid-soundfont-gm. The same versions give the same file. `riff.flac`, which
was composed for this project, is under the MIT licence like the code; the FluidR3 GM sound font that renders
it is Frank Wen's, under the MIT licence.

Form, in sixteenths (240 of them are 25 s): A in 7/8 (2 + 2 + 3), twice four bars, the second time with
a lead; B, three bars of 4/4 and one of 5/4; A again, two bars; two bars of 4/4 that run into the end.
"""

import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from caw import audio

TEMPO = 144  # quarter notes a minute
TICKS = 480  # a quarter note
STEP = TICKS // 4  # a sixteenth
SECONDS = 25.0
RATE = 44100
PEAK = 10 ** (-1 / 20)  # of the finished clip: -1 dBFS
DRIVE = 1.6  # of the soft saturation of the whole mix, as on a tape machine
SOUND_FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"

# part: (MIDI channel, General-MIDI program counted from 0, volume, humanising in ticks)
PARTS = {
    "left": (0, 30, 82, 4),  # distorted guitar
    "right": (1, 29, 84, 9),  # its overdriven double, a little less tight
    "mute": (2, 28, 88, 4),  # palm mutes under both
    "bass": (3, 34, 108, 4),
    "lead": (4, 29, 106, 7),
    "clean": (5, 27, 118, 6),
    "drums": (9, 0, 112, 3),
}
NOTES = {"E": 40, "F": 41, "F#": 42, "G": 43, "A": 45, "Bb": 46, "B": 47, "C": 48, "D": 50, "e": 52}
KICK, SNARE, HAT, OPEN_HAT, CRASH, RIDE, CHINA = 36, 38, 42, 46, 49, 51, 52
HIGH_TOM, MIDDLE_TOM, LOW_TOM, FLOOR_TOM = 50, 47, 45, 41

# One bar of rhythm guitar: every word is a chord and its length in sixteenths; x1 is a palm-muted E.
RIFF = (
    "E2 x1 x1 G2 x1 x1 A2 x1 Bb1 A2",
    "E2 x1 x1 G2 x1 x1 D3 x1 B2",
    "E2 x1 x1 G2 x1 x1 A2 x1 Bb1 A2",
    "E3 x1 F2 x1 x1 G2 x1 x1 F#2",
    "E2 x1 x1 G2 x1 x1 A2 x1 Bb1 A2",
    "E2 x1 x1 e2 x1 x1 D3 x1 B2",
    "E1 x1 E1 x1 G2 x1 x1 A2 x1 Bb1 A2",
    "E3 x1 F2 x1 F1 G2 Bb1 A1 G2",
)
BRIDGE = ("C6 C2 G6 x1 x1", "D6 D2 A4 x1 x1 A2", "C4 x1 x1 C2 G4 e4", "B3 B3 B2 x1 x1 B3 x1 B2 x1 B2 x1")
CLOSE = ("E2 x1 x1 G2 x1 x1 A2 x1 Bb1 A2 G2", "E2 x1 E2 x1 G2 A2 Bb2 B1 B1 B2")
# Drums of one bar of 7/8: kick and snare by the sixteenth; hats follow the eighths.
GROOVE = (
    ("x.....x.x..x..", "....X.....X...", "h.h.h.h.h.h.h."),
    ("x..x..x.x.....", "....X.....X..o", "h.h.h.h.h.h.H."),
    ("x.....x.x..x..", "....X..o..X...", "h.h.h.h.h.h.h."),
    ("x..xx..xx.....", "....X.....X.XX", "h.h.h.H.h.h..."),
)


class Score:
    """Notes of all parts with the small inaccuracies of hands, drawn from one fixed seed."""

    def __init__(self, seed: int = 7, parts: dict[str, tuple[int, int, int, int]] = PARTS):
        self.parts = parts
        self.events: list[tuple[int, int, bytes]] = []  # tick, order within the tick, MIDI message
        self.metres: list[tuple[int, int]] = []  # step, eighths in the bar
        self._chance = random.Random(seed)
        for channel, program, volume, _ in parts.values():
            self._add(0, 0, bytes([0xC0 | channel, program]))
            self._add(0, 0, bytes([0xB0 | channel, 7, volume]))
            self._add(0, 0, bytes([0xB0 | channel, 91, 24]))  # a little of the room

    def play(self, part: str, step: float, length: float, notes, velocity: int) -> None:
        """Strike notes together at a step (in sixteenths from the beginning), held for length steps."""
        channel, _, _, loose = self.parts[part]
        onset = step * STEP + self._chance.gauss(0, loose)
        force = velocity + self._chance.gauss(0, 5)
        for place, note in enumerate(notes):
            start = max(0, round(onset + place * (3 if part != "drums" else 0)))  # a strum is not one instant
            hit = min(127, max(1, round(force + self._chance.gauss(0, 2))))
            self._add(start, 2, bytes([0x90 | channel, note, hit]))
            self._add(max(start + 20, round(onset + length * STEP)), 1, bytes([0x80 | channel, note, 0]))

    def bend(self, part: str, step: float, cents: float) -> None:
        """Bend a part's pitch from this step on; the synthesiser's range is two semitones."""
        value = 8192 + round(8191 * cents / 200)
        self._add(round(step * STEP), 0, bytes([0xE0 | self.parts[part][0], value & 127, value >> 7]))

    def midi(self) -> bytes:
        """A standard MIDI file, format 0 (one track)."""
        metas = [(0, -1, b"\xff\x51\x03" + struct.pack(">I", 60_000_000 // TEMPO)[1:])]
        for step, eighths in self.metres:
            metas.append((step * STEP, -1, bytes([0xFF, 0x58, 4, eighths, 3, 24, 8])))
        track, now = b"", 0
        for tick, _, message in sorted(metas + self.events, key=lambda event: event[:2]):
            track += _variable_length(tick - now) + message
            now = tick
        track += b"\x00\xff\x2f\x00"
        return struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, TICKS, b"MTrk", len(track)) + track

    def _add(self, tick: int, order: int, message: bytes) -> None:
        self.events.append((tick, order, message))


def compose() -> Score:
    """The whole piece."""
    score, step = Score(), 0
    for number, bar in enumerate(RIFF):
        step = _riff_bar(score, step, bar, number)
    _lead(score, 4 * 14)
    for number, bar in enumerate(BRIDGE):
        step = _bridge_bar(score, step, bar, number)
    for number in (0, 7):
        step = _riff_bar(score, step, RIFF[number], number)
    for number, bar in enumerate(CLOSE):
        step = _closing_bar(score, step, bar, number)
    if step != round(SECONDS * TEMPO / 60 * 4):
        raise ValueError(f"the bars add up to {step} sixteenths, not to {SECONDS} s")
    return score


def _guitars(score: Score, step: int, bar: str) -> int:
    """Rhythm guitars and bass of one bar. Returns the step after it."""
    for word in bar.split():
        name, length = word[:-1], int(word[-1])
        if name == "x":
            score.play("left", step, 0.55, (40, 47), 74)
            score.play("right", step, 0.5, (40, 47), 66)
            score.play("mute", step, 0.7, (40, 47, 52), 112)
            score.play("bass", step, 0.8, (28,), 92)
        else:
            root = NOTES[name]
            score.play("left", step, length * 0.95, (root, root + 7, root + 12), 108)
            score.play("right", step, length * 0.93, (root, root + 7, root + 12), 100)
            score.play("bass", step, length * 0.9, (root - 12,), 108)
        step += length
    return step


def _riff_bar(score: Score, step: int, bar: str, number: int) -> int:
    score.metres.append((step, 7))
    kick, snare, hat = GROOVE[number % 4]
    metal = RIDE if 4 <= number < 7 else HAT
    for place in range(14):
        if kick[place] == "x":
            score.play("drums", step + place, 1, (KICK,), 112)
        if snare[place] != ".":
            score.play("drums", step + place, 1, (SNARE,), 116 if snare[place] == "X" else 48)
        if hat[place] != ".":
            accent = 96 if place in (0, 4, 8) else 74
            score.play("drums", step + place, 1, (OPEN_HAT if hat[place] == "H" else metal,), accent)
    if number in (0, 4):
        score.play("drums", step, 4, (CRASH,), 112)
    if number == 7:
        toms = (SNARE, SNARE, HIGH_TOM, MIDDLE_TOM, LOW_TOM, FLOOR_TOM)
        for place, drum in enumerate(toms):
            score.play("drums", step + 8 + place, 1, (drum,), 96 + 4 * place)
    return _guitars(score, step, bar)


def _lead(score: Score, start: int) -> None:
    """The melody over the four bars of A from a step on."""
    phrase = (  # step, length, note, cents it is bent up from
        (0, 4, 71, -200), (4, 2, 69, 0), (6, 2, 67, 0), (8, 5, 64, 0),
        (14, 4, 67, 0), (18, 3, 69, -100), (21, 1, 70, 0), (22, 6, 71, 0),
        (28, 4, 74, -200), (32, 2, 71, 0), (34, 2, 69, 0), (36, 3, 70, 0), (39, 3, 67, 0),
        (42, 3, 64, 0), (45, 1, 65, 0), (46, 2, 67, 0), (48, 2, 70, 0), (50, 2, 71, 0), (52, 4, 76, -200),
    )  # fmt: skip
    for step, length, note, cents in phrase:
        for part in range(5 if cents else 0):
            score.bend("lead", start + step + part * 0.25, cents * (1 - part / 4))
        if length >= 4:  # a slow vibrato once the note stands
            for part in range(8, length * 4):
                score.bend("lead", start + step + part / 4, (18, 0, -18, 0)[part % 4])
            score.bend("lead", start + step + length, 0)
        score.play("lead", start + step, length * 0.97, (note,), 104)


def _bridge_bar(score: Score, step: int, bar: str, number: int) -> int:
    length = 20 if number == 3 else 16
    score.metres.append((step, length // 2))
    chords = (("C", "G"), ("D", "A"), ("C", "e"), ("B", "B"))[number]
    for place in range(0, length, 2):  # a broken chord with its ninth
        root = NOTES[chords[place >= length // 2]] + 12
        tone = (0, 7, 14, 16 if number in (0, 2) else 12, 19, 14, 7, 12)[place // 2 % 8]
        score.play("clean", step + place, 2.5, (root + tone,), 96)
    for note, place in ((CRASH, 0), (KICK, 0), (KICK, 3), (KICK, 6), (SNARE, 8), (KICK, 10), (KICK, 14)):
        score.play("drums", step + place, 4, (note,), 110)
    for place in range(0, length, 2):
        on_beat = place % 4 == 0
        score.play("drums", step + place, 2, (OPEN_HAT if on_beat else HAT,), 92 if on_beat else 78)
    if number == 1:
        score.play("drums", step + 15, 1, (SNARE,), 52)
    if number == 3:  # a roll that grows over the added quarter
        roll = (SNARE, SNARE, SNARE, SNARE, HIGH_TOM, MIDDLE_TOM, LOW_TOM, FLOOR_TOM)
        for place, drum in enumerate(roll):
            score.play("drums", step + 12 + place, 1, (drum,), 60 + 7 * place)
    return _guitars(score, step, bar)


def _closing_bar(score: Score, step: int, bar: str, number: int) -> int:
    score.metres.append((step, 8))
    score.play("drums", step, 4, (CRASH if number == 0 else CHINA,), 116)
    for place in range(0, 16, 2):
        score.play("drums", step + place, 1, (RIDE,), 98 if place % 4 == 0 else 78)
    for place in (0, 3, 6, 8, 11, 14):
        score.play("drums", step + place, 1, (KICK,), 112)
    for place in (4, 12) if number == 0 else (4, 10, 12, 13, 14, 15):
        score.play("drums", step + place, 1, (SNARE,), 116)
    high = ((0, 83), (4, 82), (8, 81), (12, 79)) if number == 0 else ((0, 76), (4, 79), (8, 82), (12, 83))
    for place, note in high:
        score.play("lead", step + place, 3.8, (note - 12, note), 92)
    return _guitars(score, step, bar)


def _variable_length(value: int) -> bytes:
    """A number in groups of seven bits, the highest first, all but the last marked."""
    groups = [value & 127]
    while value := value >> 7:
        groups.append(value & 127 | 128)
    return bytes(reversed(groups))


def render(midi: bytes) -> np.ndarray:
    """Play a MIDI file by fluidsynth; mono float32, SECONDS long at RATE."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "riff.mid").write_bytes(midi)
        kinds = ["-g", "0.35", "-C", "0", "-r", str(RATE), "-O", "s24", "-T", "wav", "-F", "riff.wav"]
        subprocess.run(["fluidsynth", "-ni", "-q", *kinds, SOUND_FONT, "riff.mid"], cwd=folder, check=True)
        samples, _ = audio.read(Path(folder) / "riff.wav", seconds=SECONDS)
    samples = np.tanh(DRIVE * samples / np.abs(samples).max())
    samples *= PEAK / np.abs(samples).max()
    fade = round(0.004 * RATE)  # ends in full sound, without a click
    samples[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return samples


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("riff.flac")
    audio.write(target, render(compose().midi()), RATE, subtype="PCM_16")
