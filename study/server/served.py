"""The one study that this process serves: its folder, design and database, opened once."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache

from study import blinding
from study import design as designs
from study.design import Design
from study.design.own_questions import asked
from study.folder import PRACTICE, FolderError, StudyFolder
from study.server import places
from study.server.address import PublicUrl, base_path, public_url
from study.server.links import researcher_key
from study.store import sessions
from study.store.protocol import Stations
from study.store.store import Store, StoreError

VARIABLE = "EUREKA_STUDY"
CURATING = "EUREKA_STUDY_CURATING"  # set by `study curate`: no listener gets in, and nothing need be built


@dataclass(frozen=True)
class Served:
    """A study as this process serves it."""

    folder: StudyFolder
    design: Design
    store: Store
    researcher_key: str
    public: PublicUrl | None = None  # the address behind a proxy, where there is one
    curating: bool = False  # only the researcher's page "Pool" is open

    def base(self, fallback: str) -> str:
        """The address that everybody reaches the study at; `fallback` without a public one."""
        return f"{self.public or fallback.rstrip('/')}{base_path()}"

    @property
    def opens_by_link(self) -> bool:
        """Whether the secret link opens the researcher's pages: only where nothing better is set up."""
        return not self.design.researcher.password and not self.design.researcher.oidc_emails

    def is_key(self, key: str) -> bool:
        return hmac.compare_digest(key.encode(), self.researcher_key.encode())

    @property
    def session_key(self) -> bytes:
        return sessions.signing_key(self.researcher_key, self.design.researcher.password)

    @property
    def listener_cookie(self) -> str:
        """The name of the listener's cookie. Ports share cookies, so each study has names of its own."""
        return f"listener_{self._mark}"

    @property
    def researcher_cookie(self) -> str:
        return f"researcher_{self._mark}"

    @property
    def browser_cookie(self) -> str:
        """The name of the cookie of a browser in which the researcher has logged in before."""
        return f"browser_{self._mark}"

    @property
    def _mark(self) -> str:
        return hashlib.sha256(f"cookies of {self.researcher_key}".encode()).hexdigest()[:8]


@lru_cache(maxsize=1)
def served() -> Served:
    """The study in the folder that the environment variable EUREKA_STUDY names.

    Raises FolderError, DesignError, StoreError, BlindingError or AddressError, each with what to do, where it
    cannot be served: no folder, a design that does not load or has changed since the build, nothing built, a
    key that is not the sealed one, a stimulus file that is gone, a public address that is none.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        raise FolderError("no study to serve", f"start it with `study serve DIR`, or set {VARIABLE}")
    folder = StudyFolder(path).require()
    folder.shut()
    if os.environ.get(CURATING):
        return _curated(folder)
    design, public = designs.load(folder.path), public_url()
    base_path()  # which raises where it is none
    store = Store.for_folder(folder)
    build = store.build()
    if build is None:
        raise StoreError(f"{path}: no blinded sets yet; run `study build {path}` first")
    design = designs.as_built(design, build.design_digest)  # a server may lack the record of the build
    if build.design_digest != design.digest():
        raise StoreError(f"{path}: study.toml has changed since the build; run `study build {path}` again")
    if folder.key.exists():  # a server may do without; but not with another key than the answers'
        blinding.require_sealed(folder, build.key_sha256)
    further = store.rounds()
    for one in further:
        place = StudyFolder(folder.path / one.folder)
        if place.key.exists():
            blinding.require_sealed(place, one.key_sha256)
    heard = [part for one in (build, *further) for part in one.stimuli.items()]
    for name, ids in [*heard, (PRACTICE, build.practice)]:
        for stimulus in ids:
            folder.stimulus(name, stimulus)
    if design.listening.in_place and not any(places.is_built(folder, song.name) for song in design.songs):
        what = f"{folder.places}: holds no music beside a song's gap, in which clips could be heard"
        raise FolderError(what, f"run `study build {path}` again")
    store.served_digest, store.served_plan = build.design_digest, design.analysis.plan()
    store.open_link = design.open_link
    store.served_stations = stations(design)
    return Served(folder, design, store, researcher_key(folder), public)


def stations(design: Design) -> Stations:
    """What a design adds to a listener's way through the study."""
    return Stations(
        before=bool(asked(design.own_questions, "before")),
        headphones=design.checks.headphones is not None,
        attention=design.checks.attention,
        seed=design.study.seed,
        follow_up=design.follow_up,
    )


def _curated(folder: StudyFolder) -> Served:
    """The study for the researcher alone, built or not. Raises FolderError where there is nothing to hear."""
    design = designs.load(folder.path)
    if not folder.pool_table.is_file():
        fix = f"run `study build {folder.path} --pool-only` first"
        raise FolderError(f"{folder.path}: the pool is empty", fix)
    return Served(folder, design, Store.for_folder(folder), researcher_key(folder), curating=True)
