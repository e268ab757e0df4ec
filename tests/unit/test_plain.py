"""Strict JSON and TOML, and data classes of exact types from them."""

import json
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.errors import SqhwError
from sqhw.files.input_limits import MAX_INTEGER_DIGITS, MAX_JSON_BYTES, MAX_NESTING, MAX_TOML_BYTES
from sqhw.files.plain import field_of, located, parse_json, parse_toml, typed

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def message(parse, text):
    with pytest.raises(SqhwError) as error:
        parse(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
    return str(error.value)


@given(VALUES)
def test_json_reads_what_json_writes(value):
    found = parse_json(json.dumps(value))
    assert (found, json.dumps(found)) == (value, json.dumps(value))


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("", "not JSON: Expecting value"),
        ("{", "not JSON: "),
        ('{"a": 1, "b": 2, "a": 1}', "not JSON: key 'a' occurs twice"),
        ("[NaN]", "not JSON: NaN is no number"),
        ("-Infinity", "not JSON: -Infinity is no number"),
        ("1e999", "not JSON: 1e999 is too long or too large a number"),
        (f"0.{'1' * 1000}", "not JSON: 0.1111"),
        ("9" * 5000, "not JSON: a number of 5,000 digits"),
        (f"-{'9' * (MAX_INTEGER_DIGITS + 1)}", "not JSON: a number of 21 digits"),
        ('"\\ud800"', "holds a text that is not Unicode"),
        ('{"\\udfff": 1}', "holds a text that is not Unicode"),
        (" " * (MAX_JSON_BYTES + 1), "not read: JSON of more than"),
    ],
)
def test_what_is_not_json(text, start):
    assert message(parse_json, text).startswith(start)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"":', '["]]",'])
@pytest.mark.parametrize("depth", [MAX_NESTING + 1, 1000, 200_000])
def test_deep_json(opening, depth):
    assert message(parse_json, opening * depth) == "nested more than 32 deep"


def test_json_as_deep_as_allowed_and_brackets_in_texts():
    parse_json("[" * MAX_NESTING + "]" * MAX_NESTING)
    assert parse_json(json.dumps("[" * 100 + '"\\' + "{" * 100)) == "[" * 100 + '"\\' + "{" * 100


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 500_000, '"a' * 500_000, "[]" * 500_000, '{"":' * 9 + '"\\' * 500_000]
)
def test_the_time_for_json_is_linear(text):
    start = time.process_time()
    message(parse_json, text)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a =", "not TOML: "),
        ("a = 1\na = 2", "not TOML: "),
        ("a = inf", "holds inf, which is no number"),
        ("a = nan", "holds nan, which is no number"),
        ("a = 1e999", "holds inf, which is no number"),
        (f"a = {'9' * 5000}", "not TOML: "),
        (f"a = 0x{'f' * 5000}", "holds a number of more than 20 digits"),
        (f"a = {'9' * 25}", "holds a number of more than 20 digits"),
        ("a = 2026-11-29", "holds a date or a time"),
        ("a = [[08:00:00]]", "holds a date or a time"),
        ("a = " + "[" * 1000 + "]" * 1000, "nested more than 32 deep"),
        ("a = " + "{a=" * 40 + "1" + "}" * 40, "nested more than 32 deep"),
        ("[" + "a." * 1000 + "a]", "nested more than 32 deep"),
        ('"a" . ' * 40 + "a = 1", "nested more than 32 deep"),
        ("#" * (MAX_TOML_BYTES + 1), "not read: TOML of more than"),
    ],
)
def test_what_is_not_toml(text, start):
    assert message(parse_toml, text).startswith(start)


def test_brackets_and_points_in_toml_texts_do_not_nest():
    text = (
        f'a = "{"[" * 50}" # {"[" * 50}\n'
        f"b = '''\n{'[' * 50}\n'''\n"
        f'c = """{"a." * 50}"""\n'
        f"d = [{', '.join(['1.5'] * 50)}]\n"
    )
    assert set(parse_toml(text)) == set("abcd")


@pytest.mark.parametrize("text", ["a" * 60_000, "a " * 30_000, '"' * 60_000, "'''" * 20_000])
def test_the_time_for_toml_is_linear(text):
    start = time.process_time()
    message(parse_toml, text)
    assert time.process_time() - start < 2


@dataclass
class Inner:
    size: int
    share: float | None

    def __post_init__(self):
        if self.size < 0:
            raise ValueError(f"size must be 0 or more, not {self.size}")


@dataclass
class Outer:
    name: str
    inner: Inner
    pair: tuple[int, float]
    many: tuple[Inner, ...]
    table: dict[str, int] = field(default_factory=dict)
    flag: bool = False


GOOD = {
    "name": "n",
    "inner": {"size": 1, "share": None},
    "pair": [1, 0.5],
    "many": [{"size": 2, "share": 1.0}],
    "table": {"a": 1},
    "flag": True,
}


def test_data_classes_come_back():
    found = typed(Outer, GOOD)
    assert found == Outer("n", Inner(1, None), (1, 0.5), (Inner(2, 1.0),), {"a": 1}, True)
    assert typed(Outer, {**GOOD, "more": 1}, more=True) == found
    short = {name: GOOD[name] for name in ("name", "inner", "pair", "many")}
    assert typed(Outer, short, partial=True).flag is False


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": 1}, "field 'name' must be str, not 1"),
        ({"name": None}, "field 'name' must be str, not None"),
        ({"flag": 1}, "field 'flag' must be bool, not 1"),
        ({"inner": [1]}, "field 'inner' must be dict, not [1]"),
        ({"inner": {"size": True, "share": None}}, "field 'inner.size' must be int, not True"),
        ({"inner": {"size": 1.0, "share": None}}, "field 'inner.size' must be int, not 1.0"),
        ({"inner": {"size": 1, "share": 1}}, "field 'inner.share' must be float, not 1"),
        ({"inner": {"size": 1}}, "field 'inner.share' is missing"),
        (
            {"inner": {"size": -1, "share": None}},
            "field 'inner': size must be 0 or more, not -1",
        ),
        ({"pair": [1, 0.5, 2]}, "field 'pair' must be a list of 2 values, not [1, 0.5, 2]"),
        ({"pair": {}}, "field 'pair' must be a list of 2 values, not {}"),
        ({"many": [{"size": 2}]}, "field 'many[0].share' is missing"),
        ({"many": [3]}, "field 'many[0]' must be dict, not 3"),
        ({"table": {"a": "1"}}, "field 'table.a' must be int, not '1'"),
        ({"flog": True}, "unknown field 'flog'; did you mean 'flag'?"),
    ],
)
def test_wrong_fields_are_named(change, text):
    with pytest.raises(SqhwError) as error:
        typed(Outer, {**GOOD, **change})
    assert str(error.value) == text


def test_long_values_are_cut_in_errors():
    for value in ("x" * 10**6, ["x" * 10**6] * 1000, {"x" * 10**6: 1}):
        assert len(message(lambda v: field_of({"name": v}, "name", int), value)) < 300
    with pytest.raises(SqhwError, match=r"^here: field 'a' is missing$"), located("here"):
        field_of({}, "a", int)
