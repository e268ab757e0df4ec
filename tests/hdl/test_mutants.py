"""Deliberate faults in the RTL: the check of whole networks must notice every one of them.

Here runs a sample; ``python -m benchmarks.mutants`` runs all of them.
"""

from collections import defaultdict

import pytest

from benchmarks.mutants.bench import MutantBench, killed_source, programs, write_engine
from benchmarks.mutants.netlist import ALL_ONCE, ALL_REMOVED, PORT_0, PORT_1, SHORT, STUCK_0
from benchmarks.mutants.source import SOURCE_MUTANTS, source_path

#: Each takes a build of its own, so that one of each file runs.
FIRST = {mutant.place: mutant for mutant in reversed(SOURCE_MUTANTS)}
NETWORKS = 40


@pytest.mark.parametrize("mutant", SOURCE_MUTANTS, ids=str)
def test_a_mutant_stands_in_the_source(mutant):
    """Else the list is behind the RTL."""
    mutant.apply(source_path(mutant).read_text())


@pytest.mark.slow
@pytest.mark.parametrize("mutant", FIRST.values(), ids=str)
def test_a_mutant_of_the_source_is_noticed(mutant, tmp_path):
    assert killed_source(mutant, tmp_path, programs(NETWORKS))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """The engine with all faults of its registers and ports, and networks for it."""
    folder = tmp_path_factory.mktemp("mutants")
    write_engine(folder)
    bench = MutantBench(folder, folder / "work")
    return bench, [bench.prepare(seed, program, folder) for seed, program in programs(6)]


@pytest.mark.slow
def test_the_engine_without_a_fault_passes(faulty):
    bench, networks = faulty
    assert bench.killed(0, networks) is None


#: What must be said of a fault; `{}` is the job's waits.
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
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", SAID, ids=" ".join)
def test_a_fault_is_noticed_in_time_and_named(faulty, fault):
    bench, networks = faulty
    number = next(m.number for m in bench.mutants if (m.kind, m.place) == fault)
    runs, said = bench.killed(number, networks)
    assert SAID[fault].format(networks[runs - 1].job.waits) in said


@pytest.mark.slow
def test_every_register_and_port_has_its_faults(faulty):
    """The list comes from the netlist: at least the engine's known parts are in it."""
    places = defaultdict(set)
    for mutant in faulty[0].mutants:
        places[mutant.kind].add(mutant.place)
    registers, resets = places[STUCK_0], places["one reset removed"]
    assert resets < registers
    assert resets == places["one reset at power-up only"]
    assert {place.split(".")[0] for place in registers if "." in place} >= {
        "decoder", "entries", "lanes", "masks", "parameters", "places", "requantizer", "sequencer",
        "taps",
    }  # fmt: skip
    assert {"start", "in_valid", "in_data", "out_ready", "rst", "cycles"} <= places[PORT_0]
    assert {"sequencer.cycles", "sequencer.left", "sequencer.timer"} <= places[SHORT]
