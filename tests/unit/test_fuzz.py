"""Some mutated files of every kind, and that the harness sees what must not be."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.fuzz import runner
from benchmarks.fuzz.readers import READERS, Reader
from sqhw.errors import SqhwError

ROOT = Path(__file__).parents[2]
FILES = 10


def test_mutated_files_are_refused_or_read_rightly(tmp_path):
    table = tmp_path / "table.md"
    command = [sys.executable, "-m", "benchmarks.fuzz", "--files", str(FILES), "--seed", "7"]
    found = subprocess.run(
        [*command, "--out", table], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    rows = [line.split("|")[1:-1] for line in table.read_text().splitlines() if line[:1] == "|"]
    assert len(rows) == 2 + len(READERS)
    for name, files, refused, *_, failures, _, _, _ in rows[2:]:
        assert (int(files), int(failures)) == (FILES, 0)
        assert int(refused) > 0, name


def test_the_kept_table_is_of_every_reader_and_of_ten_thousand_files_without_a_failure():
    text = (ROOT / "benchmarks" / "fuzz" / "RESULTS.md").read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line[:1] == "|"][2:]
    assert [row[0].strip() for row in rows] == [reader.name for reader in READERS]
    assert {row[1].strip() for row in rows} == {"10,000"}
    assert {row[6].strip() for row in rows} == {"0"}


def write(folder):
    (folder / "file").write_bytes(b"0123456789" * 20)
    return folder / "file"


def outcome(read, **changes):
    """Return what the harness says of a reader that does `read` with files that are mutated."""

    def careful(path):
        content = path.read_bytes()
        return content if content == b"0123456789" * 20 else read(content)

    return runner.fuzz(Reader("r", write, careful, (), **changes), 20, 0)


def refuse(content):
    raise SqhwError("no")


def test_what_is_refused_or_read_is_counted():
    found = outcome(refuse)
    assert (found.files, found.failures) == (20, [])
    assert found.refused + found.equal == 20
    found = outcome(lambda content: content)
    assert (found.files, found.refused, found.failures) == (20, 0, [])
    assert found.different > 10


@pytest.mark.parametrize(
    ("read", "changes", "message"),
    [
        (lambda content: {}["key"], {}, "KeyError: 'key'"),
        (lambda content: content, {"sealed": True}, "read as something else although"),
        (lambda content: bytes(8 << 30), {}, "MemoryError"),
        (lambda content: refuse_at_length(), {}, "a refusal of 3000 characters"),
        (lambda content: None, {"use": lambda path: 1 // (len(path.read_bytes()) < 0)}, "ZeroDiv"),
    ],
)
def test_what_must_not_be_is_a_failure(read, changes, message):
    if "use" in changes:  # the valid file is used too
        use = changes["use"]
        changes = {"use": lambda path: path.read_bytes() == b"0123456789" * 20 or use(path)}
    found = outcome(read, **changes)
    assert found.failures
    assert message in found.failures[0]


def refuse_at_length():
    raise SqhwError("n" * 3000)


def test_what_never_comes_back_is_a_failure(monkeypatch):
    monkeypatch.setattr(runner, "SECONDS", 0.5)
    start = time.monotonic()
    found = outcome(lambda content: time.sleep(60))
    assert time.monotonic() - start < 30
    assert "beyond 0 s, or a crash" in found.failures[-1]
    assert found.files < 20
