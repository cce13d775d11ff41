import numpy as np
import pytest

from caw import audio
from caw.files import atomic, spreadsheet
from study.folder import StudyFolder
from study.pool import COLUMNS, Pool, PoolError


def sound(level: float = 0.5) -> np.ndarray:
    return (level * np.sin(np.arange(8000) / 5)).astype(np.float32)


def test_a_clip_is_there_when_row_recipe_and_bytes_agree(tmp_path):
    pool = Pool(StudyFolder(tmp_path))
    row = pool.add(
        "a", sound(), 8000, backend="caw", mode="UMG", epochs=100, source="riff", seed=3, recipe="r1"
    )
    again = Pool(StudyFolder(tmp_path))
    assert again.rows["a"] == row
    assert again.has("a", "r1")
    assert not again.has("a", "r2")
    assert not again.has("b", "r1")
    again.path("a").unlink()
    assert not again.has("a", "r1")


def test_the_table_says_where_each_clip_came_from(tmp_path):
    folder = StudyFolder(tmp_path)
    Pool(folder).add(
        "a", sound(), 8000, backend="caw", mode="UMG", epochs=100, source="riff", seed=3, run="riff-100"
    )
    (row,) = spreadsheet.records(folder.pool_table)
    assert tuple(row) == COLUMNS
    assert (row["file"], row["backend"], row["epochs"], row["run"]) == ("a.wav", "caw", "100", "riff-100")
    assert row["sha256"] == atomic.sha256(folder.pool / "a.wav")
    assert audio.inspect(folder.pool / "a.wav").subtype == "PCM_24"


def test_a_clip_above_full_scale_is_lowered_and_its_row_says_so(tmp_path):
    pool = Pool(StudyFolder(tmp_path))
    assert pool.add("hot", sound(2.0), 8000)["gain_db"] == "-6.03"
    assert pool.add("fine", sound(0.9), 8000)["gain_db"] == ""
    assert np.abs(pool.read("hot")[0]).max() == pytest.approx(0.999, abs=1e-4)
    assert np.abs(pool.read("fine")[0] - sound(0.9)).max() < 1e-6


def test_a_clip_that_was_changed_by_hand_is_refused(tmp_path):
    pool = Pool(StudyFolder(tmp_path))
    pool.add("a", sound(), 8000, recipe="r")
    audio.write(pool.path("a"), sound(0.3), 8000)
    with pytest.raises(PoolError, match="was changed after it was made; delete it"):
        pool.has("a", "r")


def test_a_table_that_is_slow_to_write_is_written_less_often_and_whole_in_the_end(new_study):
    pool, tone = Pool(new_study()), np.full(1600, 0.1, np.float32)

    def names() -> list[str]:
        return [row["name"] for row in spreadsheet.records(pool.folder.pool_table)]

    pool.add("a", tone, 16000)
    assert names() == ["a"]
    pool._took = 1000.0
    pool.add("b", tone, 16000)
    assert names() == ["a"]
    pool.add("a", 2 * tone, 16000)  # the old row would not fit the new file
    assert names() == ["a", "b"]
    pool._took = 1000.0
    pool.add("c", tone, 16000)
    pool.save()
    assert names() == ["a", "b", "c"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: table.write_bytes(b"\xff\xfe" + table.read_bytes()),
        lambda table: table.write_text(table.read_text().partition("\n")[2]),
        lambda table: table.write_text("a,b\n1,2\n"),
        lambda table: table.write_text(table.read_text() + "x" * 200_000 + "\n"),
    ],
    ids=["no text", "no header", "another table", "a field without end"],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_name(tmp_path, damage):
    pool = Pool(StudyFolder(tmp_path))
    pool.add("a", sound(), 8000, backend="caw", recipe="r1")
    pool.add("b", sound(), 8000, backend="caw", recipe="r2")
    pool.save()
    damage(pool.folder.pool_table)
    with pytest.raises(PoolError, match=r"pool.csv: .*; put it back, or delete it to have its clips made"):
        Pool(pool.folder)


def test_columns_that_somebody_added_do_not_keep_the_table_from_being_written(tmp_path):
    pool = Pool(StudyFolder(tmp_path))
    pool.add("a", sound(), 8000, backend="caw", recipe="r1")
    table = pool.folder.pool_table
    table.write_text(table.read_text().replace("\n", ",mine,more\n"))
    pool = Pool(pool.folder)
    assert pool.has("a", "r1")
    pool.add("b", sound(), 8000, backend="caw", recipe="r2")
    assert tuple(spreadsheet.records(table)[1]) == COLUMNS
