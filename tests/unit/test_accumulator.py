"""The accumulator width is proposed by what a network's weights need, and can be asked for."""

import numpy as np
import pytest
from float_networks import chain_network, mobile_network, residual_network

from sqhw.compiler.accumulator import check_acc_bits, needed_acc_bits, proposed_acc_bits
from sqhw.compiler.device_engine import engine_for
from sqhw.compiler.program import compile_network
from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.qat.quantized_forward import torch_logits
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError
from sqhw.frontends.torch_module.float_module import FloatModule, predict
from sqhw.network.float_file import save_float
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.input_stage import with_input_stage
from sqhw.network.quantized_file import save_network
from sqhw.steps.options import SizeOptions
from sqhw.steps.size import size_network

DEVICE = find_device("LFE5U-85F")


def wide_network(inputs=9216, seed=0):
    """Return a fully connected layer like that of PyTorch's MNIST example, on 12x12 maps."""
    rng = np.random.default_rng(seed)
    shape = (16, inputs // 144, 12, 12)
    weight = rng.uniform(-1 / 96, 1 / 96, shape).astype(np.float32)
    layers = (
        FloatConv("fc1", "input", weight, np.zeros(16, np.float32), relu=True, kind="linear"),
        FloatConv(
            "fc2",
            "fc1",
            rng.normal(0, 0.3, (10, 16, 1, 1)).astype(np.float32),
            np.zeros(10, np.float32),
            kind="linear",
        ),
    )
    return FloatNetwork("wide", (inputs // 144, 12, 12), 255, (0.0,), (1.0,), layers)


def pixels(network, count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *network.input_shape))


def quantized(network, acc_bits, **options):
    engine = engine_for(DEVICE, with_input_stage(network), 256, acc_bits=acc_bits)
    small = quantize(network, pixels(network, 30), engine, settings=QuantizeSettings(**options))
    compile_network(small, engine)
    return small


def signal_to_noise(network, small):
    images = pixels(network, 60, 1)
    real = predict(FloatModule(network), images).numpy()
    found = torch_logits(small, images) * small.convs[-1].output_scale
    return 10 * np.log10(real.var() / (found - real).var())


def test_a_layer_of_long_sums_keeps_its_values():
    network = wide_network()
    proposed = proposed_acc_bits(network)
    assert proposed == 29
    wide, narrow = quantized(network, proposed), quantized(network, 24)
    assert len(np.unique(wide.convs[0].weight)) == 255
    assert len(np.unique(narrow.convs[0].weight)) == 13
    assert signal_to_noise(network, wide) > 36
    assert signal_to_noise(network, narrow) < signal_to_noise(network, wide) - 6
    assert needed_acc_bits(wide) == proposed
    assert len(np.unique(quantized(network, 28).convs[0].weight)) > 190


@pytest.mark.parametrize("make", [chain_network, residual_network, mobile_network])
def test_small_networks_have_24_bits(make):
    assert proposed_acc_bits(make()) == 24


@pytest.mark.parametrize("bits", range(1, 9))
def test_fewer_and_coarser_weights_need_no_more(bits):
    network = wide_network()
    full = proposed_acc_bits(network, bits=bits)
    assert full <= proposed_acc_bits(network, bits=8)
    assert proposed_acc_bits(network, 0.05, bits=bits) <= full
    assert proposed_acc_bits(network, 1.0, 0.01, bits) <= full
    small = quantized(network, full, bits=bits)
    assert needed_acc_bits(small) <= full
    assert np.abs(small.convs[0].weight).max() >= min(64, 2 << bits)


def test_signed_and_narrow_inputs_need_less():
    network = wide_network()
    dim = FloatNetwork("dim", network.input_shape, 15, (0.0,), (1.0,), network.layers)
    assert proposed_acc_bits(dim) < proposed_acc_bits(network)


def test_an_empty_layer_needs_nothing():
    layer = FloatConv("a", "input", np.zeros((2, 3, 1, 1), np.float32), np.zeros(2, np.float32))
    assert proposed_acc_bits(FloatNetwork("zero", (3, 2, 2), 255, (0.0,), (1.0,), (layer,))) == 24


@pytest.mark.parametrize("width", [0, 15, 33, 10**9])
def test_widths_that_no_engine_has_are_refused(width):
    with pytest.raises(SqhwError, match=rf"^acc_bits \(--acc-bits\) must be 16 to 32, not {width}"):
        check_acc_bits(width)


def test_sizes_are_of_the_width(tmp_path):
    network = wide_network()
    save_float(network, tmp_path / "float.safetensors")
    source = str(tmp_path / "float.safetensors")

    def size(source, **options):
        [found] = size_network(SizeOptions(network=source, device="LFE5U-85F", **options))[
            "devices"
        ]
        return found

    own = size(source)
    assert own["engine"]["acc_bits"] == proposed_acc_bits(network)
    narrow = size(source, acc_bits=24)
    assert narrow["engine"]["acc_bits"] == 24
    assert narrow["luts"] < own["luts"]
    assert size("resnet8")["engine"]["acc_bits"] == 24

    save_network(quantized(network, 29), tmp_path / "net.safetensors")
    source = str(tmp_path / "net.safetensors")
    assert size(source)["engine"]["acc_bits"] == proposed_acc_bits(network)
    assert size(source, acc_bits=30)["engine"]["acc_bits"] == 30
    with pytest.raises(SqhwError, match=r"^layer 'fc1': its accumulator may reach \d+, "):
        size(source, acc_bits=24)
