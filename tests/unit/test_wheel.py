"""What users install, outside of the tree: the wheel, built and installed, runs the commands."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from sqhw.export.build import write_rtl
from sqhw.machine.config import EngineConfig

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "chain"
#: All that a source tree needs to become a wheel.
SOURCES = ("pyproject.toml", "README.md", "cost_models", "rtl", "sim", "sqhw")
BUILD = "import sys; from setuptools.build_meta import build_wheel; print(build_wheel(sys.argv[1]))"
SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
WHERE = "import sqhw as a, sqhw.rtl as b, sqhw.sim as c; print(a.__file__, b.__file__, c.__file__)"


def execute(*command, cwd):
    """Run a command without the tree on its path; return what it prints."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The `bin` of a fresh environment with the wheel; other packages are those of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, tree / name)
    wheel = execute(sys.executable, "-c", BUILD, folder, cwd=tree).split()[-1]
    shutil.rmtree(tree)
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    execute(*pip, "--disable-pip-version-check", folder / wheel, cwd=folder)
    packages = Path(execute(python, "-c", SITE, cwd=folder).strip())
    # A path in a file is searched last, and the files in that folder, such as the one by which
    # sqhw is installed there, are not read.
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python.parent


def test_the_wheel_is_what_runs(installed, tmp_path):
    found = execute(installed / "python", "-c", WHERE, cwd=tmp_path).split()
    assert len(found) == 3
    assert all(Path(path).is_relative_to(installed.parent) for path in found)


def test_size(installed, tmp_path):
    text = execute(
        *(installed / "sqhw", "size", "resnet8", "--density", "0.2", "--bits", "4"),
        *("--device", "LFE5U-85F", "--json"),
        cwd=tmp_path,
    )
    (row,) = json.loads(text)["devices"]
    assert row["device"] == "LFE5U-85F"
    assert row["fits"] is True


def test_rom(installed, tmp_path):
    network = GOLDEN / "network.safetensors"
    execute(installed / "sqhw", "rom", network, "--out", "rom", cwd=tmp_path)
    for name in ("weights.hex", "params.hex", "codebook.hex"):
        assert (tmp_path / "rom" / name).read_text() == (GOLDEN / name).read_text()


def test_rtl(installed, tmp_path):
    network = GOLDEN / "network.safetensors"
    execute(installed / "sqhw", "rtl", network, "--out", "rtl", cwd=tmp_path)
    depths = json.loads((tmp_path / "rtl" / "rtl.json").read_text())["words"]
    files = write_rtl(EngineConfig(), depths, tmp_path / "here")
    assert len(files) == 4
    for path in files:
        assert (tmp_path / "rtl" / path.name).read_text() == path.read_text()
