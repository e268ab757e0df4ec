"""A fault of the RTL ends a cocotb bench at once, with a sentence that names the awaited signal.

The harness of CXXRTL has the same rules and bounds; `hdl.test_mutants` tests that harness.
"""

import re
from dataclasses import replace

import pytest
from strategies import random_images, random_network

from benchmarks.mutants.bench import ENGINE as LARGE
from benchmarks.mutants.bench import write_engine
from benchmarks.mutants.source import SourceMutant, mutated
from sqhw.compiler.program import compile_network
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom
from sqhw.verify import runner
from sqhw.verify.job import job_of
from sqhw.verify.runner import RtlBench
from sqhw.verify.tools import has_icarus

pytestmark = pytest.mark.skipif(
    not has_icarus(), reason="Icarus Verilog is not installed: apt-get install iverilog"
)
ENGINE = replace(LARGE, max_batch=2)
#: Source mutants with the sentence of the bench on each; the numbers are those of the schedule.
FAULTS = {
    "timer stuck": (
        SourceMutant(
            "sequencer",
            "timer.eq(timer + ~self._turn if self._engine.single_port else timer + 1)",
            "timer.eq(0)",
        ),
        "waited {0.ready} cycles for ready, which by the schedule comes within {0.ready}",
    ),
    "ready stuck": (
        SourceMutant("engine", "self.ready.eq(sequencer.phases.idle)", "self.ready.eq(1)"),
        "in_ready is high when no pixel may come, or low when one may",
    ),
    "no done": (
        SourceMutant("engine", "self.done.eq(sequencer.control.done)", "self.done.eq(0)"),
        "waited {0.run} cycles for done, which by the schedule comes within {0.run}",
    ),
    "no results": (
        SourceMutant(
            "engine", "self.out_valid.eq(sequencer.handshake.valid)", "self.out_valid.eq(0)"
        ),
        "cycles for result 1 of {1}, which by the schedule comes within {0.result}",
    ),
}


def run(folder):
    """Run a small network; return its job and the sentence of the bench."""
    network = random_network(3, max_layers=1, groups=False, residuals=False)
    program = compile_network(network, ENGINE)
    images = random_images(network, 0, 2)
    write_rom(program, folder)
    with pytest.raises(SqhwError) as error:
        RtlBench(folder, folder / "work", "icarus", ENGINE.requantizers).run(
            program, images, folder
        )
    assert "the RTL differs from the simulator under icarus" in str(error.value)
    return job_of(program, images), str(error.value)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_sentence_says_what_was_waited_for(fault, tmp_path):
    mutant, sentence = FAULTS[fault]
    with mutated(mutant):
        write_engine(tmp_path, ENGINE)
    job, said = run(tmp_path)
    assert sentence.format(job.waits, job.results.shape[1]) in said


def test_an_engine_without_resets_is_never_ready(tmp_path):
    """The initial values of registers in the Verilog do not hide the fault."""
    write_engine(tmp_path, ENGINE)
    path = tmp_path / "sqhw_engine.v"
    text, count = re.subn(r"if \(rst\)", "if (1'b0)", path.read_text())
    assert count > 100
    path.write_text(text)
    job, said = run(tmp_path)
    assert f"waited {job.waits.ready} cycles for ready" in said


def test_a_clock_that_does_not_go_on_is_ended_by_time(tmp_path, monkeypatch):
    """A loop without delay is noticed, though no wait in cycles can end it."""
    write_engine(tmp_path, ENGINE)
    path = tmp_path / "sqhw_ram.v"
    loop = "  reg loop = 0;\n  always begin loop = ~loop; if ($time < 20000) #1; end\nendmodule\n"
    path.write_text(path.read_text().replace("endmodule\n", loop, 1))
    monkeypatch.setattr(runner, "START_SECONDS", 2)
    monkeypatch.setattr(runner, "SLOWEST", 10**9)
    _, said = run(tmp_path)
    assert "the simulation hangs: it did not end within 2 s" in said
