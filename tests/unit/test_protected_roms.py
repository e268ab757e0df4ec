"""Damaged ROMs with check bits: what the corrector leaves, and its counts."""

from pathlib import Path

import command_line
import numpy as np
import pytest
import small_networks
from strategies import random_images

from sqhw.errors import SqhwError
from sqhw.faults.bench import FaultBench
from sqhw.faults.campaign import Campaign
from sqhw.faults.protected import ProtectedCampaign, Words
from sqhw.faults.sites import sites_of
from sqhw.machine.layout import ROMS
from sqhw.network.quantized_file import save_network
from sqhw.report.fault_tables import fault_lines
from sqhw.steps.faults import faults
from sqhw.steps.options import FaultsOptions
from sqhw.steps.program import labelled, program_of

CHAIN = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protected")
    network = labelled(small_networks.network(), small_networks.ENGINE, small_networks.DEVICE, {})
    save_network(network, folder / "net.safetensors")
    images = random_images(network, 0, 60).astype(np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.arange(60) % 10)
    return folder


@pytest.fixture(scope="module")
def campaign(place):
    program = program_of(place / "net.safetensors")
    bench = FaultBench(program, random_images(program.network, 0, 20))
    return Campaign(bench, sites_of(bench.reader), np.arange(20) % 10, ROMS)


@pytest.mark.parametrize("protection", ["parity", "secded"])
def test_words_of_the_images_lose_and_keep_the_flips_that_are_told(campaign, protection):
    damage, rng = ProtectedCampaign(campaign, protection), np.random.default_rng(0)
    clean = campaign.bench.reader.roms()
    for rom, code in damage.codes.items():
        words = damage.words[rom]
        data = clean[rom].reshape(-1, code.data_bits)[words].astype(np.uint8)
        size = len(words) * code.stored_bits
        flips = rng.choice(size, size // 10, replace=False)
        stored = code.encode(data).reshape(-1)
        stored[flips] ^= 1
        found = code.decode(stored.reshape(len(words), -1))
        left, counts = damage.corrected({rom: flips})
        at, bit = np.nonzero(found.data != data)
        np.testing.assert_array_equal(left[rom], words[at] * code.data_bits + bit)
        wrong = (found.data != data).any(axis=1)
        assert counts == Words(
            int((found.corrected & ~wrong).sum()),
            int(found.detected.sum()),
            int((wrong & ~found.detected).sum()),
        )
        assert set(left[rom]) <= set(campaign.sites.covered[rom])


def test_one_flip_a_word_leaves_nothing(campaign):
    damage, rng = ProtectedCampaign(campaign, "secded"), np.random.default_rng(1)
    for rom, code in damage.codes.items():
        words = np.arange(len(damage.words[rom]))
        flips = words * code.stored_bits + rng.integers(0, code.stored_bits, len(words))
        assert damage.corrected({rom: flips}) == ({}, Words(len(words), 0, 0))


def test_one_flip_of_a_parity_word_is_detected_and_stays(campaign):
    damage = ProtectedCampaign(campaign, "parity")
    width = damage.codes["weights"].data_bits
    left, counts = damage.corrected({"weights": np.array([3, width])})
    first = damage.words["weights"][0] * width
    np.testing.assert_array_equal(left["weights"], [first + 3])
    assert counts == Words(0, 0, 1)  # the parity bit hides the flip of the data bit
    assert damage.corrected({"weights": np.array([3])})[1] == Words(0, 1, 0)


def test_check_bits_are_those_of_all_words_that_flip(campaign):
    damage = ProtectedCampaign(campaign, "secded")
    total = sum(len(words) * damage.codes[rom].check_bits for rom, words in damage.words.items())
    assert damage.check_bits == total
    assert damage.codes["codebook"].stored_bits == 13
    data = sum(len(words) * damage.codes[rom].data_bits for rom, words in damage.words.items())
    assert data == campaign.bits


def test_the_network_sees_what_the_corrector_leaves():
    program = program_of(CHAIN)  # its images have several classes
    bench = FaultBench(program, random_images(program.network, 0, 20))
    chain = Campaign(bench, sites_of(bench.reader), np.arange(20) % 3, ROMS)

    def changed(protection, rate):
        outcomes, flips, words = ProtectedCampaign(chain, protection).upsets(
            rate, 8, np.random.default_rng(3), lambda done: None
        )
        corrected = sum(one.corrected for one in words)
        return sum(one.changed for one in outcomes), sum(flips), corrected

    assert changed("parity", 0.01) == (8, 38, 0)
    assert changed("secded", 1e-3) == (0, 3, 3)


def options(place, **changes):
    return FaultsOptions(
        network=place / "net.safetensors",
        data=f"npz:{place / 'data.npz'}",
        **({"injections": 0, "trials": 10, "activations": 0, "rates": "1e-3"} | changes),
    )


def test_check_bits_change_no_other_figure(place):
    plain = faults(options(place))
    found = faults(options(place, protection="secded"))
    assert {**plain, "seconds": 0} == {
        **{key: value for key, value in found.items() if key != "protected"}, "seconds": 0
    }  # fmt: skip
    (sample,) = found["protected"]["rates"]
    assert sample["corrected"] > 1
    assert sample["detected"] < sample["corrected"]
    assert sample["silent"] <= sample["detected"]
    assert sample["flips"] > plain["rates"][0]["flips"]
    row = ["0.001", *(f"{sample[kind]:,.2f}" for kind in ("corrected", "detected", "silent"))]
    assert row in [line.split() for line in fault_lines(found)]


def test_the_command_prints_words_and_refuses_other_names(place, monkeypatch, capsys):
    arguments = ["faults", place / "net.safetensors", "--data", f"npz:{place / 'data.npz'}"]
    arguments += ["--injections", "0", "--activations", "0", "--trials", "2", "--protection"]
    plot = ["--plot", place / "faults.svg"]
    code, out, _ = command_line.run(monkeypatch, capsys, *arguments, "secded", *plot)
    assert code == 0
    assert "check bits (secded) flip at a rate" in out
    assert "words corrected" in out
    code, _, error = command_line.run(monkeypatch, capsys, *arguments, "ecc")
    assert code != 0
    assert "protection" in error
    with pytest.raises(SqhwError, match="protection"):
        faults(options(place, protection="ecc"))
