"""The tables of a study.toml as frozen settings: each key with its type, its default and its unit."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from caw.files import file_names
from study import languages
from study import password as passwords
from study.design.errors import DesignError, KeyPath, SettingError, dotted

if TYPE_CHECKING:
    from analysis.plan import AnalysisPlan

FILE_NAME = "study.toml"
PLAN_KEYS = ("plan", "chords", "bpm", "metre", "form", "novelty")  # of [[source]] and of each of its `plans`
LATER_KEYS = ("trainings", *PLAN_KEYS, "plans", "bridge", "strength", "album")  # of [[source]]
LATER_FACTS = ("plan", "strength")  # of a clip: no older study has them
LONGEST_DEFAULT_PASSAGE = 25.0  # s; what the model's paper trains on
Mode = Literal["UMG", "VAR"]
PLAN, BRIDGE = "plan", "bridge"  # in the key: the plan of a source that names none; clips that are bridges


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_several(value: Any) -> Any:
    """One number, or a list of them."""
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else _as_tuple(value)


def _as_plan(value: Any) -> Any:
    """The table of a plan that is written as text: its file, or its chords."""
    if isinstance(value, str):
        return {"plan" if value.lower().endswith((".toml", ".json")) else "chords": value}
    if not isinstance(value, dict):
        fix = 'write chords, as "Em C G D", a file, as "verse.toml", or a table, as { bpm = 120 }'
        raise SettingError("is no plan", fix)
    return value


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        fix = "use letters, digits, '_', '-' and '.', starting with a letter or digit"
        raise SettingError("is no plain name", fix)
    return name


Name = Annotated[str, BeforeValidator(lambda name: _plain_name(name) if isinstance(name, str) else name)]
MOST = 10_000  # of anything that is counted: more is a slip of the finger, and would be planned for hours
Positive = Annotated[int, Field(ge=1, le=MOST)]
Epochs = Annotated[int, Field(ge=1, le=10_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Strength = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True
    )


class StudySettings(_Table):
    """[study]"""

    title: Text
    seed: Seed  # every choice of the build and every order follows from it
    contact: str = ""
    language: Literal["en", "de"] = "en"  # of the pages; study/languages holds a catalogue for each


class Variant(NamedTuple):
    """A plan or a strength with which clips of one mode are made, by the names that the key has for them."""

    plan: str = ""  # "": the model draws as it does by itself
    strength: float | None = None  # None: the model's own


class PlanRequest(_Table):
    """A plan that new music follows (`caw.compose.plan`): a file, or a few words."""

    plan: Text | None = None  # a file, TOML or JSON
    chords: Text | None = None  # a bar a word, as "Em C,D G"
    bpm: float | None = None
    metre: Text | None = None
    form: Text | None = None
    novelty: float | None = None

    @field_validator(*PLAN_KEYS[1:])
    @classmethod
    def _alone(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("plan"):
            raise SettingError("stands beside `plan`", "write it into that file, or delete `plan`")
        return value


class Source(PlanRequest):
    """[[source]]: a clip the models learn from, and from which the originals are cut.

    Several plans are several cells, as several epoch counts are, and so are several strengths.
    """

    file: Text
    name: Name = ""  # the file's stem
    start: Annotated[float, Field(ge=0)] = 0.0  # s
    seconds: Annotated[float, Field(gt=0, le=600)] | None = None  # None: to the end, at most 25 s
    modes: Annotated[tuple[Mode, ...], BeforeValidator(_as_tuple)] = ("UMG", "VAR")
    epochs: Annotated[tuple[Epochs, ...], BeforeValidator(_as_tuple)] = ()
    trainings: Positive = 1  # models for each epoch count, each from a seed of its own
    clips: Positive = 2  # per cell: training x mode x epochs x plan or strength
    backend: Name = "caw"
    plans: dict[str, Annotated[PlanRequest, BeforeValidator(_as_plan)]] = Field(
        default_factory=dict
    )  # by name
    bridge: bool = False  # UMG: further clips of new bars that lead from the passage's end to its beginning
    strength: Annotated[tuple[Strength, ...], BeforeValidator(_as_several)] = ()  # VAR: how far it goes
    album: Annotated[tuple[Text, ...], BeforeValidator(_as_tuple)] = ()  # files that are learnt from first

    @model_validator(mode="before")
    @classmethod
    def _name_from_file(cls, table: Any) -> Any:
        return _named_by_file(table)

    @field_validator("plans")
    @classmethod
    def _tellable(cls, plans: dict[str, PlanRequest]) -> dict[str, PlanRequest]:
        """Names become parts of names of clips, where t2 is a training and s60 a strength."""
        for name in plans:
            if not re.fullmatch(r"(?![st]\d)[a-z][A-Za-z0-9_]{0,31}", name, re.IGNORECASE) or name == BRIDGE:
                fix = f"use letters, digits and '_', as verse; s60, t2 and {BRIDGE} are taken"
                raise SettingError(f"{name!r} cannot name a plan", fix)
        if len({name.casefold() for name in plans}) < len(plans):
            raise SettingError("names two plans that differ by case alone", "give one of them another name")
        return plans

    @field_validator("epochs", "modes", "strength", "album")
    @classmethod
    def _no_doubles(cls, values: tuple, info: ValidationInfo) -> tuple:
        if len(set(values)) < len(values):
            raise SettingError("names a value twice", f"write each of the {info.field_name} once")
        return values

    @property
    def plan_requests(self) -> dict[str, PlanRequest]:
        """Every plan by its name; {} where models draw as they do by themselves."""
        own = {key: getattr(self, key) for key in PLAN_KEYS}
        return self.plans or ({PLAN: PlanRequest(**own)} if set(own.values()) != {None} else {})

    def variants(self, mode: Mode) -> list[Variant]:
        """The variants of this mode; each is a cell for each epoch count and training."""
        if mode == "VAR":
            return [Variant(strength=strength) for strength in self.strength] or [Variant()]
        return [
            *(Variant(name) for name in self.plan_requests or ("",)),
            *([Variant(BRIDGE)] if self.bridge else []),
        ]


class Imported(_Table):
    """[[imported]]: a clip made by a system that was run elsewhere."""

    file: Text
    name: Name = ""  # the file's stem
    backend: Name
    mode: Mode
    epochs: Epochs | None = None
    source: str = ""
    remark: str = ""

    @model_validator(mode="before")
    @classmethod
    def _name_from_file(cls, table: Any) -> Any:
        return _named_by_file(table)


class CellFilter(_Table):
    """One entry of a set's `cells`: a clip belongs when it fits all that the entry names."""

    source: str | None = None
    epochs: Epochs | None = None
    backend: str | None = None
    plan: str | None = None  # "": clips that follow none
    strength: Strength | None = None

    def fits(self, clip: Any) -> bool:
        """Whether a clip (or a cell of them) with these attributes fits the entry."""
        return all(wanted in (None, getattr(clip, key)) for key, wanted in self)


