import io

from rich.console import Console

from study.cli import contents


def shown(folder) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    for line in contents.status_lines(folder):
        console.print(line)
    return console.export_text()


def test_status_follows_the_study(new_study, built_study, answer):
    assert "sets: not built yet" in shown(new_study("fresh"))
    folder = built_study
    assert "sets: UMG 5, VAR 4, practice 2; sealed" in shown(folder)
    assert "listeners: none; invite" in shown(folder)
    answer(folder, "Ada", 5)
    text = shown(folder)
    assert "Ada" in text
    assert "3 of 9" in text
    folder.toml.write_text(folder.toml.read_text().replace('"Test"', '"Other"'))
    assert "study.toml has changed since" in shown(folder)
    assert not any(word in text for word in ("original", "tiny", "fake", "real"))
