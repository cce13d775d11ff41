"""The notebooks under examples/ run from top to bottom, and every cell shows what it says it shows."""

import ast
import json
from pathlib import Path

import altair as alt
import pandas as pd
import pytest

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(notebook: Path) -> list:
    """What the last expression of every code cell gives, cells run in order in one namespace."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    namespace, shown = {}, []
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        *before, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module(before, []), notebook.name, "exec"), namespace)
        shown.append(eval(compile(ast.Expression(last.value), notebook.name, "eval"), namespace))
    return shown


@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs_and_every_cell_shows_something(notebook, monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    shown = run(notebook)
    frames = [value for value in shown if isinstance(value, pd.DataFrame)]
    charts = [value for value in shown if isinstance(value, alt.TopLevelMixin)]
    assert len(frames) >= 4
    assert all(len(frame) for frame in frames)
    assert len(charts) >= 2
    assert all(chart.to_dict() for chart in charts)


def test_there_are_a_notebook_of_one_listener_and_one_of_a_panel():
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == {"founding_case", "panel_of_24"}
