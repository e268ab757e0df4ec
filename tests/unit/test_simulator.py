"""The fast simulator against the reference, tensor by tensor, and its refusals."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import get_ident

import numpy as np
import pytest
from hypothesis import given
from strategies import networks_with_images, random_images, random_network

from sqhw.errors import SqhwError
from sqhw.network.quantized import QuantizedNetwork
from sqhw.sim import operations, reference
from sqhw.sim import simulator as simulator_module
from sqhw.sim.simulator import Simulator


def assert_equals_reference(network, images, **options):
    simulator = Simulator(network, **options)
    found = simulator.run(images)
    outputs = found[network.layers[-1].name].reshape(len(images), -1)
    np.testing.assert_array_equal(simulator.logits(images), outputs)
    for index, image in enumerate(images):
        expected = reference.run(network, image)
        assert list(found) == list(expected)
        for name, tensor in expected.items():
            np.testing.assert_array_equal(found[name][index], tensor, err_msg=name)


@given(networks_with_images(branches=True))
def test_equals_the_reference(case):
    assert_equals_reference(*case)


@pytest.mark.parametrize("acc_bits", [24, 32])
@pytest.mark.parametrize("seed", range(40))
def test_equals_the_reference_on_seeded_networks(seed, acc_bits):
    network = random_network(
        seed,
        max_channels=8,
        max_kernel=4,
        max_padding=3,
        acc_bits=acc_bits,
        mult_bits=8 + seed % 9,
        branches=seed % 2 == 0,
    )
    assert_equals_reference(network, random_images(network, seed, 3))


@pytest.mark.parametrize("seed", range(20))
def test_many_input_channels_in_several_operations(seed, monkeypatch):
    monkeypatch.setattr(operations, "WINDOW_BYTES", 512)
    monkeypatch.setattr(operations, "MIN_ENTRIES", 2)
    network = random_network(seed, max_channels=16, branches=True, acc_bits=32)
    assert_equals_reference(network, random_images(network, seed, 3))


@pytest.mark.parametrize("width", [1, 2, 4, 6, 7, 8, 12])
@pytest.mark.parametrize("threads", [1, 2])
def test_numbers_of_images_and_widths_that_fill_no_vector(width, threads):
    network = random_network(width, max_size=8, widths=(width,), branches=True)
    images = random_images(network, 1, 75)
    simulator = Simulator(network, threads=threads)
    outputs = simulator.run(images)[network.layers[-1].name].reshape(75, -1)
    for count in (1, 8, 19, 64, 75):
        np.testing.assert_array_equal(simulator.logits(images[:count]), outputs[:count])
    for index in (0, 17, 74):
        expected = reference.run(network, images[index])[network.layers[-1].name]
        np.testing.assert_array_equal(outputs[index], expected.reshape(-1))


def largest_bound(network):
    """Return the network with its first layer's first bias raised to the limit of int32."""
    first, *others = network.layers
    bias = np.zeros_like(first.bias)
    without_bias = replace(first, bias=bias)
    bias[0] = (1 << 31) - 1 - int(without_bias.acc_bound(network.input_format)[0])
    layers = (replace(first, bias=bias, shift=np.full_like(first.shift, 24)), *others)
    return QuantizedNetwork("limit", network.input_shape, network.input_format, layers)


def first_conv_network():
    return next(
        network
        for network in (random_network(seed, residuals=False) for seed in range(100))
        if network.layers[0].kind == "conv" and network.layers[0].nonzeros
    )


def test_sums_up_to_the_last_bit_of_int32():
    network = largest_bound(first_conv_network())
    assert_equals_reference(network, random_images(network, 0, 4))


def test_refuses_an_accumulator_of_more_than_32_bits():
    network = largest_bound(first_conv_network())
    network.layers[0].bias[0] += 1
    with pytest.raises(SqhwError) as error:
        Simulator(network)
    assert str(error.value) == (
        "layer 'layer0': its accumulator may reach 2147483648, more than 32 bits hold; "
        "use fewer weights or smaller codebook values"
    )


def test_refuses_images_of_another_shape():
    network = random_network(0)
    channels, height, width = network.input_shape
    simulator = Simulator(network)
    with pytest.raises(SqhwError) as error:
        simulator.run(np.zeros((2, channels, height, width + 1), np.uint8))
    assert str(error.value) == (
        f"network 'random' takes images of shape {(channels, height, width)}, "
        f"not {(channels, height, width + 1)}"
    )


@pytest.mark.parametrize("beyond", [-1, 1])
def test_refuses_pixels_out_of_range(beyond):
    network = random_network(0)
    form = network.input_format
    images = np.full((1, *network.input_shape), form.lo)
    images.reshape(-1)[0] = form.lo - 1 if beyond < 0 else form.hi + 1
    with pytest.raises(SqhwError) as error:
        Simulator(network).run(images)
    assert str(error.value) == (
        f"network 'random' takes pixels of {form.lo} to {form.hi}, "
        f"found {images.min()} to {images.max()}"
    )


