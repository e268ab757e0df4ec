"""Deliberate faults in the RTL: the check of whole networks must notice every one of them.

These tests run a sample; ``python -m benchmarks.mutants`` runs all faults (``make evidence``).
"""

import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks.mutants import undefined
from benchmarks.mutants.__main__ import RESULTS, SOURCE_KIND
from benchmarks.mutants.bench import (
    ENGINE,
    SOURCE_ENGINES,
    MutantBench,
    images_of,
    killed_source,
    programs,
    small_directed_programs,
    write_engine,
)
from benchmarks.mutants.netlist import (
    ALL_ONCE,
    ALL_REMOVED,
    PORT_0,
    PORT_1,
    RESET_ONCE,
    RESET_REMOVED,
    SHORT,
    STUCK_0,
)
from benchmarks.mutants.source import SOURCE_MUTANTS, source_path, unchanged
from benchmarks.seal import read_sealed
from sqhw.export.build import write_rom
from sqhw.verify.runner import RtlBench
from sqhw.verify.tools import has_icarus

ROOT = Path(undefined.__file__).parents[2]
#: Places and engines of the faults of the source that run here, the first fault of each: a Python
#: file of each engine, and a Verilog file. Each takes its own build; the benchmark runs all.
PLACES = (
    ("sequencer", "small"),
    ("sqhw_rom.v", "small"),
    ("lanes", "lanes in LUTs"),
    ("activation_memory", "deep"),
)
FAULTS = [next(m for m in SOURCE_MUTANTS if (m.place, m.engine) == place) for place in PLACES]
#: Random networks that a fault of the source may survive.
NETWORKS = 12
SAMPLE = 40
UNDEFINED_NETWORKS = 4


@pytest.mark.parametrize("mutant", SOURCE_MUTANTS, ids=str)
def test_a_mutant_stands_in_the_source(mutant):
    """Each line that a mutant changes is still in the RTL."""
    mutant.apply(source_path(mutant).read_text())


