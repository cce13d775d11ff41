"""A study of pairs from its answers to the export without truth and the report with it."""

from __future__ import annotations

import pytest
from test_pairs import PAIRED, answer_all
from tiny_study import make_tiny_study

from study import reporting
from study.reporting import ReportingError
from study.store.store import Store


def test_a_study_of_pairs_is_exported_and_reported(tmp_path):
    study = make_tiny_study(tmp_path / "study", fakes=3, originals=2, practice=2, listening=PAIRED)
    store = Store.for_folder(study)
    person = store.find(store.invite("Ann"))
    store.claim(person.id, "T")
    store.consent(person.id, "v1")
    store.sound_check(person.id, "headphones")
    answer_all(store, "Ann")
    store.save_final(person.id, tab="T", questions=["Why?"], texts={1: "Because."}, finish=True)
    assert reporting.export(study, tmp_path / "answers.csv") == 6
    exported = (tmp_path / "answers.csv").read_text()
    assert "first_id" in exported
    assert "jukebox" not in exported
    assert "swampgroove" not in exported
    page = reporting.report(study)
    text = page.read_text()
    assert "The listener picked the real one of two clips" in text
    assert "Because." in text
    heard = {row[f"{side}_id"] for row in store.answers() for side in ("first", "second")}
    assert text.count("<audio") == len(heard)
    assert store.unblindings()
    store.close()


def test_an_answer_to_a_clip_that_the_key_lacks_is_refused():
    answer = {"listener": "Ann", "set": "UMG", "first_id": "aa", "second_id": "bb", "choice": "first"}
    key = [{"set": "UMG", "stimulus_id": "aa", "name": "one", "truth": "real", "backend": "original"}]
    key[0] |= {"mode": "UMG", "epochs": "", "source": "", "run": ""}
    with pytest.raises(ReportingError, match="UMG/bb has no row in the key"):
        reporting.joined_pairs([answer], key)
