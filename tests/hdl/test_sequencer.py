"""The counter of cycles, whose upper half no run of a bench reaches."""

from amaranth.sim import Simulator

from sqhw.machine.config import EngineConfig
from sqhw.rtl.sequencer import Sequencer

#: Number of cycles after which any engine is ready.
MANY = 200


def test_cycles_count_on_in_the_upper_half_of_the_range():
    engine = Sequencer(EngineConfig())
    simulator = Simulator(engine)
    simulator.add_clock(1e-6)

    async def run(ctx):
        for _ in range(MANY):
            if ctx.get(engine.phases.idle):
                break
            await ctx.tick()
        ctx.set(engine.control.start, 1)
        await ctx.tick()
        assert ctx.get(engine.phases.busy)
        assert ctx.get(engine.control.cycles) == 1
        for value in (0x7FFF_FFFF, 0xFFFF_FFFE):
            ctx.set(engine.control.cycles, value)
            await ctx.tick()
            assert ctx.get(engine.control.cycles) == value + 1

    simulator.add_testbench(run)
    simulator.run()
