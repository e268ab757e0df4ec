"""Imports go one way: a folder imports from those above it in the README's table only."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Sub-packages of `sqhw` that lie beside it in the repository.
BESIDE = ("cost_models", "rtl", "sim")
#: Where the program starts: it imports the command line, whatever folder it lies in.
STARTS = ("sqhw", "sqhw.__main__")


def layers():
    """Return the rooms of the README's table in its order."""
    table = (ROOT / "README.md").read_text().split("## Layout", 1)[1].split("\n## ", 1)[0]
    folders = re.findall(r"^\| `([\w/*.]+)` \|", table, flags=re.M)
    return [folder.removesuffix("*.py").removeprefix("sqhw/").strip("/") for folder in folders]


def modules(root):
    """Return the modules of the package by name."""
    found = {}
    for folder in ("sqhw", *BESIDE):
        for path in (root / folder).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[0] == "sqhw" and parts[1] in BESIDE:
                continue  # the links to the folders beside it
            name = ".".join(parts if parts[0] == "sqhw" else ("sqhw", *parts))
            found[name.removesuffix(".__init__")] = path
    return found


def imports(path, names):
    """Return the modules that a file imports, at its top and in functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & names) or ({node.module} & names)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & names
    return found


def room(name, packages):
    """Return the folder of a module under `sqhw`, or nothing if it lies in `sqhw` itself."""
    first = name.split(".")[1:2]
    return first[0] if first and f"sqhw.{first[0]}" in packages else ""


MODULES = modules(ROOT)
NAMES = set(MODULES)
PACKAGES = {name for name, path in MODULES.items() if path.name == "__init__.py"}
IMPORTS = {
    name: imports(path, NAMES) - {"sqhw"} for name, path in MODULES.items() if name not in STARTS
}


def test_every_folder_is_in_the_table():
    assert sorted(layers()) == sorted({room(name, PACKAGES) for name in MODULES})


def test_a_folder_imports_from_those_above_only():
    order = {folder: place for place, folder in enumerate(layers())}
    wrong = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if order[room(other, PACKAGES)] > order[room(name, PACKAGES)]
    ]
    assert wrong == []


@pytest.mark.parametrize("level", ["folder", "module"])
def test_there_is_no_circle(level):
    graph = IMPORTS
    if level == "folder":
        graph = {}
        for name, others in IMPORTS.items():
            mine = folder_of(name)
            folders = {folder_of(other) for other in others}
            graph.setdefault(mine, set()).update(
                folder for folder in folders if folder.strip(":") != mine.strip(":")
            )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def folder_of(name):
    """Return the package that a module lies in; a package is itself a module above its parts."""
    path = MODULES[name]
    return f"{name}:" if path.name == "__init__.py" else name.rpartition(".")[0]


def test_folders_are_at_most_two_deep():
    assert [name for name in PACKAGES if name.count(".") > 2] == []
