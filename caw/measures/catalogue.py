"""Every measure of a generated clip: its name, unit, what is good, what it means. The one list of them.

Tables, JSON, the study's report and the documentation take names, units and meanings from here.
"""

from dataclasses import dataclass, replace

LESS, MORE, ZERO, HALVES = "less", "more", "0", "as halves"  # which value is better


@dataclass(frozen=True)
class Measure:
    """One measure. `better`: less, more, 0 (of either sign), as halves (the anchor), or "" for none."""

    name: str
    unit: str
    better: str
    meaning: str


LIKENESS = (
    Measure("frechet_0.13", "", LESS, "Frechet distance of log-mel patches of 0.13 s: timbre and attacks"),
    Measure("frechet_0.5", "", LESS, "Frechet distance of patches of 0.5 s: how notes follow each other"),
    Measure("sliced_0.13", "", LESS, "sliced Wasserstein distance of patches of 0.13 s: assumes no Gaussian"),
    Measure("sliced_0.5", "", LESS, "sliced Wasserstein distance of patches of 0.5 s"),
    Measure("coverage_0.13", "", MORE, "share of the real patches of 0.13 s that have a generated one near"),
    Measure("coverage_0.5", "", MORE, "share of the real patches of 0.5 s that have a generated one near"),
)
COPYING = (
    Measure("copied_share", "", HALVES, "share of windows of 128 ms whose waveform the real clip holds"),
    Measure("longest_run", "s", HALVES, "longest stretch that is one piece of the real clip's waveform"),
    Measure("match_0.25", "dB", HALVES, "how near 0.25 s of spectrogram come to the real clip; 0 is a copy"),
    Measure("match_1", "dB", HALVES, "how near 1 s of spectrogram comes to the real clip; 0 is a copy"),
    Measure("match_4", "dB", HALVES, "how near 4 s of spectrogram come to the real clip; 0 is a copy"),
    Measure("diversity", "", MORE, "1 less the share of windows that the given clips have in common"),
)
MUSIC = (
    Measure("onset_distance", "", LESS, "difference of the onsets' autocorrelations: the feel of the rhythm"),
    Measure("tempo", "BPM", "", "tempo of the generated clip, a guess among halves and doubles"),
    Measure("tempo_error", "%", LESS, "its distance from the real clip's; halves and doubles are the same"),
    Measure("chroma_distance", "", LESS, "share of the pitch classes' weight that lies elsewhere, 0 to 1"),
)
EDGE = Measure("edge", "dB", ZERO, "hole (-) or ridge (+) where two scales meet, less the real clip's")
SOUND = (
    Measure("sync", "", "as real", "mean correlation of six bands' rises: do they strike together"),
    Measure("attack_4k", "dB", "as real", "rise of the level above 4 kHz at onsets"),
    Measure("rough_mid", "dB", "as real", "envelope's power at 12 to 60 Hz over 0.5 to 8 Hz, 500 to 2000 Hz"),
    Measure("jitter_lo", "dB", "as real", "flicker of held partials of 60 to 500 Hz, per 16 ms"),
    Measure("partial_mid", "ms", "as real", "length of partials of 0.5 to 2 kHz"),
    Measure("partial_hi", "ms", "as real", "length of partials of 2 to 6 kHz"),
)
COMPOSITION = (
    Measure("pulse", "", "as real", "highest autocorrelation of the onsets at 0.25 to 1.5 s"),
    Measure("bar_acf", "", "as real", "the same at 1 to 6 s: do bars repeat"),
    Measure("trans", "", LESS, "distance of the chords' transitions from beat to beat, 0 to 1"),
)
ALIKE = (
    Measure("correlation_1", "", HALVES, "best log-mel correlation of 1 s with any stretch of the real clip"),
    Measure("correlation_4", "", HALVES, "the same of 4 s"),
    Measure("same_mel", "", "", "log-mel correlation with the real clip at the same moment"),
    Measure("same_chord", "", "", "share of beats with the real clip's chord at the same moment"),
)
ARTEFACTS = (
    Measure("clicks", "/min", LESS, "single samples or joints that jump out"),
    Measure("silence", "", HALVES, "share of frames of 50 ms over 40 dB below the clip's level"),
    Measure("longest_silence", "s", HALVES, "longest stretch of such frames"),
)


def measures(edges=()) -> list[Measure]:
    """All measures in their order, with one for each edge in Hz, named as edge_500."""
    seams = [
        replace(EDGE, name=f"{EDGE.name}_{hz:g}", meaning=EDGE.meaning.replace("scales meet", told))
        for hz, told in ((hz, f"scales meet at {hz:g} Hz") for hz in edges)
    ]
    return [*LIKENESS, *COPYING, *ALIKE, *MUSIC, *COMPOSITION, *SOUND, *seams, *ARTEFACTS]


def measure(name: str) -> Measure:
    """The measure of that name; edge_HZ for any HZ. Raises: KeyError."""
    kind, _, hz = name.partition("_")
    known = {found.name: found for found in measures([float(hz)] if kind == EDGE.name else ())}
    return known[name]
