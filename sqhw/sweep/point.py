"""A point: one step with its options, addressed by all that its result depends on."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqhw.files.plain import parse_json, typed
from sqhw.sweep import inputs
from sqhw.sweep.swept import Step, find_step

#: Number of hex digits of an address.
ADDRESS_DIGITS = 32


@dataclass(frozen=True)
class Point:
    """A point of a space.

    Parameters
    ----------
    step : str
        Name of the step.
    options : dict
        All options of the step but those of files that it writes. Paths are absolute.
    inputs : dict of str to str
        SHA-256 of the files that options name, by the option.
    versions : dict of str to str
        See `sqhw.sweep.versions.versions`.
    """

    step: str
    options: dict[str, Any]
    inputs: dict[str, str]
    versions: dict[str, str]

    @property
    def address(self) -> str:
        """Return the digest of step, options, content of the inputs, and versions."""
        record = asdict(self)
        record["options"] = inputs.addressed(self.options, self.inputs)
        text = json.dumps(record, sort_keys=True, allow_nan=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:ADDRESS_DIGITS]

    @property
    def command(self) -> str:
        """Return the command line that computes the point again."""
        step = find_step(self.step)
        words = ["sqhw", self.step, *step.arguments(self.options)]
        words += ["--out=network.safetensors"] if step.writes_network else []
        return shlex.join([*words, "--json"])

    def to_dict(self) -> dict[str, Any]:
        """Return the point as plain data."""
        return asdict(self)

    @classmethod
    def from_text(cls, text: str) -> "Point":
        """Return the point of a JSON text.

        Raises
        ------
        SqhwError
            If it is none; saying what is wrong.
        """
        return typed(cls, parse_json(text), more=True)


def make_point(step: Step, values: Mapping[str, Any], versions: dict[str, str]) -> Point:
    """Return the point with these values of options; the others have their defaults.

    Raises
    ------
    SqhwError
        If a file that an option names is missing.
    """
    options = inputs.absolute(step, {**dict.fromkeys(step.needed), **step.defaults, **values})
    return Point(step.name, options, inputs.digests(step, options), versions)
