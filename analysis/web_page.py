"""Pages that need nothing else: a template of this package filled in, with its style and its script inside.

The one script of a page is named by its digest in the page's Content-Security-Policy, so nothing else may run
there, whatever listeners have written. Without the script everything is still there to read.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

REPORT_SCRIPT = "report.js"


def text_of(name: str) -> str:
    """The text of a file of `analysis/templates`."""
    return (resources.files("analysis") / "templates" / name).read_text(encoding="utf-8")


def script_policy(name: str) -> str:
    """What a Content-Security-Policy says under script-src to allow one script: its digest."""
    digest = hashlib.sha256(text_of(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def render(template: str, *, styles: tuple[str, ...] = (), script: str = "", **values: Any) -> str:
    """Fill in a template, escaping every value that is not `Markup`.

    styles: style sheets besides those of the report, which every page has. script: the file of the page's
    script. The template finds them as `css`, `script` and `script_policy`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text_of),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values["css"] = Markup("".join(map(text_of, ("report.css", "tables.css", *styles))))
    if script:
        values |= {"script": Markup(text_of(script)), "script_policy": Markup(script_policy(script))}
    return environment.get_template(template).render(values)
