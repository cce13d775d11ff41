"""Compose and render the bundled song: three and a half minutes of a guitar band in E, mostly in 7/8.

    python -m study.data.compose_song [OUT.flac]

It needs nothing but numpy and scipy, of which the same versions give the same file. All bars are played anew:
what comes back comes with other fills, voicings and melodies.
"""

from __future__ import annotations

import sys
from pathlib import Path

from caw import audio
from study.data import band
from study.data.band import Score

SEED = 2022
NOTES = {"E": 40, "F": 41, "F#": 42, "G": 43, "A": 45, "Bb": 46, "B": 47, "C": 48, "C#": 49, "D": 50, "e": 52}
# One bar of rhythm guitar: every word is a chord and its length in sixteenths; x1 is a palm-muted E.
RIFF = (
    "E2 x1 x1 G2 x1 x1 A2 x1 Bb1 A2",
    "E2 x1 x1 G2 x1 x1 D3 x1 B2",
    "E2 x1 x1 G2 x1 x1 A2 x1 x1 G2",
    "E3 x1 F2 x1 x1 G2 x1 x1 F#2",
    "E2 x1 x1 A2 x1 x1 Bb2 A1 G3",
    "E2 x1 x1 e2 x1 x1 D3 x1 B2",
    "E1 x1 E1 x1 G2 x1 x1 A2 x1 Bb1 A2",
    "E3 x1 F2 x1 F1 G2 Bb1 A1 G2",
)
# A verse: which bar of the riff, and semitones up.
VERSES = (
    ((0, 0), (1, 0), (2, 0), (3, 0), (0, 0), (5, 0), (4, 0), (3, 0))
    + ((2, 5), (0, 5), (1, 3), (4, 3), (6, 0), (1, 0), (0, -2), (7, 0)),
    ((6, 0), (4, 0), (1, 0), (5, 0), (2, 3), (6, 3), (0, 0), (3, 0))
    + ((4, 5), (1, 5), (0, 7), (6, 7), (3, 0), (5, 0), (2, 3), (7, 0)),
)
# Drums of one bar by the sixteenth: kick; snare, in which o is soft; hats, of which H is open.
SEVENS = (
    ("x.....x.x..x..", "....X.....X...", "h.h.h.h.h.h.h."),
    ("x..x..x.x.....", "....X.....X..o", "h.h.h.h.h.h.H."),
    ("x.....x.x..x..", "....X..o..X...", "h.h.h.h.hhh.h."),
    ("x..xx..xx.....", "....X.....X.oo", "h.h.h.H.h.h.h."),
    ("x.x...x..x..x.", "....X...o.X...", "H.h.hhh.h.h.h."),
)
FOURS = (
    ("x..x..x...x...x.", "....X.......X...", "h.h.h.h.h.h.h.h."),
    ("x.....x.x.x.....", "....X..o....X..o", "h.h.h.H.h.h.h.h."),
    ("x..x....x.xx....", "....X.......X.o.", "h.h.h.hhh.h.h.h."),
    ("x.x...x...x..x..", "....X....o..X...", "H.h.h.h.H.h.hhh."),
)
FIVES = (
    ("x.....x...x.....x...", "............X.......", "h...h...h...h...h.h."),
    ("x.......x.....x.x...", "............X.....o.", "h...h.h.h...h...h..."),
)
FILLS = (
    "snare snare high high",
    "high snare middle floor",
    "snare floor snare floor",
    "high middle middle floor",
)
# A chorus: a chord for each of sixteen bars, and the ways its rhythm guitars go, in which r is the chord.
CHORUSES = (
    "C G D E C G A B  C G D E A C D D",
    "C G D E C A G B  A C G D C B A B",
    "C D E G C G A B  C D E A C D G B",
)
STROKES = (
    "r6 r2 r4 x1 x1 r2",
    "r4 r2 r2 x1 x1 r2 r4",
    "r6 r4 r2 x1 x1 r2",
    "r3 r3 r2 x1 x1 r4 r2",
    "r8 r3 r3 x1 x1",
)
THIRDS = {"C": 4, "G": 4, "D": 4, "E": 3, "A": 4, "B": 4, "F": 4, "Bb": 4, "e": 3}  # in semitones: E is minor
# Melodies: words of a MIDI note (0 rests) and its length in sixteenths.
HUMS = (  # of a verse: four bars of 7/8 each
    "71:8 69:3 67:3 64:10 0:4 67:4 69:4 71:6 74:8 71:6",
    "76:6 74:4 71:4 72:8 71:2 69:4 67:8 0:2 66:4 67:5 70:3 71:6",
    "64:4 67:4 69:6 70:2 71:12 74:6 73:2 71:6 69:4 67:4 66:6",
    "79:4 76:4 74:6 71:10 72:4 74:5 72:2 71:7 69:6 67:2 65:6",
)
TUNES = (  # of a chorus: eight bars of 4/4 each
    "76:8 74:4 71:4 71:12 74:4 69:8 66:4 69:4 71:16 67:6 69:2 71:4 72:4 71:8 74:8 73:8 76:8 75:16",
    "72:4 76:8 79:4 78:4 74:12 74:4 69:4 66:8 67:4 71:12 79:8 76:4 72:4 74:8 71:8 69:4 73:4 76:8 "
    "78:8 76:4 74:4",
    "79:8 76:4 79:4 78:4 79:4 74:8 74:6 76:2 78:8 79:4 78:4 76:8 76:4 74:4 72:8 73:4 69:4 76:8 74:12 "
    "71:4 75:4 78:12",
    "83:6 81:2 79:8 76:4 78:4 74:8 69:4 74:4 78:8 76:12 79:4 84:8 79:8 76:6 81:2 78:8 78:4 76:4 74:8 75:16",
    "76:4 79:4 84:8 81:4 78:4 74:8 79:12 76:4 83:8 79:4 74:4 76:4 72:4 79:8 74:4 71:4 79:8 81:8 85:8 83:16",
    "84:8 83:4 79:4 81:8 78:8 79:4 76:4 71:8 76:4 81:12 79:6 76:2 72:8 74:4 78:4 81:8 83:8 79:8 78:8 75:8",
)
BRIDGE = ("A", "F", "C", "G", "A", "F", "D", "Bb", "C", "D", "E", "B")
ARIA = (
    "76:20 72:12 69:8 67:12 76:8 74:14 71:6 76:8 81:12 77:12 81:8 77:10 74:10 74:12 77:8 79:16 76:4 "
    "78:20 79:10 76:10 75:20"
)
BLUES = (64, 67, 69, 70, 71, 74, 76, 79, 81, 82, 83, 86, 88)  # of the solo


