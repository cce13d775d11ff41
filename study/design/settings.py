"""The tables of a study.toml as frozen settings: each key with its type, its default and its unit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from caw.files import file_names
from study import languages
from study.design.errors import SettingError

if TYPE_CHECKING:
    from analysis.plan import AnalysisPlan

FILE_NAME = "study.toml"
PLAN_KEYS = ("plan", "chords", "bpm", "metre", "form", "novelty")  # of [[source]] and of each of its `plans`
LATER_KEYS = ("trainings", *PLAN_KEYS, "plans", "bridge", "strength", "album")  # of [[source]]
SONG_WORDS = ("use_in", "use_as", "take", "moment")  # of [questions]; "": as the language's catalogue says
LATER_TABLE_KEYS: dict[str, tuple[str, ...]] = {
    "stimuli": ("lowest",),
    "listening": ("in_place", "task"),
    "questions": ("songs", *SONG_WORDS),
    "checks": ("attention_pass",),
}
LATER_FACTS = ("plan", "strength", "song")  # of a clip: no older study has them
LONGEST_DEFAULT_PASSAGE = 25.0  # s; what the model's paper trains on
Mode = Literal["UMG", "VAR"]
PLAN, BRIDGE = "plan", "bridge"  # in the key: the plan of a source that names none; clips that are bridges


def as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_several(value: Any) -> Any:
    """One number, or a list of them."""
    return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else as_tuple(value)


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


class SettingsTable(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True
    )


class StudySettings(SettingsTable):
    """[study]: what the study is called and how it begins.

    Attributes
    ----------
    title : str
        The title that listeners read.
    seed : int
        Every choice of the build and every order of clips follows from it.
    contact : str
        Whom listeners may ask, as "Ada, ada@example.org".
    language : {"en", "de"}
        The language of the pages; study/languages holds a catalogue for each.
    """

    title: Text
    seed: Seed
    contact: str = ""
    language: Literal["en", "de"] = "en"


class Variant(NamedTuple):
    """A plan or a strength with which clips of one mode are made, by the names that the key has for them."""

    plan: str = ""  # "": the model draws as it does by itself
    strength: float | None = None  # None: the model's own


class PlanRequest(SettingsTable):
    """A plan that new music follows: a file, or a few words. Keys left out are as in the clip.

    Attributes
    ----------
    plan : str, optional
        A file, TOML or JSON, as `caw plan` writes it. It takes the place of all other keys.
    chords : str, optional
        A bar a word, commas within a bar, as "Em C,D G".
    bpm : float, optional
        The tempo in beats a minute.
    metre : str, optional
        As "7/8".
    form : str, optional
        The order of sections, as "A A B A".
    novelty : float, optional
        From 0, on as the clip goes, to 1, new turns wherever they fit.
    """

    plan: Text | None = None
    chords: Text | None = None
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


class Recording(PlanRequest):
    """What [[source]] and [[song]] have in common.

    Attributes
    ----------
    file : str
        The recording, from the study's folder.
    name : str
        Its name in runs and results; by default the file's stem.
    epochs : tuple of int
        Optimiser steps per scale; each count is a model of its own.
    trainings : int
        Models for each epoch count, each from a seed of its own.
    clips : int
        Clips for each cell; sets are drawn from them.
    backend : str
        The system that makes the clips: one of `study backends`, or a [backend.NAME].
    strength : tuple of float
        VAR: from 0, the clip's own music in a new sound, to 1, which retains its beats and chords alone.
    album : tuple of str
        More recordings of the band, which models learn from before the passage.
    """

    file: Text
    name: Name = ""
    epochs: Annotated[tuple[Epochs, ...], BeforeValidator(as_tuple)] = ()
    trainings: Positive = 1
    clips: Positive = 2
    backend: Name = "caw"
    strength: Annotated[tuple[Strength, ...], BeforeValidator(_as_several)] = ()
    album: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)] = ()

    @model_validator(mode="before")
    @classmethod
    def _name_from_file(cls, table: Any) -> Any:
        return _named_by_file(table)

    @property
    def made_for(self) -> str:
        """The song that its clips are made for; "": none."""
        return ""

    @field_validator("epochs", "strength", "album")
    @classmethod
    def _no_doubles(cls, values: tuple, info: ValidationInfo) -> tuple:
        if len(set(values)) < len(values):
            raise SettingError("names a value twice", f"write each of the {info.field_name} once")
        return values


class Source(Recording):
    """[[source]]: a recording that models learn from and that originals are cut from.

    Each combination of training, mode and epoch count with a plan (UMG) or a strength (VAR) is a cell.

    Attributes
    ----------
    start : float
        Where the passage that models learn from begins, in seconds.
    seconds : float, optional
        The passage's length in seconds; by default to the end, at most 25.
    modes : tuple of {"UMG", "VAR"}
        UMG is new music in the manner of the clip, VAR the clip with its details drawn anew. () where the
        recording only gives originals.
    plans : dict of str to PlanRequest
        Several plans by name, in place of the keys of a `PlanRequest`.
    bridge : bool
        UMG: make further clips, of new bars that lead from the passage's end to its beginning.
    """

    start: Annotated[float, Field(ge=0)] = 0.0
    seconds: Annotated[float, Field(gt=0, le=600)] | None = None
    modes: Annotated[tuple[Mode, ...], BeforeValidator(as_tuple)] = ("UMG", "VAR")
    plans: dict[str, Annotated[PlanRequest, BeforeValidator(_as_plan)]] = Field(default_factory=dict)
    bridge: bool = False

    @field_validator("modes")
    @classmethod
    def _no_mode_twice(cls, modes: tuple[Mode, ...], info: ValidationInfo) -> tuple[Mode, ...]:
        return cls._no_doubles(modes, info)

    @field_validator("plans")
    @classmethod
    def _valid_names(cls, plans: dict[str, PlanRequest]) -> dict[str, PlanRequest]:
        """Names become parts of names of clips, where t2 is a training and s60 a strength."""
        for name in plans:
            if not re.fullmatch(r"(?![st]\d)[a-z][A-Za-z0-9_]{0,31}", name, re.IGNORECASE) or name == BRIDGE:
                fix = f"use letters, digits and '_', as verse; s60, t2 and {BRIDGE} are taken"
                raise SettingError(f"{name!r} cannot name a plan", fix)
        if len({name.casefold() for name in plans}) < len(plans):
            raise SettingError("names two plans that differ by case alone", "give one of them another name")
        return plans

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


class Imported(SettingsTable):
    """[[imported]]: a clip made by a system that was run elsewhere.

    Attributes
    ----------
    file : str
        The clip, from the study's folder.
    name : str
        By default the file's stem.
    backend : str
        The system that made it.
    mode : {"UMG", "VAR"}
        What kind of clip it is.
    epochs : int, optional
        The epochs of the model that made it.
    source : str
        The name of the recording it was made from.
    remark : str
        Words for the report.
    """

    file: Text
    name: Name = ""
    backend: Name
    mode: Mode
    epochs: Epochs | None = None
    source: str = ""
    remark: str = ""

    @model_validator(mode="before")
    @classmethod
    def _name_from_file(cls, table: Any) -> Any:
        return _named_by_file(table)


class CellFilter(SettingsTable):
    """One entry of a set's `cells`: a clip belongs when it has every value that the entry names.

    Attributes
    ----------
    source, backend : str, optional
    epochs : int, optional
    plan : str, optional
        "" stands for clips that follow no plan.
    strength : float, optional
    song : str, optional
        The song that clips were made for; "" stands for those that were made for none.
    """

    source: str | None = None
    epochs: Epochs | None = None
    backend: str | None = None
    plan: str | None = None
    strength: Strength | None = None
    song: str | None = None

    def fits(self, clip: Any) -> bool:
        """Whether a clip (or a cell of them) with these attributes fits the entry."""
        return all(wanted in (None, getattr(clip, key)) for key, wanted in self)


class Set(SettingsTable):
    """[set.NAME]: what one part of the study holds.

    Attributes
    ----------
    fakes, originals : int
        How many machine-made clips and how many originals.
    imported : int
        At most so many of the machine-made clips are imported ones.
    mode : {"UMG", "VAR"}, optional
        The mode of the machine-made clips; by default the set's own name.
    seed : int, optional
        By default the study's; another one draws other clips.
    cells : tuple of CellFilter
        Which clips may be drawn; all where it is empty.
    """

    fakes: Count = 8
    originals: Count = 3
    imported: Count = 0
    mode: Mode | None = None
    seed: Seed | None = None
    cells: Annotated[tuple[CellFilter, ...], BeforeValidator(as_tuple)] = ()

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


class Stimuli(SettingsTable):
    """[stimuli]: the one form that every clip is brought into.

    Attributes
    ----------
    rate : int
        Sampling rate in Hz.
    seconds : float
        The length of each stimulus.
    trim : float
        Seconds cut off both ends first, as a model's padding makes all outputs start alike.
    loudness : float
        Integrated loudness in LUFS.
    fade : float
        Seconds of fade-in and of fade-out.
    bandwidth : float, optional
        The highest frequency in Hz; by default what every clip carries.
    lowest : float
        What lies below this frequency in Hz is taken out; 0 takes out nothing.
    format : {"wav", "flac"}
        The format of the files.
    repeats : int
        Clips of each set that come again, hidden, to measure how consistent a listener is.
    accept : tuple of str
        Findings that the leak audit lets pass.
    """

    rate: Annotated[int, Field(ge=8000, le=96000)] = 16000
    seconds: Annotated[float, Field(ge=0.5, le=300)] = 20.0
    trim: Annotated[float, Field(ge=0, le=10)] = 0.2
    loudness: Annotated[float, Field(ge=-60, le=-10)] = -26.0
    fade: Annotated[float, Field(ge=0, le=5)] = 0.01
    bandwidth: Annotated[float, Field(ge=500)] | None = None
    lowest: Annotated[float, Field(ge=0, le=200)] = 0.0
    format: Literal["wav", "flac"] = "wav"
    repeats: Count = 0
    accept: Annotated[tuple[Accepted, ...], BeforeValidator(as_tuple)] = ()

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


class ListeningSettings(SettingsTable):
    """[listening]: how listeners go through the study.

    Attributes
    ----------
    play_to_end : bool
        Whether a clip must be heard to its end before it can be answered.
    passes : {1, 2}
        2: all verdicts first, then all clips again for how good and how inspiring they are.
    practice : int
        Clips to practise with, which do not count.
    tell_base_rate : bool
        Whether listeners learn how many clips are originals.
    debrief : bool
        Whether listeners learn at the end how they did.
    take_home : bool
        Whether listeners who have finished may download the clips of their choice.
    order : {"counterbalanced", "fixed"}
        How each listener's order of clips is chosen.
    listeners : int, optional
        How many are planned.
    instructions : str
        Shown on the welcome page beside the study's own words.
    in_place : bool
        Whether listeners may hear each clip in the study's songs, in the second of two passes.
    task : {"single", "paired"}
        Whether clips are heard one by one, or two side by side, see [pairs].
    """

    play_to_end: bool = True
    passes: Literal[1, 2] = 1
    practice: Count = 2
    tell_base_rate: bool = True
    debrief: bool = False
    take_home: bool = False
    order: Literal["counterbalanced", "fixed"] = "counterbalanced"
    listeners: Positive | None = None
    instructions: str = ""
    in_place: bool = False
    task: Literal["single", "paired"] = "single"


Block = Literal["verdict", "musicality", "inspiring", "comment"]
BLOCKS: tuple[Block, ...] = get_args(Block)


def _default(name: str) -> Any:
    """A question's English default; `Design` fills in those of another language first."""
    return Field(default_factory=lambda: default_questions("en")[name])


