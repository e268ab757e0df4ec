"""What is installed is what is in the tree, under one name."""

import fnmatch
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sqhw.environment.extras import EXTRAS, OLDEST_TORCH

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["tool"]["setuptools"]


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
        ("sqhw.sim.simulator, sqhw.cost_models.schedule, sqhw.verify.bench", ("torch",)),
        (
            "sqhw.steps.compress, sqhw.steps.verify, sqhw.steps.size, sqhw.steps.report",
            ("torch",),
        ),
        ("sqhw.cli.commands", ("torch", "amaranth", "sklearn", "numba", "matplotlib", "numpy")),
        ("sqhw.steps.devices", ("numpy",)),
        ("sqhw.steps.size, sqhw.steps.report, sqhw.steps.rom", ("torch", "numba", "amaranth")),
        ("sqhw.compress", ("amaranth", "cocotb")),
    ],
)
def test_imports_stay_apart(modules, banned):
    code = f"import sys, {modules}; print([m for m in {banned!r} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    assert run.stdout.strip() == "[]"


def requirements(lines):
    """Return requirements by name."""
    found = map(Requirement, lines)
    return {requirement.name: requirement for requirement in found}


def test_torch_is_an_extra_with_a_range():
    project = PYPROJECT["project"]
    assert "torch" not in requirements(project["dependencies"])
    (torch,) = map(Requirement, project["optional-dependencies"]["torch"])
    oldest = ".".join(map(str, OLDEST_TORCH))
    assert str(torch) == f"torch>={oldest}"


def test_errors_name_the_extra_that_brings_a_package():
    extras = PYPROJECT["project"]["optional-dependencies"]
    for package, extra in EXTRAS.items():
        assert package in requirements(extras[extra])


def test_what_make_pins_is_within_the_ranges():
    project = PYPROJECT["project"]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = requirements(line for line in lines if line and not line.startswith("#"))
    assert "torch" in pins
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    ranges = requirements([*project["dependencies"], *extras])
    for name, pin in pins.items():
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert exact.version in ranges[name].specifier
        installed = metadata.version(name).split("+")[0]
        assert installed == exact.version, f"{name}: run `make setup`"


def test_python_versions_are_said_once():
    project = PYPROJECT["project"]
    named = {line.rsplit(" ", 1)[1] for line in project["classifiers"] if ":: Python :: 3." in line}
    assert project["requires-python"] == ">=3.11"
    assert min(named, key=lambda version: int(version.split(".")[1])) == "3.11"
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py311"
