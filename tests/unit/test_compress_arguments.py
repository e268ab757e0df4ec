"""Functions of the compressor have few arguments, and options are named where they are given."""

import ast
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "sqhw" / "compress"
MAX_ARGUMENTS = 7
#: Functions whose last argument is data that may be missing, no option.
DATA = ("fit", "fit_with_error", "assign", "forward", "take")


def functions():
    """Return every function with its place."""
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.name}:{node.lineno} {node.name}", node


def test_no_function_has_many_arguments():
    found = dict(functions())
    assert len(found) > 400
    counts = {
        place: len([a for a in node.args.args if a.arg not in ("self", "cls")])
        + len(node.args.kwonlyargs)
        for place, node in found.items()
    }
    assert {place: count for place, count in counts.items() if count > MAX_ARGUMENTS} == {}


def test_options_are_given_by_name():
    assert [
        place for place, node in functions() if node.args.defaults and node.name not in DATA
    ] == []
