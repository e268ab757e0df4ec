"""`sqhw verify` on real RTL: which images it runs, and files that change while it runs."""

import json
import threading
import time

import numpy as np
import pytest
from strategies import random_network

from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.number import ActivationFormat
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network, save_network
from sqhw.steps.options import RomOptions, RtlOptions, VerifyOptions
from sqhw.steps.rom import rom
from sqhw.steps.rtl import rtl
from sqhw.steps.verify import made_up_images, verify
from sqhw.verify.tools import has_icarus

BATCH = 4
NEEDS_ICARUS = pytest.mark.skipif(not has_icarus(), reason="Icarus Verilog is not installed")


@pytest.fixture
def folder(tmp_path):
    """A network for digits with ROM images for runs of several, and their Verilog."""
    engine = EngineConfig(bank_depth=2048, max_batch=BATCH, groups=True, residuals=True)
    seeds = (random_network(seed, max_layers=1) for seed in range(1000))
    layer = next(n.layers[0] for n in seeds if n.input_shape[0] == 1 and n.layers[0].kind == "conv")
    network = QuantizedNetwork(
        "digits",
        (1, 8, 8),
        ActivationFormat(5, False),
        (layer,),
        {"engine": json.dumps(engine.to_dict())},
    )
    path = tmp_path / "net.safetensors"
    save_network(network, path)
    rom(RomOptions(network=path, out=tmp_path, batch=BATCH))
    rtl(RtlOptions(network=path, out=tmp_path))
    return tmp_path


def options(folder, images):
    return VerifyOptions(
        network=folder / "net.safetensors",
        rtl=folder,
        work=folder / "work",
        simulator="icarus",
        images=images,
    )


@pytest.mark.parametrize("images", [1, 2, 3, 357, 358, 359])
def test_the_last_run_of_a_batch_is_filled_with_white_images(folder, images):
    network = load_network(folder / "net.safetensors")
    found = made_up_images(network, 7, images, BATCH)
    assert (images + len(found)) % BATCH == 0
    assert 2 <= len(found) < 2 + BATCH
    white, noise, *more = found
    assert (white == 31).all()
    assert set(np.unique(noise)) <= set(range(32))
    assert len(np.unique(noise)) > 16
    assert all((image == 31).all() for image in more)
    assert (found == made_up_images(network, 7, images, BATCH)).all()


@NEEDS_ICARUS
def test_a_run_of_several_images(folder):
    told = []
    found = verify(options(folder, 3), lambda *event: told.append(event[:3]))
    assert told == [
        ("icarus: build", 0, 1),
        ("icarus: build", 1, 1),
        ("icarus: run", 0, 8),
        ("icarus: run", 8, 8),
    ]
    assert (found["images"], found["made_up_images"], found["batch"]) == (3, 5, BATCH)
    assert found["cycles"] == found["cycles_predicted"] > 0
    network = load_network(folder / "net.safetensors")
    activations = sum(np.prod(shape) for shape in network.shapes().values())
    assert found["activations"] >= 8 * np.prod(network.shapes()[network.layers[-1].name])
    assert found["activations"] <= 8 * activations


def test_verilog_with_axi_is_refused(folder):
    rtl(RtlOptions(network=folder / "net.safetensors", out=folder, interface="axi"))
    with pytest.raises(SqhwError, match="have the interface 'axi', only plain ones"):
        verify(options(folder, 1))


@NEEDS_ICARUS
def test_roms_that_are_written_anew_during_the_build_are_no_fault_of_the_rtl(folder):
    def write():
        deadline = time.monotonic() + 60
        while not (folder / "work/icarus/build").is_dir() and time.monotonic() < deadline:
            time.sleep(0.001)
        rom(RomOptions(network=folder / "net.safetensors", out=folder, batch=1))

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(SqhwError, match=r"was changed, by another process, while the files in"):
        verify(options(folder, 2))
    writer.join()
