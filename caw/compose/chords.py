"""Chords: their names as musicians and as MIREX write them, and their recognition in chroma."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from caw.problems import ProblemError

NO_CHORD = "N"
NO_CHORD_NAMES = {"N", "N.C.", "NC", "n.c.", "nc", "X"}  # X: MIREX's "no chord that has a name"
LONGEST_NAME = 40
AGAIN, OPEN = "%", "?"  # a bar as the one before it; a bar that asks for no chord
BARS = "|"  # a chart that begins with it has a bar between each two, as musicians write it
ADVICE = "write chords as Em, F#m7b5, Bbmaj7, Dsus4, E:min7, G/B or N (no chord)"
SPELLINGS = {"♯": "#", "♭": "b", "𝄪": "##", "𝄫": "bb", "−": "-", "–": "-", "Δ": "^", "△": "^", "º": "°"}
ROOT = re.compile(r"([A-G])(##|bb|#|b)?")
DEGREE = re.compile(r"(#{0,2}|b{0,2})(1[0-3]|[1-9])")
# Other ways to write qualities, and pychord's or mir_eval's words for them, in the order of replacement.
QUALITIES = (
    (r"^ma?j?or(?=\d|$)", "maj"),
    (r"\^$", "^7"),
    (r"^(Maj|MAJ|Ma|MA|ma|M|\^|j)(?=\d|$|\(|[#b])", "maj"),
    (r"^(minor|Min|MIN|Mi|min|mi|-)", "m"),
    (r"^m\(?(maj|Maj|MAJ|Ma|MA|ma|M|\^)", "mmaj"),
    (r"^(ø7?|h7?|hdim7?|halfdim7?)$", "m7b5"),
    (r"^(°|o|diminished|Dim)(?=7|$)", "dim"),
    (r"^(\+|augmented|Aug)(?=\d|$|maj)", "aug"),
    (r"^aug7$", "7#5"),
    (r"^aug9$", "9#5"),
    (r"^augmaj7$", "maj7+5"),
    (r"^7\+$", "7#5"),
    (r"^7?alt$", "7#9#5"),
    (r"^dom(?=\d)", ""),
    (r"^(7|9)sus$", r"\g<1>sus4"),
    (r"[(),]", ""),
)


ALTERED = re.compile(r"(.*?)((?:(?:(?:add|no|omit)[#b]?|[#b])\d{1,2})+)")  # what stands after a known quality
ALTERATION = re.compile(r"(add|no|omit)?([#b]?)(\d{1,2})")
MAJOR = (0, 2, 4, 5, 7, 9, 11)  # semitones of the degrees


class ChordError(ProblemError):
    """A chord's name that cannot be read."""


@dataclass(frozen=True)
class Chord:
    """A chord. Pitch classes are 0 for C to 11 for B; the root and the bass are None where there is none."""

    label: str  # as written
    root: int | None
    pitch_classes: tuple[int, ...]  # ascending; the bass is one of them
    bass: int | None

    def template(self) -> np.ndarray:
        """Its pitch classes as chroma [12] from C up, of norm 1; zeros where there is no chord."""
        weights = np.zeros(12)
        weights[list(self.pitch_classes)] = 1.0
        return weights / max(1.0, float(np.linalg.norm(weights)))


NONE = Chord(NO_CHORD, None, (), None)


@functools.lru_cache(maxsize=4096)
def parse(name: str) -> Chord:
    """The chord of a name.

    Parameters
    ----------
    name : str
        As musicians write it (Em, F#m7b5, G/B; read by pychord) or as MIREX does (E:min, Bb:maj7/3, N; read
        by mir_eval).

    Returns
    -------
    Chord

    Raises
    ------
    ChordError
        For a name that neither library reads.

    Examples
    --------
    >>> parse("Em").pitch_classes
    (4, 7, 11)
    >>> parse("D:min7/b3").bass
    5
    """
    text = name.strip()
    if text in NO_CHORD_NAMES:
        return NONE
    for sign, plain in SPELLINGS.items():
        text = text.replace(sign, plain)
    root = ROOT.match(text)
    if not root or len(text) > LONGEST_NAME or "," in re.sub(r"\([^()]*\)", "", text) or " " in text:
        raise _unreadable(name)
    quality, bass = _bass_of(text[root.end() :], root[0])
    semitones = _mirex(root[0], quality) if ":" in quality else _musicians(root[0], quality)
    if semitones is None or bass is None:
        raise _unreadable(name)
    lowest = _pitch(root[0])
    classes = {(lowest + step) % 12 for step in semitones} | {bass}
    return Chord(name.strip(), lowest, tuple(sorted(classes)), bass)


