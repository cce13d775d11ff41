"""What the audit looks at: every property's name, unit and kind, and what to do about it.

format   of the file. It must be the same for all stimuli: any difference is a leak.
form     of the sound, but not of the music: what recording, codecs, cutting and levelling leave behind, and
         what keys of study.toml can even out. It may differ from clip to clip, but not by truth.
order    in which clips lie, were written and are presented: drawn at random, tested as form is.
trace    left by the way a sound was made, by a codec or by the model itself (phases, holes, tones); no key
         of study.toml evens it out. Traces are tested together, apart from form and order. They are reported
         and are never a leak.
music    of the music itself, because it may show the model's hand: reported, never a leak.

Each property also says who notices it: a listener who hears the clip, or only a program that reads its file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["format", "form", "order", "trace", "music"]
LISTENER, PROGRAM = "listener", "program"  # who notices a property


@dataclass(frozen=True)
class Property:
    """One thing measured of every file.

    Attributes
    ----------
    name, unit : str
        As tables show them.
    kind : str
        One of format, form, order, trace and music.
    fix : str
        What to do when it tells real from fake. `{more}` stands for the longest time measured, in s.
    matters : float
        Differences up to this, in the property's unit, do not count: they come from dither and windows.
    audible : bool
        Whether a listener can hear it. Otherwise only a program that reads the files sees it.
    needs_many : bool
        Whether it is tested only from leak_test.MANY relabelings on, because with fewer it would cost the
        others power.
    """

    name: str
    unit: str
    kind: Kind
    fix: str
    matters: float = 0.0
    audible: bool = True
    needs_many: bool = False

    @property
    def noticed_by(self) -> str:
        """LISTENER or PROGRAM."""
        return LISTENER if self.audible else PROGRAM

    def __str__(self) -> str:
        return f"{self.name} ({self.unit})" if self.unit else self.name


_REBUILD = "delete the folder sets/, build again, and do not touch its files"
_PRESENTED = 'set listening.order = "counterbalanced", or invite more listeners: their orders even out'
_ORDER = "delete the folder sets/ and build again: ids and orders are drawn anew"
_MUSIC = "nothing to do: it belongs to the music; mention it in the report"

FORMAT = (
    Property("suffix", "", "format", "all stimuli are stimuli.format: " + _REBUILD, audible=False),
    Property("container", "", "format", "all stimuli are stimuli.format: " + _REBUILD, audible=False),
    Property(
        "file size",
        "bytes",
        "format",
        "one stimuli.seconds and stimuli.format for all: " + _REBUILD,
        audible=False,
    ),
    Property("duration", "s", "format", "every stimulus must last stimuli.seconds: " + _REBUILD),
    Property("samples", "", "format", "every stimulus must last stimuli.seconds: " + _REBUILD, audible=False),
    Property("rate", "Hz", "format", "every stimulus must have stimuli.rate: " + _REBUILD, audible=False),
    Property("bit depth", "", "format", "every stimulus has 16 bits: " + _REBUILD, audible=False),
    Property("channels", "", "format", "every stimulus is mono: " + _REBUILD),
    Property("chunks", "", "format", "strip the tags: " + _REBUILD, audible=False),
    Property("changed", "s since 1970", "format", "give all files one time: " + _REBUILD, audible=False),
    Property(
        "name length", "", "format", "give all files random ids of one length: " + _REBUILD, audible=False
    ),
    Property("name words", "", "format", "give all files names without words: " + _REBUILD, audible=False),
    Property("permissions", "", "format", "give all files the same permissions: " + _REBUILD, audible=False),
    Property("owner", "", "format", "give all files one owner and group: " + _REBUILD, audible=False),
    Property("bytes", "", "format", "put the files back that were sealed, or " + _REBUILD, audible=False),
)
OUTER = ("file size", "duration", "samples", "changed", "name length")  # numbers that may vary in any folder

_START = "raise stimuli.trim by {more:.2f} s, or choose passages that start with sound"
_END = "raise stimuli.trim by {more:.2f} s, or choose passages that end with sound"
_PADDED = "a codec's padding: raise stimuli.trim by {more:.2f} s"
_NOISE = (
    "use sources and imports of like recording quality, or lower stimuli.bandwidth below the noise; where "
    'the model itself is so noisy, say so with stimuli.accept = ["noise floor"]'
)
_CLIPPED = "take [[source]] and [[imported]] files that do not clip; stimuli.loudness cannot repair them"
_BITS = "build again: the build dithers all 16 bits; take sources of 16 bits or more"
_REPEATED = (
    "clips of one kind share stretches of sound and the others do not: take longer or more sources, choose "
    "originals and practice that do not overlap, train models on other passages; or say so with "
    'stimuli.accept = ["repetition"]'
)
_ACCEPT = "; or name it in stimuli.accept, where the model itself makes it"
_RUMBLE = "set stimuli.lowest = 40: what lies below is taken out of every clip" + _ACCEPT
_HOLES = (
    "a lossy codec's or the model's own: take [[source]] files that were never MP3, OGG or AAC; or report it"
)
_IMAGES = "of a poor conversion of the rate, or the model's own: convert [[source]] files anew; or report it"
_TONE = "a converter's whistle or the model's own: lower stimuli.bandwidth below it, or report it"
_LEVELS = "a source of few bits or a gain without dither: take files of 16 bits or more, and build again"
_CHANNELS = "bring all files to one channel before they are heard, as `study build` does"
_TRACE = "nothing to do: no listener hears it; whoever saves the clips could compute it, so report it"
CONTENT = (
    Property("loudness", "LUFS", "form", "build again: stimuli.loudness levels every clip", 0.2),
    Property(
        "offset", "dBFS", "form", "build again: every clip is freed of its offset as it is cut", 3.0, False
    ),
    Property("leading silence", "s", "form", _START, 0.01),
    Property("trailing silence", "s", "form", _END, 0.01),
    Property("padding before", "s", "form", _PADDED, 0.001, False),
    Property("padding after", "s", "form", _PADDED, 0.001, False),
    Property("bandwidth", "Hz", "form", "", 200.0),  # its fix is computed
    Property("noise floor", "dBFS", "form", _NOISE, 10.0),
    Property("clipped samples", "", "form", _CLIPPED, 9.0),
    Property("unused bits", "", "form", _BITS, 0.0, False),
    Property("repetition", "s", "form", _REPEATED, 0.2, needs_many=True),
    Property("sub-bass", "dBFS", "form", _RUMBLE, 10.0, needs_many=True),
    Property("drift", "dBFS", "form", _RUMBLE, 10.0, False, needs_many=True),
    Property("unused levels", "%", "form", _LEVELS, 2.0, False, needs_many=True),
    Property("channel difference", "dB", "form", _CHANNELS, 6.0, needs_many=True),
    Property("spectral holes", "%", "trace", _HOLES, 1.0),
    Property("rate images", "correlation", "trace", _IMAGES, 0.2),
    Property("steady tone", "dB", "trace", _TONE, 6.0),
    Property("phase coherence", "0 to 1", "trace", _TRACE, 0.02, False),
    Property("waveform skew", "", "trace", _TRACE, 0.05, False),
    Property("asymmetry", "", "trace", _TRACE, 0.05, False),
    Property(
        "true peak",
        "dBTP",
        "music",
        "nothing to do: at one loudness it is the music's; report it",
        0.1,
        False,
    ),
    Property("crest factor", "dB", "music", _MUSIC, 0.1),
    Property("roll-off", "Hz", "music", _MUSIC + ", or lower stimuli.bandwidth", 50.0),
    Property("spectral slope", "dB/octave", "music", _MUSIC + ", or lower stimuli.bandwidth", 0.1),
    Property("softest frames", "dB to the mean", "music", _MUSIC, 0.1),
)
COMPRESSED = Property(
    "file size",
    "bytes",
    "form",
    'set stimuli.format = "wav": compressed sizes follow the music',
    audible=False,
)
ORDER = (
    Property("order of names", "", "order", _ORDER, audible=False),
    Property("order in the folder", "", "order", _ORDER, audible=False),
    Property("order of writing", "", "order", _ORDER, audible=False),
    Property("order of presentation", "", "order", _PRESENTED),
    Property("times presented", "", "order", "set stimuli.repeats = 0"),
)
BY_NAME = {entry.name: entry for entry in (*CONTENT, *ORDER)}


def fix_for(entry: Property, real: np.ndarray, fake: np.ndarray) -> str:
    """What to do about a property that tells real from fake. real, fake: [n], what the clips measure."""
    if entry.name == "bandwidth":
        return _fix_for_bandwidth(float(np.nanmedian(real)), float(np.nanmedian(fake)))
    if "{more" in entry.fix:
        return entry.fix.format(
            more=math.ceil(100 * float(np.nanmax(np.concatenate([real, fake]))) + 1) / 100
        )
    return entry.fix


def _fix_for_bandwidth(real: float, fake: float) -> str:
    lower = min(real, fake)
    difference = f"originals reach {real / 1000:.1f} kHz, generated {fake / 1000:.1f} kHz"
    rate = math.floor(2 * lower / 100 + 0.5) * 100
    if rate >= 8000:
        return f"{difference}: set stimuli.rate = {rate}"
    return f"{difference}: set stimuli.bandwidth = {math.floor(lower / 100) * 100}"
