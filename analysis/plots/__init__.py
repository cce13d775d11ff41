"""Charts of a listening study: results and tidy frames in, Altair charts out. Nothing is computed here.

`groups` draws groups of clips, `listeners` draws single answers, listeners and clips, `measured` what was
measured of clips, `songs` which songs could use them, `follow_up` what came of them, `own_questions` what
else was asked of them, `rounds` what was said of next rounds, and `power` the power of a planned study.
`points` is a form that several share; `theme` has colours, fonts and files.
"""

from analysis.plots import follow_up, measured, own_questions, power, rounds, songs
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
    "own_questions",
    "power",
    "png",
    "quantiles",
    "roc",
    "rounds",
    "render",
    "save",
    "scorecard",
    "songs",
    "verdicts",
]
