"""The report: one page that needs nothing else, harmless whatever listeners wrote, and never half there."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import soundfile

from analysis import plots, responses, web_page
from analysis.report import figures, inspiring_clips, report
from analysis.report import sentences as wording
from analysis.report.report import ReportError, ReportFacts
from analysis.results import statistics
from analysis.results.stimuli import Panel
from tests.analysis import panels

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>"\' & </table>{{ 7*7 }}'


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "clip.wav"
    soundfile.write(path, np.zeros(160, dtype="float32"), 16000)
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory, founding):
    """The founding study's report."""
    return report.write(founding, tmp_path_factory.mktemp("one") / "report")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, founding, sound):
    """A report in which every text that anyone could type is hostile."""
    frame = founding.astype({"name": object}).assign(comment=HOSTILE, inspiring_text=HOSTILE, remark=HOSTILE)
    frame["name"] = HOSTILE + frame["name"]
    frame["set"] = "../" + HOSTILE + frame["set"]
    facts = ReportFacts(
        title=HOSTILE,
        stimuli={frame["name"].iloc[0]: sound},
        final_forms=[{"listener": HOSTILE, "number": 1, "question": HOSTILE, "text": HOSTILE}],
        provenance=[{HOSTILE: HOSTILE, "sha256": "a1" * 32}],
        unfinished=[HOSTILE],
        unblinding=[{"who": HOSTILE, "reason": "=1+1"}],
        settings={"questions": {"musicality_low": HOSTILE}, "listening": {"order": HOSTILE}},
    )
    return report.write(
        frame.drop(columns="repeat"), tmp_path_factory.mktemp("hostile") / "report", facts=facts
    )


def test_all_files_are_there(written, founding, founding_results):
    folder = written.parent
    assert {path.name for path in folder.iterdir()} == report.OWN
    names = {figure.name for figure in figures.everything(founding, founding_results)}
    assert {path.name for path in (folder / "plots").iterdir()} == {
        f"{name}.{suffix}" for name in names for suffix in ("png", "svg")
    }
    stems = {path.stem for path in (folder / "tables").iterdir()}
    assert {
        "clips_UMG",
        "clips_VAR",
        "by_epochs",
        "by_mode",
        "by_backend",
        "statistics",
        "not_computed",
    } <= stems
    records = json.loads((folder / "statistics.json").read_text(encoding="utf-8"))
    assert len(records) == len(founding_results)


