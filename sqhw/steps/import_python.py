"""`sqhw import python:FILE:CALLABLE`: a PyTorch module that code of the user makes."""

from pathlib import Path

from sqhw.atomic import make_folder
from sqhw.data.form import parse_values
from sqhw.errors import SqhwError, shown
from sqhw.network.float_file import save_float
from sqhw.report.results import ImportResult
from sqhw.steps.options import ImportOptions
from sqhw.steps.progress import Progress, silent

PREFIX = "python:"
#: Largest pixel value unless another is named.
LARGEST_PIXEL = 255


def is_python(name: str) -> bool:
    """Whether the name of a network is ``python:FILE:CALLABLE``."""
    return name.startswith(PREFIX)


def python_file(name: str) -> tuple[Path, str]:
    """Return file and callable of ``python:FILE:CALLABLE``.

    Raises
    ------
    SqhwError
        If the name has another form.
    """
    file, colon, made = name.removeprefix(PREFIX).rpartition(":")
    if not colon or not file or not made.isidentifier():
        raise SqhwError(
            f"{shown(name)} must read python:FILE:CALLABLE, a Python file and the function or "
            "class in it that returns the module"
        )
    return Path(file), made


def import_python(options: ImportOptions, progress: Progress = silent) -> ImportResult:
    """Run a Python file, and write the float network of the module that its callable returns.

    Raises
    ------
    SqhwError
        If the file fails, its callable returns no module, or the module cannot be imported.
    """
    from sqhw.compress import import_module
    from sqhw.frontends.torch_module.python_file import module_of

    path, name = python_file(options.network)
    if options.input_shape is None:
        raise SqhwError(f"{path}: a module does not tell the shape of an image; add --input-shape")
    shape = tuple(map(int, options.input_shape.split("x")))
    if len(shape) != 3:
        raise SqhwError(
            f"{path}: --input-shape {options.input_shape} must be channels, height and width, for "
            "example 3x32x32"
        )
    progress(f"running the code of {path}", 0, 1, "")
    module = module_of(path, name)
    network = import_module(
        module,
        (shape[0], shape[1], shape[2]),
        name=path.stem,
        input_max=options.input_max or LARGEST_PIXEL,
        mean=(0.0,) if options.mean is None else parse_values(options.mean),
        std=(1.0,) if options.std is None else parse_values(options.std),
    )
    make_folder(options.out.parent)
    save_float(network, options.out)
    return {
        "network": network.name,
        "file": str(options.out),
        "weights": network.weights,
        "format": "python",
        "operators": len(list(module.modules())),
        "layers": len(network.layers),
        "notes": [f"the code of {path} was run", *network.facts.notes.splitlines()],
    }
