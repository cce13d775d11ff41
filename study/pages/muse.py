"""The page of `study muse`: what is being done, the clips as cards, what is kept, and the way to more.

As on the listeners' pages every widget holds state, and the body writes what differs from what this session
has shown last. So a lost connection or a restarted server loses nothing, and a second tab that is behind
writes nothing back.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files

import streamlit as st

from caw.compose import plan as plans
from caw.problems import ProblemError
from study.languages import Words
from study.muse.folder import KEPT, LONGEST_NOTE, NOT_KEPT, Choice, MadeClip, PlannedClip, Progress, Round
from study.pages.components import next_button, player, run_again, saved_text, watch_connection
from study.pages.listener import style
from study.pages.own_questions import plain
from study.server import musing
from study.server.musing import Musing

TAKE = ("groove", "harmony", "melody", "sound", "form")  # what can be taken from a clip
_AGAIN = 2.0  # s after which the page looks again while something is being done
_OPEN = 2  # newest rounds that are shown without asking
_LOUDNESS = -16.0  # LUFS of a usual clip, for the pictures
_SHOWN, _TURNED, _PRESSED = "shown", "turned", "pressed"  # in the session state


def page() -> None:
    """Shows the folder as it is, or what in it cannot be read."""
    here = musing.musing()
    say = here.say
    st.set_page_config(page_title=here.title, layout="centered", menu_items={})
    style()
    st.html(f"<style>{files('study.browser').joinpath('muse.css').read_text('utf-8')}</style>")
    watch_connection(say)
    st.title(plain(here.title), anchor=False)
    try:
        _folder(here, say)
    except ProblemError as error:  # as of a plan that was edited into something else
        st.error(str(error))


def _folder(here: Musing, say: Words) -> None:
    """Shows the folder as it is, and keeps what was said of a clip or asked for since."""
    folder = here.folder
    all_rounds, choices, progress = folder.rounds(), folder.choices(), folder.progress()
    planned = {clip.name: clip for each in all_rounds for clip in each.clips}
    made = {name: folder.clip(name) for name in planned}
    ready = bool(made) and all(made.values())
    working = _state(here, say, progress, ready)
    _passage(here, say)
    _more(here, say, ready)
    _kept(here, say, planned, made, choices)
    changed = False
    for each in reversed(all_rounds):
        changed |= _round(here, say, each, len(all_rounds) - each.number < _OPEN, choices, planned, made)
    if changed:
        st.rerun()
    if working:
        run_again(_AGAIN)


def _state(here: Musing, say: Words, progress: Progress, ready: bool) -> bool:
    """Says what is being done. Returns whether anything is."""
    problem = progress.problem
    if here.keeper.lost:
        problem = say("muse.lost", why=here.keeper.lost)
    if problem:
        st.error(problem)
        return False
    if ready and progress.doing == "waiting":
        return False
    share, text = None, say(f"muse_doing.{progress.doing}", clip=progress.clip)
    if progress.doing == "training":
        share, left = progress.share, _time(say, progress.left)
        text = say("muse_doing.training_early" if progress.early else "muse_doing.training")
        text += f" {say('muse.left', time=left)}" if left else ""
    bar = "" if share is None else _bar(say, share)
    st.html(f'<div class="doing" role="status"><p>{escape(text)}</p></div>{bar}')
    return True


def _bar(say: Words, share: float) -> str:
    percent = f"{100 * min(1.0, share):.0f}"
    label = escape(say("muse.progress"))
    return (
        f'<div class="way" role="progressbar" aria-label="{label}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}"><i style="width: {percent}%"></i></div>'
    )


def _time(say: Words, seconds: float) -> str:
    """A time in words, rounded up; "" where it is not known."""
    if seconds <= 0:
        return ""
    if seconds < 55:
        return say("muse.in_seconds", seconds=10 * max(1, round(seconds / 10)))
    minutes = round(seconds / 60)
    return say.count("muse.in_minutes", minutes, minutes=minutes)


def _passage(here: Musing, say: Words) -> None:
    """What the passage plays, as it was heard."""
    if not here.folder.plan.is_file():
        return
    heard = plans.read(here.folder.plan)
    facts = (
        [say("muse.no_beat")] if heard.bpm is None else [say("muse.bpm", bpm=say.number(heard.bpm, ".0f"))]
    )
    facts += [heard.metre] if heard.metre else []
    chart = " ".join(",".join(bar.chords) or "?" for bar in heard.bars())
    chords = f'<p class="chart">{escape(chart)}</p>' if chart else ""
    correct = escape(say("muse.correct", file=here.folder.plan.name))
    st.html(
        f"<details><summary>{escape(say('muse.heard', facts=', '.join(facts)))}</summary>"
        f'{chords}<p class="small">{correct}</p></details>'
    )


def _more(here: Musing, say: Words, ready: bool) -> None:
    """The button for the next round, which is asked for once for each press."""
    press = next_button(say("muse.more"), key="more", disabled=not ready)
    st.html(f'<p class="small">{escape(say("muse.more_hint" if ready else "muse.more_later"))}</p>')
    if not press or press == st.session_state.get(_PRESSED):
        return
    st.session_state[_PRESSED] = press
    if here.ask(press):
        st.rerun()


def _kept(
    here: Musing,
    say: Words,
    planned: Mapping[str, PlannedClip],
    made: Mapping[str, MadeClip | None],
    choices: Mapping[str, Choice],
) -> None:
    """The clips that are kept, each as a file, and all as one."""
    names = [name for name in planned if made[name] and choices.get(name, Choice()).verdict == KEPT]
    if not names:
        return
    heading = escape(say.count("muse.kept_clips", len(names), clips=len(names)))
    rows = []
    for name in names:
        kind, facts, *_ = musing.about(say, planned[name], made[name])
        save = f'<a href="{musing.CLIP}/{name}.wav?save" download>{escape(here.clip_name(name))}.wav</a>'
        rows.append(f"<li>{save}: {escape(kind)}, {escape(facts)}</li>")
    st.html(
        f'<section class="kept"><h2>{heading}</h2><ul>{"".join(rows)}</ul>'
        f'<a class="take" href="{musing.KEPT}" download>{escape(say("muse.download"))}</a></section>'
    )


def _round(
    here: Musing,
    say: Words,
    each: Round,
    opened: bool,
    choices: Mapping[str, Choice],
    planned: Mapping[str, PlannedClip],
    made: Mapping[str, MadeClip | None],
) -> bool:
    """Shows a round. Returns whether something that was said of its clips was kept now."""
    with st.container(key=f"round-{each.number}"):
        st.html(f"<h2>{escape(say('muse.round', number=each.number))}</h2>")
        if not opened and not st.toggle(
            say("muse.show_round", number=each.number), key=f"open-{each.number}"
        ):
            return False
        changed = False
        for clip in each.clips:
            with st.container(border=True, key=f"clip-{clip.name}"):
                st.html(_described(say, clip, planned, made[clip.name]))
                if made[clip.name] is not None:
                    player(
                        say, key=f"player-{clip.name}", src=f"{musing.CLIP}/{clip.name}.wav", clip=clip.name,
                        loudness=_LOUDNESS, among=True,
                        texts={"closed": "", "opened": "", "name": say("muse.player", clip=clip.name)},
                    )  # fmt: skip
                    changed |= _judged(here, say, clip, choices.get(clip.name, Choice()))
    return changed


def _described(
    say: Words, clip: PlannedClip, planned: Mapping[str, PlannedClip], made: MadeClip | None
) -> str:
    """A clip's name, what it is and why it is there, as HTML."""
    kind, *facts = musing.about(say, clip, made)
    if clip.like:
        why = say("muse_why.like", clip=clip.like, kind=say(f"muse_kind.{planned[clip.like].kind}"))
    else:
        why = say("muse_why.open" if clip.why == "sampled" else f"muse_why.{clip.why}")
    lines = [f'<p class="why">{escape(why)}</p>']
    if made is None:
        lines.append(f'<p class="small">{escape(say("muse.to_come"))}</p>')
    else:
        lines += [f'<p class="small">{escape(fact)}</p>' for fact in facts]
    return f'<div class="card"><h3><span>{clip.name}</span> {escape(kind)}</h3>{"".join(lines)}</div>'