class Set(_Table):
    """[set.NAME]: what one part of the study holds."""

    fakes: Count = 8
    originals: Count = 3
    imported: Count = 0  # at most so many of the fakes are imported clips
    mode: Mode | None = None  # None: the set's own name
    seed: Seed | None = None  # None: the study's; another one draws other clips
    cells: Annotated[tuple[CellFilter, ...], BeforeValidator(_as_tuple)] = ()

    @model_validator(mode="after")
    def _adds_up(self) -> Set:
        if self.imported > self.fakes:
            what = f"asks for {self.imported} imported clips among {self.fakes} fakes"
            raise SettingError(what, "lower `imported`")
        if self.fakes + self.originals == 0:
            raise SettingError("holds no clip", "raise `fakes` or `originals`, or delete the table")
        return self

    def takes(self, clip: Any) -> bool:
        """Whether `cells` lets a clip into the set. clip: anything with the attributes of a `CellFilter`."""
        return not self.cells or any(entry.fits(clip) for entry in self.cells)


Accepted = Literal[
    "noise floor",
    "clipped samples",
    "leading silence",
    "trailing silence",
    "repetition",
    "sub-bass",
    "drift",
    "spectral holes",
    "steady tone",
]


class Stimuli(_Table):
    """[stimuli]: the one form that every clip is brought into."""

    rate: Annotated[int, Field(ge=8000, le=96000)] = 16000  # Hz
    seconds: Annotated[float, Field(ge=0.5, le=300)] = 20.0  # each stimulus lasts exactly so long
    trim: Annotated[float, Field(ge=0, le=10)] = 0.2  # s off both ends: padding makes all outputs start alike
    loudness: Annotated[float, Field(ge=-60, le=-10)] = -26.0  # LUFS, integrated
    fade: Annotated[float, Field(ge=0, le=5)] = 0.01  # s, in and out
    bandwidth: Annotated[float, Field(ge=500)] | None = None  # Hz; None: what every clip carries
    lowest: Annotated[float, Field(ge=0, le=200)] = 0.0  # Hz; what lies below is taken out; 0: nothing is
    format: Literal["wav", "flac"] = "wav"
    repeats: Count = 0  # clips of each set that come again, hidden, to see how steady a listener is
    accept: Annotated[tuple[Accepted, ...], BeforeValidator(_as_tuple)] = ()  # what the leak audit lets pass

    @model_validator(mode="after")
    def _fits(self) -> Stimuli:
        if 2 * self.fade > self.seconds:
            raise SettingError(
                f"two fades of {self.fade:g} s do not fit into {self.seconds:g} s", "lower `fade`"
            )
        if self.bandwidth is not None and self.bandwidth > self.rate / 2:
            what = f"a rate of {self.rate} Hz carries no {self.bandwidth:g} Hz"
            raise SettingError(what, "lower `bandwidth` or raise `rate`")
        return self

    @property
    def samples(self) -> int:
        """Length of every stimulus in samples."""
        return round(self.rate * self.seconds)


