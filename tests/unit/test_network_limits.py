"""No network asks for more than a machine has, whatever its file says."""

from dataclasses import replace

import numpy as np
import pytest
from small_networks import U8, conv, network

from sqhw.errors import SqhwError
from sqhw.network.floats import FloatConv, FloatNetwork
from sqhw.network.graph import MaxPool
from sqhw.network.limits import WORKING_VALUES, images_at_once
from sqhw.network.quantized import QuantizedNetwork


def quantized(*layers, shape=(1, 8, 8)):
    return QuantizedNetwork("net", shape, U8, layers)


def floats(*layers, shape=(1, 8, 8)):
    return FloatNetwork("net", shape, 255, (0.0,), (1.0,), layers)


def float_conv(name, source, shape, **changes):
    weight, bias = np.ones(shape, np.float32), np.zeros(shape[0], np.float32)
    return FloatConv(name, source, weight, bias, **changes)


MAKERS = ((quantized, conv, MaxPool), (floats, float_conv, MaxPool))


def message(make, *layers, **changes):
    with pytest.raises(SqhwError) as error:
        make(*layers, **changes)
    return str(error.value)


@pytest.mark.parametrize(("make", "layer", "pool"), MAKERS)
def test_sizes_beyond_every_engine_are_refused(make, layer, pool):
    one = (1, 1, 1, 1)
    for padding in ((20_000,) * 4, (0, 1024, 0, 0), (0, 0, 0, 1 << 62)):
        found = message(make, layer("c", "input", one, padding=padding))
        assert found == f"layer 'c': padding must be 0 to 1023, not {padding}"
    padded = layer("c", "input", (1, 64, 1, 1), padding=(1023,) * 4)
    found = message(make, padded, shape=(64, 8, 8))
    assert found.startswith("layer 'c': a map of 64x2054x2054 has 270,010,624 values")
    found = message(make, layer("c", "input", one), shape=(1, 1, 1 << 16))
    assert found == "network 'net': its input: a map of 1x65536, at most 65,535 each"
    found = message(make, layer("c", "input", one), shape=(1 << 60, 1, 1))
    assert "channels, at most 65,536" in found
    many = [
        layer(f"c{index}", f"c{index - 1}" if index else "input", one, padding=(0,) * 4)
        for index in range(4097)
    ]
    assert message(make, *many) == "network 'net' has 4,097 layers, at most 4,096"
    name = "n" * 1001
    found = message(make, layer(name, "input", one, padding=(0,) * 4))
    assert found == f"layer '{'n' * 40}'...: a name of 1,001 characters"


def test_a_long_name_is_cut_in_the_error_whatever_else_is_wrong():
    with pytest.raises(SqhwError) as error:
        FloatNetwork("n" * 5000, (0,), 999, (), (), ())
    assert str(error.value) == f"network '{'n' * 40}'...: a name of 5,000 characters"
    with pytest.raises(SqhwError) as error:
        QuantizedNetwork("n" * 5000, (0,), U8, ())
    assert str(error.value) == f"network '{'n' * 40}'...: a name of 5,000 characters"


@pytest.mark.parametrize(("make", "layer", "pool"), MAKERS)
def test_what_adds_up_is_refused(make, layer, pool):
    first = layer("c", "input", (1, 1, 1, 1), padding=(0,) * 4)
    pools = [pool(f"p{index}", "c", 1, 1) for index in range(40)]
    found = message(make, first, *pools, shape=(1, 2047, 2047))
    assert found.startswith("layer 'p")
    assert found.endswith("the maps up to here have more than 134,217,728 values")
    wide = pool("p", "c", 1800, 1)
    found = message(make, first, wide, shape=(1, 3600, 3600))
    assert found == "layer 'p': more than 1,099,511,627,776 products an image up to here"


@pytest.mark.parametrize("value", [3e38, 1e13, -1e13])
def test_weights_beyond_every_network_are_refused(value):
    layer = float_conv("c", "input", (1, 1, 1, 1))
    for name in ("weight", "bias"):
        array = np.full_like(getattr(layer, name), value)
        found = message(floats, replace(layer, **{name: array}))
        assert found.startswith(f"layer 'c': a {name} is {abs(value):.1e}, at most 1.1e+12")


def test_large_maps_are_computed_for_few_images_at_once():
    assert images_at_once(network().shapes(), 256) == 256
    assert images_at_once({"input": (1, 1, WORKING_VALUES // 3)}, 256) == 3
    assert images_at_once({"input": (2, WORKING_VALUES, 1)}, 256) == 1
    assert images_at_once({}, 7) == 7
