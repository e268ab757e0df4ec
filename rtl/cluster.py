"""Several cores behind one stream of pixels and one of results."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import DEFAULT_NAME, core_module
from sqhw.rtl.bus_ports import bus_ports
from sqhw.rtl.interfaces import PixelStream


class Cluster(wiring.Component):
    """Hands the frames of a stream to its cores in turn, and their results on in the same order.

    The ports are those of `Engine`, and so is the order of a frame: `ready`, the pixels, a pulse of
    `start`. The next frame goes to the next core, for which `ready` may be high in the next cycle.
    A core takes another frame when all its results are taken. Its pixels then come in while the
    other cores compute and while their results go out.

    Latency: that of `Engine`; neither pixels nor results are delayed. Throughput: see
    `sqhw.cost_models.cluster`.

    The cores are instances of the module `sqhw.machine.naming.core_module`, the Verilog of an
    `Engine`, so that it is there once.

    Parameters
    ----------
    engine : EngineConfig
        Configuration with two cores or more.
    name : str
        Prefix of the module of a core; see `sqhw.machine.naming`.

    Members
    -------
    start : In(1)
        High for one cycle: with two, two cores start.
    ready : Out(1)
        The core whose turn it is accepts pixels and `start`.
    busy, done : Out(1)
        Some network runs; one has ended. Runs end in the order in which they started, as all take
        the same cycles.
    cycles : Out(32)
        Cycles of the last run that ended, from the cycle after `done` on; 0 after a reset.
    working : Out(1)
        A run has started of which not all results are taken.
    idle : Out(1)
        All cores accept pixels and `start`.
    in_valid, in_data, in_ready, in_last, out_valid, out_data, out_last, out_ready
        Streams as those of `Engine`.
    wb_valid, wb_data, wb_group : Out
        The ports of all cores side by side, that of the first core in the lowest bits.
    rom_write_en, rom_write_select, rom_write_addr, rom_write_data, reload : In
        Ports as those of `Engine`, of all cores at once. To be used only while `idle` is high.
    """

    def __init__(self, engine: EngineConfig, name: str = DEFAULT_NAME) -> None:
        self._engine = engine
        self._name = name
        cores = engine.cores
        self._writes = {
            "rom_write_en": In(1),
            "rom_write_select": In(2),
            "rom_write_addr": In(engine.rom_addr_bits),
            "rom_write_data": In(engine.word_bits),
            "reload": In(1),
        }
        if not engine.writable:
            self._writes = {}
        super().__init__(
            self._writes
            | {
                "start": In(1),
                "ready": Out(1),
                "busy": Out(1),
                "done": Out(1),
                "cycles": Out(32),
                "working": Out(1),
                "idle": Out(1),
                **bus_ports("in", In(PixelStream())),
                "out_valid": Out(1),
                "out_data": Out(8),
                "out_last": Out(1),
                "out_ready": In(1),
                "wb_valid": Out(cores),
                "wb_data": Out(cores * engine.requantizers * 8),
                "wb_group": Out(cores),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the cores, the distributor of frames and the collector of results."""
        m = Module()
        cores = self._engine.cores
        # One bit a core: whose frame comes in, whose results go out, whose results are not all out.
        fill, drain = Signal(cores, name="fill", init=1), Signal(cores, name="drain", init=1)
        taken = Signal(cores, name="taken")
        outputs = self._cores(m, fill, drain)

        def of(turn, name: str) -> Value:
            """Return an output of the core whose turn it is."""
            return reduce(
                or_, (Mux(bit, port, 0) for bit, port in zip(turn, outputs[name], strict=True))
            )

        begins, ends = Signal(name="begins"), Signal(name="ends")
        m.d.comb += [
            self.ready.eq(of(fill, "ready")),
            self.in_ready.eq(of(fill, "in_ready")),
            self.in_last.eq(of(fill, "in_last")),
            begins.eq(self.start & self.ready),
            self.out_valid.eq(of(drain, "out_valid")),
            self.out_last.eq(of(drain, "out_last")),
            self.out_data.eq(of(drain, "out_data")),
            ends.eq(self.out_valid & self.out_ready & self.out_last),
            self.busy.eq(Cat(outputs["busy"]).any()),
            self.done.eq(Cat(outputs["done"]).any()),
            self.working.eq(taken.any()),
            self.idle.eq(Cat(outputs["ready"]).all()),
            *(getattr(self, name).eq(Cat(outputs[name])) for name in outputs if "wb_" in name),
        ]
        with m.If(begins):
            m.d.sync += fill.eq(fill.rotate_left(1))
        with m.If(ends):
            m.d.sync += drain.eq(drain.rotate_left(1))
        m.d.sync += taken.eq((taken | Mux(begins, fill, 0)) & ~Mux(ends, drain, 0))
        with m.If(self.done):
            m.d.sync += self.cycles.eq(of(Cat(outputs["done"]), "cycles"))
        return m

    def _cores(self, m: Module, fill, drain) -> dict[str, list[Signal]]:
        """Instantiate the cores; return their outputs, of each a list of one signal a core."""
        width = {"cycles": 32, "out_data": 8, "wb_data": self._engine.requantizers * 8}
        names = (
            "ready", "busy", "done", "cycles", "in_ready", "in_last",
            "out_valid", "out_data", "out_last", "wb_valid", "wb_data", "wb_group",
        )  # fmt: skip
        outputs: dict[str, list[Signal]] = {name: [] for name in names}
        for core in range(self._engine.cores):
            for name in names:
                outputs[name].append(Signal(width.get(name, 1), name=f"{name}_{core}"))
            m.submodules[f"core_{core}"] = Instance(
                core_module(self._name),
                i_clk=ClockSignal(),
                i_rst=ResetSignal(),
                i_start=self.start & fill[core],
                i_in_valid=self.in_valid & fill[core],
                i_in_data=self.in_data,
                i_out_ready=self.out_ready & drain[core],
                **{f"i_{name}": getattr(self, name) for name in self._writes},
                **{f"o_{name}": outputs[name][core] for name in names},
            )
        return outputs
