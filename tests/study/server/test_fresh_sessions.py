"""A page whose session is lost, spoken for by its messages: what it holds counts, where it is the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from tiny_study import make_tiny_study

from study.store.store import Store
from tests.benchmarks.served_study import Server
from tests.benchmarks.socket_listener import Notes, SocketListener
from tests.free_ports import free_port

SLOT = 1  # the first clip that counts


class AtNext(Exception):
    """All is answered and saved, and Next about to be pressed."""


class Ann(SocketListener):
    """A page that answers everything up to the first Next that counts."""

    async def press(self, socket, button: str) -> None:
        if button == f"next-{SLOT}":
            raise AtNext
        await super().press(socket, button)

    async def answer(self, socket) -> None:
        with pytest.raises(AtNext):
            await self.take(socket)

    def show(self, press: str, **choices: int) -> None:
        """What the page comes to show without anybody hearing of it: each question's option by its number."""
        for name, index in choices.items():
            options, _ = self.shown.choices[f"{name}-{SLOT}"]
            self.states[f"{name}-{SLOT}"] = ("string_array_value", [options[index]])
        self.states[f"comment-{SLOT}"] = ("json_value", {"text": f"typed before {press}"})
        self.states[f"kept-{SLOT}"] = ("bool_value", False)
        self.states[f"next-{SLOT}"] = ("json_value", {"press": press})


@pytest.fixture(scope="module")
def serving(tmp_path_factory) -> Iterator[tuple[Server, Store]]:
    folder = make_tiny_study(
        tmp_path_factory.mktemp("fresh") / "study", listening="[questions]\nconfidence = true"
    )
    store = Store.for_folder(folder)
    with Server(folder.path, free_port()) as server:
        yield server, store
    store.close()


@pytest.fixture
def ann(serving, request) -> Ann:
    server, store = serving
    listener = Ann(server.base, store.invite(request.node.name), Notes(), think=0.0, seed=1)
    # The same first answers in every test, so that each of them can be changed.
    listener.given = {f"verdict-{SLOT}": 1, f"difficulty-{SLOT}": 0, f"confidence-{SLOT}": 0}
    listener.given |= {f"musicality-{SLOT}": 7, f"inspiring-{SLOT}": 0}
    return listener


def fields(store: Store, listener: Ann) -> dict:
    return store.show(store.find(listener.token).id, SLOT).fields


def slot(store: Store, listener: Ann) -> int | None:
    return store.find(listener.token).step.slot


async def met(listener: Ann, scene) -> None:
    async with httpx.AsyncClient(base_url=listener.base, timeout=60) as listener.http:
        await listener.enter()
        async with await listener.dial() as socket:
            await listener.answer(socket)
            listener.session = ""  # as another server, or this one later, knows nothing of it
            await scene(socket)


def test_what_the_page_shows_at_next_is_final(serving, ann):
    _, store = serving

    async def scene(_socket) -> None:
        assert fields(store, ann)["musicality"] == 7
        async with await ann.dial() as anew:
            ann.show("p1", difficulty=2, confidence=3, musicality=2, inspiring=1)
            await ann.send(anew)

    asyncio.run(met(ann, scene))
    assert slot(store, ann) == SLOT + 1
    assert fields(store, ann) == {
        "verdict": "fake",
        "difficulty": "difficult",
        "confidence": 4,
        "musicality": 2,
        "inspiring": "no",
        "inspiring_text": None,
        "comment": "typed before p1",
        "kept": False,
    }


def test_a_changed_verdict_takes_its_difficulty_along(serving, ann):
    _, store = serving

    async def scene(_socket) -> None:
        async with await ann.dial() as anew:
            ann.show("p1", verdict=0)
            await ann.send(anew)

    asyncio.run(met(ann, scene))
    assert (fields(store, ann)["verdict"], fields(store, ann)["difficulty"]) == ("real", None)


def test_a_page_that_another_one_has_followed_changes_nothing(serving, ann):
    _, store = serving

    async def scene(_socket) -> None:
        before = fields(store, ann)
        person = store.find(ann.token)
        store.claim(person.id, "newer.page")
        async with await ann.dial() as anew:
            ann.show("p1", musicality=2)
            await ann.send(anew)
            assert any("another tab" in text for text in ann.shown.texts)
        assert (fields(store, ann), slot(store, ann)) == (before, SLOT)

    asyncio.run(met(ann, scene))


def test_what_the_lost_session_hears_late_is_refused(serving, ann):
    """The line to the first server stalls with a message and a press in it, and flows again too late."""
    _, store = serving

    async def scene(socket) -> None:
        now = dict(ann.states)
        ann.show("late", musicality=2)
        late, ann.states = ann.states, now
        async with await ann.dial() as anew:
            ann.states[f"musicality-{SLOT}"] = ("string_array_value", ["4"])
            await ann.send(anew)
            assert fields(store, ann)["musicality"] == 4
            newest, ann.states = ann.states, late
            await ann.send(socket)
            assert (fields(store, ann)["musicality"], slot(store, ann)) == (4, SLOT)
            assert fields(store, ann)["comment"] != "typed before late"
            ann.states = newest

    asyncio.run(met(ann, scene))
