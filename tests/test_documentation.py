"""The documentation says what is there: its examples run, its links, files and commands exist."""

import doctest
import importlib
import inspect
import re
import tomllib
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import typer
from pydantic import BaseModel

import analysis
from study.design import Design
from tests.test_architecture import height

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"],
    key=lambda page: page.as_posix(),
)
DOCUMENTED = [
    name
    for page in sorted(DOCS.glob("api/*.md"))
    for name in re.findall(r"^::: ([\w.]+)", page.read_text(), re.MULTILINE)
]


def documented(name: str) -> object:
    """The object that a name of the reference stands for, from the longest part of it that is a module."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            thing = getattr(thing, part)
        return thing
    raise ModuleNotFoundError(name)


def text_outside_code(page: Path) -> str:
    """The page without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def slugs(page: Path) -> set[str]:
    """The anchors of the page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


EXAMPLES = [name for name in DOCUMENTED if name != "analysis.notebook.Study"]  # test_notebook.py runs its
SLOW = ("analysis.report.report.write",)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in EXAMPLES]
)
def test_examples_of_the_documented_interface_run(name, tmp_path, monkeypatch):
    """Those of `analysis.notebook.Study` run one by one, in tests/analysis/test_notebook.py."""
    monkeypatch.chdir(tmp_path)
    thing = documented(name)
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner()
    known = {"analysis": analysis, "np": np, "pd": pd}
    for example in finder.find(thing, name.rsplit(".", 1)[-1], extraglobs=known):
        report: list[str] = []
        runner.run(example, out=report.append)
        assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_parameters_and_results_of_the_documented_interface_are_described(name):
    thing = documented(name)
    text = inspect.getdoc(thing) or ""
    assert text, f"{name} has no docstring"
    if inspect.isclass(thing) or not callable(thing):
        return
    signature = inspect.signature(thing)
    parameters = [one for one in signature.parameters if one not in ("self", "cls")]
    for parameter in parameters:
        assert re.search(rf"^\**(\w+, )*\**{parameter}\b.*( :|,|$)", text, re.MULTILINE), parameter
    assert not parameters or re.search(r"^Parameters\n-+$", text, re.MULTILINE)
    if signature.return_annotation not in (None, "None", inspect.Signature.empty):
        assert re.search(r"^(Returns|Yields)\n-+$", text, re.MULTILINE)


def test_the_reference_documents_the_interface_once():
    assert len(DOCUMENTED) == len(set(DOCUMENTED))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in re.findall(r"(?:\]\(|src=\")([^)\"\s]+)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" not in target:
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), target
            assert not anchor or anchor in slugs(there), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_pages_name_exist(page, tracked):
    tops = "|".join(("analysis", "caw", "docs", "examples", "study", "tests", ".ci", ".github"))
    for path in re.findall(rf"`((?:{tops})/[\w./-]+)`", page.read_text()):
        if not re.search(r"[A-Z]{4}", path):  # NAME stands for a name
            assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (tests[\w.]+)", page.read_text()):
        assert Path(module.replace(".", "/") + ".py") in tracked, module


def options() -> dict[tuple[str, str], set[str]]:
    """The options of every command, by the words that call it."""
    programs = {"caw": "caw.cli.commands", "samplernn": "caw.samplernn.cli", "study": "study.cli.commands"}
    return {
        (program, name): {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
        for program, module in programs.items()
        for name, command in typer.main.get_command(importlib.import_module(module).app).commands.items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_options_that_pages_name_exist(page):
    there = options()
    written = re.findall(
        r"(?:^ {4,}|`|; )(?:docker compose run --rm one |/opt/study/bin/)?(study|caw|samplernn) ([a-z][\w-]*)"
        r"([^\n`;#]*)",
        page.read_text(),
        re.MULTILINE,
    )
    for program, command, rest in written:
        assert (program, command) in there
        named = set(re.findall(r"(?<!\S)--[a-z][\w-]*", rest))
        assert named <= there[program, command] | {"--help"}, f"{program} {command}"


def test_every_command_is_described():
    text = "".join(page.read_text() for page in PAGES)
    assert [words for words in options() if " ".join(words) not in text] == []


def models(annotation: object) -> set[type[BaseModel]]:
    """The tables that a field of the design holds."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for argument in get_args(annotation) for model in models(argument)}


def test_every_key_of_a_study_is_described():
    page = (DOCS / "study-toml.md").read_text()
    for name, field in Design.model_fields.items():
        heading = rf"^## \[+{field.alias or name}\b.*?(?=^## |\Z)"
        part = re.search(heading, page, re.MULTILINE | re.DOTALL)
        assert part, name
        inner = models(field.annotation)
        inner |= {
            one for model in inner for key in model.model_fields.values() for one in models(key.annotation)
        }
        keys = [key.alias or name for model in inner for name, key in model.model_fields.items()]
        assert [key for key in keys if f"`{key}`" not in part.group()] == [], name


def test_every_page_stands_in_the_navigation():
    def pages(entry) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        return [page for one in (entry if isinstance(entry, list) else entry.values()) for page in pages(one)]

    site = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    assert sorted(pages(site["nav"])) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))
    assert site["theme"]["font"] is False  # nothing is fetched from the web


def test_the_map_names_every_package_from_the_top_down(tracked):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(r"^\| `((?:study|analysis|caw)/[\w/]+?)(?:\.py)?`", text, re.MULTILINE)
    packages = {path.parent for path in tracked if path.name == "__init__.py" and len(path.parts) == 3}
    assert {str(one) for one in packages if one.parts[0] in ("caw", "analysis", "study")} <= set(rows)
    floors = [height(row.replace("/", ".")) for row in rows]
    assert floors == sorted(floors, reverse=True)