class ListeningSettings(_Table):
    """[listening]: how listeners go through the study."""

    play_to_end: bool = True
    passes: Literal[1, 2] = 1  # 2: all verdicts first, then all clips again for how good and inspiring
    practice: Count = 2
    tell_base_rate: bool = True
    debrief: bool = False
    take_home: bool = False  # finished listeners may download the clips of their choice
    order: Literal["counterbalanced", "fixed"] = "counterbalanced"
    listeners: Positive | None = None  # how many are planned
    instructions: str = ""  # shown on the welcome page besides the study's own words


Block = Literal["verdict", "musicality", "inspiring", "comment"]
BLOCKS: tuple[Block, ...] = get_args(Block)


def _default(name: str) -> Any:
    """A question's English default; `Design` fills in those of another language first."""
    return Field(default_factory=lambda: _worded("en")[name])


class Questions(_Table):
    """[questions]: the wording. The defaults are the founding case study's, in the study's language."""

    verdict: Text = _default("verdict")
    difficulty: Text = _default("difficulty")
    musicality: Text = _default("musicality")
    musicality_low: Text = _default("musicality_low")
    musicality_high: Text = _default("musicality_high")
    inspiring: Text = _default("inspiring")
    comment: Text = _default("comment")
    final: Annotated[tuple[Text, ...], BeforeValidator(_as_tuple)] = _default("final")
    confidence: bool = False  # ask how sure a listener is, too
    order: Annotated[tuple[Block, ...], BeforeValidator(_as_tuple)] = BLOCKS

    @field_validator("order")
    @classmethod
    def _each_once(cls, order: tuple[Block, ...]) -> tuple[Block, ...]:
        if sorted(order) != sorted(BLOCKS):
            raise SettingError("does not name each question once", f"write {', '.join(BLOCKS)} in any order")
        return order


class Researcher(_Table):
    """[researcher]: who may open the researcher's pages. Never part of a digest or a report."""

    password: str = ""  # a hash that `study password` writes; none: a secret link, on this machine alone
    oidc_emails: Annotated[tuple[Text, ...], BeforeValidator(_as_tuple)] = ()  # who may log in by OIDC

    @field_validator("password")
    @classmethod
    def _is_hash(cls, password_hash: str) -> str:
        try:
            if password_hash:
                passwords.parse_hash(password_hash)
        except passwords.PasswordError as error:
            raise SettingError(error.problem.what, "set a password with `study password`") from None
        return password_hash

    @field_validator("oidc_emails")
    @classmethod
    def _addresses(cls, emails: tuple[str, ...]) -> tuple[str, ...]:
        for email in emails:
            if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
                raise SettingError(f"{email!r} is no e-mail address", "write it as name@example.org")
        return emails


