"""[pairs] and the settings of single clips that mean nothing beside it."""

from __future__ import annotations

import pytest

from study import design
from study.design import DesignError
from study.design.pairs import notes

HEAD = '[study]\ntitle = "T"\nseed = 1\n'
CLIP_QUESTION = '[[question]]\nname = "key"\nask = "clip"\ntext = "Which key?"\nkind = "text"\n'
ORDER = ["comment", "verdict", "musicality", "inspiring"]
PAIRED = HEAD + '[listening]\ntask = "paired"\n'


def load(tmp_path, text: str) -> design.Design:
    (tmp_path / "study.toml").write_text(text)
    return design.load(tmp_path)


def test_a_study_of_single_clips_has_the_digest_that_it_had(tmp_path):
    plain = load(tmp_path, HEAD).digest()
    assert load(tmp_path, HEAD + '[listening]\ntask = "single"\n').digest() == plain
    paired = load(tmp_path, PAIRED).digest()
    assert paired != plain
    assert load(tmp_path, PAIRED + "[pairs]\nreal = 2\n").digest() not in (plain, paired)


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        (HEAD + "[pairs]\nreal = 2\n", "listening.task", 'write task = "paired"'),
        (PAIRED + "passes = 2\n", "listening.passes", "is for single clips"),
        (PAIRED + "debrief = true\n", "listening.debrief", "is for single clips"),
        (PAIRED + "take_home = true\n", "listening.take_home", "is for single clips"),
        (PAIRED + "[stimuli]\nrepeats = 1\n", "stimuli.repeats", "is for single clips"),
        (PAIRED + "[questions]\nconfidence = true\n", "questions.confidence", "is for single clips"),
        (PAIRED + '[analysis]\nexclude = ["hasty"]\n', "analysis.exclude", "is for single clips"),
        (PAIRED + "[analysis]\nmusicality_bound = 1.0\n", "analysis.musicality_bound", "is for single"),
        (PAIRED + "[pairs]\nreal = 0\ninspiring = 0\n", "pairs.real", "leaves no pair"),
        (PAIRED + '[questions]\nverdict = "Real?"\n', "questions.verdict", "is for single clips"),
        (PAIRED + f"[questions]\norder = {ORDER}\n", "questions.order", "is for single clips"),
        (PAIRED + "[questions]\nsongs = true\n", "questions.songs", "is for single clips"),
        (PAIRED + "in_place = true\n", "listening.in_place", "is for single clips"),
        (PAIRED + "[follow_up]\n", "follow_up", "delete the table [follow_up]"),
        (PAIRED + "[more]\nclips = 4\n", "more", "delete the table [more]"),
        (PAIRED + '[[group]]\nname = "one"\n', "group[1].name", "delete the tables [[group]]"),
        (PAIRED + CLIP_QUESTION, "question[1].ask", 'ask it "before" or at the "end"'),
        (PAIRED + "[pairs]\nreal = 25\n", "pairs.real", "3 originals and 8 fakes: 24 pairs"),
        (PAIRED + "[pairs]\ninspiring = 29\n", "pairs.inspiring", "8 fakes: 28 pairs"),
        (PAIRED + "[pairs]\ninspire = 2\n", "pairs.inspire", "inspiring"),
    ],
)
def test_what_makes_no_sense_is_refused_with_one_line(tmp_path, text, key, said):
    with pytest.raises(DesignError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert key in message
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_pairs_use_of_other_tables_is_taken(tmp_path, language):
    """Wording of the last questions, checks, questions before and at the end, the open link."""
    head = HEAD + f'language = "{language}"\n' + PAIRED.removeprefix(HEAD)
    text = '[questions]\nfinal = ["And?"]\n[checks]\nheadphones = "huggins"\nattention = 2\n[open_link]\n'
    asked = CLIP_QUESTION.replace('"clip"', '"before"')
    taken = load(tmp_path, head + text + asked)
    assert taken.questions.final == ("And?",)
    assert taken.checks.attention == 2


def test_clips_that_come_again_are_pointed_out(tmp_path):
    assert notes(load(tmp_path, PAIRED)) == []
    [one, two] = notes(load(tmp_path, PAIRED + "[pairs]\nreal = 7\n"))
    assert "set UMG: 7 pairs of 3 originals" in one
    assert "up to 3 times" in one
    assert "VAR" in two
    assert notes(load(tmp_path, HEAD)) == []