def test_the_page_needs_nothing_else_and_runs_nothing_but_its_own_script(written):
    source = written.read_text(encoding="utf-8")
    page = Page(source)
    assert re.findall(r"<script[^>]*>(.*?)</script>", source, re.S) == [
        web_page.text_of(web_page.REPORT_SCRIPT)
    ]
    sources = [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href")]
    assert all(source.startswith(("#", "data:")) for source in sources)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    policy = [
        attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy[0].startswith("default-src 'none'")
    digest = hashlib.sha256(web_page.text_of(web_page.REPORT_SCRIPT).encode()).digest()
    assert policy[0].endswith(f"script-src 'sha256-{base64.b64encode(digest).decode()}'")
    css = re.search(r"<style>(.*?)</style>", source, re.S)[1]
    assert "url(" not in css
    assert "@import" not in css


def test_contents_lead_to_every_section_and_the_answer_comes_first(written):
    page = Page(written.read_text(encoding="utf-8"))
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == [f"#{name}" for name in sections]
    assert sections[:2] == ["inspiring", "short"]
    assert page.text.index("Do the machine-made clips inspire?") < page.text.index(
        "one of the 16 machine-made"
    )
    assert "Yes in 0 of 16 answers, maybe in 10, no in 6." in page.text


def test_long_parts_are_folded_and_open_on_paper(written):
    source = written.read_text(encoding="utf-8")
    folded = "".join(re.findall(r"<details>.*?</details>", source, re.S))
    assert folded.count("<summary>") == source.count("<details>")
    for long in ("S7_V_2</th>", "rank sum", "Agresti, A., &amp; Min, Y. (2001)", "a trend needs 3"):
        assert long in folded
        assert long not in re.sub(r"<details>.*?</details>", "", source, flags=re.S)
    assert "details::details-content { display: block" in source.partition("@media print")[2]
    assert "beforeprint" in web_page.text_of(web_page.REPORT_SCRIPT)


def test_a_pin_leads_to_its_clip_where_the_report_has_its_sound(tmp_path, sound, quick):
    frame = responses.load(panels.panel(listeners=3, caw=4, jukebox=0, originals=2))
    heard, silent = frame["name"].unique()[:2]
    frame["comment"] = frame["comment"].astype(object)
    for name in (heard, silent):
        frame.loc[frame["name"] == name, "comment"] = "[0:07] the snare [1:02] its end"
        frame.loc[frame["name"] == name, "inspiring"] = "yes"
    page = report.write(frame, tmp_path / "report", facts=ReportFacts(stimuli={heard: sound}))
    tags = Page(page.read_text(encoding="utf-8")).tags
    player = [attrs["id"] for tag, attrs in tags if tag == "audio"]
    pins = [attrs for tag, attrs in tags if attrs.get("class") == "pin"]
    linked = [pin for pin in pins if "href" in pin]
    assert {pin["href"] for pin in linked} == {f"#{player[0]}"}
    assert {pin["data-seconds"] for pin in linked} == {"7", "62"}
    assert len(pins) == 2 * len(linked)  # those of the clip without sound are words alone


def opening(page: str) -> str:
    """What a reader sees of the first section without opening anything."""
    section = re.search(r'<section id="inspiring">.*?</section>', page, re.S)[0]
    return re.sub(r"<details>.*?</details>", "", section, flags=re.S)


def test_the_report_opens_with_what_inspired(tmp_path, sound, quick):
    frame = responses.load(panels.panel(listeners=12, originals=6))
    frame = frame.assign(inspiring_text="a bridge", remark=frame["name"].map({"caw_UMG_06": "loops well"}))
    facts = ReportFacts(stimuli=dict.fromkeys(frame["name"], sound))
    page = report.write(frame, tmp_path / "report", facts=facts).read_text(encoding="utf-8")
    leading = inspiring_clips.leading(frame).clips
    seen = opening(page)
    assert re.findall(r"<h3>(\S+) <span", seen) == [clip["clip"] for clip in leading[:10]]
    assert len(leading) > 10
    assert seen.count('aria-label="Clip ') == 10
    for words in ("a bridge", "loops well", "3000 epochs", "machine-made"):
        assert words in seen
    tags = Page(page).tags
    players = [attrs["id"] for tag, attrs in tags if tag == "audio"]
    assert len(players) == len(set(players)) == 22  # one of each clip: its sound is in the page once
    leads = {attrs["href"][1:] for _, attrs in tags if attrs.get("class") == "pin play"}
    assert leads < set(players)
    assert len(leads) >= len(leading)


@pytest.mark.slow
def test_where_nothing_inspired_the_best_rated_open_the_report(tmp_path, founding, quick):
    frame = responses.load(founding.drop(columns="repeat").assign(inspiring="no"))
    seen = opening(report.write(frame, tmp_path / "report").read_text(encoding="utf-8"))
    assert "No machine-made clip was called inspiring or kept. The best rated:" in seen
    assert re.findall(r"<h3>(\S+) <span", seen) == ["J1", "S7_V_2", "S7_U_8"]


def test_the_originals_stand_under_every_table_of_groups(written):
    for name, group in (("mode", "VAR"), ("backend", "jukebox"), ("epochs", "not stated")):
        table = pd.read_csv(written.parent / "tables" / f"by_{name}.csv", dtype=str)
        assert list(table[name].iloc[-2:]) == [group, "originals"]
        assert tuple(table[["count", "of"]].iloc[-1]) == ("3", "4")
    conditions = pd.read_csv(written.parent / "tables" / "by_condition.csv")
    assert conditions["backend"].iloc[-1] == "originals"


def test_final_answers_of_a_table_are_shown(written):
    text = Page(written.read_text(encoding="utf-8")).text
    assert "In the listener's words What should the model do better? Longer clips, of about 60 s" in text
    answers = pd.read_csv(written.parent / "tables" / "answers.csv")
    assert answers["final_3"].notna().sum() == 1


def test_the_page_says_the_founding_figures_and_what_was_not_computed(written):
    text = Page(written.read_text(encoding="utf-8")).text
    for told in (
        "one of the 16 machine-made clips",
        "6%; 95% interval 1% to 28%",
        "balanced accuracy 84%",
        "exact unconditional test, p = .004",
        "3.8 of 10",
        "S7_V_2",
        "One listener: this describes one person",
        "undefined for one",
        "a trend needs 3",
        "Agresti, A., & Min, Y. (2001)",
    ):
        assert told in text.replace("\N{NO-BREAK SPACE}", " ")


def test_every_picture_has_words_and_ids_are_unique(written):
    page = Page(written.read_text(encoding="utf-8"))
    pictures = [attrs for tag, attrs in page.tags if attrs.get("role") == "img"]
    assert len(pictures) == 12
    assert all(len(attrs["aria-label"]) > 20 for attrs in pictures)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_hostile_words_are_shown_and_not_obeyed(hostile):
    source = hostile.read_text(encoding="utf-8")
    page = Page(source)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"img", "iframe", "object"}
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert '<script>alert("x")</script>' in page.text  # as text, for all to read
    assert "{{ 7*7 }}" in page.text
    sounds = [attrs for tag, attrs in page.tags if tag == "audio"]
    assert len(sounds) == 1
    assert sounds[0]["src"].startswith("data:audio/wav;base64,")


def test_hostile_names_stay_in_the_folder_and_out_of_spreadsheets(hostile):
    inside = [path for path in hostile.parent.rglob("*") if path.is_file()]
    assert all(path.resolve().is_relative_to(hostile.parent.resolve()) for path in inside)
    assert sorted(path.name for path in hostile.parent.parent.iterdir()) == ["report"]
    for path in (hostile.parent / "tables").glob("*.csv"):
        assert not re.search(r"(^|,)[=+@]", path.read_text(encoding="utf-8"), re.M)


def test_what_the_study_knows_is_on_the_page(hostile):
    text = Page(hostile.read_text(encoding="utf-8")).text
    for told in ("Unfinished.", "unblinded", "a1a1a1a1a1a1…", "report written", "researcher's remark"):
        assert told in text
    whole = (hostile.parent / "tables" / "provenance.csv").read_text(encoding="utf-8")
    assert "a1" * 32 in whole


@pytest.fixture
def quick(monkeypatch):
    """Reports without drawings, for tests of files alone."""
    monkeypatch.setattr(figures, "everything", lambda *of: [])


@pytest.mark.slow
def test_a_panel_is_spoken_of_as_a_panel(tmp_path, panel, quick):
    facts = ReportFacts(
        settings={
            "stimuli": {"seconds": 10.0, "rate": 16000, "loudness": -26.0, "trim": 0.2},
            "listening": {"order": "counterbalanced", "tell_base_rate": True},
        }
    )
    text = Page(report.write(panel, tmp_path / "report", facts=facts).read_text(encoding="utf-8")).text
    for told in (
        "24 listeners heard the same clips",
        "so their answers are not independent",
        "crossed linear mixed model, p",
        "Listeners, one by one",
        "Listeners are crossed with clips",
        "counterbalanced",
        "10 s long at 16 kHz",
        "Drums fall apart after a bar.",
    ):
        assert told in text
    assert "this listener only" not in text


@pytest.mark.slow
def test_what_does_not_add_up_is_explained():
    """Some listeners have not finished, and other is an answer too: shares and counts part ways."""
    frame = responses.load(panels.panel(listeners=4, caw=4, jukebox=2, originals=4))
    plain = statistics.evaluate(frame)
    assert wording.counting(frame, plain) == ""
    assert "left out" not in wording.summary(frame, plain)[2]
    short = frame.drop(frame.index[frame["listener"].eq("L04") & frame["set"].eq("UMG")])
    fakes = short.index[short["truth"] == "fake"]
    short.loc[fakes[:3], "inspiring"] = "other"
    results = statistics.evaluate(short)
    told = wording.counting(short, results)
    assert "weigh listeners and clips that answered or were judged less often" in told
    assert "other (3 answers) is in no share" in told
    said = wording.inspired(results)
    assert said["beside"].startswith("3 more answers of other")
    assert said["by"][0][0] == "backend"
    assert "(three answers of other left out)" in wording.summary(short, results)[2]


@pytest.mark.slow
def test_a_new_report_replaces_the_old_one(tmp_path, founding, quick):
    out = tmp_path / "report"
    report.write(founding, out, facts=ReportFacts(title="first"))
    (out / "tables" / "stale.csv").write_text("old")
    page = report.write(founding, out, facts=ReportFacts(title="second"))
    assert "second" in page.read_text(encoding="utf-8")
    assert not (out / "tables" / "stale.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [True, False])
def test_a_report_that_breaks_off_leaves_what_was_there(
    tmp_path, founding, monkeypatch, quick, fault, before
):
    out = tmp_path / "report"
    if before:
        report.write(founding, out, facts=ReportFacts(title="the one before"))

    def full(*_, **__):
        raise fault

    monkeypatch.setattr(report, "_page", full)
    with pytest.raises((ReportError, KeyboardInterrupt)):
        report.write(founding, out)
    assert [path.name for path in tmp_path.iterdir()] == (["report"] if before else [])
    if before:
        assert "the one before" in (out / "index.html").read_text(encoding="utf-8")


def test_a_folder_that_holds_other_things_is_left_alone(tmp_path, founding):
    (tmp_path / "songs.txt").write_text("mine")
    with pytest.raises(ReportError, match=r"holds 'songs.txt', which is no part of a report"):
        report.write(founding, tmp_path)
    with pytest.raises(ReportError, match="is a file"):
        report.write(founding, tmp_path / "songs.txt")
    assert (tmp_path / "songs.txt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "told"), [("gone.wav", "cannot read the stimulus"), ("clip.txt", "no sound")]
)
def test_a_sound_that_cannot_be_played_is_told(tmp_path, founding, quick, name, told):
    facts = ReportFacts(stimuli={founding["name"].iloc[0]: tmp_path / name})
    with pytest.raises(ReportError, match=told):
        report.write(founding, tmp_path / "report", facts=facts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("truth", ["fake", "real"])
def test_a_study_of_one_kind_of_clip_has_charts_and_a_report(tmp_path, founding, monkeypatch, truth):
    frame = responses.load(founding[founding["truth"] == truth].drop(columns="repeat"))
    drawn = figures.everything(frame, statistics.evaluate(frame))
    assert all(plots.render(figure.draw()).startswith("<svg") for figure in drawn)
    monkeypatch.setattr(figures, "everything", lambda *of: [])
    text = Page(report.write(frame, tmp_path / "report").read_text(encoding="utf-8")).text
    assert "cannot be said" in text


def test_unrated_and_uninspired_studies_have_a_report(tmp_path, founding, quick):
    frame = founding.drop(columns="repeat").assign(musicality=None, inspiring=None, epochs=None)
    text = Page(report.write(frame, tmp_path / "report").read_text(encoding="utf-8")).text
    assert "No machine-made clip was rated for musicality." in text
    assert "No machine-made clip has a stated epoch count." in text


@pytest.mark.slow
@pytest.mark.parametrize("study", ["founding", "panel"])
def test_the_opening_is_three_sentences(study, request):
    frame, results = request.getfixturevalue(study), request.getfixturevalue(f"{study}_results")
    sentences = wording.summary(frame, results)
    assert len(sentences) == 3
    assert all(sentence.endswith(".") for sentence in sentences)
    assert Panel.of(frame).single_listener == ("listener" in sentences[0] and "listeners" not in sentences[0])


def test_inlined_drawings_differ_by_width(written):
    source = written.read_text(encoding="utf-8")
    assert source.count('class="drawing wide"') == source.count('class="drawing narrow"') == 6
    assert plots.WIDE > plots.NARROW
