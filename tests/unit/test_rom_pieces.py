import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqhw.compiler.program import RomImage
from sqhw.cost_models.best_rom import rom_plan
from sqhw.cost_models.device import find_device, load_devices
from sqhw.errors import SqhwError
from sqhw.export.readmemh import read_image, write_image
from sqhw.machine.rom_pieces import (
    Piece,
    check_pieces,
    from_plain,
    joined,
    piece_names,
    piece_words,
    to_plain,
    whole,
)


@given(
    depth=st.integers(1, 9_000),
    width=st.integers(1, 80),
    device=st.sampled_from(sorted(load_devices())),
    registered=st.booleans(),
    short=st.integers(0, 100),
    seed=st.integers(0, 2**32),
)
def test_pieces_together_are_the_image(depth, width, device, registered, short, seed):
    rng = random.Random(seed)
    words = [rng.getrandbits(width) for _ in range(max(0, depth - short))]
    pieces = rom_plan(depth, width, find_device(device), registered=registered).cuts
    contents = [piece_words(words, piece) for piece in pieces]
    assert [len(content) for content in contents] == [piece.words for piece in pieces]
    assert joined(contents, pieces) == words + [0] * (depth - len(words))
    assert from_plain(to_plain({"weights": pieces}), "here") == {"weights": pieces}


def test_names():
    assert piece_names("weights", whole(8, 4)) == ["weights"]
    assert piece_names("weights", [Piece(0, 8, 0, 4), Piece(8, 4, 0, 4)]) == [
        "weights_0",
        "weights_1",
    ]


def test_files(tmp_path):
    image = RomImage("weights", 18, tuple(range(70_000, 70_090)))
    pieces = Piece(0, 64, 0, 10), Piece(0, 64, 10, 8), Piece(64, 30, 0, 18)
    paths = write_image(image, pieces, tmp_path)
    assert [path.name for path in paths] == [f"weights_{index}.hex" for index in range(3)]
    assert paths[0].read_text().splitlines()[0] == f"{70_000 & 1023:03x}"
    assert read_image("weights", pieces, tmp_path).words == (*image.words, 0, 0, 0, 0)
    with pytest.raises(SqhwError, match=r"^the weights image has 90 words, the ROM 89; write"):
        write_image(image, whole(89, 18), tmp_path)
    paths[2].write_text("00000\n")
    with pytest.raises(SqhwError, match=r"weights_2\.hex has 1 words instead of 30; write it anew"):
        read_image("weights", pieces, tmp_path)


@pytest.mark.parametrize(
    "pieces",
    [
        [Piece(0, 4, 0, 8)],
        [Piece(0, 8, 0, 8), Piece(8, 1, 0, 8)],
        [Piece(0, 4, 0, 8), Piece(4, 4, 0, 7)],
        [Piece(0, 8, 0, 4), Piece(0, 4, 0, 4), Piece(4, 4, 0, 4)],
        [Piece(0, 8, 0, 4), Piece(0, 8, 0, 4)],
        [Piece(0, 8, 0, 6), Piece(0, 8, 4, 4)],
    ],
)
def test_pieces_must_cover_the_rom(pieces):
    with pytest.raises(ValueError, match="pieces do not make up a ROM of 8 words of 8 bits"):
        check_pieces(pieces, 8, 8)


@pytest.mark.parametrize("fields", [(0, 0, 0, 1), (0, 1, 0, 0), (-1, 1, 0, 1), (0, 1, -1, 1)])
def test_pieces_hold_something(fields):
    with pytest.raises(ValueError, match="a piece of a ROM must hold words and bits"):
        Piece(*fields)


def test_pieces_are_aligned():
    with pytest.raises(ValueError, match="a piece of 5 words must not begin at 4"):
        Piece(4, 5, 0, 8)
