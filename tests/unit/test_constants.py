"""A constant of a module has one value."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]


def constants(path):
    """Return the names in capitals that a module binds at its top, one for each time."""
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        for target in targets:
            for name in ast.walk(target):
                stored = isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
                if stored and name.id.isupper():
                    yield name.id


def test_no_constant_is_bound_twice():
    paths = [
        path
        for folder in ("sqhw", "cost_models", "rtl", "sim", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(paths) > 700
    twice = {
        str(path.relative_to(ROOT)): names
        for path in paths
        if (names := [name for name, times in Counter(constants(path)).items() if times > 1])
    }
    assert twice == {}