class Analysis(_Table):
    """[analysis]: what is settled before there are data. It is fixed when the first listener begins."""

    primary: Literal["judged real", "musicality", "inspiring"] = "judged real"
    accuracy_bound: Annotated[float, Field(gt=0, lt=0.5)] | None = None  # of balanced accuracy about 0.5
    musicality_bound: Annotated[float, Field(gt=0, le=10)] | None = None  # points that count as no difference
    exclude: Annotated[tuple[Literal["hasty", "unplayed", "constant"], ...], BeforeValidator(_as_tuple)] = ()
    equivalence: Annotated[float, Field(gt=0, le=10)] | None = None  # the older name of musicality_bound

    @field_validator("equivalence")
    @classmethod
    def _one_name(cls, bound: float | None, info: ValidationInfo) -> float | None:
        if bound is not None and info.data.get("musicality_bound") not in (None, bound):
            raise SettingError(
                "is another bound than `musicality_bound`", "delete `equivalence`, its older name"
            )
        return bound

    def plan(self) -> AnalysisPlan:
        """The same for the analysis."""
        from analysis.plan import AnalysisPlan

        bound = self.equivalence if self.musicality_bound is None else self.musicality_bound
        return AnalysisPlan(self.primary, self.accuracy_bound, bound, self.exclude)


class Design(_Table):
    """A whole study.toml. `sets` keeps the order of the file."""

    study: StudySettings
    sources: Annotated[tuple[Source, ...], BeforeValidator(_as_tuple)] = Field(default=(), alias="source")
    backends: dict[str, dict[str, Any]] = Field(default_factory=dict, alias="backend")
    imported: Annotated[tuple[Imported, ...], BeforeValidator(_as_tuple)] = ()
    sets: dict[str, Set] = Field(default_factory=lambda: dict(DEFAULT_SETS), alias="set")
    stimuli: Stimuli = Stimuli()
    listening: ListeningSettings = ListeningSettings()
    questions: Questions = Field(default_factory=Questions)
    analysis: Analysis = Analysis()
    researcher: Researcher = Field(default=Researcher(), exclude=True, repr=False)

    _file: Path = PrivateAttr(default=Path(FILE_NAME))

    @model_validator(mode="before")
    @classmethod
    def _in_its_language(cls, tables: Any) -> Any:
        """Questions that are not worded get the words of the study's language."""
        if not isinstance(tables, dict) or not isinstance(tables.get("study"), dict):
            return tables
        language, worded = tables["study"].get("language", "en"), tables.get("questions", {})
        if language not in languages.languages() or not isinstance(worded, dict):
            return tables  # the fields themselves report it
        return tables | {"questions": _worded(language) | worded}

    def digest(self) -> str:
        """sha256 of the settings themselves: comments, order and spacing of the file do not count.

        A key that came with a later version counts where it is set to anything but its default, so that a
        study which listeners have begun goes on after an upgrade. Of the analysis plan only its oldest key
        counts: listeners hear nothing of it, and it has a digest of its own.
        """
        settings = self.model_dump(mode="json", by_alias=True)
        for source, stated in zip(settings["source"], self.sources, strict=True):
            for key in LATER_KEYS:
                if getattr(stated, key) == Source.model_fields[key].get_default(call_default_factory=True):
                    del source[key]
        for entry in (entry for one in settings["set"].values() for entry in one["cells"]):
            for key in LATER_FACTS:
                if entry[key] is None:
                    del entry[key]
        if settings["stimuli"]["lowest"] == Stimuli.model_fields["lowest"].default:
            del settings["stimuli"]["lowest"]
        settings["analysis"] = {"equivalence": self.analysis.equivalence}
        content = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def mode_of(self, set_name: str) -> Mode:
        """The mode of a set's fakes: its own, or the one it is named after."""
        return self.sets[set_name].mode or set_name  # type: ignore[return-value]

    def error(self, path: KeyPath, value: Any, reason: str, fix: str) -> DesignError:
        """An error about the key at `path`, as ("source", 0, "file"), to be raised by the caller."""
        return DesignError(self._file, dotted(path), value, reason, fix)


DEFAULT_SETS = {"UMG": Set(), "VAR": Set(imported=2)}


def _worded(language: str) -> dict[str, Any]:
    """The questions as the language's catalogue words them."""
    texts = languages.words(language).group("questions")
    return {name: _as_tuple(text) for name, text in texts.items()}


def _named_by_file(table: Any) -> Any:
    """Fill in `name` from the file's stem, made plain."""
    if isinstance(table, dict) and "name" not in table and isinstance(table.get("file"), str):
        return table | {"name": file_names.plain(Path(table["file"]).stem)}
    return table