def compose() -> Score:
    """The whole song."""
    song = Score(SEED)
    _intro(song)
    _verse(song, 0)
    _rise(song, 0)
    _chorus(song, 0)
    _riff(song, "link", (6, 5, 0, 7), 145)
    _verse(song, 1)
    _rise(song, 1)
    _chorus(song, 1)
    _bridge(song)
    _solo(song)
    _chorus(song, 2)
    _ending(song)
    return song


def _intro(song: Score) -> None:
    for number, index in enumerate((0, 1, 2, 3)):
        step = song.bar("intro", 14, 142)
        _broken(song, step, 14, (52, 59, 64, 67, 71, 66 if number % 2 else 69, 76), 0.55 + 0.08 * number)
        if number > 1:
            _bass(song, step, RIFF[index], 0, 0.6)
            _metal(song, step, "..h...h...h.h." if number == 2 else "h.h.h.h.h.h.h.", 0.4)
        if number == 3:
            _fill(song, step + 6, 8)
    _riff(song, "intro", (0, 1, 4, 7), 144)


def _riff(song: Score, section: str, order: tuple[int, ...], tempo: float, lead: bool = False) -> None:
    """The riff by all, loud."""
    for number, index in enumerate(order):
        step = song.bar(section, 14, tempo)
        last = number == len(order) - 1
        _drums(song, step, song.dice.choice(SEVENS), 0.92, fill=6 if last else 0)
        if number % 4 == 0:
            _crash(song, step)
        for part in ("left", "right"):
            _strum(song, part, step, RIFF[index], 0, 0.95)
        _bass(song, step, RIFF[index], 0, 0.9)
    if lead:
        _improvise(song, step + 14, 14 * len(order))