class Questions(SettingsTable):
    """[questions]: the wording. The defaults are the founding case study's, in the study's language.

    Attributes
    ----------
    verdict, difficulty, musicality, inspiring, comment : str
        What is asked about each clip.
    musicality_low, musicality_high : str
        The ends of the scale of musicality.
    final : tuple of str
        What is asked at the end.
    confidence : bool
        Whether listeners also say how sure they are.
    order : tuple of str
        The order of the questions about a clip.
    songs : bool
        Whether listeners say of each clip which of the study's songs could use it, and what they would take.
    use_in, use_as, take, moment : str
        How that is worded.
    """

    verdict: Text = _default("verdict")
    difficulty: Text = _default("difficulty")
    musicality: Text = _default("musicality")
    musicality_low: Text = _default("musicality_low")
    musicality_high: Text = _default("musicality_high")
    inspiring: Text = _default("inspiring")
    comment: Text = _default("comment")
    final: Annotated[tuple[Text, ...], BeforeValidator(as_tuple)] = _default("final")
    confidence: bool = False
    order: Annotated[tuple[Block, ...], BeforeValidator(as_tuple)] = BLOCKS
    songs: bool = False
    use_in: str = ""
    use_as: str = ""
    take: str = ""
    moment: str = ""

    @field_validator("order")
    @classmethod
    def _each_once(cls, order: tuple[Block, ...]) -> tuple[Block, ...]:
        if sorted(order) != sorted(BLOCKS):
            raise SettingError("does not name each question once", f"write {', '.join(BLOCKS)} in any order")
        return order


