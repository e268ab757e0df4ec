"""An error that names a log also tells the line that says why."""

import pytest

from sqhw.errors import SqhwError
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.tool_log import said

FULL = "fatal error: error writing to /t/cc1.s: No space left on device"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "note\na.cc:1: error: no such thing\nerror: two\n",
            "saying 'a.cc:1: error: no such thing'",
        ),
        (
            f"a.cc:1: error: no such thing\n{FULL}\nlast\n",
            f"because a disk is full: {FULL!r}; free",
        ),
        ("one\ntwo\n\n", "saying 'two'"),
        ("", "saying nothing"),
        (None, "saying nothing"),
        ("x" * 1000, f"saying '{'x' * 300}...'"),
    ],
)
def test_the_line_that_says_why(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "log").write_text(text)
    assert said(tmp_path / "log").startswith(sentence)


def test_a_compiler_on_a_full_disk_is_no_fault_of_the_rtl(tmp_path):
    bench = object.__new__(VolumeBench)
    bench._run = tmp_path
    with pytest.raises(SqhwError, match=r"compiler fails \(1\), because a disk is full: .*TMPDIR"):
        bench._command("compiler", ["sh", "-c", f"echo '{FULL}' >&2; exit 1"])