def parse_line(text: str) -> tuple[tuple[Chord, ...], ...]:
    """The chords of each bar of a chart.

    A chart has a word for each bar, with commas within a bar ("Em C,D G"), or bar lines ("| Em | C D | G |").
    "%" repeats the bar before; "?" is a bar without requested chords, which gives (). Raises ChordError,
    which names the bar.
    """
    words = text.split()
    if text.strip().startswith(BARS):
        words = [",".join(part.replace(",", " ").split()) for part in text.strip().strip(BARS).split(BARS)]
    bars: list[tuple[Chord, ...]] = []
    for number, word in enumerate(words, start=1):
        if word == AGAIN and bars:
            bars.append(bars[-1])
            continue
        try:
            bars.append(() if word == OPEN else tuple(parse(name) for name in _names(word)))
        except ChordError as error:
            raise ChordError(f"bar {number}: {error.args[0]}", *error.args[1:]) from None
    return tuple(bars)


def _names(word: str) -> list[str]:
    """The names of one bar, split at commas but not within brackets, as in E:7(b9,13)."""
    return re.split(r",(?![^()]*\))", word)


def _bass_of(rest: str, root: str) -> tuple[str, int | None]:
    """The quality that follows a root, and the bass, a note or a degree; None where that cannot be read."""
    rest = re.sub(r"6/9(?!\d)", "69", rest)  # a chord of its own, not a sixth over a ninth
    quality, slash, bass = rest.rpartition("/")
    if not slash:
        return rest, _pitch(root)
    if ROOT.fullmatch(bass):
        return quality, _pitch(bass)
    if not DEGREE.fullmatch(bass):
        return quality, None
    from mir_eval import chord  # loads slowly, and few names need it

    return quality, (_pitch(root) + chord.scale_degree_to_semitone(bass)) % 12


def _pitch(note: str) -> int:
    return ("C.D.EF.G.A.B".index(note[0]) + note.count("#") - note.count("b")) % 12


def _mirex(root: str, quality: str) -> set[int] | None:
    """Semitones over the root of a quality such as :min7 or :7(b9); None if mir_eval does not read it."""
    from mir_eval import chord

    quality = {":aug7": ":aug(b7)", ":maj11": ":maj9(11)"}.get(quality, quality)
    try:
        _, semitones, _ = chord.encode(root + quality, reduce_extended_chords=True)
    except chord.InvalidChordException:
        return None
    return set(np.flatnonzero(semitones).tolist())


def _musicians(root: str, quality: str) -> set[int] | None:
    """Semitones over the root of a quality such as m7b5; None if neither library reads it."""
    import pychord

    for pattern, plain in (("", ""), *QUALITIES):
        quality = re.sub(pattern, plain, quality) if pattern else quality
        try:
            steps = pychord.Chord(f"C{quality}").quality.components
        except (ValueError, IndexError):
            continue
        return {step % 12 for step in steps}
    altered = ALTERED.fullmatch(quality)
    steps = _musicians(root, altered[1]) if altered else None
    if steps is None:
        return _mirex(root, f":{quality}")
    for word, sign, number in ALTERATION.findall(altered[2]):
        natural = MAJOR[(int(number) - 1) % 7]
        if word != "add":
            steps.discard(natural)  # an altered degree takes the place of the plain one
        if word not in ("no", "omit"):
            steps.add((natural + {"#": 1, "b": -1}.get(sign, 0)) % 12)
    return steps


def _unreadable(name: str) -> ChordError:
    text = name.strip()
    if len(text) > LONGEST_NAME:
        problem = f"chord {text[:LONGEST_NAME]!r}... is too long for a name"
        return ChordError(problem, "put spaces between chords")
    capitalised = text[:1].upper() + text[1:]
    if capitalised != text and _reads(capitalised):
        return ChordError(f"chord {text!r} cannot be read", f"write {capitalised}")
    return ChordError(f"chord {text!r} cannot be read", ADVICE)


def _reads(name: str) -> bool:
    try:
        parse(name)
    except ChordError:
        return False
    return True


NOTE_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
FLATS = dict(zip(("C#", "F#"), ("Db", "Gb"), strict=True))  # in keys with flats
SHARPS = dict(zip(("Eb", "Ab", "Bb"), ("D#", "G#", "A#"), strict=True))  # in keys with sharps
FLAT_KEYS, SHARP_KEYS = (5, 10, 3, 8, 1), (7, 2, 9, 4, 11, 6)  # major, and minor keys of the same notes
STAY = 0.8  # probability that a chord lasts to the next step
SHARPNESS = 40.0  # nats of evidence for a similarity of 1
FIFTH_HANDICAP, NONE_HANDICAP = 0.1, 0.3  # similarity by which power chords and no chord must be ahead


