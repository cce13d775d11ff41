"""The two kinds of secret address: a listener's personal link and the researcher's."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import unicodedata
from urllib.parse import parse_qsl, unquote

from caw.files import atomic
from study.design import Design
from study.folder import FolderError, StudyFolder

KEY_FILE = "researcher.token"
MARK = "me"  # in a tab's address: which of the browser's personal links it was opened with
MOST = 8  # personal links that one browser remembers


def personal_link(base: str, token: str) -> str:
    """A listener's address, `base` being the study's own, as "http://127.0.0.1:8501"."""
    return f"{base.rstrip('/')}/?p={token}"


def mark(token: str) -> str:
    """What stands for a personal link in a tab's address; it opens nothing."""
    return hashlib.sha256(f"mark of {token}".encode()).hexdigest()[:8]


def remembered(cookie: str | None) -> list[str]:
    """The secrets of the personal links that a browser's cookie holds, the one opened last first."""
    return [token for token in (cookie or "").split(".") if token][:MOST]


def remember(cookie: str | None, token: str) -> str:
    """The cookie with one more personal link in it."""
    return ".".join([token, *(other for other in remembered(cookie) if other != token)][:MOST])


def chosen(cookie: str | None, tab_mark: str | None) -> str | None:
    """The secret of the personal link that a tab was opened with. `tab_mark`: the mark in its address.

    Without a mark the only link of this browser; None where there are several, as none can be guessed.
    """
    tokens = remembered(cookie)
    if tab_mark:
        return next((token for token in tokens if mark(token) == tab_mark), None)
    return tokens[0] if len(tokens) == 1 else None


def refusal(cookie: str | None, tab_mark: str | None) -> str:
    """Why `chosen` knows none: the name of the words for it in the catalogue's [door]."""
    return "several" if not tab_mark and len(remembered(cookie)) > 1 else "link"


def refused_as(design: Design, cookie: str | None, tab_mark: str | None) -> str:
    """The words of the catalogue for it: where there is an open link, who came by it opens that once more."""
    why = refusal(cookie, tab_mark)
    return "open_link.again" if design.open_link and why == "link" else f"door.{why}"


def query(path: str, query_string: bytes) -> dict[str, str]:
    """What an address asks with: name in small letters -> first value, also where a mail programme encoded
    the question mark, the ampersands or the equals signs."""
    text = f"{path.partition('?')[2]}&{query_string.decode('latin-1')}"
    pairs = [(name.lower().removeprefix("amp;"), value) for name, value in parse_qsl(unquote(text))]
    return dict(reversed(pairs))


def possible_secrets(typed: str) -> list[str]:
    """The secrets that a link may stand for, the likeliest first.

    Secrets are of small letters and digits. Mail and messengers put dots, brackets or spaces around a link,
    break it into lines, write it in capitals, or put the "3D" of an encoded equals sign before it.
    """
    plain = unicodedata.normalize("NFKC", typed).lower()
    runs = re.findall("[a-z0-9]+", plain)
    likely = ["".join(runs), max(runs, key=len, default="")]
    return list(dict.fromkeys(likely + [one.removeprefix("3d") for one in likely]))


def researcher_link(base: str, key: str) -> str:
    """The researcher's address: opens the progress page once, after which a cookie does."""
    return f"{base.rstrip('/')}/researcher?key={key}"


def researcher_key(folder: StudyFolder) -> str:
    """The researcher's secret, made at first. Raises as `kept_secret`."""
    return kept_secret(folder, KEY_FILE)


def kept_secret(folder: StudyFolder, file_name: str) -> str:
    """A secret of the study, made at first, in a file that its owner alone can read.

    Raises: FolderError for a file that holds none, OSError where it cannot be written.
    """
    file = folder.make_private() / file_name
    if not file.exists():
        draft = file.with_name(f".{file_name}.{secrets.token_hex(4)}{atomic.TEMPORARY}")
        try:
            atomic.write(draft, secrets.token_hex(16) + "\n", mode=0o600)
            os.link(draft, file)  # unlike a rename it never replaces a key that another process just made
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)
    key = file.read_text("utf-8").strip()
    if not key:  # an empty secret would let everybody in
        raise FolderError(f"{file}: is empty", "delete it, and a new one is made")
    return key
