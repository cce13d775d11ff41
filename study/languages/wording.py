"""What the pages say of a study: the catalogue's words with the design's numbers filled in.

The words themselves are in study/languages; the questions are worded in study.toml, or there.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Iterable

from study.design import Design
from study.design.pairs import PAIRED, REAL
from study.languages import Words, words

_ANSWER_SECONDS = 25  # what judging one clip takes besides hearing it
_SECOND_SECONDS = 15  # the same in a second round, when half of the questions are behind
_SONG_SECONDS = 15  # what saying which songs could use a clip takes besides
_OTHER_MINUTES = 4  # welcome, sound check, final questions


def of(design: Design) -> Words:
    """The catalogue of the study's language."""
    return words(design.study.language)


def not_saved(design: Design) -> str:
    """Said where the database could not be written."""
    return of(design)("trouble.not_saved", whom=_whom(design))


def failed(design: Design) -> str:
    """Said where something nobody foresaw went wrong."""
    return of(design)("trouble.failed", whom=_whom(design))


def _whom(design: Design) -> str:
    return design.study.contact or of(design)("trouble.whom")


def clip_count(design: Design) -> int:
    """How many clips or pairs count, hidden repeats included: at most half of a set."""
    if design.listening.task == PAIRED:
        return len(design.sets) * (design.pairs.real + design.pairs.inspiring)
    sizes = [chosen.fakes + chosen.originals for chosen in design.sets.values()]
    return sum(size + min(design.stimuli.repeats, size // 2) for size in sizes)


def minutes(design: Design) -> int:
    """About how long the study takes, rounded up to five minutes."""
    heard = 1.5 * design.stimuli.seconds * (2 if design.listening.task == PAIRED else 1)
    seconds = (clip_count(design) + design.listening.practice) * (heard + _ANSWER_SECONDS)
    if design.questions.songs:
        seconds += clip_count(design) * _SONG_SECONDS
    if design.listening.passes == 2:
        seconds += clip_count(design) * (heard + _SECOND_SECONDS)
    return 5 * math.ceil((seconds / 60 + _OTHER_MINUTES) / 5)


def welcome(design: Design) -> list[str]:
    """The welcome page: what there is to do and how long it takes, as paragraphs."""
    say, parts = of(design), len(design.sets)
    if design.listening.task == PAIRED:
        return _welcome_to_pairs(design)
    what = say(
        "welcome.clips_in_parts" if parts > 1 else "welcome.clips",
        clips=clip_count(design),
        parts=parts,
        seconds=say.number(design.stimuli.seconds),
    )
    task = say("welcome.two_passes" if design.listening.passes == 2 else "welcome.one_pass")
    paragraphs = [f"{what} {say('welcome.real_and_fake')} {task}"]
    if design.listening.tell_base_rate:
        paragraphs.append(base_rate(design))
    return [*paragraphs, *_how_long(design)]


def _how_long(design: Design) -> list[str]:
    """The study's own instructions, how long it takes, and by when it must be done."""
    say, link = of(design), design.open_link
    one_browser = link is not None and link.resume == "same browser"
    lines = [design.listening.instructions] if design.listening.instructions else []
    lines.append(say("open_link.duration" if one_browser else "welcome.duration", minutes=minutes(design)))
    if link is not None and link.timeout_minutes is not None:
        lines.append(say("open_link.limit", minutes=link.timeout_minutes))
    return lines


def _welcome_to_pairs(design: Design) -> list[str]:
    say, asked = of(design), design.pairs
    tasks = (("pair.welcome_real", asked.real), ("pair.welcome_inspiring", asked.inspiring))
    what = say("pair.welcome", pairs=clip_count(design), seconds=say.number(design.stimuli.seconds))
    if asked.real:
        what += " " + say("welcome.real_and_fake")
    task = " ".join(say(key) for key, count in tasks if count)
    return [f"{what} {task}", *_how_long(design)]


def base_rate(design: Design) -> str:
    """How many clips are real, by part where all parts agree; a share where hidden repeats come in."""
    say = of(design)
    shapes = {(chosen.originals, chosen.originals + chosen.fakes) for chosen in design.sets.values()}
    if len(shapes) == 1:
        real, clips = shapes.pop()
        where = "each_part" if len(design.sets) > 1 else "only_part"
    else:
        real = sum(chosen.originals for chosen in design.sets.values())
        clips = sum(chosen.originals + chosen.fakes for chosen in design.sets.values())
        where = "all_parts"
    if design.stimuli.repeats:
        return say(f"base_rate.{where}.share", percent=round(100 * real / clips))
    return say.count(f"base_rate.{where}", real, real=real, clips=clips)


def stored(design: Design) -> str:
    """What is kept of a listener; asked for consent."""
    say = of(design)
    contact = say("consent.contact", contact=design.study.contact) if design.study.contact else ""
    kept = say("consent.stored")
    if design.open_link is not None:
        kept = say("open_link.stored", names=", ".join(design.open_link.ids))
    later = say("consent.follow_up") if design.follow_up else ""
    return " ".join(filter(None, [kept, later, contact]))


def consent_version(design: Design) -> str:
    """A short hash of all that a listener agrees to, so that the record says which text it was."""
    text = "\n".join([design.study.title, *welcome(design), stored(design), of(design)("consent.agree")])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def before_part(design: Design, part: int, parts: int, clips: int, phase: str = "all") -> list[str]:
    """The page before each part, as paragraphs. With two passes the later half of the parts is the second.

    phase: what is asked in it; of pairs their question.
    """
    say = of(design)
    if design.listening.task == PAIRED:
        return _before_pairs(design, part, parts, clips, phase)
    second = phase == "rating" and part == parts // 2 + 1
    if part == 1:
        paragraphs = [say.count("part.counts", clips, clips=clips)]
        paragraphs += [say("part.only_verdict")] if phase == "verdict" else []
        paragraphs.append(say("part.to_the_end" if design.listening.play_to_end else "part.no_change"))
    else:
        paragraphs = [say("part.done", part=part - 1, parts=parts)]
        if second:
            paragraphs += [say("part.second_round"), say.count("part.second_round_clips", clips, clips=clips)]
        else:
            paragraphs.append(say.count("part.following", clips, clips=clips))
    if design.listening.tell_base_rate and len(design.sets) > 1 and phase != "rating":
        paragraphs.append(base_rate(design))
    return paragraphs


def before_round(design: Design, clips: int, phase: str = "all") -> list[str]:
    """The page before a further round, as paragraphs. clips: how often one is asked about in it."""
    say = of(design)
    clips //= design.listening.passes
    paragraphs = [say("rounds.text"), say.count("rounds.counts", clips, clips=clips)]
    paragraphs += [say("part.only_verdict")] if phase == "verdict" else []
    paragraphs += [say("rounds.mixed")] if design.listening.tell_base_rate else []
    return [*paragraphs, say("part.to_the_end" if design.listening.play_to_end else "part.no_change")]


def date(design: Design, moment: dt.datetime) -> str:
    """The day of a moment in UTC, as the study's language writes it."""
    return of(design)("follow_up.date", year=moment.year, month=moment.month, day=moment.day)


def _before_pairs(design: Design, part: int, parts: int, pairs: int, question: str) -> list[str]:
    say = of(design)
    begun = say.count("pair.counts" if part == 1 else "pair.following", pairs, pairs=pairs)
    if part > 1:
        begun = f"{say('part.done', part=part - 1, parts=parts)} {begun}"
    asked = [say("pair.before_real" if question == REAL else "pair.before_inspiring")]
    rule = [say("pair.to_the_end" if design.listening.play_to_end else "pair.no_change")] if part == 1 else []
    return [begun, *asked, *rule]


def owed(design: Design, names: Iterable[str]) -> str:
    """What is still to answer, as one phrase: "real or fake, the musicality and whether it is inspiring"."""
    say, own = of(design), {one.column: one.text for one in (*design.own_questions, *design.clip_questions)}
    return say.listed(
        [say("own.owed", question=own[name]) if name in own else say(f"owed.{name}") for name in names]
    )


def ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    """For the researcher: how long ago, in the largest unit that fits: "just now", "5 min ago", "3 h ago"."""
    if moment is None:
        return "never"
    minutes = int((now - moment).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if minutes < 48 * 60:
        return f"{minutes // 60} h ago"
    return f"{minutes // (24 * 60)} days ago"
