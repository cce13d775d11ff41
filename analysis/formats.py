"""How numbers are written for readers, in pages, tables and sentences."""

from __future__ import annotations

import math

DASH = "\N{EN DASH}"
NONE = "\N{EM DASH}"  # in the place of a number that is not there
MINUS = "\N{MINUS SIGN}"
WORDS = [
    "none",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


def number(value: float | None, digits: int = 2) -> str:
    """A rounded number with a true minus sign, or a dash where there is none."""
    if not known(value):
        return NONE
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def rating(value: float | None) -> str:
    """A rating or a median: whole where it is whole, else with one digit."""
    return number(value, 0 if known(value) and float(value).is_integer() else 1)


def percent(value: float | None) -> str:
    """A proportion in [0, 1] as a whole percentage; never 0 % or 100 % where it is only near."""
    if not known(value):
        return NONE
    if 0 < value < 0.005:
        return "<1%"
    if 0.995 <= value < 1:
        return ">99%"
    return f"{math.floor(value * 100 + 0.5 + 1e-9):.0f}%".replace("-", MINUS)


def interval(low: float | None, high: float | None, style=number) -> str:
    """`low` to `high`, or nothing where there is no interval."""
    return f"{style(low)} to {style(high)}" if known(low) and known(high) else ""


def p_value(p: float | None) -> str:
    """p with the leading zero left out: .013, <.001."""
    if not known(p):
        return NONE
    if p < 0.001:
        return "<.001"
    return "1" if p >= 0.9995 else f"{p:.3f}"[1:]


def whole(value: float | None) -> str:
    """A count, or a dash."""
    return f"{value:.0f}" if known(value) else NONE


def few(count: int) -> str:
    """A count in words up to twelve, as prose wants it."""
    return WORDS[count] if 0 <= count < len(WORDS) else str(count)


def plural(count: int, noun: str) -> str:
    """`count` and the noun in its number."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def known(value) -> bool:
    """True for a finite number."""
    return value is not None and not isinstance(value, str) and math.isfinite(value)
