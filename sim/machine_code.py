"""The machine code of this machine, made once and kept in the user's cache."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from sqhw.atomic import atomic_write_bytes, make_folder
from sqhw.environment.user_cache import cache_home
from sqhw.errors import SqhwError
from sqhw.sim.variants import Shape

#: Modules whose text decides on the machine code.
SOURCES = ("emit", "emit_loops", "emit_module", "plan_layout", "variants", "vectors")
#: Permissions of a kept file.
MODE = 0o600
#: Size of the digest that a kept file begins with (unit: byte).
DIGEST_BYTES = 32


class MachineCode:
    """Functions in memory, compiled or from the cache.

    Parameters
    ----------
    shape : Shape
        Shape of vectors.
    """

    def __init__(self, shape: Shape) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu, features = _host()
        self._target = llvm.Target.from_default_triple().create_target_machine(
            cpu=cpu, features=features, opt=3, jit=True
        )
        path = _kept((llvmlite.__version__, sys.byteorder, cpu, features, str(shape)))
        content = None if path is None else _load(path)
        if content is None:
            content = compiled(shape, self._target)
            if path is not None:
                _save(path, content)
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), self._target)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(content))
        self._engine.finalize_object()

    def address(self, symbol: str) -> int:
        """Return the address of a function."""
        return int(self._engine.get_function_address(symbol))


def host_features() -> set[str]:
    """Return LLVM's names of the features of this machine, none if LLVM does not know it."""
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:
        return set()
    return {name for name, there in features.items() if there}


def optimized(module: Any, target: Any) -> Any:
    """Return a module of llvmlite's text as one of LLVM, optimized for a target."""
    found = llvm.parse_assembly(str(module))
    found.verify()
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(found, builder)
    return found


def compiled(shape: Shape, target: Any) -> bytes:
    """Return the object file of all functions, for vectors of a shape and a target."""
    from sqhw.sim.emit_module import module_for  # only where nothing is kept

    module = module_for(shape)
    module.triple = str(target.triple)
    content: bytes = target.emit_object(optimized(module, target))
    return content


def _host() -> tuple[str, str]:
    """Return LLVM's names of this machine's processor and features."""
    try:
        return str(llvm.get_host_cpu_name()), str(llvm.get_host_cpu_features().flatten())
    except RuntimeError:
        return "generic", ""


def _kept(key: tuple[str, ...]) -> Path | None:
    """Return the file of machine code for a key, or None where there is no home folder."""
    digest = hashlib.sha256("\n".join(key).encode())
    for name in SOURCES:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    try:
        return cache_home() / "sqhw" / "sim" / f"{digest.hexdigest()[:32]}.o"
    except RuntimeError:
        return None


def _load(path: Path) -> bytes | None:
    """Return the content of a kept file, None if there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, content = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def _save(path: Path, content: bytes) -> None:
    """Write a file for `_load`; nothing is written where the cache cannot be."""
    try:
        make_folder(path.parent)
        atomic_write_bytes(path, hashlib.sha256(content).digest() + content, mode=MODE)
    except SqhwError:
        pass
