"""The methods section of a report, written from its design and its data, and the works that it cites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis import formats as f
from analysis.report import own_questions, sentences, songs
from analysis.results import stimuli
from analysis.results.stimuli import Panel


def paragraphs(frame: pd.DataFrame, settings: Mapping[str, Any] | None = None) -> list[str]:
    """The methods section, in paragraphs: design and procedure, measures, analysis.

    `settings`: the study's own (tables `stimuli`, `listening`, `questions` of its study.toml); what it does
    not hold is not claimed.
    """
    settings = settings or {}
    design, measures = _design(frame, settings), _measures(settings)
    own = own_questions.methods(frame, own_questions.of(settings))
    about = [
        design,
        measures,
        songs.methods(frame),
        own,
        _analysis(Panel.of(frame)),
        sentences.trained(frame),
    ]
    return [paragraph for paragraph in about if paragraph]


def _design(frame: pd.DataFrame, settings: Mapping[str, Any]) -> str:
    clips, panel = stimuli.by_stimulus(frame), Panel.of(frame)
    made = []
    for name, part in clips.groupby("set", sort=False):
        kinds = part.loc[part["truth"] == "fake", "backend"].value_counts()
        counts = [f"{count} {backend}" for backend, count in kinds.items()]
        originals = int((part["truth"] == "real").sum())
        made.append(f"{name}: {', '.join([*counts, f.plural(originals, 'original')])}")
    who = "One listener" if panel.single_listener else f"{panel.listeners} listeners"
    lines = [f"{who} judged {len(clips)} clips in {f.plural(len(made), 'set')} ({'; '.join(made)})."]
    stimulus, listening = settings.get("stimuli") or {}, settings.get("listening") or {}
    if stimulus.get("seconds") and stimulus.get("rate"):
        lines.append(
            f"Every clip was {stimulus['seconds']:g} s long at {stimulus['rate'] / 1000:g} kHz, mono."
        )
    if stimulus.get("loudness") is not None:
        lines.append(
            f"All were brought to one integrated loudness, {f.number(stimulus['loudness'], 0)} LUFS or "
            "lower (ITU-R BS.1770), without limiting."
        )
    if stimulus.get("trim"):
        lines.append(
            f"Generated clips lost {stimulus['trim'] * 1000:g} ms at either end before they were cut."
        )
    order = {
        "counterbalanced": "drawn for each listener and counterbalanced",
        "fixed": "the same for everyone",
    }
    if listening.get("order") in order:
        lines.append(f"The order was {order[listening['order']]}.")
    if listening.get("play_to_end"):
        lines.append("A clip had to be heard to its end once before it could be judged; replays were free.")
    if "tell_base_rate" in listening:
        knew = "were told" if listening["tell_base_rate"] else "were not told"
        lines.append(f"Listeners {knew} how many clips are machine-made.")
    return " ".join(lines)


def _measures(settings: Mapping[str, Any]) -> str:
    words = settings.get("questions") or {}
    low, high = words.get("musicality_low", "terrible"), words.get("musicality_high", "quite good")
    return (
        "Of every clip they said whether it was real or fake; if fake, how easy that was to tell (easy, "
        f"don't know, difficult); how musical it was from 0 ({low}) to 10 ({high}); and whether it "
        "inspired them (yes, maybe, no, other). Ratings may be missing; means are of complete cases, with "
        "Manski bounds beside them (Manski 1990)."
    )


def _analysis(panel: Panel) -> str:
    common = (
        "The signal is a machine-made clip: a hit is \u201cfake\u201d said of one. d\u2032 and c have the "
        "log-linear correction (Hautus 1995), which shrinks d\u2032 towards 0. p values are two-sided, "
        "and corrected within the comparisons of one outcome in a kind of group (Holm 1979). Whatever the "
        "data cannot carry is listed with its reason instead of being computed."
    )
    if panel.single_listener:
        return (
            "With one listener there is inference over clips alone. Proportions have Wilson intervals "
            "(Wilson 1927), with Clopper and Pearson's beside them (1934). Two shares, and so detection, "
            "were compared by the exact unconditional test of Miettinen and Nurminen's score (1985), with "
            "the interval of what that test does not reject (Agresti & Min 2001); d\u2032 has Gourevitch "
            "and Galanter's standard error (1967). Musicality was compared by exact permutation of the "
            "clips, with the Hodges-Lehmann shift (1963); inspiring answers have Goodman's simultaneous "
            f"intervals (1965). {common}"
        )
    return (
        "Listeners are crossed with clips, so pooled tests and tests per listener are not offered. Means "
        "and comparisons of groups, of ratings and of verdicts alike, are of linear mixed models by REML "
        "in which listeners, listeners' deviations in each group, clips and, where there are enough, "
        "sources and trainings are random (Clark 1973; Bates et al. 2015), with Satterthwaite's degrees "
        "of freedom (Kuznetsova et al. 2017). All groups of a kind and the originals are in one model, "
        "whose contrasts are the comparisons; each listener is their own control. The interval of a share "
        "is Wilson's, on the model's variance (Wilson 1927; Franco et al. 2019). Sensitivity d\u2032 is "
        "the slope of a probit mixed model (DeCarlo 1998), and answers on inspiring are compared as "
        "ordered by a cumulative logit mixed model (Christensen 2018), both by Laplace's approximation. A "
        "single clip's share has a Wilson interval over listeners. Agreement is Krippendorff's alpha "
        "(Krippendorff 2019). Trends over epochs are contrasts of the same models, checked by the "
        "Jonckheere-Terpstra test, permuting clips (Jonckheere 1954), and by Page's test (1963) where the "
        "blocks are complete. Listeners and clips one by one are conditional modes of the linear model, "
        f"drawn towards the mean by how little is known of each. {common}"
    )


REFERENCES = (
    "Agresti, A., & Min, Y. (2001). Biometrics, 57, 963\u2013971.",
    "Bates, D., M\u00e4chler, M., Bolker, B., & Walker, S. (2015). Journal of Statistical Software, 67(1).",
    "Christensen, R. H. B. (2018). Cumulative link models for ordinal regression with the R package ordinal.",
    "Clark, H. H. (1973). Journal of Verbal Learning and Verbal Behavior, 12, 335\u2013359.",
    "Clopper, C. J., & Pearson, E. S. (1934). Biometrika, 26, 404\u2013413.",
    "DeCarlo, L. T. (1998). Psychological Methods, 3, 186\u2013205.",
    "Franco, C., Little, R. J. A., Louis, T. A., & Slud, E. V. (2019). J. of Survey Statistics and "
    "Methodology, 7, 334\u2013364.",
    "Goodman, L. A. (1965). Technometrics, 7, 247\u2013254.",
    "Gourevitch, V., & Galanter, E. (1967). Psychometrika, 32, 25\u201333.",
    "Greshler, G., Shaham, T. R., & Michaeli, T. (2021). Catch-A-Waveform. NeurIPS 34.",
    "Hautus, M. J. (1995). Behavior Research Methods, Instruments, & Computers, 27, 46\u201351.",
    "Hodges, J. L., & Lehmann, E. L. (1963). Annals of Mathematical Statistics, 34, 598\u2013611.",
    "Holm, S. (1979). Scandinavian Journal of Statistics, 6, 65\u201370.",
    "Jonckheere, A. R. (1954). Biometrika, 41, 133\u2013145.",
    "Krippendorff, K. (2019). Content Analysis, 4th ed. Sage.",
    "Kuznetsova, A., Brockhoff, P. B., & Christensen, R. H. B. (2017). J. of Statistical Software, 82(13).",
    "Manski, C. F. (1990). American Economic Review, 80, 319\u2013323.",
    "Miettinen, O., & Nurminen, M. (1985). Statistics in Medicine, 4, 213\u2013226.",
    "Page, E. B. (1963). Journal of the American Statistical Association, 58, 216\u2013230.",
    "Wilson, E. B. (1927). Journal of the American Statistical Association, 22, 209\u2013212.",
)


def references(paragraphs: Iterable[str]) -> list[str]:
    """The references that the paragraphs name, by the first author's surname."""
    text = " ".join(paragraphs)
    return [reference for reference in REFERENCES if reference.split(",")[0] in text]
