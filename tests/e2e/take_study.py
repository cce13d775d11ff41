"""Take a built study to its end in Chromium, at its real length, and look for truth in all that passed.

    python tests/e2e/take_study.py DIR [--name Ada] [--shots FOLDER] [--phone]

The server is killed with SIGKILL between the parts and started again. Prints what was taken and how much
traffic was searched; exit code 1 where anything that only the key knows reached the browser.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from pathlib import Path

from driving import Server, Traffic, Visit, browser

from caw.files import spreadsheet
from study.folder import StudyFolder
from study.server.links import personal_link, researcher_key, researcher_link
from study.store.store import Store

DESKTOP = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
TEXTS = ("the bar line slips", "good drums, no idea where it goes", "", "this could be our bridge")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="Ada")
    parser.add_argument("--shots", type=Path)
    parser.add_argument("--phone", action="store_true")
    parser.add_argument("--port", type=int, default=8599)
    options = parser.parse_args()
    folder = StudyFolder(options.folder).require()
    store = Store.for_folder(folder)
    token = store.invite(options.name)
    dice = random.Random(7)
    taken = 0

    def shoot(name: str) -> None:
        if options.shots:
            options.shots.mkdir(parents=True, exist_ok=True)
            visit.page.screenshot(path=options.shots / f"{name}.png")

    with (
        Server(folder.path, options.port) as server,
        browser(shutil.which("chromium"), **(PHONE if options.phone else DESKTOP)) as context,
    ):
        traffic = Traffic(context)
        visit = Visit(context.pages[0]).open(personal_link(server.base, token))
        shoot("welcome")
        visit.welcome()
        while visit.title != "Last questions":
            title = visit.title
            if visit.page.get_by_role("button", name="Begin", exact=True).count():
                shoot("before")
                visit.press("Begin")
                continue
            if visit.page.get_by_role("button", name="Continue", exact=True).count():
                shoot("pause")
                server.kill()
                print(f"server killed at {title!r} and started again in {server.start():.1f} s")
                visit.settle().press("Continue")
                continue
            visit.play().until_heard()
            verdict = dice.choice(["Real", "Fake", "Fake"])
            visit.choose(verdict, *(["Easy"] if verdict == "Fake" else []), str(dice.randint(0, 10)))
            visit.choose(dice.choice(["Yes", "No", "Maybe"])).write("Anything you want", dice.choice(TEXTS))
            visit.page.wait_for_timeout(1000)
            if taken in (0, 4):
                shoot(f"clip-{taken}")
            for label in ("Next", "Finish this part"):
                button = visit.page.get_by_role("button", name=label, exact=True)
                if button.count():
                    button.click()
                    break
            visit.page.wait_for_function("was => document.querySelector('h1')?.innerText !== was", arg=title)
            visit.settle()
            taken += 1
            traffic.drain()
        visit.write("Can clips like these", "The fills might.")
        visit.page.wait_for_timeout(1500)
        shoot("final")
        visit.press("Send and finish")
        shoot("thanks")
        traffic.drain()
        heard = list(traffic.told)  # what follows is for the researcher's eyes
        desk = Visit(context.new_page()).open(researcher_link(server.base, researcher_key(folder)))
        visit = desk
        shoot("researcher")

    leaks = [
        (secret, where)
        for secret in secrets(folder)
        for where, told in heard
        if secret.encode() in told.lower()
    ]
    words = len(secrets(folder))
    size = sum(len(told) for _, told in heard)
    print(f"{taken} clips taken (practice included), {len(store.answers())} answers stored")
    print(f"{len(heard)} messages, {size} bytes, searched for {words} words: {len(leaks)} found")
    for secret, where in leaks[:10]:
        print(f"LEAK {secret!r} in {where}")
    outside = [
        address for address in traffic.addresses if not address.startswith((server.base, "data:", "blob:"))
    ]
    print(f"{len(traffic.addresses)} requests, {len(outside)} of them to elsewhere")
    sys.exit(bool(leaks or outside))


def secrets(folder: StudyFolder) -> set[str]:
    """What only the key and the folder know, in lower case; words the pages use themselves are left out."""
    words = {str(folder.path).lower(), "jukebox", "umg", "epochs"}
    for row in spreadsheet.records(folder.key):
        words |= {row[name].lower() for name in ("stimulus_id", "name", "source", "run", "sha256")}
    return {word for word in words if len(word) > 2}


if __name__ == "__main__":
    main()