Exclusion = Literal["hasty", "unplayed", "constant", "headphones", "attention", "inconsistent"]


class Analysis(SettingsTable):
    """[analysis]: what is settled before there are data. It is fixed when the first listener begins.

    Attributes
    ----------
    primary : {"judged real", "musicality", "inspiring"}
        The outcome that the main conclusion is about.
    accuracy_bound : float, optional
        Clips pass as real where balanced accuracy lies within 0.5 plus or minus this.
    musicality_bound : float, optional
        Points of musicality that count as no difference.
    exclude : tuple of {"hasty", "unplayed", "constant", "headphones", "attention", "inconsistent"}
        Which answers are left out.
    consistency : float, optional
        The share of hidden repeats that a listener must judge as before not to be inconsistent.
    equivalence : float, optional
        The older name of `musicality_bound`.
    """

    primary: Literal["judged real", "musicality", "inspiring"] = "judged real"
    accuracy_bound: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    musicality_bound: Annotated[float, Field(gt=0, le=10)] | None = None
    exclude: Annotated[tuple[Exclusion, ...], BeforeValidator(as_tuple)] = ()
    consistency: Annotated[float, Field(gt=0, le=1)] | None = None
    equivalence: Annotated[float, Field(gt=0, le=10)] | None = None

    @field_validator("equivalence")
    @classmethod
    def _one_name(cls, bound: float | None, info: ValidationInfo) -> float | None:
        if bound is not None and info.data.get("musicality_bound") not in (None, bound):
            raise SettingError(
                "is another bound than `musicality_bound`", "delete `equivalence`, its older name"
            )
        return bound

    def plan(self) -> AnalysisPlan:
        """The plan in the form that the analysis takes."""
        from analysis.plan import AnalysisPlan

        bound = self.equivalence if self.musicality_bound is None else self.musicality_bound
        return AnalysisPlan(self.primary, self.accuracy_bound, bound, self.exclude, self.consistency)

    @model_validator(mode="after")
    def _is_a_plan(self) -> Analysis:
        from analysis.plan import AnalysisPlanError

        try:
            self.plan()
        except AnalysisPlanError as error:
            raise SettingError(error.problem.what, error.problem.fix) from None
        return self


def default_questions(language: str) -> dict[str, Any]:
    """The questions as the language's catalogue words them."""
    texts = languages.words(language).group("questions")
    return {name: as_tuple(text) for name, text in texts.items()}


def _named_by_file(table: Any) -> Any:
    """Fill in `name` from the file's stem, made plain."""
    if isinstance(table, dict) and "name" not in table and isinstance(table.get("file"), str):
        return table | {"name": file_names.plain(Path(table["file"]).stem)}
    return table
