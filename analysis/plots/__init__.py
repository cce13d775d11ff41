"""Charts of a listening study: results and tidy frames in, Altair charts out. Nothing is computed here.

`groups` draws groups of clips, `listeners` draws single answers, listeners and clips, `measured` what was
measured of clips, `songs` which songs could use them, `follow_up` what came of them, and `power` the power of
a planned study. `theme` has colours, fonts and files.
"""

from analysis.plots import follow_up, measured, power, songs
from analysis.plots.groups import dose, fooling, inspiring, musicality
from analysis.plots.listeners import clips, counts, modes, quantiles, roc, scorecard, verdicts
from analysis.plots.theme import NARROW, WIDE, inline, png, render, save

__all__ = [
    "NARROW",
    "WIDE",
    "clips",
    "counts",
    "dose",
    "follow_up",
    "fooling",
    "inline",
    "inspiring",
    "measured",
    "modes",
    "musicality",
    "power",
    "png",
    "quantiles",
    "roc",
    "render",
    "save",
    "scorecard",
    "songs",
    "verdicts",
]
