"""Charts of a listening study: results and tidy frames in, Altair charts out. Nothing is computed here.

`groups`: what one listener and a panel both have; `one_listener` and `panel`: what only they have;
`measured`: what clips measured; `planning`: power before a study; `theme`: colours, fonts and writing files.
"""

from analysis.plots import measured, planning
from analysis.plots.groups import dose, fooling, inspiring, musicality
from analysis.plots.one_listener import counts, scorecard
from analysis.plots.panel import clips, modes, quantiles, roc, verdicts
from analysis.plots.theme import NARROW, WIDE, inline, png, render, save

__all__ = [
    "NARROW",
    "WIDE",
    "clips",
    "counts",
    "dose",
    "fooling",
    "inline",
    "inspiring",
    "measured",
    "modes",
    "musicality",
    "planning",
    "png",
    "quantiles",
    "roc",
    "render",
    "save",
    "scorecard",
    "verdicts",
]
