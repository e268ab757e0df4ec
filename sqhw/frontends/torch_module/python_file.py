"""Modules that a callable in a Python file returns: the file is run."""

import importlib.util
import sys
from pathlib import Path

from torch import nn

from sqhw.errors import SqhwError, printable, shown

#: Name of the module that the file becomes.
MODULE = "sqhw_user_model"


def module_of(path: Path, name: str) -> nn.Module:
    """Return the module that a callable of a file returns, or that is there by this name.

    Raises
    ------
    SqhwError
        If the file or the callable fails, or there is no module.
    """
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise SqhwError(f"{path}: not a Python file; its name must end in .py")
    code = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = code  # dataclasses and others look it up there
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(code)
        if not hasattr(code, name):
            raise SqhwError(f"{path}: it has no {name}")
        made = getattr(code, name)
        module = made if isinstance(made, nn.Module) else made()
    except SqhwError:
        raise
    except (Exception, SystemExit) as error:
        reason = printable(str(error).split("\n", 1)[0][:160])
        raise SqhwError(
            f"{path}: running it raised {type(error).__name__}: {reason}; run it with Python to "
            "see where"
        ) from None
    finally:
        sys.path.remove(str(path.resolve().parent))
    if not isinstance(module, nn.Module):
        raise SqhwError(f"{path}: {name} returned {shown(type(module))}, not a torch.nn.Module")
    return module
