import csv
import re
from importlib import resources

import pytest

import analysis.report.report
from analysis import responses
from analysis.plan import AnalysisPlan
from analysis.results import trainings
from study import blinding, design, reporting
from study.blinding import BlindingError
from study.build.build import build
from study.reporting import ReportingError
from study.store.store import Store, StoreError


@pytest.fixture
def study(built_study):
    return built_study


@pytest.fixture
def written(monkeypatch):
    """In place of the analysis, which draws for seconds: what it was handed."""
    calls = []

    def write(frame, out, *, facts=None):
        calls.append((frame, facts))
        out.mkdir()
        return out / "index.html"

    monkeypatch.setattr(analysis.report.report, "write", write)
    return calls


def unblindings(folder) -> list[dict]:
    store = Store.for_folder(folder)
    try:
        return store.unblindings()
    finally:
        store.close()


def test_answers_and_key_join_into_the_frame_of_the_analysis(study, answer):
    answer(study, "Ada")
    answer(study, "Ben")
    store = Store.for_folder(study)
    key = blinding.read_key(study, store.build().key_sha256)
    real = next(row["name"] for row in key if row["truth"] == "real" and row["set"] == "UMG")
    frame = responses.load(reporting.joined(store.answers(), key, {real: "the chorus"}))
    store.close()
    assert len(frame) == 2 * 9
    assert set(frame["set"]) == {"UMG", "VAR"}
    truth = {row["name"]: row["truth"] for row in key}
    assert all(truth[row["name"]] == row["truth"] for _, row in frame.iterrows())
    assert frame.loc[frame["truth"] == "real", "epochs"].isna().all()
    assert set(frame.loc[frame["truth"] == "fake", "epochs"]) == {100, 200}
    assert set(frame.loc[frame["name"] == real, "remark"]) == {"the chorus"}


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_the_key_tells_the_analysis_what_was_trained_twice(new_study, clip, answer, times):
    table = f'[[source]]\nfile = "{clip}"\nbackend = "tiny"\nepochs = [100, 200]\nclips = 2\n'
    table += f"trainings = {times}\n"
    folder = new_study("twice", source=table)
    build(folder)
    answer(folder, "Ada")
    store = Store.for_folder(folder)
    key = blinding.read_key(folder, store.build().key_sha256)
    frame = responses.load(reporting.joined(store.answers(), key))
    store.close()
    told = trainings.labels(frame)
    assert set(told.dropna()) == {"riff", "riff-t2"} if times == 2 else {"riff"}
    assert trainings.repeated(frame) == (times == 2)
    assert told[frame["truth"] == "real"].isna().all()


def test_an_answer_without_a_row_in_the_key_is_told(study, answer):
    answer(study, "Ada")
    store = Store.for_folder(study)
    answers = store.answers()
    store.close()
    with pytest.raises(ReportingError, match=r"the answer to (UMG|VAR)/\w{8} has no row in the key"):
        reporting.joined(answers, [])


def test_the_report_is_written_and_the_unblinding_logged(study, answer):
    answer(study, "Ada")
    page = reporting.report(study, who="Ida", reason="the end")
    assert page == study.report / "index.html"
    assert "riff-tiny-UMG" in page.read_text()
    (log,) = unblindings(study)
    assert (log["who"], log["reason"], log["key_sha256"]) == ("Ida", "the end", blinding.seal(study))


@pytest.mark.slow
def test_nobody_is_invited_into_a_study_whose_key_was_opened(study, answer, written):
    answer(study, "Ada")
    reporting.report(study, who="Ida")
    store = Store.for_folder(study)
    assert [(row["who"], row["what"]) for row in store.events()] == [("Ida", "closed")]
    with pytest.raises(StoreError, match="is unblinded, so Ben is not invited; make a new study folder"):
        store.invite("Ben")
    store.close()


def test_nothing_is_unblinded_while_somebody_may_still_answer(study, answer, written):
    answer(study, "Ada")
    answer(study, "Ben", 4)
    with pytest.raises(
        ReportingError, match=r"1 listeners have not finished \(Ben\); wait, or .* --unfinished"
    ):
        reporting.report(study)
    assert unblindings(study) == []
    assert not study.report.exists()
    reporting.report(study, unfinished=True)
    ((frame, facts),) = written
    assert facts.unfinished == ["Ben"]
    assert len(frame) == 9 + 2
    assert len(unblindings(study)) == 1


def test_another_key_than_the_sealed_one_opens_nothing(study, answer, written):
    answer(study, "Ada")
    text = study.key.read_text()
    study.key.write_text(text.replace(",real,", ",fake,", 1))
    with pytest.raises(BlindingError, match="is not the key that was sealed"):
        reporting.report(study)
    assert unblindings(study) == []
    assert written == []
    study.key.write_text(text)
    reporting.report(study)
    assert len(written) == 1


def test_the_report_is_handed_sound_provenance_and_settings(study, answer, written):
    answer(study, "Ada")
    reporting.report(study)
    ((frame, facts),) = written
    assert [form["text"] for form in responses.final_answers(frame)] == ["yes", "no", "more bass"]
    assert len(facts.stimuli) == 9
    assert all(file.is_file() for file in facts.stimuli.values())
    assert {row["name"] for row in facts.provenance} == {
        row["name"] for row in blinding.rows(study) if row["set"] != "practice"
    }
    assert all(row["pool_sha256"] for row in facts.provenance)
    assert [form["text"] for form in facts.final_forms] == ["yes", "no", "more bass"]
    assert facts.title == "Test"
    assert facts.settings["stimuli"]["seconds"] == 1.0


