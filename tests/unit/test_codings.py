"""Sizes of weight streams in other codings, and what `sqhw report` says of them."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from sqhw.cli.commands import app
from sqhw.compiler.format_choice import cheapest_streams
from sqhw.cost_models.rom import rom_cost
from sqhw.machine.stream import Places
from sqhw.network.quantized_file import load_network
from sqhw.size.codings import entropy_bits, stream_codings, weights_in_order

CHAIN = Path(__file__).parents[1] / "golden" / "chain" / "network.safetensors"


def test_codings_are_those_of_exported_streams():
    network = load_network(CHAIN)
    engine = network.facts.engine
    found = stream_codings(network, engine)
    coded = replace(engine, quotient_ones=8)
    for name, one in (("fixed", engine), ("rice", coded)):
        layers = cheapest_streams(network, one).convs
        streams = [layer for layer in layers if layer.has_stream]
        assert found[name] == sum(
            sum(layer.stream.sizes(Places.of(layer.weight))) for layer in streams
        )
        cost = rom_cost(cheapest_streams(network, one), one)
        assert found[name] == sum(row.payload + row.positions for row in cost.layers)
    assert found == stream_codings(network, coded)
    odd = replace(engine, word_bits=19)  # no chunk but one bit
    assert (
        stream_codings(network, odd)["rice"]
        == stream_codings(network, replace(odd, quotient_ones=1))["rice"]
    )
    assert "rice" not in stream_codings(network, replace(engine, max_gap_bits=0))


def test_entropy_of_a_layer_by_hand():
    network = load_network(CHAIN)
    layer = network.convs[0]
    weight = np.zeros_like(layer.weight)
    weight.reshape(len(weight), -1)[:, 0] = np.where(np.arange(len(weight)) % 2, 3, -5)
    bare = SimpleNamespace(convs=[replace(layer, weight=weight, codebook=(-5, 3))])
    # Every gap is 0, values are two alike.
    assert entropy_bits(bare) == pytest.approx(len(weight))


def test_the_report_names_them(monkeypatch):
    network = load_network(CHAIN)
    codec = SimpleNamespace(encode=lambda weights: bytes(len(weights)))
    monkeypatch.setitem(sys.modules, "ethosu", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "ethosu.mlw_codec", codec)
    weights = 8 * sum(len(layer) for layer in weights_in_order(network))
    shown = CliRunner().invoke(app, ["report", str(CHAIN), "--device", "iCEBreaker"])
    assert shown.exit_code == 0, shown.output
    rows = [" ".join(line.split()) for line in shown.output.splitlines()]
    found = stream_codings(network, network.facts.engine)
    for label, name in (("fields of one width", "fixed"), ("Golomb-Rice gaps too", "rice")):
        assert f"{label} {found[name]:,} bit {found[name] / found['entropy']:.3f}" in rows
    assert any(row.startswith(f"mlw_codec of Ethos-U {weights:,} bit") for row in rows)
    monkeypatch.setitem(sys.modules, "ethosu.mlw_codec", None)
    shown = CliRunner().invoke(app, ["report", str(CHAIN), "--device", "iCEBreaker"])
    assert "Ethos-U" not in shown.output
    assert "zero-order entropy" in shown.output
