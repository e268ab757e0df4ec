"""Puts deliberate faults into the netlist of the engine; one build then serves all of them.

``python netlist.py ENGINE.v ...`` writes ``engine.cc`` as `sqhw.verify.cxxrtl_translate` does, and
``mutants.json``. The memory ``mutant`` has one word, the number of the fault that is in effect; 0
is none. The script runs as a program of its own, in the folder of the files.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pyosys import libyosys

from sqhw.verify.cxxrtl_translate import translate

NUMBER_BITS = 16
MUTANTS = "mutants.json"
#: Module with the memory that the harness fills like a ROM.
SELECT = f"""
module sqhw_mutant(output [{NUMBER_BITS - 1}:0] number);
  reg [{NUMBER_BITS - 1}:0] mem[0:0];
  wire zero = 0;
  assign number = mem[zero];
endmodule
"""
#: Copies of the fault's number in a register: random contents match with a probability of 2^-64.
REPEAT = 4

RESET_REMOVED = "one reset removed"
RESET_ONCE = "one reset at power-up only"
ALL_REMOVED = "all resets removed"
ALL_ONCE = "all resets at power-up only"
RESET_KINDS = (RESET_REMOVED, RESET_ONCE)
STUCK_0 = "register stuck at 0"
STUCK_1 = "flag stuck at 1"
SHORT = "counter one bit short"
PORT_0 = "port stuck at 0"
PORT_1 = "port stuck at 1"


def name_id(public: str) -> libyosys.IdString:
    """Return the identifier of a public name."""
    return libyosys.IdString(f"\\{public}")


class Mutator:
    """Adds faults to a flat module and numbers them from 1.

    Parameters
    ----------
    module : Module
        Module for the faults, with the instance of `SELECT` flattened into it.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.found: list[tuple[str, str]] = []
        self._names = 0

    def registers(self) -> list[Any]:
        """Return the cells that are registers, in the order of their names."""
        cells = [cell for cell in self.module.cells_.values() if cell.type.str() == "$dff"]
        return sorted(cells, key=self.register_name)

    def register_name(self, cell: Any) -> str:
        """Return the name of a register in the source, with its bits."""
        names = [wire for wire, _ in self._bits(cell.getPort(name_id("Q")))]
        return " ".join(name.removeprefix("\\") for name in dict.fromkeys(names))

    def mutant(self, kind: str, place: str) -> Any:
        """Return a signal that is high when a new fault is in effect."""
        self.found.append((kind, place))
        number = libyosys.Const(len(self.found), NUMBER_BITS)
        return self._cell("Eq", self._number(), libyosys.SigSpec(number), width=1)

    def remove_resets(self, cells: list[Any]) -> None:
        """Add the faults of resets: one or all of them removed, or kept at power-up only."""
        later = self._later()
        every = self._or(
            self.mutant(ALL_REMOVED, "all"), self._and(self.mutant(ALL_ONCE, "all"), later)
        )
        for cell in cells:
            if (mux := self.reset_of(cell)) is None:
                continue
            place = self.register_name(cell)
            off = self._or(every, self.mutant(RESET_REMOVED, place))
            off = self._or(off, self._and(self.mutant(RESET_ONCE, place), later))
            reset = mux.getPort(name_id("S"))
            mux.setPort(name_id("S"), self._and(reset, self._not(off)))

    def reset_of(self, cell: Any) -> Any:
        """Return the multiplexer in front of a register that resets it, or None."""
        data = cell.getPort(name_id("D"))
        drivers = {
            id(driver): driver for bit in self._bits(data) for driver in self._driven_by(bit)
        }
        if len(drivers) != 1:
            return None
        mux = next(iter(drivers.values()))
        if mux.type.str() != "$mux" or mux.getPort(name_id("Y")).size() != data.size():
            return None
        select = self._bits(mux.getPort(name_id("S")))
        return mux if select == [("\\rst", 0)] else None

    def _driven_by(self, bit: tuple[str, int]) -> list[Any]:
        return [self.drivers[bit]] if bit in self.drivers else []

    def stick_register(self, cell: Any) -> None:
        """Add the faults of registers: stuck at 0, a flag at 1, the top bit of a counter at 0."""
        port = name_id("Q")
        value, place = cell.getPort(port), self.register_name(cell)
        width = value.size()
        counts = self._counts(cell)
        inner = libyosys.SigSpec(self._wire(width))
        cell.setPort(port, inner)
        stuck = self._mux(inner, "0" * width, self.mutant(STUCK_0, place))
        if width == 1:
            stuck = self._mux(stuck, "1", self.mutant(STUCK_1, place))
        if counts:
            top = self._mux(stuck.extract(width - 1, 1), "0", self.mutant(SHORT, place))
            low = stuck.extract(0, width - 1)
            low.append(top)
            stuck = low
        self.module.connect(value, stuck)

    def stick_port(self, wire: Any) -> None:
        """Add the faults of a port: stuck at 0 or at 1."""
        place, width, comes_in = wire.name.str().lstrip("\\"), wire.width, wire.port_input
        inner = wire
        self.module.rename(wire, name_id(f"{place}_inner"))
        outer = self.module.addWire(name_id(place), width)
        outer.port_input, outer.port_output = wire.port_input, wire.port_output
        inner.port_input = inner.port_output = False
        source, target = (outer, inner) if comes_in else (inner, outer)
        value = libyosys.SigSpec(source)
        value = self._mux(value, "0" * width, self.mutant(PORT_0, place))
        value = self._mux(value, "1" * width, self.mutant(PORT_1, place))
        self.module.connect(libyosys.SigSpec(target), value)

    def multiplexer(self, low: Any, high: Any, select: Any) -> Any:
        """Return one signal or, where a third is high, the other."""
        return self._cell("Mux", low, high, select, width=low.size())

    def _number(self) -> Any:
        return libyosys.SigSpec(self.module.wire(name_id("mutant_number")))

    def _later(self) -> Any:
        """Return a signal that is high from the end of the first reset on."""
        clock, reset = (libyosys.SigSpec(self.module.wire(name_id(n))) for n in ("clk", "rst"))
        width = REPEAT * NUMBER_BITS
        was_reset, mark = libyosys.SigSpec(self._wire(1)), libyosys.SigSpec(self._wire(width))
        magic = self._number().repeat(REPEAT)  # no constant, else the register becomes one
        self.module.addDff(self._name(), clock, reset, was_reset)
        ended = self._and(was_reset, self._not(reset))
        upcoming = self.multiplexer(mark, magic, ended)
        self.module.addDff(self._name(), clock, upcoming, mark)
        return self._cell("Eq", mark, magic, width=1)

    def _counts(self, cell: Any) -> bool:
        """Return whether a register's next value comes from a sum with its own."""
        own = set(self._bits(cell.getPort(name_id("Q"))))
        if len(own) < 2:
            return False
        seen: set[tuple[str, int]] = set()
        todo = list(self._bits(cell.getPort(name_id("D"))))
        while todo:
            bit = todo.pop()
            if bit in seen:
                continue
            seen.add(bit)
            driver = self.drivers.get(bit)
            if driver is None:
                continue
            ports = ("A", "B")
            if driver.type.str() in ("$add", "$sub"):
                if any(own & set(self._bits(driver.getPort(name_id(port)))) for port in ports):
                    return True
            elif driver.type.str() in ("$mux", "$pmux"):
                for port in ports:
                    todo += self._bits(driver.getPort(name_id(port)))
        return False

    def find_drivers(self) -> None:
        """Store the cell that drives each bit; needed by `stick_register`."""
        self.drivers: dict[tuple[str, int], Any] = {}
        for cell in self.module.cells_.values():
            if cell.type.str() in ("$add", "$sub", "$mux", "$pmux"):
                for bit in self._bits(cell.getPort(name_id("Y"))):
                    self.drivers[bit] = cell

    def _bits(self, signal: Any) -> list[tuple[str, int]]:
        bits = signal.to_sigbit_vector()
        return [(bit.wire.name.str(), bit.offset) for bit in bits if bit.is_wire()]

    def _name(self) -> Any:
        self._names += 1
        return name_id(f"mutation_{self._names}")

    def _wire(self, width: int) -> Any:
        return self.module.addWire(self._name(), width)

    def _cell(self, kind: str, *operands: Any, width: int) -> Any:
        result = libyosys.SigSpec(self._wire(width))
        getattr(self.module, f"add{kind}")(self._name(), *operands, result)
        return result

    def _and(self, a: Any, b: Any) -> Any:
        return self._cell("And", a, b, width=1)

    def _or(self, a: Any, b: Any) -> Any:
        return self._cell("Or", a, b, width=1)

    def _not(self, a: Any) -> Any:
        return self._cell("Not", a, width=1)

    def _mux(self, value: Any, bits: str, select: Any) -> Any:
        constant = libyosys.SigSpec(libyosys.Const.from_string(bits))
        return self.multiplexer(value, constant, select)


