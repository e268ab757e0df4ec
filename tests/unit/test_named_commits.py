"""The commits that measurements name have the sources of their digests, as far as git has them.

A seal keeps figures and digests together, but a script may write another commit beside them. These
tests skip commits that the clone lacks: a shallow one, or an unpacked archive.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path

import pytest

from benchmarks.cost_engine.families import FAMILIES
from benchmarks.cost_engine.origin import DIGITS, OUTPUT_REGISTERS, RTL_FILES, code_of, digest
from benchmarks.cost_engine.synthesis import read_measurements
from benchmarks.seal import read_sealed

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
MEASURED = [
    one for name in FAMILIES for one in read_measurements(BENCHMARKS / "cost_engine" / "data", name)
]
COMMITS = sorted({one.commit for one in MEASURED})
PLACED = ("ecp5", "ice40")
RECORDS = [read_sealed(path) for path in BENCHMARKS.rglob("*.json") if path.name != "present.json"]
NAMED = sorted({found.get("measured_on", found)["commit"] for found in RECORDS})
#: Sub-packages of `sqhw` that lie beside it in the repository.
BESIDE = ("rtl", "sim", "cost_models")
#: Names of files in commits from before `sqhw.machine`.
FORMER = {
    "sqhw/machine/config.py": "sqhw/engine.py",
    "sqhw/machine/layout.py": "sqhw/layout.py",
    "sqhw/machine/rom_pieces.py": "sqhw/rom_pieces.py",
    "sqhw/machine/timing.py": "sqhw/timing.py",
}
#: Script that does what `benchmarks.cost_engine.origin` does for a placed family, with the code of
#: another commit.
FLOW = """
import json, sys
from benchmarks.cost_engine.families import FAMILIES
from sqhw.synth.place import place_command, synthesis_script
from sqhw.synth.tools import flow_for
found = {}
for name in sys.argv[1:]:
    flow = flow_for(FAMILIES[name].device)
    found[name] = [synthesis_script(flow), *place_command(flow, 1)], flow.output_registers
print(json.dumps(found))
"""


def git(*arguments):
    """Return what git prints, or None if it is not there or fails."""
    try:
        run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return run.stdout if run.returncode == 0 else None


@cache
def tree(commit):
    """Return the files of a commit's code by path, or skip the test."""
    if git("cat-file", "-e", f"{commit}^{{commit}}") is None:
        pytest.skip(f"this clone lacks commit {commit}")
    packed = git("archive", commit, "--", "sqhw", "benchmarks", *BESIDE)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {
            member.name: archive.extractfile(member).read()
            for member in archive.getmembers()
            if member.isfile() and member.name.endswith((".py", ".v", ".toml", ".json"))
        }


def sources(files, registers):
    """Return `benchmarks.cost_engine.origin.rtl_digest` of files."""
    names = [f"sqhw/{name}" for name in (*RTL_FILES, *((OUTPUT_REGISTERS,) if registers else ()))]
    names = [name if name in files else FORMER[name] for name in names]
    names += sorted(name for name in files if name.startswith("rtl/") and name.count("/") == 1)
    names += ["rtl/verilog/sqhw_ram.v", "rtl/verilog/sqhw_rom.v"]
    whole = b"".join(files[name] for name in names)
    return hashlib.sha256(whole).hexdigest()[:DIGITS]


@pytest.mark.parametrize("commit", NAMED)
def test_a_named_commit_is_an_ancestor(commit):
    if git("cat-file", "-e", f"{commit}^{{commit}}") is None:
        pytest.skip(f"this clone lacks commit {commit}")
    assert git("merge-base", "--is-ancestor", commit, "HEAD") is not None


@pytest.mark.parametrize("commit", COMMITS)
def test_a_named_commit_has_the_sources_of_the_verilog(commit):
    """Of all families with or without the code for registers, as the files' runs took it."""
    files = tree(commit)
    possible = {sources(files, True), sources(files, False)}
    assert {one.rtl for one in MEASURED if one.commit == commit} <= possible


@pytest.mark.parametrize("commit", COMMITS)
def test_a_named_commit_has_the_flow(commit, tmp_path):
    """Of the placed families: script, command, device and the code between them."""
    wanted = {
        one.family: one.flow for one in MEASURED if one.commit == commit and one.family in PLACED
    }
    for name, content in tree(commit).items():
        folder, _, rest = name.partition("/")
        path = tmp_path / ("sqhw/" if folder in BESIDE else "") / folder / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", FLOW, *wanted],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {
        name: digest([*parts, *([_registers(tmp_path)] if registers else [])])
        for name, (parts, registers) in json.loads(run.stdout).items()
    } == wanted


def _registers(folder):
    return code_of((folder / "sqhw" / OUTPUT_REGISTERS).read_text(encoding="utf-8"))
