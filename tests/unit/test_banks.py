"""Activation banks of single-port RAM: their blocks, their cycles, the engine that has them."""

from dataclasses import replace

import numpy as np
import pytest
from golden_networks import ENGINES, golden_images, golden_networks
from strategies import random_network

from sqhw.compiler.device_engine import activation_blocks, engine_for, weight_blocks
from sqhw.compiler.program import compile_network
from sqhw.compiler.retarget import retargeted
from sqhw.cost_models.activity import activity
from sqhw.cost_models.banks import bank_blocks, check_banks
from sqhw.cost_models.device import find_device
from sqhw.cost_models.engine_cost import engine_cost
from sqhw.cost_models.rom import rom_pieces
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.frontends.zoo import zoo_topology
from sqhw.machine.config import EngineConfig
from sqhw.machine.timing import Timing
from sqhw.network.input_stage import with_input_stage
from sqhw.planner.placement import place
from sqhw.sim.reference import run
from sqhw.synth.board_roms import board_roms
from sqhw.synth.tools import flow_for

UP5K = find_device("iCEBreaker")
SINGLE = EngineConfig(lanes=4, bank_depth=4096, bank_ram="single-port")
DEPTHS = {"weights": 512, "params": 256, "codebook": 64}


def test_the_kind_of_ram_is_checked_and_kept():
    with pytest.raises(
        ValueError, match=r"^engine bank_ram must be block or single-port, not 'b'$"
    ):
        EngineConfig(bank_ram="b")
    assert EngineConfig.from_dict(SINGLE.to_dict()) == SINGLE
    assert SINGLE.to_dict()["bank_ram"] == "single-port"
    assert "bank_ram" not in EngineConfig().to_dict()


@pytest.mark.parametrize(("rows", "blocks"), [(64, 4), (16384, 4), (32768, 4), (65536, 8)])
def test_banks_take_no_block_ram(rows, blocks):
    """Above 16,384 rows two are in a word of 16 bits."""
    engine = replace(SINGLE, bank_depth=rows)
    assert bank_blocks(engine, UP5K) == blocks
    assert (activation_blocks(engine, UP5K), weight_blocks(engine, UP5K)) == (0, 30)
    cost = engine_cost(engine, UP5K, DEPTHS)
    assert cost.single_port == blocks
    with_banks = engine_cost(replace(engine, bank_ram="block"), UP5K, DEPTHS)
    in_block_ram = activation_blocks(replace(engine, bank_ram="block"), UP5K)
    assert cost.brams == with_banks.brams - in_block_ram
    assert not cost.calibrated
    assert "banks of single-port RAM, calibrated block RAM only" in cost.notes


def test_a_device_without_such_ram_is_refused():
    message = "LFE5U-25F has no single-port RAM for the activation banks; iCE40UP5K, "
    device = find_device("LFE5U-25F")
    for refuse in (check_banks, activation_blocks):
        with pytest.raises(SqhwError, match=message):
            refuse(SINGLE, device)
    with pytest.raises(SqhwError, match=message):
        engine_for(device, zoo_topology("digits-cnn"), bank_ram="single-port")
    with pytest.raises(SqhwError, match=message):
        board_roms(SINGLE, DEPTHS, device)
    with pytest.raises(SqhwError, match="its flow has no single-port RAM; take --bank-ram block"):
        flow_for(device, single_port=True)


def test_too_many_banks_are_refused():
    with pytest.raises(SqhwError) as error:
        board_roms(replace(SINGLE, lanes=8), DEPTHS, UP5K)
    assert str(error.value) == (
        "8 activation banks of 4,096 rows need 8 SB_SPRAM256KA, iCE40UP5K has 4; take fewer lanes "
        "or --bank-ram block, of `sqhw retarget` for a network that has an engine"
    )


def test_an_engine_has_them_if_block_ram_would_leave_none():
    lenet = with_input_stage(zoo_topology("lenet5-caffe"))
    engine = engine_for(UP5K, lenet)
    assert (engine.lanes, engine.bank_depth, engine.bank_ram) == (4, 4096, "single-port")
    with pytest.raises(SqhwError, match="has 30 block RAMs, but the feature maps need 32"):
        engine_for(UP5K, lenet, bank_ram="block")
    digits = with_input_stage(zoo_topology("digits-cnn"))
    assert engine_for(UP5K, digits).bank_ram == "block"
    assert engine_for(UP5K, digits, bank_ram="single-port").lanes == 4


def test_synthesis_is_told_to_use_them():
    assert flow_for(UP5K, single_port=True).synth == f"{flow_for(UP5K).synth} -spram"


@pytest.mark.parametrize("requantizers", [1, 2, 4])
def test_each_channel_of_a_tile_takes_its_writes(requantizers):
    for seed in range(6):
        network = random_network(seed, branches=True, max_size=9, groups=False)
        block = EngineConfig(lanes=4, bank_depth=16384, requantizers=requantizers, residuals=True)
        engine = replace(block, bank_ram="single-port")
        try:
            tilings = place(network, engine)
        except SqhwError:  # a map that is read with two strides
            continue
        extra = 0
        for tiling in tilings:
            writes = 4 if tiling.serial else 4 // requantizers
            extra += (tiling.tiles * tiling.target.shape[0] - 1) * writes
        found = schedule(network, engine).cycles
        assert found == schedule(network, block).cycles + extra
        done = activity(network, engine)
        assert 1 + done.total("cycles") == found
        lanes = sum(layer.lane_cycles.item() for layer in done.layers)
        assert lanes == 4 * done.total("cycles")


def test_timing_of_other_engines_has_no_turns():
    timing = Timing.of(EngineConfig())
    assert (timing.turn, timing.turn_serial, timing.before_turn) == (0, 0, 0)
    timing = Timing.of(replace(SINGLE, requantizers=2))
    assert (timing.turn, timing.turn_serial) == (2, 4)


def test_another_engine_for_the_same_integers():
    name = min(ENGINES)
    network = golden_networks()[name]
    other = retargeted(network, UP5K, bank_ram="single-port")
    engine = other.facts.engine
    assert (engine.bank_ram, other.facts.device) == ("single-port", "iCE40UP5K")
    compile_network(other, engine)
    image = golden_images(network)[0]
    before, after = (run(one, image) for one in (network, other))
    assert all(np.array_equal(before[tensor], after[tensor]) for tensor in before)


def test_pieces_of_the_roms_do_not_depend_on_the_banks():
    block = replace(SINGLE, bank_ram="block")
    assert rom_pieces(SINGLE, DEPTHS, UP5K) == rom_pieces(block, DEPTHS, UP5K)