def recognise(chroma: np.ndarray, *, stay: float | np.ndarray = STAY) -> tuple[list[Chord], np.ndarray]:
    """The chord of each step of a chroma, and its certainty.

    Parameters
    ----------
    chroma : array [n, 12]
        Strength of each pitch class from C up, of any scale.
    stay : float or array [n - 1]
        Probability that a chord lasts from a step to the next.

    Returns
    -------
    chords : list of Chord
        Major and minor triads, power chords or N.
    certainty : array [n]
        The chord's share of the posterior probability, times how far its similarity exceeds that of even
        chroma, 0 to 1; N has none.

    Raises
    ------
    ProblemError
        For a chroma of another shape.

    Notes
    -----
    Chroma is compared by cosine with the chords' templates (Fujishima 1999) and smoothed by a hidden Markov
    model (Viterbi's algorithm).

    Examples
    --------
    >>> steps = np.array([parse(name).template() for name in ("C", "C", "Am", "Am")])
    >>> [chord.label for chord in recognise(steps)[0]]
    ['C', 'C', 'Am', 'Am']
    """
    chroma = np.asarray(chroma, float)
    if chroma.ndim != 2 or chroma.shape[1] != 12:
        raise ProblemError(f"chroma has shape {chroma.shape}", "use [n, 12], from C up")
    vocabulary, templates = _vocabulary()
    size = np.linalg.norm(chroma, axis=1, keepdims=True)
    even = np.full(12, 12**-0.5)
    similarity = np.where(size > 0, chroma, even) / np.where(size > 0, size, 1) @ templates.T
    similarity = similarity - np.array(
        [
            NONE_HANDICAP if chord.root is None else FIFTH_HANDICAP * (len(chord.pitch_classes) == 2)
            for chord in vocabulary
        ]
    )
    path, posterior = _smoothed(SHARPNESS * similarity, np.broadcast_to(stay, max(len(chroma) - 1, 0)))
    ahead = (similarity[np.arange(len(path)), path] - similarity[:, 0]) / (1 - 0.5)
    certainty = posterior[np.arange(len(path)), path] * np.clip(ahead, 0, 1)
    return [vocabulary[index] for index in path], certainty


def spelled(chords: Sequence[Chord]) -> list[Chord]:
    """Recognised chords with their roots in sharps or flats, as in the key that has most of their notes."""
    total = sum((chord.template() for chord in chords), np.zeros(12))
    keys = [total[[(key + step) % 12 for step in MAJOR]].sum() for key in range(12)]
    key = int(np.argmax(keys)) if total.any() else 0
    names = FLATS if key in FLAT_KEYS else SHARPS if key in SHARP_KEYS else {}
    out = []
    for chord in chords:
        root = ROOT.match(chord.label)
        plain = root[0] if root else chord.label
        out.append(parse(names.get(plain, plain) + chord.label[len(plain) :]))
    return out


@functools.cache
def _vocabulary() -> tuple[list[Chord], np.ndarray]:
    """N, then triads and fifths on every root; templates [37, 12]."""
    chords = [NONE] + [parse(f"{note}{quality}") for quality in ("", "m", "5") for note in NOTE_NAMES]
    return chords, np.array([np.full(12, 12**-0.5), *(chord.template() for chord in chords[1:])])


def _smoothed(evidence: np.ndarray, stay: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The best path [n] and the posterior [n, k] of states, from evidence [n, k] in nats."""
    count, states = evidence.shape
    go, same = np.log((1 - stay) / (states - 1)), np.log(stay)
    moves = [np.where(np.eye(states, dtype=bool), s, g) for s, g in zip(same, go, strict=True)]
    score, before = evidence.copy(), np.zeros((count, states), int)
    ahead, behind = evidence.copy(), np.zeros_like(evidence)
    for step in range(1, count):
        total = score[step - 1][:, None] + moves[step - 1]
        before[step] = total.argmax(axis=0)
        score[step] += total.max(axis=0)
        ahead[step] += special.logsumexp(ahead[step - 1][:, None] + moves[step - 1], axis=0)
    for step in range(count - 2, -1, -1):
        behind[step] = special.logsumexp(moves[step] + (evidence + behind)[step + 1], axis=1)
    path = np.zeros(count, int)
    if count:
        path[-1] = score[-1].argmax()
    for step in range(count - 1, 0, -1):
        path[step - 1] = before[step, path[step]]
    return path, special.softmax(ahead + behind, axis=1)
