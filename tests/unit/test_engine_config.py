import pytest
from float_networks import mobile_network, residual_network

from sqhw.compiler.device_engine import activation_blocks, dsp_blocks, engine_for, weight_blocks
from sqhw.compress import build, import_module
from sqhw.cost_models.budget import Budget
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.network.input_stage import with_input_stage
from sqhw.planner.placement import place


def digits():
    return import_module(build("digits-cnn"), (1, 8, 8))


def lenet():
    return import_module(build("lenet5-caffe"), (1, 28, 28))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lanes": 6}, "engine lanes must be a power of two, not 6"),
        ({"lanes": 256}, "engine lanes must be 2 to 128, not 256"),
        ({"acc_bits": 8.0}, "engine acc_bits must be 16 to 32, not 8.0"),
        ({"taps_per_entry": 3}, "engine taps_per_entry must be 1 to 2, not 3"),
        (
            {"word_bits": 8, "max_gap_bits": 8},
            "engine max_gap_bits 8 leaves no room for a code in a 8-bit word",
        ),
        (
            {"word_bits": 10, "acc_bits": 24},
            "engine word_bits 10 must hold a multiplier of 8 bits and half a bias of 24 bits",
        ),
    ],
)
def test_bad_engine(changes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        EngineConfig(**changes)


def test_engine_round_trip():
    engine = EngineConfig(lanes=16)
    assert EngineConfig.from_dict(engine.to_dict()) == engine
    without = engine.to_dict()
    del without["taps_per_entry"]  # files of engines before there was a choice
    assert EngineConfig.from_dict(without) == engine
    with pytest.raises(
        SqhwError, match=r"^engine configuration: unknown field 'lines'; did you mean 'lanes'\?$"
    ):
        EngineConfig.from_dict({"lines": 8})


def test_engine_for_icebreaker_has_a_lane_a_dsp():
    device = find_device("iCEBreaker")
    engine = engine_for(device, digits())
    assert (engine.lanes, engine.bank_depth, engine.word_bits) == (8, 512, 16)
    assert engine.taps_per_entry == 1
    assert activation_blocks(engine, device) == 8
    assert weight_blocks(engine, device) == 22


def test_lanes_take_a_dsp_each_unless_they_multiply_in_luts():
    up5k, hx8k = find_device("iCE40UP5K"), find_device("iCE40HX8K")
    assert [dsp_blocks(EngineConfig(lut_lanes=n), up5k) for n in (0, 3, 8)] == [8, 5, 0]
    assert dsp_blocks(EngineConfig(), hx8k) == 0


def test_engine_for_larger_maps():
    engine = engine_for(find_device("LFE5U-25F"), lenet())
    assert (engine.lanes, engine.bank_depth, engine.word_bits) == (16, 2048, 18)
    assert (engine.requantizers, engine.groups, engine.residuals) == (4, False, False)
    assert engine.taps_per_entry == 2


@pytest.mark.parametrize("make", [residual_network, mobile_network])
def test_engine_for_graphs_runs_them(make):
    network = with_input_stage(make())
    engine = engine_for(find_device("LFE5U-85F"), network, levels=256)
    assert engine.groups
    assert engine.residuals
    assert engine.codebook_addr_bits == 12
    place(network, engine)
    lean = engine_for(find_device("iCEBreaker"), network)
    assert lean.requantizers == 1
    place(network, lean)


def test_device_too_small_for_the_maps():
    with pytest.raises(SqhwError) as error:
        engine_for(find_device("iCEBreaker"), lenet(), bank_ram="block")
    assert str(error.value) == (
        "iCE40UP5K has 30 block RAMs, but the feature maps need 32 (1800 rows in each of 8 "
        "activation banks), which leaves none for weights; take a larger device"
    )


def test_budget():
    assert Budget.parse("blocks=22") == Budget("blocks", 22)
    assert str(Budget.parse(" rom = 48000 ")) == "rom=48000"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("block=2", "unknown budget basis 'block'; did you mean 'blocks'?"),
        ("blocks=0", "budget blocks must be at least 1, not 0"),
        ("blocks=-3", "budget blocks must be at least 1, not -3"),
        (
            "22",
            (
                "budget '22' must read basis=limit with a whole number, for example blocks=22; "
                "bases: payload, stream, rom, blocks, cycles, energy"
            ),
        ),
    ],
)
def test_bad_budget(text, message):
    with pytest.raises(SqhwError) as error:
        Budget.parse(text)
    assert str(error.value) == message
