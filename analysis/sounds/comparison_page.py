"""The page of a comparison: its players, pictures and measures in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import soundfile

from analysis import formats as f
from analysis import web_page
from analysis.sounds import comparison_charts as plots
from analysis.sounds.comparison import ORIGINAL, Comparison, Sound
from caw import audio
from caw.measures import catalogue, display

LEAST_PLAYED_RATE = 8000  # Hz; browsers play nothing under it reliably


def html(comparison: Comparison) -> str:
    """The text of the page."""
    return web_page.render(
        "comparison.html.j2",
        styles=("comparison.css",),
        script="comparison.js",
        title=_title(comparison),
        notes=comparison.notes,
        clips=[_card(sound) for sound in comparison.sounds],
        sections=plots.sections(comparison),
        table=_shown_table(comparison),
        seconds=comparison.seconds,
        reading=" ".join(display.READING),
    )


def _title(comparison: Comparison) -> str:
    label = comparison.original.label
    first = "The original" if label == ORIGINAL else label
    return f"{first} and {f.plural(len(comparison.generated), 'clip')} made from it"


def _card(sound: Sound) -> dict[str, Any]:
    facts = [f"{sound.seconds:.1f} s", f"{sound.own_rate / 1000:g} kHz"]
    facts += [{1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels")]
    facts += [f"{f.number(sound.own_loudness, 1)} LUFS, here {sound.gain:+.1f} dB".replace("-", f.MINUS)]
    facts += [f"{sound.tempo:.0f} BPM" if sound.tempo else "no tempo found"]
    return {
        "label": sound.label,
        "file": sound.file,
        "original": sound.original,
        "facts": facts,
        "seconds": sound.seconds,
        "sound": f"data:audio/flac;base64,{base64.b64encode(flac(sound.samples, sound.rate)).decode()}",
    }


def flac(samples: np.ndarray, rate: int) -> bytes:
    """Samples, [n] or [channels, n] at `rate` Hz, as a 16-bit FLAC file that browsers play."""
    played = rate if rate >= LEAST_PLAYED_RATE else 2 * LEAST_PLAYED_RATE
    coded = io.BytesIO()
    clipped = np.clip(audio.resample(samples, rate, played), -1, 1)
    soundfile.write(coded, clipped.T, played, format="FLAC", subtype="PCM_16")
    return coded.getvalue()


def _shown_table(comparison: Comparison) -> dict[str, Any]:
    rows, passed = [], catalogue.passed_by_noise(comparison.anchors)
    for name in comparison.measure_names():
        one = catalogue.measure(name)
        values = [display.number(record.get(name)) for record in comparison.measured]
        anchors = display.of_anchors(comparison.anchors, name, passed)
        title = name.replace("_", " ") + (f" ({one.unit})" if one.unit else "")
        better = {"": "", catalogue.ZERO: "near 0"}.get(one.better, one.better)
        rows.append(
            {"name": title, "better": better, "values": values, "anchors": anchors, "meaning": one.meaning}
        )
    return {
        "clips": [one.label for one in comparison.generated],
        "anchors": list(comparison.anchors),
        "rows": rows,
    }
