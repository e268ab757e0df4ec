"""The file that describes a sweep: a step, options of all points, and a space."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqhw.errors import SqhwError, shown
from sqhw.files.input_file import read_text
from sqhw.files.input_limits import MAX_TOML_BYTES
from sqhw.files.plain import located, parse_toml, typed
from sqhw.files.tables import check_keys, field_names
from sqhw.names import DIRECTIONS, SAMPLERS
from sqhw.steps.options import ALL
from sqhw.sweep.space import Product, Range, Sample
from sqhw.sweep.swept import Step, find_step

#: Check of one value of an option beyond its type: it raises a SqhwError.
Check = Callable[[str, str, Any], object]


@dataclass(frozen=True)
class Search:
    """How a space is sampled.

    Parameters
    ----------
    points : int, 1 or more
        Number of points.
    sampler : {"random", "optuna"}
    seed : int, 0 or more
    objectives : tuple of str
        Figures that Optuna makes small or large, see `sqhw.names.DIRECTIONS`.
    """

    points: int
    sampler: str = "random"
    seed: int = 0
    objectives: tuple[str, ...] = ("accuracy", "rom")


@dataclass(frozen=True)
class Spec:
    """A sweep.

    Parameters
    ----------
    name : str
        Name of the file, without its suffix.
    text : str
        Content of the file.
    step : Step
    space : Product or Sample
    search : Search, optional
        None of a product.
    submitit : dict
        Parameters of submitit's executor, for example ``slurm_partition``.
    """

    name: str
    text: str
    step: Step
    space: Product | Sample
    search: Search | None = None
    submitit: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Return the first digits of the SHA-256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


def read_spec(path: Path, check: Check | None = None) -> Spec:
    """Return the sweep that a TOML file describes.

    Parameters
    ----------
    path : Path
    check : callable, optional
        Called with step, option and each value that is listed; without it only types are checked,
        and the steps check the rest.

    Raises
    ------
    SqhwError
        Naming the file, the key, what was found and what is allowed.
    """
    with located(path):
        text = read_text(path, MAX_TOML_BYTES)
        return parse_spec(path.stem, text, check)


def parse_spec(name: str, text: str, check: Check | None = None) -> Spec:
    """Return the sweep that a text describes; see `read_spec`.

    Raises
    ------
    SqhwError
        Naming the key, what was found and what is allowed.
    """
    table = parse_toml(text)
    check_keys("the file", table, ("step",), ("options", "product", "space", "search", "submitit"))
    step = find_step(typed(str, table["step"], "step"))
    reader = _Reader(step, check)
    fixed = reader.options("options", typed(dict, table.get("options", {}), "options"))
    submitit = typed(dict, table.get("submitit", {}), "submitit")
    if ("product" in table) == ("space" in table):
        raise SqhwError("the file needs one table, [product] of lists or [space] of ranges")
    search = None
    space: Product | Sample
    if "product" in table:
        if "search" in table:
            raise SqhwError("table [search] belongs to [space]; a [product] has all its points")
        axes = reader.product(typed(dict, table["product"], "product"))
        space = Product(axes, fixed)
        chosen = {key for choices in axes.values() for one in choices for key in one}
    else:
        search = _search(typed(dict, table.get("search", {}), "search"))
        ranges = reader.ranges(typed(dict, table["space"], "space"))
        space = Sample(ranges, search.points, search.seed, fixed)
        chosen = set(ranges)
    _check_options(step, fixed, chosen, space)
    return Spec(name, text, step, space, search, submitit)


def _check_options(
    step: Step, fixed: Mapping[str, Any], chosen: set[str], space: Product | Sample
) -> None:
    twice = sorted(chosen & fixed.keys())
    if twice:
        raise SqhwError(f"key {shown(twice[0])} is in [options] and in the space; keep one of them")
    missing = sorted(set(step.needed) - chosen - fixed.keys())
    if missing:
        raise SqhwError(f"{step.name} needs the option {missing[0]}; name it in [options]")
    if step.defaults.get("device") == ALL and "device" not in chosen | fixed.keys():
        raise SqhwError("name a device; a point is of one device, and the default is all")
    if space.size == 0:
        raise SqhwError("the space is empty: a list in [product] has no values")


def _search(table: dict[str, Any]) -> Search:
    check_keys("table [search]", table, *field_names(Search))
    search = typed(Search, table, "search", partial=True)
    if search.points < 1:
        raise SqhwError(f"search.points must be 1 or more, not {search.points}")
    if search.seed < 0:
        raise SqhwError(f"search.seed must be 0 or more, not {search.seed}")
    if search.sampler not in SAMPLERS:
        raise SqhwError(
            f"search.sampler must be {' or '.join(SAMPLERS)}, not {shown(search.sampler)}"
        )
    unknown = [name for name in search.objectives if name not in DIRECTIONS]
    if unknown or not search.objectives:
        raise SqhwError(
            f"search.objectives must be some of {', '.join(DIRECTIONS)}, not "
            f"{shown(unknown[0] if unknown else [])}"
        )
    return search


@dataclass(frozen=True)
class _Reader:
    step: Step
    check: Check | None

    def options(self, table: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options with values of their types."""
        with located(f"table [{table}]"):
            return {name: self.value(name, value) for name, value in options.items()}

    def value(self, name: str, value: object) -> Any:
        self.step.check_key(name)
        found = self.step.value(name, value)
        if name == "device" and found == ALL:
            raise SqhwError("device must be one device, not all; list the devices in [product]")
        if self.check is not None:
            with located(name):
                self.check(self.step.name, name, found)
        return found

    def product(self, table: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """Return the choices of each axis; tables set several options together."""
        axes: dict[str, list[dict[str, Any]]] = {}
        for name, values in table.items():
            if not isinstance(values, list):
                raise SqhwError(f"product.{name} must be a list of values, not {shown(values)}")
            if values and all(isinstance(one, dict) for one in values):
                axes[name] = [self.options(f"product.{name}", one) for one in values]
            else:
                axes[name] = [self.options("product", {name: one}) for one in values]
        keys: dict[str, str] = {}
        for name, choices in axes.items():
            for key in {key for one in choices for key in one}:
                if key in keys:
                    raise SqhwError(f"product.{name} and product.{keys[key]} both set {key}")
                keys[key] = name
        return axes

    def ranges(self, table: Mapping[str, Any]) -> dict[str, Range | list[Any]]:
        """Return the range or the values of each option."""
        if not table:
            raise SqhwError("the space is empty: table [space] has no options")
        found: dict[str, Range | list[Any]] = {}
        for name, value in table.items():
            if isinstance(value, list):
                if not value:
                    raise SqhwError(f"the space is empty: space.{name} has no values")
                found[name] = [self.options("space", {name: one})[name] for one in value]
            elif isinstance(value, dict):
                found[name] = self.range(name, value)
            else:
                raise SqhwError(
                    f"space.{name} must be a list, or a table with low and high, not {shown(value)}"
                )
        return found

    def range(self, name: str, table: dict[str, Any]) -> Range:
        where = f"space.{name}"
        check_keys(where, table, *field_names(Range))
        log = typed(bool, table.get("log", False), f"{where}.log")
        low, high = (self.options("space", {name: table[end]})[name] for end in ("low", "high"))
        if type(low) not in (int, float):
            raise SqhwError(f"{where} is no number; list its values")
        if not low <= high:
            raise SqhwError(f"{where}: low {low} must not be above high {high}")
        if log and low <= 0:
            raise SqhwError(f"{where}: low must be above 0 with log, not {low}")
        return Range(low, high, log)
