"""The cycle model of cores that divide the output channels of a layer."""

import pytest

from benchmarks.channel_split.__main__ import NETWORKS, REQUANTIZERS, engine_of, split_cycles
from sqhw.cost_models.schedule import schedule
from sqhw.network.quantized_file import load_network


@pytest.mark.parametrize("name", ["ResNet-8", "LeNet-5"])
def test_one_core_takes_the_cycles_of_the_schedule_and_more_share_them(name):
    network = load_network(NETWORKS[name])
    engine = engine_of(network.facts.engine, 32, REQUANTIZERS)
    alone = schedule(network, engine).cycles
    one = split_cycles(network, engine, 1)
    assert (one.banks, one.path) == (alone, alone)
    two, four = (split_cycles(network, engine, cores) for cores in (2, 4))
    assert alone / 2 < two.banks <= two.path < alone
    assert alone / 4 < four.banks < two.banks
    assert four.banks <= four.path