def test_there_must_be_something_to_report(study, new_study):
    with pytest.raises(ReportingError, match="no answers yet"):
        reporting.report(study)
    with pytest.raises(ReportingError, match="nothing is built yet"):
        reporting.report(new_study("fresh"))


def test_the_export_holds_every_answer_and_no_truth(study, answer, tmp_path):
    answer(study, "Ada", comment="=HYPERLINK(1)")
    assert reporting.export(study, tmp_path / "answers.csv") == 9
    text = (tmp_path / "answers.csv").read_text()
    assert not re.search(r"\b(riff|tiny|original|truth|epochs)\b", text)  # ids may hold any four letters
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["comment"] for row in rows} == {"'=HYPERLINK(1)"}
    assert {row["listener"] for row in rows} == {"Ada"}
    final = [name for name in rows[0] if name.startswith("final_")]
    assert [{row[name] for row in rows} for name in final] == [{"yes"}, {"no"}, {"more bass"}]


@pytest.mark.slow
def test_a_title_given_for_the_report_stands_in_place_of_the_studys(study, answer, written):
    answer(study, "Ada")
    reporting.report(study, title="What Ada heard")
    assert written[0][1].title == "What Ada heard"


def test_an_export_of_nothing_writes_nothing(study, tmp_path):
    with pytest.raises(ReportingError, match="no answers yet"):
        reporting.export(study, tmp_path / "answers.csv")
    assert not (tmp_path / "answers.csv").exists()


@pytest.fixture
def founding_table():
    with resources.as_file(resources.files("analysis") / "data" / "case_study_2022.csv") as path:
        yield path


PLAN = """[analysis]
primary = "musicality"
musicality_bound = 1.5
"""


@pytest.fixture
def planned(built_study, monkeypatch):
    """A study whose plan is fixed when its first listener begins, as where it is served."""
    folder = built_study
    folder.toml.write_text(folder.toml.read_text() + PLAN)
    build(folder)
    monkeypatch.setattr(Store, "served_plan", design.load(folder.path).analysis.plan())
    return folder


@pytest.mark.slow
def test_the_plan_that_was_fixed_goes_to_the_analysis(planned, answer, written):
    answer(planned, "Ada")
    reporting.report(planned)
    ((_, facts),) = written
    assert facts.plan == AnalysisPlan("musicality", musicality_bound=1.5)
    assert re.fullmatch(
        rf"analysis plan fixed at .* UTC, sha256 {facts.plan.sha256}, unchanged", facts.plan_told
    )


@pytest.mark.slow
def test_a_plan_changed_after_opening_is_told_and_the_fixed_one_used(planned, answer, written, run, tmp_path):
    answer(planned, "Ada")
    planned.toml.write_text(planned.toml.read_text().replace("bound = 1.5", "bound = 3.0"))
    told = "changed after opening: musicality_bound was 1.5, is 3.0; the fixed plan is used"
    for arguments in (("status",), ("export", "--out", tmp_path / "answers.csv"), ("report",)):
        code, out, err = run(arguments[0], planned.path, *arguments[1:])
        assert code == 0, err
        assert "warning: analysis plan fixed at" in out
        assert told in out
    ((_, facts),) = written
    assert facts.plan.musicality_bound == 1.5
    assert told in facts.plan_told


@pytest.mark.slow
def test_a_study_whose_plan_was_never_fixed_says_so(study, answer, written):
    answer(study, "Ada")
    study.toml.write_text(study.toml.read_text() + PLAN)
    assert reporting.plan_sentence(study).startswith("warning: no analysis plan was set before the data; not")
    reporting.report(study)
    ((_, facts),) = written
    assert facts.plan is None
    assert 'not used, as it was set afterwards: primary = "musicality"' in facts.plan_told


def test_answers_are_exported_although_study_toml_cannot_be_read(planned, answer, run, tmp_path):
    answer(planned, "Ada")
    planned.toml.write_text("[study\n")
    code, out, _ = run("export", planned.path, "--out", tmp_path / "answers.csv")
    assert code == 0
    assert "warning: the analysis plan is not looked at: " in out
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 1 + 9


def test_a_table_is_reported_by_a_plan_that_is_given(founding_table, written, run, tmp_path):
    plan = tmp_path / "study.toml"
    plan.write_text(PLAN)
    code, out, err = run("report", "--from", founding_table, "--out", tmp_path / "report", "--plan", plan)
    assert (code, err) == (0, "")
    ((_, facts),) = written
    assert facts.plan == AnalysisPlan("musicality", musicality_bound=1.5)
    assert facts.plan_told.endswith("when it was set is not known here")


@pytest.mark.parametrize("text", ["[analysis]\naccuracy_bound = 2\n", None])
def test_a_plan_that_cannot_be_read_refuses_the_report_of_a_table(founding_table, run, tmp_path, text):
    plan = tmp_path / "study.toml"
    if text:
        plan.write_text(text)
    code, _, err = run("report", "--from", founding_table, "--out", tmp_path / "report", "--plan", plan)
    assert code == 2
    assert len(err.splitlines()) == 1
    assert f"{plan}:" in err
    assert not (tmp_path / "report").exists()


def test_a_studys_own_report_takes_no_other_plan(study, run):
    code, _, err = run("report", study.path, "--plan", "other.toml")
    assert code == 2
    assert "--plan other.toml is for --from; a study's own plan is in its study.toml" in err
