"""Commands of the command line, made from the classes of the steps' options."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeVar

import typer

from sqhw.cli.options import JSON, OPTIONS

Options = TypeVar("Options")
#: Function of a command: its arguments are the options, and whether to print JSON.
Command = Callable[[Options, bool], None]


def add_command(
    app: typer.Typer, options: type[Options], name: str | None = None
) -> Callable[[Command[Options]], Command[Options]]:
    """Return a decorator that makes a function a command of `app`.

    Parameters
    ----------
    app : Typer
    options : type
        A class of `sqhw.cli.options.OPTIONS`: its fields, types and defaults are the command's.
    name : str, optional
        Name of the command; by default that of the function.
    """
    parameters = [_parameter(options, field) for field in fields(options)]  # type: ignore[arg-type]
    parameters.append(_keyword("json", Annotated[bool, JSON], False))

    def register(function: Command[Options]) -> Command[Options]:
        def command(**values: Any) -> None:
            as_json = values.pop("json")
            function(options(**values), as_json)

        command.__name__ = function.__name__
        command.__doc__ = function.__doc__
        command.__annotations__ = {one.name: one.annotation for one in parameters}
        command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        app.command(name)(command)
        return function

    return register


def _parameter(options: type, field: "Field[Any]") -> Parameter:
    default = Parameter.empty if field.default is MISSING else field.default
    return _keyword(field.name, Annotated[field.type, OPTIONS[options][field.name]], default)


def _keyword(name: str, annotation: object, default: object) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
