"""What is installed is what is in the tree, under one name."""

import fnmatch
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def folder_of(package: str) -> Path:
    """Return the folder of a package by the map of pyproject.toml."""
    mapped = PROJECT["package-dir"]
    best = max((name for name in mapped if f"{package}.".startswith(f"{name}.")), key=len)
    return ROOT.joinpath(mapped[best], *package.removeprefix(best).strip(".").split("."))


def files_of(package: str):
    """Yield the files of a package's own folder; the links to mapped folders are no part of it."""
    for path in folder_of(package).rglob("*"):
        inside = path.resolve().is_relative_to(folder_of(package).resolve())
        if inside and path.is_file() and "__pycache__" not in path.parts:
            yield path


@pytest.mark.parametrize("top", PROJECT["package-dir"])
def test_every_package_is_listed(top):
    found = {
        ".".join([top, *path.parent.relative_to(folder_of(top)).parts])
        for path in files_of(top)
        if path.name == "__init__.py"
    }
    listed = {name for name in PROJECT["packages"] if f"{name}.".startswith(f"{top}.")}
    others = {name for name in PROJECT["package-dir"] if name not in (top, "sqhw")}
    if top == "sqhw":
        listed = {name for name in listed if name not in others}
    assert found == listed


def test_every_data_file_is_listed():
    missing = []
    for package in PROJECT["packages"]:
        patterns = PROJECT["package-data"].get(package, [])
        for path in files_of(package):
            nested = any((parent / "__init__.py").exists() for parent in path.parents
                         if parent != folder_of(package)
                         and parent.is_relative_to(folder_of(package)))  # fmt: skip
            name = path.relative_to(folder_of(package)).as_posix()
            if path.suffix == ".py" or nested:
                continue
            if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                missing.append(str(path))
    assert not missing


def test_one_name_is_installed():
    assert metadata.distribution("sqhw").read_text("top_level.txt").split() == ["sqhw"]


@pytest.mark.parametrize(
    ("modules", "banned"),
    [
        ("sqhw.rtl, sqhw.sim, sqhw.cost_models", ("rtl", "sim", "cost_models")),
        ("sqhw, sqhw.sim.simulator, sqhw.cost_models.schedule, sqhw.verify.bench", ("torch",)),
        ("sqhw.cli.main", ("torch", "amaranth", "sklearn")),
        ("sqhw.compress", ("amaranth", "cocotb")),
    ],
)
def test_imports_stay_apart(modules, banned):
    code = f"import sys, {modules}; print([m for m in {banned!r} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    assert run.stdout.strip() == "[]"
