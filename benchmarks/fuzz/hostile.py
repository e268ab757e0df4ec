"""Values and texts that readers must refuse or take, but never fall over."""

import json
import random
from typing import Any

#: Texts to put into JSON; some are not JSON.
JSON_TOKENS = (
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "2.5",
    "1e308",
    "1e999",
    "5e-324",
    "-0.0",
    "NaN",
    "Infinity",
    "-Infinity",
    str(2**31),
    str(2**63),
    str(2**64),
    "9" * 30,
    "9" * 5000,
    "0." + "1" * 5000,
    '""',
    '"x"',
    '"1"',
    '"false"',
    '"input"',
    '"\\ud800"',
    '"\\u0000"',
    json.dumps("x" * 5000),
    "[]",
    "{}",
    "[[]]",
    "[0]",
    "[1, 2, 3, 4]",
    '{"a": 1}',
    '{"a": 1, "a": 1}',
    "[" * 500 + "]" * 500,
    "[" * 100_000,
    '{"a":' * 500 + "1" + "}" * 500,
    "[" + "0," * 5000 + "0]",
)
#: Texts to put into TOML; some are not TOML.
TOML_TOKENS = (
    *(token for token in JSON_TOKENS if token not in ("null", "NaN", "Infinity", "-Infinity")),
    "nan",
    "inf",
    "-inf",
    "2026-11-29",
    "08:00:00",
    "0x" + "f" * 5000,
    "1_000",
    "'''\nx\n'''",
    "{a.b.c = 1}",
    "{a=" * 500 + "1" + "}" * 500,
)


def mutated_json(text: str, rng: random.Random) -> str:
    """Return a JSON text with one to three places changed.

    Parameters
    ----------
    text : str
        JSON; what is none is returned as it is.
    rng : Random
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    tokens: dict[str, str] = {}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _changed(value, tokens, rng)
    text = json.dumps(value)
    for mark, token in tokens.items():
        text = text.replace(f'"{mark}"', token)
    return text


def _changed(value: Any, tokens: dict[str, str], rng: random.Random) -> Any:
    """Change one place of plain data; raw tokens are marks that are replaced later."""
    if isinstance(value, dict) and value and rng.random() < 0.93:
        key = rng.choice(list(value))
        action = rng.random()
        if action < 0.7:
            value[key] = _changed(value[key], tokens, rng)
        elif action < 0.8:
            del value[key]
        elif action < 0.9:
            value[rng.choice((key + "s", "", "x" * 2000, "version"))] = value[key]
        else:
            value[key] = _mark(tokens, rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        action = rng.random()
        if action < 0.7:
            value[at] = _changed(value[at], tokens, rng)
        elif action < 0.8:
            del value[at]
        elif action < 0.9:
            value.insert(at, value[rng.randrange(len(value))])
        else:
            value[at] = _mark(tokens, rng)
        return value
    if type(value) is int and rng.random() < 0.5:
        return rng.choice((value + 1, value - 1, -value, value * 2, value << 16, value << 40))
    if type(value) is str and rng.random() < 0.3:
        inner = mutated_json(value, rng)  # such as facts within metadata
        return inner if inner != value else value[: len(value) // 2]
    return _mark(tokens, rng)


def _mark(tokens: dict[str, str], rng: random.Random) -> str:
    mark = f"@{len(tokens)}@{rng.getrandbits(32):08x}@"
    tokens[mark] = rng.choice(JSON_TOKENS)
    return mark


def mutated_toml(text: str, rng: random.Random) -> str:
    """Return a TOML text with one to three lines changed."""
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        key, equals, value = lines[at].partition(" = ")
        action = rng.random()
        if equals and action < 0.6:
            whole = rng.random() < 0.5
            lines[at] = f"{key} = {rng.choice(TOML_TOKENS) if whole else _digit(value, rng)}"
        elif action < 0.7:
            lines[at] = f"{'a.' * rng.choice((1, 40, 5000))}{lines[at]}"
        elif action < 0.8:
            lines.insert(at, rng.choice(lines))
        elif action < 0.9 and len(lines) > 1:
            del lines[at]
        else:
            lines[at] = rng.choice(("[[device]]", "[mapping]", "[a.b]", "]", '"', "'''", "\0"))
    return "\n".join(lines) + "\n"


def _digit(value: str, rng: random.Random) -> str:
    """Return a value with one of its digits replaced by a longer number."""
    places = [at for at, char in enumerate(value) if char.isdigit()]
    if not places:
        return value + value
    at = rng.choice(places)
    return value[:at] + rng.choice(("0", "-1", "1e300", "9" * 18, "1.5", "")) + value[at + 1 :]
