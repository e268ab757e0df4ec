"""No function takes more than seven arguments: more belong into a record."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Folders of the package; `sqhw` has links to the last three, which rglob does not follow.
FOLDERS = ("sqhw", "cost_models", "rtl", "sim")
#: Largest number of arguments of a function, `self` and `cls` aside.
MAX_ARGUMENTS = 7


def long_functions(text):
    """Yield the names of the functions of a module that take more than `MAX_ARGUMENTS`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
            names = [argument.arg for argument in arguments]
            if len(names) - (names[:1] in (["self"], ["cls"])) > MAX_ARGUMENTS:
                yield getattr(node, "name", "lambda")


def test_functions_take_at_most_seven_arguments():
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 200
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in long_functions(path.read_text())
    }
    assert found == set()


def test_functions_with_more_arguments_are_found():
    text = (
        "def a(b, c, d, e, f, g, h): pass\n"
        "class I:\n"
        "    def j(self, b, c, d, e, f, g, h): pass\n"
        "    def k(self, b, c, /, d, e, f, *, g, h, i): pass\n"
        "async def l(b, c, d, e, f, g, h, i=1, *j, **k): pass\n"
        "m = lambda b, c, d, e, f, g, h, i: b\n"
    )
    assert sorted(long_functions(text)) == ["k", "l", "lambda"]
