"""Seeds have 64 bits everywhere."""

import pytest

from sqhw.compress import CompressSettings, TrainSettings, float_network
from sqhw.compress.training.options import Recipe
from sqhw.errors import SqhwError
from sqhw.seeds import MAX_SEED, check_seed


@pytest.mark.parametrize("seed", [0, 1, 2**63, MAX_SEED])
def test_a_seed_of_64_bits_is_taken(seed):
    assert check_seed(seed) == seed


@pytest.mark.parametrize(
    ("seed", "shown"),
    [
        (-1, "-1"),
        (2**64, "18446744073709551616"),
        (10**20, "100000000000000000000"),
        (1 << 20000, "a number of 20001 bits"),
    ],
    ids=["negative", "2^64", "10^20", "long"],
)
def test_other_seeds_are_refused(seed, shown):
    with pytest.raises(SqhwError) as error:
        check_seed(seed)
    assert str(error.value) == (f"--seed must be 0 to 18446744073709551615 (2^64 - 1), not {shown}")


@pytest.mark.parametrize(
    "seed", [-1, 2**64, 10**400, float("nan")], ids=["-1", "2^64", "long", "nan"]
)
@pytest.mark.parametrize(
    "make",
    [
        lambda seed: TrainSettings(seed=seed),
        lambda seed: CompressSettings(seed=seed),
        lambda seed: Recipe(seed=seed),
        lambda seed: float_network("digits-cnn", seed=seed),
    ],
    ids=["train", "compress", "methods", "import"],
)
def test_nothing_that_takes_a_seed_overflows(make, seed):
    with pytest.raises(SqhwError, match=r"^--seed must be 0 to 18446744073709551615"):
        make(seed)


def test_the_largest_seed_works():
    weights = [float_network("digits-cnn", seed=MAX_SEED).convs[0].weight for _ in range(2)]
    assert (weights[0] == weights[1]).all()
