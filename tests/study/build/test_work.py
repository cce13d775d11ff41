"""What a worker passes on of what its backends tell."""

from study.engines import work


def test_what_is_new_is_passed_on_at_once_and_the_rest_now_and_then(monkeypatch):
    clock, said = [10.0], []
    monkeypatch.setattr(work.time, "monotonic", lambda: clock[0])
    words = work._Words(0, 0, lambda event: said.append(event.text))
    for told in ("train riff: epoch 1 of 9", "train riff: epoch 2 of 9", "draw riff-1", "draw riff-1"):
        words.tell(0.1, told)
    clock[0] += 1.0
    words.tell(0.2, "draw riff-1")
    assert said == ["train riff: epoch 1 of 9", "draw riff-1", "draw riff-1"]
