"""Decisions are told apart by their numbers."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))


def test_each_decision_has_a_number_of_its_own():
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert len(numbers) >= 31
    assert len(set(numbers)) == len(numbers)


def test_a_decision_begins_with_its_number():
    for path in DECISIONS:
        assert path.read_text().startswith(f"# {int(path.name[:4])}. "), path.name


def test_references_to_decisions_are_right():
    texts = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("benchmarks/**/*.md")]
    names = {path.name for path in DECISIONS}
    link = re.compile(r"\[decision (\d+)\]\(\S*?(\d{4}-\S+\.md)\)")
    for path in texts:
        for number, name in link.findall(path.read_text()):
            assert name in names, (path.name, name)
            assert int(name[:4]) == int(number), (path.name, name)
