"""The house rules that a tool can check: who imports whom, what stays light, what the repository holds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the top down. A module may import what stands on its own floor or below, at its head or inside a
# function. "study" stands for the modules directly in study/ that no other line names, and so do the others.
FLOORS = """
streamlit_app
study.__main__  study.cli
study.pages
study.server
study.muse
study.reporting
study.rounds
study.build
study.audit
study.engines
study.backends
study.store
study
analysis.__init__  analysis.notebook
analysis.power_page  analysis.sounds
analysis.report
analysis.plots
analysis.planning_follow_up
analysis.planning
analysis.results
analysis.models
analysis.tests
analysis
caw.__main__  caw.cli  caw.samplernn.cli  caw.samplernn.__main__
caw.__init__
caw.samplernn
caw.training
caw.runs
caw.tasks
caw.measures
caw.run_folder
caw.paper
caw.flow
caw.cascade
caw.compose
caw.mosaic
caw
""".strip().splitlines()
HEIGHT = {name: -number for number, line in enumerate(FLOORS) for name in line.split()}
PATHS = [Path("streamlit_app.py")]
PATHS += [
    path.relative_to(ROOT) for top in ("study", "analysis", "caw") for path in (ROOT / top).rglob("*.py")
]
NO_TORCH = {  # folders and modules of caw that load without torch
    Path("caw") / name
    for name in (
        "__init__.py",
        "audio.py",
        "beats.py",
        "cli",
        "compose",
        "config.py",
        "process.py",
        "problems.py",
    )
    + ("features.py", "files", "measures", "mosaic")
    + ("tasks/denoising.py", "tasks/inpainting.py")
}
NO_TORCH |= {
    Path("caw/samplernn") / name
    for name in ("__init__.py", "config.py", "cli.py", "data.py", "fused_step.py")
}
# The pages, and what of the server stands around Streamlit's own: its app, its static files and its options.
STREAMLIT = {Path("study/pages")} | {
    Path("study/server") / f"{name}.py" for name in ("gate", "routes", "server")
}
TORCH = {"torch", "torchaudio"}
SIZES = range(40, 601)  # lines of a module of the product; those of tests have no lower bound
SHORT = {  # modules that are shorter, and why; __init__ and __main__ may be
    "study/pages/router.py": "Streamlit runs this script at each message; it only chooses the page",
    "study/store/migrations/env.py": "Alembic wants its entry in a file of this name",
    "study/store/migrations/versions/0002_first_tables.py": "Alembic reads one revision a file",
    "streamlit_app.py": "Streamlit's server wants a script at the top that hands over to study.pages",
}
LARGEST_FILE = 3_000_000  # bytes
MEDIA = {".flac", ".png", ".svg", ".wav"}


def imported(tree: ast.AST) -> set[str]:
    """Dotted names of all that a module imports, at its head or inside functions."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
            names |= {f"{node.module}.{alias.name}" for alias in node.names if not node.level}
    return names


def at_its_head(tree: ast.Module) -> set[str]:
    """Dotted names of what a module imports as it is loaded itself."""
    waiting, names = list(tree.body), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= imported(ast.Module([node], []))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)
    return names


def packages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def height(module: str) -> int:
    """The floor of a module or of a name in one, higher numbers above; of `analysis` itself its front."""
    parts = (module if module not in ("analysis",) else "analysis.__init__").split(".")
    return next(HEIGHT[name] for n in range(len(parts), 0, -1) if (name := ".".join(parts[:n])) in HEIGHT)


def breaches(path: Path, tree: ast.Module) -> list[str]:
    """What a module imports against the rules."""
    names = imported(tree)
    used, found = packages(names), [f"{name} is relative" for name in names if name.startswith(".")]
    own = height(".".join(path.with_suffix("").parts))
    ours = {name for name in names if name.split(".")[0] in ("streamlit_app", "study", "analysis", "caw")}
    found += [f"{name} is above it" for name in ours if "." in name and height(name) > own]
    if path == Path("streamlit_app.py"):
        found += [f"{name} is none of its business" for name in used & {"analysis", "caw"}]
    elif "streamlit" in used and not {path, *path.parents} & STREAMLIT:
        found.append("streamlit belongs to study/pages")
    in_model = path.is_relative_to("caw") and not {path, *path.parents} & NO_TORCH
    in_backend = path.is_relative_to("study/backends") and not packages(at_its_head(tree)) & TORCH
    if used & TORCH and not in_model and not in_backend:
        found.append("torch belongs to caw, and inside the functions of a backend")
    return [f"{path}: {breach}" for breach in found]


