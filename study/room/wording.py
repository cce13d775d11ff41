"""What the pages say around the questions. The questions themselves are worded in study.toml."""

from __future__ import annotations

import datetime as dt
import hashlib
import math

from study.design import Design

VERDICT = {"real": "Real", "fake": "Fake"}
DIFFICULTY = {"easy": "Easy", "dont_know": "Don't know", "difficult": "Difficult"}
INSPIRING = {"yes": "Yes", "no": "No", "maybe": "Maybe", "other": "Other"}
PLAYBACK = {
    "headphones": "Headphones",
    "loudspeakers": "Loudspeakers",
    "built_in": "Built-in speaker",
}
STORED = "What is kept."
AGREE = "I have read this and I agree to take part."
INSPIRING_TEXT = "If other: in your own words"
OTHER_TAB = "The study goes on in another tab or on another device. Your answers are safe."
CLOSED = "This study is closed for you. Your answers are kept. Thank you."
FREE_TO_LISTEN = "Listen as often as you like."
PRACTICE_NOTE = "This one is for practice and does not count."

_ANSWER_SECONDS = 25  # what judging one clip takes besides hearing it
_OTHER_MINUTES = 4  # welcome, sound check, final questions


def not_saved(design: Design) -> str:
    """Said where the database could not be written."""
    whom = design.study.contact or "the person who invited you"
    return (
        "**Not saved.** Your last answer could not be stored. What was marked as saved before is safe. "
        f"Please keep this page open, tell {whom}, and try again in a while."
    )


def failed(design: Design) -> str:
    """Said where something nobody foresaw went wrong."""
    whom = design.study.contact or "the person who invited you"
    return (
        "Something went wrong on our side. What was marked as saved is safe. "
        f"Please reload this page; if it stays so, tell {whom}."
    )


def clip_count(design: Design) -> int:
    """How many clips count, hidden repeats included (at most half of a set, as orders.with_repeats)."""
    sizes = [chosen.fakes + chosen.originals for chosen in design.sets.values()]
    return sum(size + min(design.stimuli.repeats, size // 2) for size in sizes)


def minutes(design: Design) -> int:
    """About how long the study takes, rounded up to five minutes."""
    clips = clip_count(design) + design.listening.practice
    seconds = clips * (1.5 * design.stimuli.seconds + _ANSWER_SECONDS)
    return 5 * math.ceil((seconds / 60 + _OTHER_MINUTES) / 5)


def welcome(design: Design) -> list[str]:
    """The welcome page: what there is to do and how long it takes, as paragraphs."""
    clips, parts, seconds = clip_count(design), len(design.sets), design.stimuli.seconds
    what = f"You will hear {clips} short clips of music, {seconds:g} seconds each"
    what += f", in {parts} parts" if parts > 1 else ""
    what += ". Some are **real**: cut from recordings of a band. The others are **fake**: made by a machine. "
    what += "For each clip you say what you think it is, and how you like it as music."
    said = [what]
    if design.listening.tell_base_rate:
        said.append(base_rate(design))
    if design.listening.instructions:
        said.append(design.listening.instructions)
    said.append(
        f"It takes about {minutes(design)} minutes. You can stop at any time and come back with the same "
        "link, on any device; you go on where you were. Headphones and a quiet room help."
    )
    return said


def base_rate(design: Design) -> str:
    """How many clips are real, by part where all parts agree; a share where hidden repeats come in."""
    shapes = {(chosen.originals, chosen.originals + chosen.fakes) for chosen in design.sets.values()}
    if len(shapes) == 1:
        real, clips = shapes.pop()
        where = "In each part" if len(design.sets) > 1 else "Here"
    else:
        real = sum(chosen.originals for chosen in design.sets.values())
        clips = sum(chosen.originals + chosen.fakes for chosen in design.sets.values())
        where = "In all"
    if design.stimuli.repeats:
        return f"{where}, about {real / clips:.0%} of the clips are real."
    verb = "is" if real == 1 else "are"
    return f"{where}, {real} of the {clips} clips {verb} real."


def stored(design: Design) -> str:
    """What is kept of a listener; asked for consent."""
    text = (
        "Your answers, when you gave them, how often and how much of each clip you played, what you "
        "listen on, and the name your link was made for. Nothing else, and nothing is sent elsewhere. "
        "Answers are used for research on music made by machines."
    )
    return text + (f" Questions? {design.study.contact}" if design.study.contact else "")


def consent_version(design: Design) -> str:
    """A short hash of all that a listener agrees to, so that the record says which text it was."""
    text = "\n".join([design.study.title, *welcome(design), stored(design), AGREE])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def before_part(design: Design, part: int, parts: int, clips: int) -> list[str]:
    """The page before each part, as paragraphs."""
    if part == 1:
        said = [f"From here on it counts. This part has {clips} clips."]
        if design.listening.play_to_end:
            said.append(
                "Listen to each clip once to its end; then the questions open. You can replay it as often as "
                "you like. After **Next** an answer cannot be changed."
            )
    else:
        said = [
            f"Part {part - 1} of {parts} is done. Take a break if you like; all answers are saved.",
            f"The next part has {clips} clips and works in the same way.",
        ]
    if design.listening.tell_base_rate and parts > 1:
        said.append(base_rate(design))
    return said


def ago(moment: dt.datetime | None, now: dt.datetime) -> str:
    """How long ago, in the largest unit that fits: "just now", "5 min ago", "3 h ago", "2 days ago"."""
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
