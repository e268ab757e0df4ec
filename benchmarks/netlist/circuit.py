"""Flattened netlists, compared cell by cell, whatever the names in them."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

#: Commands of yosys that make one module of all, without copies and without what nothing reads.
FLATTEN = (
    "proc -norom", "flatten -noscopeinfo", "opt_expr", "opt_merge", "opt_clean", "opt_merge",
    "opt_clean",
)  # fmt: skip
#: Number of rounds after which cells that still look alike are taken to be alike.
MAX_ROUNDS = 80
#: Number of rounds in any case: the first ones may tell no more apart than the one before.
MIN_ROUNDS = 12


@dataclass(frozen=True)
class Circuit:
    """What a netlist is made of, without names.

    Parameters
    ----------
    cells : Counter of str
        Number of cells by digest: kind, parameters, and what each input is connected to.
    outputs : dict of str to tuple of str
        Digest of what drives each bit of each output port.
    register_bits : int
    """

    cells: Counter[str]
    outputs: dict[str, tuple[str, ...]]
    register_bits: int


def read_circuit(verilog: str, top: str, leaves: str = "") -> Circuit:
    """Return the circuit of a Verilog module.

    Parameters
    ----------
    verilog : str
        The module, and those that it has instances of.
    top : str
        Name of the module.
    leaves : str
        Verilog of modules that are to be cells, such as memories.
    """
    from pyosys import libyosys

    with TemporaryDirectory() as folder:
        Path(folder, "leaves.v").write_text(leaves, encoding="utf-8")
        Path(folder, "top.v").write_text(verilog, encoding="utf-8")
        design, result = libyosys.Design(), Path(folder, "netlist.json")
        for command in (
            f"read_verilog -lib {folder}/leaves.v",
            f"read_verilog {folder}/top.v",
            f"hierarchy -top {top}",
            *FLATTEN,
            f"write_json {result}",
        ):
            design.run_pass(f"tee -q {command}")
        return circuit_of(json.loads(result.read_text(encoding="utf-8"))["modules"][top])


def circuit_of(module: Mapping[str, Any]) -> Circuit:
    """Return the circuit of a flat module as yosys writes it in JSON."""
    return _Netlist(module).circuit()


class _Netlist:
    """Digests of cells: of registers by rounds, of all others from their inputs.

    A register begins with the digest of its kind and its initial value; each round adds what its
    inputs are connected to. The rounds end when they tell no more registers apart.
    """

    def __init__(self, module: Mapping[str, Any]) -> None:
        self.cells: Mapping[str, Any] = module["cells"]
        self.ports: Mapping[str, Any] = module["ports"]
        self.initial: dict[Any, str] = {}
        for net in module["netnames"].values():
            value = net.get("attributes", {}).get("init", "")
            self.initial |= dict(zip(net["bits"], reversed(value), strict=False))
        self.drivers = {
            bit: (name, port, index)
            for name, cell in self.cells.items()
            for port, bits in cell["connections"].items()
            if cell["port_directions"][port] == "output"
            for index, bit in enumerate(bits)
        }
        self.inputs = {
            bit: _digest("input", name, index)
            for name, port in self.ports.items()
            if port["direction"] != "output"
            for index, bit in enumerate(port["bits"])
        }
        self.registers = {
            name: _digest(cell["type"], _parameters(cell), self._initial_values(cell))
            for name, cell in self.cells.items()
            if "dff" in cell["type"] or not cell["type"].startswith("$")
        }
        self.digests: dict[str, str] = {}

    def circuit(self) -> Circuit:
        """Return the circuit after as many rounds as tell registers apart."""
        distinct = 0
        for number in range(MAX_ROUNDS):
            self.digests = dict(self.registers)
            following = {name: self._next(name) for name in self.registers}
            found = len(set(following.values()))
            if found == distinct and number > MIN_ROUNDS:
                break
            self.registers, distinct = following, found
        cells = Counter(self._of(name) for name in self.cells)
        outputs = {
            name: tuple(self._bit(bit) for bit in port["bits"])
            for name, port in self.ports.items()
            if port["direction"] == "output"
        }
        bits = sum(
            len(cell["connections"]["Q"]) for cell in self.cells.values() if "dff" in cell["type"]
        )
        return Circuit(cells, outputs, bits)

    def _initial_values(self, cell: Mapping[str, Any]) -> list[str | None]:
        return [
            self.initial.get(bit)
            for port, bits in sorted(cell["connections"].items())
            if cell["port_directions"][port] == "output"
            for bit in bits
        ]

    def _next(self, name: str) -> str:
        return _digest(self.registers[name], self._connected(name))

    def _of(self, name: str) -> str:
        """Return the digest of a cell; there are no loops without a register."""
        if name not in self.digests:
            cell = self.cells[name]
            self.digests[name] = _digest(cell["type"], _parameters(cell), self._connected(name))
        return self.digests[name]

    def _connected(self, name: str) -> list[tuple[str, list[str]]]:
        cell = self.cells[name]
        return [
            (port, [self._bit(bit) for bit in bits])
            for port, bits in sorted(cell["connections"].items())
            if cell["port_directions"][port] == "input"
        ]

    def _bit(self, bit: Any) -> str:
        if isinstance(bit, str):  # a constant
            return bit
        if bit in self.inputs:
            return self.inputs[bit]
        if bit not in self.drivers:
            return "undriven"
        name, port, index = self.drivers[bit]
        return _digest(self._of(name), port, index)


def _parameters(cell: Mapping[str, Any]) -> list[tuple[str, str]]:
    return sorted(cell["parameters"].items())


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