def test_imports_go_downwards_and_heavy_libraries_stay_in_their_rooms():
    assert not [breach for path in PATHS for breach in breaches(path, ast.parse((ROOT / path).read_text()))]


@pytest.mark.parametrize(
    ("path", "code", "allowed"),
    [
        ("caw/runs.py", "import torch.nn", True),
        ("caw/audio.py", "import torch", False),
        ("caw/runs.py", "from analysis import tables", False),
        ("analysis/report/report.py", "def f():\n    import study.folder", False),
        ("analysis/report/report.py", "from caw import audio", True),
        ("analysis/report/report.py", "import torchaudio", False),
        ("study/cli/commands.py", "import streamlit as st", False),
        ("study/pages/listener.py", "import streamlit as st", True),
        ("study/server/take_home.py", "import streamlit as st", False),
        ("study/store/store.py", "from streamlit import config", False),
        ("study/backends/caw.py", "def f():\n    import torch", True),
        ("study/backends/caw.py", "if True:\n    import torch", False),
        ("study/build/build.py", "def f():\n    import torch", False),
        ("study/cli/commands.py", "from . import folder", False),
        ("study/store/store.py", "def f():\n    from study.build import build", False),
        ("study/server/gate.py", "from study import pages", False),
        ("caw/compose/plan.py", "import caw.runs", False),
        ("streamlit_app.py", "from study.server import server\nimport streamlit", True),
        ("streamlit_app.py", "import caw", False),
    ],
)
def test_the_rules_bite(path, code, allowed):
    assert (not breaches(Path(path), ast.parse(code))) == allowed


def test_light_modules_load_neither_torch_nor_streamlit():
    """What the listener's page, the report and every command's help wait for stays quick to start."""
    light = {
        "torch": ["caw", "caw.audio", "caw.config", "caw.measures", "caw.cli.commands", "study.store.store"]
        + ["study.cli.commands", "study.backends", "analysis.report.report", "analysis.responses"],
        "streamlit": [
            "caw",
            "study.store.protocol",
            "study.store.store",
            "study.cli.commands",
            "analysis.report.report",
        ],
    }
    code = "import importlib, sys\nfor name in sys.argv[2:]:\n    importlib.import_module(name)\n"
    code += "    if sys.argv[1] in sys.modules:\n        sys.exit(name)"
    for heavy, names in light.items():
        there = [name for name in names if _exists(name)]
        command = [sys.executable, "-c", code, heavy, *there]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert told.returncode == 0, f"{heavy} is loaded by {told.stderr}"


def _exists(module: str) -> bool:
    path = Path(module.replace(".", "/"))
    return path.with_suffix(".py") in PATHS or path / "__init__.py" in PATHS


def test_the_repository_holds_no_loose_ends(tracked):
    """No registry's host name, no path of a developer's machine, nothing left to do."""
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "deb.debian" + ".org", "npmjs" + ".org"]
    words = ["TO" + "DO", "FIX" + "ME", "Not" + "ImplementedError", "/work" + "/main", "/work" + "/shared"]
    found = []
    for path in tracked:
        if path.suffix not in MEDIA:
            text = (ROOT / path).read_text(errors="replace")
            found += [f"{path}: {word}" for word in hosts + words if word in text]
    assert not found


def test_files_are_focused_and_named_for_what_they_hold(tracked):
    for path in tracked:
        assert (ROOT / path).stat().st_size <= LARGEST_FILE, path
        assert not {"util", "utils", "helper", "helpers", "common", "misc"} & {path.stem, *path.parts}, path
        if path.suffix == ".py":
            assert len((ROOT / path).read_text().splitlines()) <= SIZES[-1], path


def test_modules_are_neither_ballrooms_nor_cupboards():
    lines = {path: len((ROOT / path).read_text().splitlines()) for path in PATHS}
    short = {str(path) for path, count in lines.items() if count < SIZES[0] and path.name[:2] != "__"}
    assert short == set(SHORT)


def test_the_top_level_is_the_agreed_one(tracked):
    agreed = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "zensical.toml", ".github"}
    agreed |= {
        ".pre-commit-config.yaml",
        "LICENSE",
        "Makefile",
        "constraints.txt",
        "pyproject.toml",
        "streamlit_app.py",
    }
    agreed |= {
        "analysis",
        "caw",
        "study",
        "tests",
        "examples",
        ".ci",
        ".gitignore",
        ".gitattributes",
        ".streamlit",
    }
    agreed |= {"Dockerfile", ".dockerignore", "compose.yaml"}
    assert {path.parts[0] for path in tracked} <= agreed