def mutate(design: Any) -> None:
    """Add all faults to a flat design."""
    design.run_pass("opt_clean")
    mutator = Mutator(design.top_module())
    cells = mutator.registers()
    mutator.find_drivers()
    ports = [w for w in mutator.module.wires_.values() if w.port_input or w.port_output]
    mutator.remove_resets(cells)
    for cell in cells:
        mutator.stick_register(cell)
    for wire in sorted(ports, key=lambda wire: wire.name.str()):
        if wire.name.str() not in ("\\clk",):
            mutator.stick_port(wire)
    mutator.module.fixup_ports()
    Path(MUTANTS).write_text(json.dumps(mutator.found))


def main(sources: list[str]) -> None:
    """Write the C++ of the mutated design."""
    top = Path(sources[0])
    text = top.read_text()
    head, module, body = text.partition("module sqhw_engine")
    inside = body.index("endmodule")
    wire = f"  (* keep *) wire [{NUMBER_BITS - 1}:0] mutant_number;\n"
    instance = wire + "  sqhw_mutant mutant(.number(mutant_number));\n"
    Path("mutated.v").write_text(head + module + body[:inside] + instance + body[inside:] + SELECT)
    translate(["mutated.v", *sources[1:]], mutate)


if __name__ == "__main__":
    main(sys.argv[1:])
