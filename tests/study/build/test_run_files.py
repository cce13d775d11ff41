import os
import threading
import time

import pytest

from study.engines import run_files
from study.engines.run_files import Depot, FilesDamaged, Outbox, Piece, Snapshot, contents


@pytest.fixture
def folders(tmp_path):
    """A worker's folder and the study's."""
    for name in ("worker", "study"):
        (tmp_path / name).mkdir()
    return tmp_path / "worker", tmp_path / "study"


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def bring(outbox, depot):
    return [depot.take(sent) for sent in outbox.changes()]


def test_what_changes_is_brought_and_nothing_else(folders, monkeypatch):
    monkeypatch.setattr(run_files, "PIECE", 10)
    here, there = folders
    (here / "old").write_bytes(b"sent with the errand")
    outbox, depot = Outbox(here), Depot(there, "job-0")
    assert bring(outbox, depot) == []
    (here / "run").mkdir()
    (here / "run" / "weights").write_bytes(bytes(range(25)))
    (here / "run" / "empty").write_bytes(b"")
    (here / "run" / ".weights.7.tmp").write_bytes(b"half of it")
    assert bring(outbox, depot)[-1]
    assert files(there) == {"run/weights": bytes(range(25)), "run/empty": b""}
    assert bring(outbox, depot) == []
    (here / "run" / "empty").unlink()
    with (here / "run" / "weights").open("ab") as file:
        file.write(b"more")
    assert bring(outbox, depot)[-1]
    assert files(there) == {"run/weights": bytes(range(25)) + b"more"}


def test_the_same_bytes_again_are_nothing_new(folders):
    here, there = folders
    outbox, depot = Outbox(here), Depot(there, "job-0")
    (here / "losses.jsonl").write_text("{}\n")
    assert bring(outbox, depot)[-1]
    os.utime(here / "losses.jsonl", ns=(0, 0))
    assert bring(outbox, depot) == [False, False]


def test_files_are_put_in_place_in_the_order_in_which_they_were_written(folders):
    here, _ = folders
    outbox = Outbox(here)
    for name in ("finished.json", "checkpoint.pt", "scale", "a"):
        (here / name).write_text(name)
        os.utime(here / name, ns=(10**18, 10**18))  # within one tick of the clock
    os.utime(here / "a", ns=(10**18 + 1, 10**18 + 1))
    *_, snapshot = outbox.changes()
    assert [path for path, _ in snapshot.files] == ["scale", "checkpoint.pt", "finished.json", "a"]


def test_a_snapshot_is_of_one_moment(folders):
    """A checkpoint that names a state of the weights never comes without it."""
    here, there = folders
    outbox, depot, stop = Outbox(here), Depot(there, "job-0"), threading.Event()

    def write():
        count = 0
        while not stop.is_set():
            count += 1
            for name in ("weights", "checkpoint.pt"):
                (here / ".new.tmp").write_text(str(count))
                (here / ".new.tmp").replace(here / name)
            stop.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen, ends = set(), time.monotonic() + 120
        while len(seen) < 20 and time.monotonic() < ends:
            bring(outbox, depot)
            if (there / "checkpoint.pt").exists():
                weights, named = (int((there / name).read_text()) for name in ("weights", "checkpoint.pt"))
                assert named <= weights <= named + 1
                seen.add(named)
    finally:
        stop.set()
        writer.join()
    assert len(seen) == 20


@pytest.mark.parametrize("wrong", ["bytes", "lacking", "more"])
def test_what_arrives_damaged_leaves_the_folder_as_it_was(folders, wrong):
    here, there = folders
    (there / "weights").write_bytes(b"before")
    (here / "weights").write_bytes(b"after")
    (here / "config").write_bytes(b"{}")
    sent, depot = list(contents(here, ("weights", "config"))), Depot(there, "job-0")
    damaged = {
        "bytes": [Piece(sent[0].path, b"0" + sent[0].content[1:]), *sent[1:]],
        "lacking": sent[1:],
        "more": [Piece("more", b"x"), *sent],
    }
    *pieces, snapshot = damaged[wrong]
    for piece in pieces:
        depot.take(piece)
    with pytest.raises(FilesDamaged, match="arrived with other bytes than were sent"):
        depot.take(snapshot)
    assert files(there) == {"weights": b"before"}
    assert [depot.take(entry) for entry in sent][-1]
    assert files(there) == files(here)


def test_a_lost_worker_leaves_nothing_half_written(folders):
    here, there = folders
    (here / "weights").write_bytes(b"after")
    depot = Depot(there, "job-0")
    depot.take(next(iter(contents(here, ("weights",)))))
    assert len(files(there)) == 1
    depot.drop()
    assert files(there) == {}


def test_what_a_log_says_is_no_progress(folders):
    """Or else a program that writes the time and ends its worker would be tried for ever."""
    here, there = folders
    outbox, depot = Outbox(here), Depot(there, "job-0")
    (here / "riff-UMG.log").write_text("began at noon")
    assert bring(outbox, depot) == [False, False]
    assert files(there) == {"riff-UMG.log": b"began at noon"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_full_disk_is_told_with_its_place_and_leaves_nothing(folders, size):
    depot = Depot(folders[1], "job-0")
    (folders[1] / ".job-0-0.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=f"No space left on device: .*{folders[1]}"):  # noqa: PT012
        depot.take(Piece("weights", bytes(size)))
        depot.take(Snapshot((("weights", ""),)))
    depot.drop()
    assert list(folders[1].iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../study.toml", "run/../../x", ""])
def test_no_worker_writes_or_deletes_beside_the_folder(folders, path):
    depot = Depot(folders[1], "job-0")
    for sent in (Piece(path, b""), Snapshot((), (path,))):
        with pytest.raises(FilesDamaged, match="is no path inside"):
            depot.take(sent)


def test_only_what_is_named_is_sent_along(folders):
    here, there = folders
    for name in ("run/a", "run/b/c", "run-2/a", "run.recipe.json"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)
    depot = Depot(there, "sent")
    for sent in contents(here, ("run", "run.recipe.json", "not there")):
        depot.take(sent)
    assert sorted(files(there)) == ["run.recipe.json", "run/a", "run/b/c"]
    assert list(contents(here, ("not there",))) == []