def test_logits_do_not_depend_on_the_batch():
    network = random_network(5)
    images = random_images(network, 0, 300)
    simulator = Simulator(network, threads=1)
    done = []
    whole = simulator.logits(images)
    parts = simulator.logits(images, batch=100, progress=done.append)
    np.testing.assert_array_equal(parts, whole)
    assert whole.shape == (300, np.prod(network.shapes()[network.layers[-1].name]))
    most = simulator.runner.plan.images
    assert len(done) > 1
    assert done[-1] == 300
    assert all(100 <= new - old < 100 + most for old, new in pairwise([0, *done[:-1]]))


@pytest.mark.parametrize("count", [1, 16, 17, 100, 128, 300, 385, 2000])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_parts_of_a_run_are_alike_and_as_many_for_each_thread(count, threads):
    lanes, most = 16, 128
    parts = simulator_module._parts(count, lanes, most, threads)
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, count)
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= most
    assert all(size == sizes[0] and size % lanes == 0 for size in sizes[:-1])
    if count >= 2 * threads * most:  # all are within a vector of the even share
        assert max(sizes) * threads * -(-len(parts) // threads) <= count + len(parts) * lanes


def test_progress_is_told_by_the_callers_thread_and_ends_with_all():
    network = random_network(5)
    told = []
    Simulator(network, threads=3).logits(
        random_images(network, 0, 1000), 1, lambda done: told.append((done, get_ident()))
    )
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert told[-1][0] == 1000
    assert {thread for _, thread in told} == {get_ident()}


def test_a_wrong_pixel_in_any_part_is_refused_and_the_next_run_is_right():
    network = random_network(0)
    form = network.input_format
    simulator = Simulator(network, threads=2)
    images = random_images(network, 0, 1000)
    right = simulator.logits(images)
    wrong = images.copy()
    wrong[700].reshape(-1)[0] = form.hi + 1
    with pytest.raises(SqhwError, match=f"takes pixels of {form.lo} to {form.hi}"):
        simulator.logits(wrong)
    np.testing.assert_array_equal(simulator.logits(images), right)


def test_threads_of_the_user_share_a_simulator():
    network = random_network(5)
    simulator = Simulator(network, threads=2)
    images = random_images(network, 0, 500)
    right = simulator.logits(images)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(simulator.logits, [images] * 8):
            np.testing.assert_array_equal(found, right)


def test_a_thread_gets_the_memory_that_it_had():
    simulator = Simulator(random_network(5), threads=1)
    with simulator.runner.arena() as first, simulator.runner.arena() as second:
        assert first is not second
    found = []
    for _ in range(3):
        with simulator.runner.arena() as arena:
            found.append(arena)
    assert found[0] is found[1] is found[2]


def test_logits_of_no_image():
    network = random_network(5)
    logits = Simulator(network).logits(random_images(network, 0, 1)[:0])
    assert logits.shape == (0, np.prod(network.shapes()[network.layers[-1].name]))


def test_predicts_the_first_largest_output():
    network = random_network(5)
    images = random_images(network, 0, 7)
    simulator = Simulator(network)
    np.testing.assert_array_equal(
        simulator.predict(images), np.argmax(simulator.logits(images), axis=1)
    )


@pytest.mark.parametrize("images", [None, 7, "x", [[1, 2], [3]], np.zeros((3, 32, 32), np.uint8)])
@pytest.mark.parametrize("method", ["run", "logits", "predict"])
def test_refuses_what_is_no_array_of_images(images, method):
    network = random_network(0)
    with pytest.raises(SqhwError, match=r"four dimensions, images of shape|different lengths"):
        getattr(Simulator(network), method)(images)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_refuses_a_number_of_threads_that_is_none(threads):
    with pytest.raises(
        SqhwError, match=f"threads must be a whole number from 1 on, not {threads!r}"
    ):
        Simulator(random_network(0), threads=threads)


@pytest.mark.parametrize("pixel", [0.5, np.nan])
def test_refuses_pixels_that_are_no_integers(pixel):
    network = random_network(0)
    with pytest.raises(SqhwError) as error:
        Simulator(network).predict(np.full((1, *network.input_shape), pixel))
    assert str(error.value) == (
        "network 'random' takes pixels that are integers, found float64; round them first"
    )


def test_memory_does_not_depend_on_the_number_of_images():
    network = random_network(5)
    simulator = Simulator(network, threads=1)
    before = simulator.memory
    simulator.logits(random_images(network, 0, 200))
    assert simulator.memory == before > 0


def test_maps_that_no_memory_holds_are_refused(monkeypatch):
    def zeros(*arguments):
        raise MemoryError

    network = random_network(5)
    images = random_images(network, 0, 1)
    simulator = Simulator(network)
    assert simulator.memory  # the plan is made
    monkeypatch.setattr(np, "zeros", zeros)
    with pytest.raises(SqhwError, match=r"the feature maps of \d+ images with their padding take "):
        simulator.logits(images)
