"""The demo: the same bytes on the same machine, and within bounds on any.

Its exact figures are those of one processor, for another rounds the training in floats otherwise.
"""

import re
from pathlib import Path

from method_cases import small_network

from sqhw.compress import save_float
from sqhw.network.quantized_file import load_network
from sqhw.steps.compress import compress
from sqhw.steps.cycles import cycles
from sqhw.steps.options import CompressOptions, RomOptions
from sqhw.steps.rom import rom

README = (Path(__file__).parents[2] / "README.md").read_text()
BUDGET = "blocks=22,cycles=50000"
BLOCKS, CYCLES = 22, 50_000
LEAST_ACCURACY = 97.0


def shortened(folder, **changes):
    """Compress a small network as the demo does, with few epochs, and write its ROM images."""
    folder.mkdir()
    trained, network = folder / "float.safetensors", folder / "network.safetensors"
    save_float(small_network(), trained)
    options = CompressOptions(source=trained, budget=BUDGET, out=network, epochs=2, **changes)
    return {
        "compress": compress(options),
        "rom": rom(RomOptions(network=network, out=folder / "rtl")),
        "cycles": cycles(network),
    }


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_the_same_machine_repeats_every_byte_within_the_budget(tmp_path):
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    result, again = shortened(first), shortened(second)
    assert contents(first) == contents(second)
    assert result["cycles"] == again["cycles"]
    assert result["compress"]["after"]["blocks"] <= BLOCKS
    assert result["cycles"]["cycles"] <= CYCLES
    assert result["rom"]["rom_bits_exported"] == result["rom"]["rom_bits_predicted"]
    shortened(other, seed=1, acc_bits=27)
    name = Path("network.safetensors")
    assert contents(other)[name] != contents(first)[name]
    engines = [load_network(folder / name).facts.engine for folder in (first, other)]
    assert [engine.acc_bits for engine in engines] == [24, 27]


def found(pattern):
    """Return the numbers of the demo's table in the README, as often as the pattern occurs."""
    (table,) = re.findall(r"```text\n(digits-cnn on digits.*?)```", README, re.DOTALL)
    numbers = re.findall(pattern, table)
    assert numbers, pattern
    return [
        [float(number.replace(",", "")) for number in ([one] if isinstance(one, str) else one)]
        for one in numbers
    ]


def test_the_table_of_the_readme_is_within_the_bounds_that_hold_on_every_machine():
    assert f"budget {BUDGET} on iCE40UP5K" in README
    ((blocks,),) = found(r"\n  blocks +[\d,]+ +[\d,]+ +([\d,]+)")
    assert blocks <= BLOCKS
    for measured, predicted in found(r"([\d,]+) measured, ([\d,]+) predicted"):
        assert measured == predicted <= CYCLES
    ((exported, predicted),) = found(r"([\d,]+) bit exported, +([\d,]+) bit in the cost model")
    ((rom,),) = found(r"\n  rom +[\d,]+ bit +[\d,]+ bit +([\d,]+) bit")
    assert exported == predicted == rom
    ((same, images),) = found(r"simulator == PyTorch on (\d+) of (\d+) images")
    assert same == images
    for (accuracy,) in found(r"\n  (?:quantized PyTorch|simulator) +([\d.]+)%"):
        assert accuracy >= LEAST_ACCURACY
    layers = found(r"\n  \w+ +\d+ +[\d,]+ +([\d,]+)(?=\n)")
    ((cycles, _), *_) = found(r"([\d,]+) measured, ([\d,]+) predicted")
    assert sum(one for (one,) in layers) < cycles


def test_the_readme_says_which_of_its_figures_depend_on_the_machine():
    assert "on another processor" in README
