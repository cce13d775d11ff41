"""The house rules that a tool can check: who imports whom, what stays light, what the repository holds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ["streamlit_app", "study", "analysis", "caw"]  # each may import those after it
PATHS = [Path("streamlit_app.py")]
PATHS += [path.relative_to(ROOT) for floor in FLOORS[1:] for path in sorted((ROOT / floor).rglob("*.py"))]
NO_TORCH = {
    Path("caw") / name
    for name in (
        "__init__.py",
        "atomic.py",
        "audio.py",
        "command_line.py",
        "config.py",
        "containers.py",
        "environment.py",
        "ffmpeg.py",
        "file_kinds.py",
        "file_names.py",
        "measuring.py",
        "pictures.py",
        "sound_files.py",
        "spreadsheet.py",
        "table_text.py",
    )
}
NO_TORCH |= {
    Path("caw") / name for name in ("cli_tasks.py", "denoising.py", "excitation.py", "inpainting.py")
}
NO_TORCH |= {
    Path("caw/samplernn") / name
    for name in (
        "__init__.py",
        "config.py",
        "cli.py",
        "fused_step.py",
        "kept_weights.py",
        "quantisation.py",
        "streams.py",
    )
}
NO_TORCH |= {Path("caw/yardstick.py")} | {path for path in PATHS if path.parts[:2] == ("caw", "measures")}
NO_TORCH |= {Path("caw/cli_mosaic.py"), Path("caw/cli_clips.py"), Path("caw/cli_compose.py")} | {
    path for path in PATHS if path.parts[:2] in (("caw", "mosaic"), ("caw", "compose"))
}
NO_STREAMLIT = {Path("study/room") / name for name in ("__init__.py", "store.py", "protocol.py")}
TORCH = {"torch", "torchaudio"}
LONGEST_MODULE = 600  # lines
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


def breaches(path: Path, tree: ast.Module) -> list[str]:
    """What a module imports against the rules."""
    names = imported(tree)
    used, found = packages(names), [f"{name} is relative" for name in names if name.startswith(".")]
    floor = FLOORS.index(path.parts[0].removesuffix(".py"))
    above = set(FLOORS[:floor]) if floor else set(FLOORS) - {"study"}  # the entry hands over, nothing else
    found += [f"{name} is above it or none of its business" for name in used & above]
    in_room = path.is_relative_to("study/room") and path not in NO_STREAMLIT
    if "streamlit" in used and not in_room and path != Path("streamlit_app.py"):
        found.append("streamlit belongs to study/room")
    in_model = path.is_relative_to("caw") and path not in NO_TORCH
    in_backend = path.is_relative_to("study/preparation/backends") and not packages(at_its_head(tree)) & TORCH
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
        ("analysis/report.py", "def f():\n    import study.folder", False),
        ("analysis/report.py", "from caw import audio", True),
        ("analysis/report.py", "import torchaudio", False),
        ("study/cli.py", "import streamlit as st", False),
        ("study/room/listener.py", "import streamlit as st", True),
        ("study/room/store.py", "from streamlit import config", False),
        ("study/preparation/backends/caw.py", "def f():\n    import torch", True),
        ("study/preparation/backends/caw.py", "if True:\n    import torch", False),
        ("study/preparation/build.py", "def f():\n    import torch", False),
        ("study/cli.py", "from . import folder", False),
        ("streamlit_app.py", "from study.room import pages\nimport streamlit", True),
        ("streamlit_app.py", "import caw", False),
    ],
)
def test_the_rules_bite(path, code, allowed):
    assert (not breaches(Path(path), ast.parse(code))) == allowed


def test_light_modules_load_neither_torch_nor_streamlit():
    """What the listener's page, the report and every command's help wait for stays quick to start."""
    light = {
        "torch": ["caw", "caw.audio", "caw.config", "caw.measures", "caw.cli", "study.room.store"]
        + ["study.cli", "study.preparation.backends", "analysis.report", "analysis.responses"],
        "streamlit": ["caw", "study.room.protocol", "study.room.store", "study.cli", "analysis.report"],
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
            assert len((ROOT / path).read_text().splitlines()) <= LONGEST_MODULE, path


def test_the_top_level_is_the_agreed_one(tracked):
    agreed = {"README.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml", "streamlit_app.py"}
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
