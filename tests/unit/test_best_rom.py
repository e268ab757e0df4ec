from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.cost_models.best_rom import RomPiece, best_rom, rom_plan
from sqhw.cost_models.device import find_device, load_devices
from sqhw.cost_models.memory import Mapping, map_rom
from sqhw.machine.rom_pieces import Piece, check_pieces


@given(
    depth=st.integers(1, 20_000),
    width=st.integers(1, 80),
    device=st.sampled_from(sorted(load_devices())),
)
def test_pieces_cover_the_rom_with_no_more_blocks(depth, width, device):
    target = find_device(device)
    whole = map_rom(depth, width, target)
    plan = best_rom(depth, width, target)
    for part in plan.pieces:
        piece = part.piece
        style = "block" if len(plan.pieces) > 1 else "auto"
        assert part.mapping == map_rom(piece.words, piece.bits, target, style=style)
    check_pieces(plan.cuts, depth, width)
    assert plan.blocks <= whole.blocks
    assert len(plan.pieces) == 1 or plan.blocks < whole.blocks


@given(
    depth=st.integers(1, 20_000),
    width=st.integers(1, 80),
    device=st.sampled_from(sorted(load_devices())),
)
def test_pieces_before_a_register_cost_no_more_blocks(depth, width, device):
    target = find_device(device)
    best = rom_plan(depth, width, target, registered=False)
    plan = rom_plan(depth, width, target, registered=True)
    assert best == best_rom(depth, width, target)
    assert plan.blocks == best.blocks
    check_pieces(plan.cuts, depth, width)
    if plan != best:
        for part in plan.pieces:
            piece = part.piece
            style = "block" if len(plan.pieces) > 1 else "auto"
            assert part.mapping == map_rom(piece.words, piece.bits, target, style=style)
            assert part.mapping.segments == 1


def test_no_multiplexer_before_the_register():
    device = find_device("LFE5U-85F")
    assert map_rom(15276, 18, device) == Mapping("DP16KD", 15, (1024, 18), 15)
    plan = rom_plan(15276, 18, device, registered=True)
    assert plan.blocks == 15
    assert [astuple(piece) for piece in plan.cuts] == [
        *((2048 * row, 2048, 0, 18) for row in range(7)),
        (14336, 940, 0, 18),
    ]


def test_rest_of_the_depth_takes_a_wide_mode():
    device = find_device("iCE40UP5K")
    assert map_rom(18144, 19, device).blocks == 86
    plan = best_rom(18144, 19, device)
    assert plan.blocks == 85
    assert plan.cuts == (Piece(0, 16384, 0, 19), Piece(16384, 1760, 0, 19))


def test_narrow_columns_take_a_mode_of_their_own():
    device = find_device("DE10-Nano")
    assert map_rom(16384, 18, device).blocks == 36
    assert best_rom(16384, 18, device).pieces == (
        RomPiece(Piece(0, 16384, 0, 15), Mapping("M10K", 24, (2048, 5), 8)),
        RomPiece(Piece(0, 16384, 15, 3), Mapping("M10K", 6, (8192, 1), 2)),
    )


def test_rom_in_luts_stays_there():
    plan = best_rom(64, 16, find_device("iCE40UP5K"))
    assert plan.pieces == (RomPiece(Piece(0, 64, 0, 16), Mapping(None, 0, None, 1)),)


def test_size_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^depth must be 1 or more, not 0$"):
        best_rom(0, 8, find_device("iCE40UP5K"))
