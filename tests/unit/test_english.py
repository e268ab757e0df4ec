"""Comments on constants begin with the noun that the constant is (docs/english.md)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Folders whose text follows the rules.
FOLDERS = (
    "benchmarks/boards",
    "benchmarks/compression",
    "benchmarks/cost_cycles",
    "benchmarks/cost_engine",
    "benchmarks/cost_memory",
    "benchmarks/engine",
    "benchmarks/fuzz",
    "benchmarks/mutants",
    "cost_models",
    "sim",
    "sqhw",
    "sqhw/boards",
    "sqhw/cli",
    "sqhw/compiler",
    "sqhw/compress/calibration",
    "sqhw/compress/choice",
    "sqhw/compress/coding",
    "sqhw/compress/methods",
    "sqhw/compress/qat",
    "sqhw/compress/quantizers",
    "sqhw/compress/training",
    "sqhw/data",
    "sqhw/environment",
    "sqhw/export",
    "sqhw/export/images",
    "sqhw/files",
    "sqhw/frontends/torch_module",
    "sqhw/frontends/zoo",
    "sqhw/machine",
    "sqhw/machine/stream",
    "sqhw/network",
    "sqhw/planner",
    "sqhw/report",
    "sqhw/size",
    "sqhw/steps",
    "sqhw/synth",
    "sqhw/verify",
    "sqhw/verify/portable",
    "tests",
    "tests/hdl",
)
#: First words that leave a comment without a noun to begin with.
OPENING = re.compile(
    r"#: (Behind|Beside|By|From|How|In|Of|On|So|That|Those|To|What|Whether|Which) "
)


def comments(text):
    """Yield the first line of each comment on a constant."""
    before = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#: ") and not before.startswith("#: "):
            yield line
        before = line


def nameless(text):
    return [line for line in comments(text) if OPENING.match(line)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_comments_on_constants_begin_with_a_noun(folder):
    files = sorted((ROOT / folder).glob("*.py"))
    assert len(files) >= 3
    assert not {
        path.name: nameless(path.read_text()) for path in files if nameless(path.read_text())
    }


def test_openings_without_a_noun_are_found():
    text = (
        "#: Of an entry.\nA = 1\n#: Width of a code.\n#: Of one entry.\nB = 2\n    #: What reads.\n"
    )
    assert nameless(text) == ["#: Of an entry.", "#: What reads."]
