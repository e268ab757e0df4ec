"""The kept network of the benchmark of front ends has the size that decision 72 says."""

from pathlib import Path

from sqhw.cost_models.rom import rom_cost
from sqhw.network.quantized_file import load_network

HALF = Path(__file__).parents[2] / "benchmarks" / "frontends" / "resnet8-int8-half.safetensors"
#: ROM of the int8 file as it is imported (unit: bit).
IMPORTED = 656_988


def test_an_int8_file_is_compressed_to_half_of_its_rom():
    network = load_network(HALF)
    cost = rom_cost(network, network.facts.engine)
    assert cost.rom == 325_772
    assert 2 * cost.rom < IMPORTED
