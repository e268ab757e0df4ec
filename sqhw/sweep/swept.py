"""The steps that a sweep runs, and their options as a spec names them.

Names, types and defaults are those of the classes in `sqhw.steps.options`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sqhw.errors import SqhwError, shown, unknown_name
from sqhw.steps.options import CompressOptions, QuantizeOptions, SizeOptions

#: Kinds of values as errors name them.
KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


@dataclass(frozen=True)
class Step:
    """A step that a sweep runs.

    Parameters
    ----------
    name : str
        Name of its command.
    options : type
        Class of its options.
    """

    name: str
    options: type[Any]

    @cached_property
    def keys(self) -> dict[str, Any]:
        """Return the options that a point may set, with their types.

        Files that the step writes are the point's own, so a spec does not name them: all paths but
        those that a step needs, which are read. A search has no single result.
        """
        hints = get_type_hints(self.options)
        return {
            field.name: hints[field.name]
            for field in fields(self.options)
            if field.default is MISSING
            or not ({Path, bool} & {hints[field.name], *get_args(hints[field.name])})
        }

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Return the options without a default; they are arguments of the command."""
        return tuple(f.name for f in fields(self.options) if f.default is MISSING)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Return the defaults of the keys that have one."""
        return {
            field.name: field.default
            for field in fields(self.options)
            if field.name in self.keys and field.default is not MISSING
        }

    @property
    def writes_network(self) -> bool:
        """Whether the step writes a quantized network."""
        return "out" in {field.name for field in fields(self.options)}

    def check_key(self, name: str) -> None:
        """Check that a spec may set an option.

        Raises
        ------
        SqhwError
            Listing the options that it may set.
        """
        if name not in self.keys:
            reason = str(unknown_name(f"option of {self.name}", name, self.keys))
            allowed = ", ".join(self.keys)
            raise SqhwError(reason if "known:" in reason else f"{reason} allowed: {allowed}")

    def value(self, name: str, value: object) -> Any:
        """Return the value of an option from a spec, of exactly the option's type.

        Raises
        ------
        SqhwError
            Naming the option, what it must be and what was found.
        """
        kind = self.keys[name]
        kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
        for one in kinds:
            if get_origin(one) is list:
                if isinstance(value, list) and all(isinstance(each, str) for each in value):
                    return list(value)
            elif one is float and type(value) in (int, float):
                return float(value)  # type: ignore[arg-type]
            elif one is Path and isinstance(value, str):
                return value
            elif type(value) is one:
                return value
        names = [
            "a list of texts" if get_origin(one) is list else KINDS.get(one, "a text")
            for one in kinds
            if one is not type(None)
        ]
        raise SqhwError(f"{name} must be {' or '.join(names)}, not {shown(value)}")

    def arguments(self, options: Mapping[str, Any]) -> list[str]:
        """Return the words of the command that has these options, without its name."""
        words: list[str] = []
        for name, value in options.items():
            if value is None or (name in self.defaults and value == self.defaults[name]):
                continue
            if name in self.needed:
                words.insert(0, str(value))
            else:
                for one in value if isinstance(value, list) else [value]:
                    words.append(f"--{name.replace('_', '-')}={one}")
        return words


#: Steps that a sweep runs, by the names of their commands.
STEPS = {
    step.name: step
    for step in (
        Step("compress", CompressOptions),
        Step("quantize", QuantizeOptions),
        Step("size", SizeOptions),
    )
}


def find_step(name: str) -> Step:
    """Return the step of a name.

    Raises
    ------
    SqhwError
        If no sweep runs it.
    """
    if name not in STEPS:
        raise unknown_name("step", name, STEPS)
    return STEPS[name]