def _judged(here: Musing, say: Words, clip: PlannedClip, saved: Choice) -> bool:
    """Asks what the songwriter says of a clip, and keeps what was changed here. Returns whether it did."""
    shown, turned = st.session_state.setdefault(_SHOWN, {}), st.session_state.setdefault(_TURNED, {})
    before = shown.setdefault(clip.name, saved)
    if before != saved:  # changed in another tab: widgets of new names show it
        turned[clip.name] = turned.get(clip.name, 0) + 1
        shown[clip.name] = before = saved
    end = f"{clip.name}-{turned.get(clip.name, 0)}"
    with st.container(key=f"ask-verdict-{end}"):
        verdict = st.segmented_control(
            say("muse.verdict", clip=clip.name),
            [KEPT, NOT_KEPT],
            default=saved.verdict or None,
            format_func=lambda each: say("muse.keep" if each == KEPT else "muse.not_for_me"),
            key=f"verdict-{end}",
            label_visibility="collapsed",
            width="stretch",
        )
    now = Choice(verdict or "", saved.take, saved.note)
    if verdict:
        now = Choice(verdict, *_words(say, clip, saved, end, take=verdict == KEPT))
    if now == before:
        return False
    here.folder.choose(clip.name, now)
    shown[clip.name] = now
    return True


def _words(
    say: Words, clip: PlannedClip, saved: Choice, end: str, *, take: bool
) -> tuple[tuple[str, ...], str]:
    """What to take from a clip, asked of one that is kept, and a note."""
    things = list(saved.take)
    if take:
        with st.container(key=f"several-take-{end}"):
            things = st.pills(
                say("muse.take"),
                TAKE,
                default=[each for each in saved.take if each in TAKE],
                selection_mode="multi",
                format_func=lambda each: say(f"muse_take.{each}").capitalize(),
                key=f"take-{end}",
                width="stretch",
            )
    text = saved_text(
        say, say("muse.note"), key=f"note-{end}", box=f"note-{clip.name}", saved=saved.note or None, rows=2
    )
    note = saved.note if text is None else text.strip()[:LONGEST_NOTE]
    return tuple(each for each in TAKE if each in things), note


if __name__ == "__main__":
    page()
