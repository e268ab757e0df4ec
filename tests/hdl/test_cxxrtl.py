"""Volume runs of the generated RTL against the simulator, and the faults that they must notice."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hdl.support import in_four
from strategies import random_images, random_network, reads_with_one_stride

from sqhw.compiler.program import Program, compile_network
from sqhw.cost_models.rom import rom_pieces
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import image_name
from sqhw.machine.number import ActivationFormat
from sqhw.machine.rom_pieces import piece_names
from sqhw.machine.stream import Dense
from sqhw.network.quantized import Conv, QuantizedNetwork
from sqhw.network.quantized_file import save_network
from sqhw.report.tables import verify_lines
from sqhw.steps.options import RomOptions, RtlOptions, VerifyOptions
from sqhw.steps.rom import rom
from sqhw.steps.rtl import rtl
from sqhw.steps.verify import verify
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.tools import cxxrtl_compiler

CONFIGS = {
    "2 lanes, one requantizer": (
        EngineConfig(lanes=2, bank_depth=1024, weight_addr_bits=11, param_addr_bits=10),
        {"groups": False, "residuals": False},
    ),
    "4 lanes, everything": (
        EngineConfig(
            lanes=4, bank_depth=1024, word_bits=18, mult_bits=12, acc_bits=22, requantizers=2,
            weight_addr_bits=11, param_addr_bits=10, groups=True, residuals=True, max_batch=2,
            writable=True,
        ),
        {"mult_bits": 12, "acc_bits": 22, "min_code_bits": 0},
    ),
    "4 lanes, each its own image": (
        EngineConfig(
            lanes=4, bank_depth=2048, weight_addr_bits=11, param_addr_bits=10, requantizers=4,
            max_batch=4, groups=True, residuals=True,
        ),
        {"max_size": 6},
    ),
}  # fmt: skip
NETWORKS = 8
NAME = "cam"  # first part of the names of modules and files
#: Images of the first network of a configuration, more than run at once, and of the others; both
#: are multiples of every batch.
FIRST_IMAGES, OTHER_IMAGES = 80, 8


def programs(name: str) -> list[tuple[int, Program]]:
    """Return random networks for a configuration, with their seeds."""
    engine, limits = CONFIGS[name]
    networks = ((seed, random_network(seed, **limits)) for seed in range(NETWORKS))
    return [
        (seed, compile_network(network, engine, 1 << seed % (engine.batch_bits + 1)))
        for seed, network in networks
        if reads_with_one_stride(network)
    ]


@pytest.fixture(scope="module", params=CONFIGS)
def bench(request, tmp_path_factory):
    """Return (name of the configuration, its bench): one build serves all networks."""
    engine, _ = CONFIGS[request.param]
    folder = tmp_path_factory.mktemp("cxxrtl")
    depths = {
        "weights": 1 << engine.weight_addr_bits,
        "params": 1 << engine.param_addr_bits,
        "codebook": 1 << engine.codebook_addr_bits,
    }
    pieces = rom_pieces(engine, depths, None) if engine.writable else in_four(engine, depths)
    write_rtl(engine, depths, folder, pieces=pieces, name=NAME)
    return request.param, VolumeBench(folder, folder / "work", optimize=0), pieces


@pytest.mark.slow
def test_random_networks(bench, tmp_path):
    name, volume, pieces = bench
    for index, (seed, program) in enumerate(programs(name)):
        print(f"network seed {seed}")
        network, count = program.network, OTHER_IMAGES if index else FIRST_IMAGES
        images = random_images(network, seed, count)
        write_rom(program, tmp_path, pieces, NAME)
        done = []
        report = volume.run(program, images, tmp_path, seed, jobs=2, progress=done.append)
        maps = [shape for name, shape in network.shapes().items() if name != "input"]
        assert done == ([OTHER_IMAGES] if index else [64, FIRST_IMAGES])
        assert report.images == count
        assert report.activations == count * sum(c * h * w for c, h, w in maps)
        assert report.cycles == schedule(network, program.engine, program.batch).cycles
        assert report.resets >= count // program.batch // 3
        assert report.clock_cycles > count // program.batch * report.cycles
        assert (
            volume.run(program, images[: program.batch], tmp_path, activations=False).activations
            == 0
        )


def transparent_network() -> QuantizedNetwork:
    """Return a layer whose results show every bit of every weight: nothing is clamped."""
    conv = Conv(
        name="conv",
        source="input",
        weight=np.array([[1, -2], [3, -4]], dtype=np.int8).reshape(2, 2, 1, 1),
        bias=np.zeros(2, dtype=np.int32),
        multiplier=np.ones(2, dtype=np.int32),
        shift=np.zeros(2, dtype=np.int32),
        stride=1,
        padding=(0, 0, 0, 0),
        codebook=(-4, -2, 1, 3),
        stream=Dense(2),
        output=ActivationFormat(8, signed=True),
        weight_scale=np.ones(2),
        output_scale=1.0,
    )
    return QuantizedNetwork("transparent", (2, 3, 3), ActivationFormat(4, signed=False), (conv,))


@pytest.mark.slow
@pytest.mark.parametrize("rom", ["weights", "params", "codebook"])
@pytest.mark.parametrize("activations", [True, False])
def test_one_wrong_rom_bit_is_noticed(bench, tmp_path, rom, activations):
    name, volume, pieces = bench
    program = compile_network(transparent_network(), CONFIGS[name][0])
    images = random_images(program.network, 0, 3)
    write_rom(program, tmp_path, pieces, NAME)
    volume.run(program, images, tmp_path, activations=activations)
    path = tmp_path / f"{piece_names(image_name(NAME, rom), pieces[rom])[0]}.hex"
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([f"{int(first, 16) ^ 1:0{len(first)}x}", *rest]) + "\n")
    with pytest.raises(SqhwError, match="the RTL differs from the simulator under cxxrtl; run"):
        volume.run(program, images, tmp_path, activations=activations)


@pytest.mark.slow
def test_rom_image_is_too_long(bench, tmp_path):
    name, volume, pieces = bench
    program = compile_network(transparent_network(), CONFIGS[name][0])
    write_rom(program, tmp_path, pieces, NAME)
    file = f"{piece_names(image_name(NAME, 'codebook'), pieces['codebook'])[-1]}.hex"
    digits = len((tmp_path / file).read_text().split()[0])
    (tmp_path / file).write_text(f"{0:0{digits}}\n" * 513)
    with pytest.raises(SqhwError, match=rf"^{file} has more words than the \d+ of the ROM"):
        volume.run(program, random_images(program.network, 0, 1), tmp_path)


@pytest.mark.slow
def test_no_images(bench, tmp_path):
    name, volume, pieces = bench
    program = compile_network(transparent_network(), CONFIGS[name][0])
    write_rom(program, tmp_path, pieces, NAME)
    with pytest.raises(SqhwError, match="there is no image to run"):
        volume.run(program, np.zeros((0, 2, 3, 3)), tmp_path)


def test_verilog_is_missing(tmp_path):
    with pytest.raises(SqhwError, match=r"sqhw_engine\.v is missing; write it with `sqhw rtl`"):
        VolumeBench(tmp_path, tmp_path / "work")


@pytest.mark.slow
def test_bad_verilog_names_the_log(tmp_path):
    engine, _ = CONFIGS["2 lanes, one requantizer"]
    write_rtl(engine, {"weights": 16, "params": 16, "codebook": 16}, tmp_path)
    (tmp_path / "sqhw_ram.v").write_text("module sqhw_ram(; endmodule\n")
    with pytest.raises(
        SqhwError, match=r"yosys fails \(\d+\), saying .*syntax error.*; see .*yosys\.log"
    ):
        VolumeBench(tmp_path, tmp_path / "work")


def test_compilers(monkeypatch):
    found = {"clang++": "/bin/clang++", "g++": "/bin/g++"}
    monkeypatch.setattr(shutil, "which", found.get)
    assert cxxrtl_compiler() == "/bin/clang++"
    del found["clang++"]
    assert cxxrtl_compiler() == "/bin/g++"
    found.clear()
    with pytest.raises(SqhwError, match="CXXRTL needs a C\\+\\+ compiler; run: apt-get install g"):
        cxxrtl_compiler()


@pytest.mark.slow
def test_sqhw_verify(tmp_path, monkeypatch):
    """The command, on real images."""
    monkeypatch.setattr("sqhw.verify.cxxrtl.VolumeBench", partial(VolumeBench, optimize=0))
    weight = np.array([1, -2], dtype=np.int8).reshape(2, 1, 1, 1)
    conv = replace(transparent_network().convs[0], weight=weight)
    network = QuantizedNetwork("one", (1, 8, 8), ActivationFormat(5, signed=False), (conv,))
    path, folder = tmp_path / "net.safetensors", tmp_path / "rtl"
    save_network(network, path)
    rom(RomOptions(network=path, out=folder))
    rtl(RtlOptions(network=path, out=folder))
    result = verify(
        VerifyOptions(
            network=path,
            rtl=folder,
            work=tmp_path / "work",
            simulator="cxxrtl",
            images=100,
            jobs=2,
        )
    )
    assert (result["images"], result["made_up_images"]) == (100, 2)
    assert result["activations"] == 102 * 2 * 64
    assert result["cycles"] == result["cycles_predicted"]
    lines = verify_lines(result)
    assert "cxxrtl: RTL == simulator on 100 test and 2" in lines[0]
    assert f"resets at {result['resets']} random times in runs, frames in and out" in lines[2]