@pytest.mark.parametrize("place", ["sequencer", "engine", "interfaces"])
def test_a_mutant_of_the_source_is_in_the_verilog_and_goes_when_it_is_done(place, tmp_path):
    """A new process shows it: modules that are imported meanwhile would keep the mutant."""
    script = f"""
from pathlib import Path
from benchmarks.mutants.bench import write_engine
from benchmarks.mutants.source import SOURCE_MUTANTS, mutated
def verilog():
    write_engine(Path({str(tmp_path)!r}))
    return Path({str(tmp_path)!r}, "sqhw_engine.v").read_text()
with mutated(next(mutant for mutant in SOURCE_MUTANTS if mutant.place == {place!r})):
    first = verilog()
whole = verilog()
with mutated(next(mutant for mutant in SOURCE_MUTANTS if mutant.place == {place!r})):
    assert verilog() == first != whole
assert verilog() == whole
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_each_engine_has_a_fault_that_runs():
    assert {mutant.engine for mutant in FAULTS} == set(SOURCE_ENGINES)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", FAULTS, ids=str)
def test_a_mutant_of_the_source_is_noticed(mutant, tmp_path):
    assert killed_source(mutant, tmp_path, NETWORKS)


@pytest.mark.slow
def test_an_engine_whose_source_is_whole_passes(tmp_path):
    """The other engines without a fault run below and in test_two_taps.py."""
    assert killed_source(unchanged("lanes in LUTs"), tmp_path, NETWORKS) is None


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """The engine with all faults of its registers and ports, and networks for it."""
    folder = tmp_path_factory.mktemp("mutants")
    write_engine(folder)
    bench = MutantBench(folder, folder / "work", optimize=0)
    named = [*programs(6), *small_directed_programs()]
    return bench, [*(bench.prepare(*each, folder) for each in named), bench.prepare_sweep(folder)]


@pytest.mark.slow
def test_the_engine_without_a_fault_passes(faulty):
    bench, networks = faulty
    assert bench.killed(0, networks) is None


@pytest.mark.slow
def test_a_sample_of_the_faults_in_the_table_is_noticed(faulty):
    """Each by the network that the table names."""
    bench, networks = faulty
    numbers = {(mutant.kind, mutant.place): mutant.number for mutant in bench.mutants}
    named = {network.name: network for network in networks}
    rows = [
        row for row in read_sealed(RESULTS)["rows"] if row[2] in named and row[0] != SOURCE_KIND
    ]
    assert len(rows) > 400
    for kind, place, name, _ in random.Random(0).sample(rows, SAMPLE):
        assert bench.killed(numbers[kind, place], [named[name]]), f"{kind}: {place}"


@pytest.mark.skipif(not has_icarus(), reason="Icarus is not installed: apt-get install iverilog")
@pytest.mark.slow
def test_registers_whose_reset_has_no_effect_may_be_undefined(tmp_path):
    """Undefined bits show all values at once, in all these registers together."""
    write_engine(tmp_path)
    engine = tmp_path / "sqhw_engine.v"
    command = [sys.executable, "-m", undefined.__name__, str(engine), str(engine)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    bench = RtlBench(tmp_path, tmp_path / "work", "icarus", ENGINE.requantizers)
    for _, program in [*programs(2), *small_directed_programs()][:UNDEFINED_NETWORKS]:
        write_rom(program, tmp_path)
        report = bench.run(program, images_of(program), tmp_path)
        assert report.resets >= 4


#: Faults that no random network shows, each with the directed network that shows it.
DIRECTED = {
    (STUCK_0, "write_back.requantizer.lacks_0_1"): "digits",
    (STUCK_0, "write_back.requantizer.lacking_0_0_0"): "digits",
    (STUCK_0, "accumulate.skip_signed_2"): "skips",
    (STUCK_0, "issuer.taps.on_two"): "pairs",
    (STUCK_0, "issuer.taps.second_lane"): "pairs in one image",
    (SHORT, "issuer.taps.second_lane"): "pairs in one image",
    (SHORT, "accumulate.masks.x_3"): "edges wide",
    (SHORT, "accumulate.masks.y_0"): "edges high",
    (RESET_REMOVED, "issuer.last_1"): "sweep of resets",
    (RESET_ONCE, "accumulate.last_3"): "sweep of resets",
    (RESET_ONCE, "accumulate.masks.double"): "sweep of resets",
    (RESET_REMOVED, "sequencer.phases__fill"): "sweep of resets",
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", DIRECTED, ids=" ".join)
def test_directed_networks_and_resets_notice_what_random_ones_do_not(faulty, fault):
    bench, networks = faulty
    number = next(m.number for m in bench.mutants if (m.kind, m.place) == fault)
    network = next(network for network in networks if network.name == DIRECTED[fault])
    assert bench.killed(number, [network])


#: Sentence of the bench on a fault; `{}` stands for the job's waits.
SAID = {
    (ALL_REMOVED, "all"): "",
    (ALL_ONCE, "all"): "after a reset",
    (STUCK_0, "sequencer.timer"): "waited {0.ready} cycles for ready",
    (PORT_0, "ready"): "waited {0.ready} cycles for ready",
    (PORT_1, "ready"): "",
    (PORT_0, "done"): "busy is not high from start to done",
    (PORT_0, "out_valid"): "waited {0.result} cycles for result 1 of",
    (PORT_0, "in_ready"): "is not taken: in_ready is low",
    (SHORT, "sequencer.timer"): "waited",
    (RESET_REMOVED, "sequencer.control__cycles"): "cycles is not 0 from a reset to the first start",
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", SAID, ids=" ".join)
def test_a_fault_is_noticed_in_time_and_named(faulty, fault):
    bench, networks = faulty
    number = next(m.number for m in bench.mutants if (m.kind, m.place) == fault)
    name, said = bench.killed(number, networks)
    waits = next(network.job.waits for network in networks if network.name == name)
    assert SAID[fault].format(waits) in said


@pytest.mark.slow
def test_every_register_and_port_has_its_faults(faulty):
    """The list of faults comes from the netlist; the engine's known parts at least are in it."""
    places = defaultdict(set)
    for mutant in faulty[0].mutants:
        places[mutant.kind].add(mutant.place)
    registers, resets = places[STUCK_0], places["one reset removed"]
    assert resets < registers
    assert resets == places["one reset at power-up only"]
    assert {place.rpartition(".")[0] for place in registers} >= {
        "accumulate", "accumulate.lanes", "accumulate.masks", "issuer", "issuer.decoder",
        "issuer.entries", "issuer.taps", "parameters", "sequencer", "write_back",
        "write_back.places", "write_back.requantizer",
    }  # fmt: skip
    assert {"start", "in_valid", "in_data", "out_ready", "rst", "cycles"} <= places[PORT_0]
    assert {"sequencer.control__cycles", "sequencer.left", "sequencer.timer"} <= places[SHORT]
