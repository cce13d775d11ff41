"""A text box whose text is saved while it is typed, and outlives a lost connection."""

from __future__ import annotations

from study.languages import Words
from study.pages.component import component, ignore
from study.store.protocol import MAX_TEXT

_box = component("saved_text")
_WORDS = ("saving", "saved", "pin", "pin_title")  # of the catalogue's [clip]


def saved_text(
    say: Words,
    label: str,
    *,
    key: str,
    box: str,
    saved: str | None,
    rows: int = 3,
    disabled: bool = False,
    pin: bool = False,
) -> str | None:
    """Shows the box; returns its text, None before anything was typed on this page.

    `saved` is what the database holds now: the box starts with it, and from then on the mark says "Saved"
    when it equals what is typed. `box` names the box in the browser's storage.
    `pin` adds a button that puts the player's position into the text.
    """
    data = {
        "label": label,
        "box": box,
        "saved": saved or "",
        "rows": rows,
        "longest": MAX_TEXT,
        "disabled": disabled,
        "pin": pin,
        "words": {name: text for name, text in say.group("clip").items() if name in _WORDS},
    }
    text = _box(key=key, data=data, default={"text": None}, on_text_change=ignore).text
    return text if isinstance(text, str) else None
