import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.cost_models.best_rom import RomPiece, best_rom
from sqhw.cost_models.device import find_device, load_devices
from sqhw.cost_models.memory import Mapping, map_rom


@given(
    depth=st.integers(1, 20_000),
    width=st.integers(1, 80),
    device=st.sampled_from(sorted(load_devices())),
)
def test_pieces_cover_the_rom_with_no_more_blocks(depth, width, device):
    target = find_device(device)
    whole = map_rom(depth, width, target)
    plan = best_rom(depth, width, target)
    covered = np.zeros((depth, width), dtype=np.int8)
    for piece in plan.pieces:
        covered[piece.row : piece.row + piece.depth, piece.column : piece.column + piece.width] += 1
        style = "block" if whole.primitive else "auto"
        assert piece.mapping == map_rom(piece.depth, piece.width, target, style=style)
    assert (covered == 1).all()
    assert plan.blocks <= whole.blocks
    assert len(plan.pieces) == 1 or plan.blocks < whole.blocks


def test_rest_of_the_depth_takes_a_wide_mode():
    device = find_device("iCE40UP5K")
    assert map_rom(18144, 19, device).blocks == 86
    plan = best_rom(18144, 19, device)
    assert plan.blocks == 85
    assert [(p.row, p.column, p.depth, p.width) for p in plan.pieces] == [
        (0, 0, 16384, 19),
        (16384, 0, 1760, 19),
    ]


def test_narrow_columns_take_a_mode_of_their_own():
    device = find_device("DE10-Nano")
    assert map_rom(16384, 18, device).blocks == 36
    assert best_rom(16384, 18, device).pieces == (
        RomPiece(0, 0, 16384, 15, Mapping("M10K", 24, (2048, 5), 8)),
        RomPiece(0, 15, 16384, 3, Mapping("M10K", 6, (8192, 1), 2)),
    )


def test_rom_in_luts_stays_there():
    plan = best_rom(64, 16, find_device("iCE40UP5K"))
    assert plan.pieces == (RomPiece(0, 0, 64, 16, Mapping(None, 0, None, 1)),)


def test_size_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^depth must be 1 or more, not 0$"):
        best_rom(0, 8, find_device("iCE40UP5K"))