def _verse(song: Score, number: int) -> None:
    """Quiet: one guitar, bass, few drums, a humming lead; the second time more of it."""
    for place, (index, up) in enumerate(VERSES[number]):
        step = song.bar(f"verse {number + 1}", 14, 143 + number)
        force = (0.50 if number == 0 else 0.60) + 0.009 * place
        _strum(song, "crunch", step, RIFF[index], up, force, open_length=0.8)
        _bass(song, step, RIFF[index], up, force + 0.08)
        kick, snare, hat = song.dice.choice(SEVENS)
        if number == 0:
            snare, hat = snare.replace("o", "."), hat if place > 3 else "h...h...h.h..."
        metal = "ride" if number and place >= 8 else "hat"
        drums = (kick, snare, hat)
        last = place == len(VERSES[number]) - 1
        soft = "rim" if number == 0 else "snare"
        fill = 8 if last else 4 if place % 8 == 7 else 0
        _drums(song, step, drums, force + 0.05, snare=soft, metal=metal, fill=fill)
        if number and place >= 4:
            _broken(song, step, 14, tuple(up + tone for tone in (64, 71, 66, 76, 67, 71, 74)), 0.38)
        if number and place >= 8:
            for tone in (52, 59, 64):
                song.play("organ", step, 14, (tone + up,), 0.35)
    for place in (4, 8, 12):
        hum = HUMS[(place // 4 + 2 * number) % 4]
        _sing(song, "lead", step - 14 * (15 - place), hum, 0.55 + 0.04 * number)


def _rise(song: Score, number: int) -> None:
    """Two bars that grow into the chorus."""
    for place, chord in enumerate(("A", "B") if number == 0 else ("C", "D")):
        step, root = song.bar(f"rise {number + 1}", 16, 144), NOTES[chord]
        for beat in range(0, 16, 2):
            force = 0.5 + 0.2 * place + 0.013 * beat
            muted = place == 0 and beat % 4 != 0
            song.play("left", step + beat, 1.7, (root, root + 7), force, muted=muted)
            song.play("bass", step + beat, 1.8, (root - 12,), force)
            drum = "floor" if number else "snare"
            song.play("drums", step + beat, 1, (drum,), 0.3 + 0.3 * place + 0.02 * beat)
            if beat % 4 == 0:
                song.play("drums", step + beat, 1, ("kick",), 0.8)
        for tone in (12, 19, 24 + THIRDS[chord] - 12):
            song.play("organ", step, 16, (root + tone,), 0.5 + 0.2 * place)
        if place == 1:
            song.play("drums", step + 8, 8, ("open",), 0.6)
            _fill(song, step + 12, 4)


def _chorus(song: Score, number: int) -> None:
    """Loud and open, in 4/4."""
    for place, chord in enumerate(CHORUSES[number].split()):
        step, root = song.bar(f"chorus {number + 1}", 16, 145 + number), NOTES[chord]
        strokes = song.dice.choice(STROKES).replace("r", chord)
        _strum(song, "left", step, strokes, 0, 1.0, rest=root)
        if number == 2 or place % 4 == 3:
            strokes = song.dice.choice(STROKES).replace("r", chord)
        voicing = ((0, 7, 12), (-5, 0, 7), (7, 12, 19))[(number + place // 8) % 3]
        _strum(song, "right", step, strokes, 0, 0.95, rest=root, voicing=voicing)
        _walk(song, step, root, number)
        metal, fill = ("ride", "hat", "bell")[number], {3: 4, 7: 8}.get(place % 8, 0)
        _drums(song, step, song.dice.choice(FOURS), 0.95, metal=metal, fill=fill)
        if place % 4 == 0 or (place % 2 == 0 and number == 2):
            _crash(song, step)
        for tone in ((0, THIRDS[chord], 7), (-5, 0, THIRDS[chord]), (THIRDS[chord], 7, 12))[number]:
            song.play("organ", step, 15.5, (root + 12 + tone,), 0.55)
    tune = " ".join(TUNES[2 * number : 2 * number + 2])
    _sing(song, "lead", step - 15 * 16, tune, 0.8)
    if number:
        _sing(song, "second", step - 15 * 16, tune, 0.7, -12 if number == 1 else -5)


def _bridge(song: Score) -> None:
    """Other chords, 5/4: it begins with two guitars and an organ and grows to a roll."""
    for place, chord in enumerate(BRIDGE):
        step, root = song.bar("bridge", 20, 138 if place < 8 else 140 + (place - 8)), NOTES[chord]
        third = 3 if chord in "AD" else THIRDS[chord]
        grown = max(0.0, (place - 3) / 8)
        tones = [root + 12 + tone for tone in (0, 7, 14, 12 + third, 19, 14, 7)]
        song.dice.shuffle(tones)
        _broken(song, step, 20, tuple(tones), 0.5 + 0.2 * grown)
        for tone in (0, third, 7, 14):
            song.play("organ", step, 20, (root + 12 + tone,), 0.34 + 0.3 * grown)
        for beat, length in ((0, 12), (12, 8)):
            low = root - 12 if root > 43 else root
            song.play("bass", step + beat, length - 0.5, (low,), 0.7 + 0.2 * grown)
        if place >= 4:
            bar, fill = song.dice.choice(FIVES), 4 if place % 4 == 3 else 0
            _drums(song, step, bar, 0.5 + 0.4 * grown, metal="ride", fill=fill)
        if place >= 8:
            for part in ("left", "right"):
                song.play(part, step, 19.5, (root, root + 7, root + 12), 0.6 + 0.35 * grown)
            _crash(song, step)
        if place == 11:
            _fill(song, step + 8, 12)
    _sing(song, "second", step - 11 * 20, ARIA, 0.85)


def _solo(song: Score) -> None:
    _riff(song, "solo", (0, 6, 1, 4, 5, 2, 3, 7), 146, lead=True)


def _ending(song: Score) -> None:
    _riff(song, "ending", (0, 4, 6, 5), 146, lead=True)
    for chord, tempo in (("C", 140), ("D", 132)):
        step, root = song.bar("ending", 14, tempo), NOTES[chord]
        for part in ("left", "right"):
            song.play(part, step, 13.5, (root, root + 7, root + 12), 0.95)
        song.play("bass", step, 13.5, (root - 12,), 0.9)
        _crash(song, step)
        _fill(song, step + 6, 8)
    step = song.bar("ending", 40, 124)
    for part, chord in (("left", (40, 47, 52)), ("right", (47, 52, 59)), ("clean", (52, 59, 64, 66, 71))):
        song.play(part, step, 38, chord, 1.0)
    song.play("organ", step, 38, (52, 59, 67), 0.5)
    song.play("bass", step, 38, (28,), 0.95)
    song.play("lead", step + 1, 34, (76,), 0.7, slide=2)
    _crash(song, step)
    song.play("drums", step, 8, ("china",), 0.8)
    for late in (8, 16):
        song.play("drums", step + late, 1, ("floor",), 0.6)


def _strum(song, part, step, bar, up, force, *, rest=40, voicing=(0, 7, 12), open_length=0.95) -> None:
    """Rhythm guitar of one bar, `up` semitones higher. rest: the note under palm mutes."""
    for word in bar.split():
        name, length = word[:-1], int(word[-1])
        if name == "x":
            song.play(part, step, 0.7, (rest + up, rest + up + 7), 0.8 * force, muted=True)
        else:
            root = NOTES[name] + up
            song.play(part, step, length * open_length, tuple(root + tone for tone in voicing), force)
        step += length


def _bass(song: Score, step: int, bar: str, up: int, force: float) -> None:
    for word in bar.split():
        name, length = word[:-1], int(word[-1])
        root = (40 if name == "x" else NOTES[name]) + up - 12
        muted = name == "x"
        song.play("bass", step, length * 0.92, (root,), force * (0.85 if muted else 1), muted=muted)
        step += length


def _walk(song: Score, step: int, root: int, number: int) -> None:
    """The bass of a bar of chorus: eighths on the root that leave it where they like."""
    for beat in range(0, 16, 2):
        tone = 0 if beat in (0, 8) else song.dice.choice((0, 0, 0, 7, 12) if number else (0, 0, 0, 0, 7))
        song.play("bass", step + beat, 1.85, (root - 12 + tone,), 0.95 if beat % 4 == 0 else 0.82)


def _broken(song: Score, step: int, steps: int, tones: tuple[int, ...], force: float) -> None:
    """A broken chord on the clean guitar; its strings ring on."""
    for place in range(0, steps, 2):
        tone = tones[place // 2 % len(tones)]
        accent = 1.15 if place % 4 == 0 else 0.95
        song.play("clean", step + place, min(6, steps - place + 2), (tone,), accent * force)


def _sing(song: Score, part: str, step: float, melody: str, force: float, up: int = 0) -> None:
    before = None
    for word in melody.split():
        note, length = (int(number) for number in word.split(":"))
        if note:
            slide = note - before if before and length > 4 else 0
            slide = song.dice.choice((1, 2)) if length >= 8 else max(-3, min(3, slide))
            song.play(part, step, length * 0.97, (note + up,), force, slide=slide)
        before, step = note or None, step + length


def _improvise(song: Score, end: float, steps: int) -> None:
    """A solo in phrases of two bars: runs up and down the scale by small steps, and a note that is held."""
    step, place = end - steps, 5
    while step < end:
        left = (end - step) % 28 or 28  # of the phrase
        length = left if left <= 6 else song.dice.choice((1, 1, 1, 1, 2, 2, 3, 4))
        place = min(len(BLUES) - 1, max(0, place + song.dice.choice((-2, -1, -1, 1, 1, 2))))
        song.play("lead", step, length * 0.95, (BLUES[place],), 0.85, slide=2 if length >= 3 else 0)
        step += length
        if length == left:
            place = song.dice.randrange(3, 10)


def _drums(song, step, bar, force, *, snare="snare", metal="hat", fill=0) -> None:
    """A bar of drums; the last `fill` steps of it are a fill."""
    kicks, snares, hats = bar
    clear = len(kicks) - fill
    for place in range(clear):
        if kicks[place] == "x":
            song.play("drums", step + place, 1, ("kick",), force)
        if snares[place] != ".":
            song.play("drums", step + place, 1, (snare,), force if snares[place] == "X" else 0.35 * force)
    _metal(song, step, hats[:clear], force, metal)
    if fill:
        _fill(song, step + clear, fill)


def _metal(song: Score, step: int, hats: str, force: float, metal: str = "hat") -> None:
    for place, sign in enumerate(hats):
        if sign != ".":
            name = "open" if sign == "H" and metal == "hat" else metal
            song.play("drums", step + place, 1, (name,), force * (0.95 if place % 4 == 0 else 0.7))


def _fill(song: Score, step: float, steps: int) -> None:
    drums = song.dice.choice(FILLS).split()
    for place in range(steps):
        if song.dice.random() < 0.85 or place == 0:
            name = drums[place * len(drums) // steps]
            song.play("drums", step + place, 1, (name,), 0.55 + 0.4 * (place + 1) / steps)
    song.play("drums", step, 1, ("kick",), 0.85)


def _crash(song: Score, step: int) -> None:
    song.play("drums", step, 16, ("crash",), 0.9)
    song.play("drums", step, 1, ("kick",), 0.95)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("song.flac")
    audio.write(target, band.stepped(band.render(compose())), band.OUT, subtype="PCM_16")
