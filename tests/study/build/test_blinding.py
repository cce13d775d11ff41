import os
import stat

import pytest

from study import blinding
from study.blinding import BlindingError
from study.folder import STIMULUS_ID, StudyFolder

ROW = dict.fromkeys(blinding.KEY_COLUMNS, "x")


def test_ids_are_well_formed_new_and_never_the_same():
    first = blinding.new_ids(200)
    assert all(STIMULUS_ID.fullmatch(made) for made in first)
    assert len(set(first)) == 200
    assert first == sorted(first)
    assert not set(first) & set(blinding.new_ids(200))


def test_the_key_is_sealed_sorted_and_private(tmp_path):
    folder = StudyFolder(tmp_path)
    old = os.umask(0)
    try:
        sealed = blinding.write_key(folder, [ROW | {"stimulus_id": "b"}, ROW | {"stimulus_id": "a"}])
    finally:
        os.umask(old)
    assert stat.S_IMODE(folder.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.private.stat().st_mode) == 0o700
    assert sealed == blinding.seal(folder)
    assert folder.key.read_text().splitlines()[0] == (
        "set,stimulus_id,name,truth,backend,mode,epochs,source,seed,run,sha256"
    )
    assert [row["stimulus_id"] for row in blinding.read_key(folder, sealed)] == ["a", "b"]


def test_one_changed_byte_breaks_the_seal(tmp_path):
    folder = StudyFolder(tmp_path)
    sealed = blinding.write_key(folder, [ROW])
    folder.key.write_text(folder.key.read_text().replace("x", "y", 1))
    with pytest.raises(
        BlindingError, match="is not the key that was sealed at build .* put the original file back"
    ):
        blinding.read_key(folder, sealed)
    folder.key.unlink()
    with pytest.raises(BlindingError, match="there is no key; build the study"):
        blinding.read_key(folder, sealed)


def test_all_stimulus_files_get_one_time(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).touch()
        blinding.even_out_times(tmp_path / name)
    assert len({(tmp_path / name).stat().st_mtime_ns for name in ("a", "b")}) == 1
