"""The account of a compression equals the cost model and the exported images."""

import json
from dataclasses import replace

import numpy as np
import pytest
from method_cases import DEVICE, ENGINE, QUICK, compressed, small_network
from typer.testing import CliRunner

from sqhw.cli.commands import app
from sqhw.compiler.program import compile_network
from sqhw.compress.calibration.oneshot import QuantizeSettings, quantize
from sqhw.compress.methods.accounting import account
from sqhw.cost_models.dense import dense_sizes
from sqhw.cost_models.rom import rom_cost
from sqhw.errors import SqhwError
from sqhw.network.quantized_file import save_network
from sqhw.report.plots import layer_figure, size_figure
from sqhw.size.account import account_network
from sqhw.size.account_file import read_account, save_account
from sqhw.size.layer_result import LayerResult
from sqhw.steps.options import ReportOptions
from sqhw.steps.report import report


@pytest.fixture(scope="module")
def result():
    return compressed("deep-compression", density=0.2, fc_bits=3, conv_bits=4, **QUICK)


def test_sizes_are_those_of_the_exported_images(result):
    found = account(result, ENGINE, DEVICE, accuracy={"test": 0.5})
    cost = rom_cost(result.quantized, ENGINE)
    images = compile_network(result.quantized, ENGINE).images
    assert found.sizes["rom"] == sum(image.bits for image in images) == cost.rom
    assert found.sizes["blocks"] == cost.blocks(DEVICE)
    assert found.sizes["payload"] == cost.payload == sum(row.payload for row in found.layers)
    assert found.sizes["stream"] == cost.stream == sum(row.stream for row in found.layers)
    network = small_network()
    assert found.float32["payload"] == 32 * network.weights
    assert found.float32["rom"] == network.float_bits
    assert found.ratio("rom") == network.float_bits / cost.rom
    assert found.density == sum(row.nonzeros for row in found.layers) / network.weights
    own = sum(sum(bits.values()) for bits in result.own_bits.values())
    assert found.sizes["own"] == own == sum(row.own for row in found.layers)
    assert found.ratio("own") == 32 * network.weights / own
    assert found.accuracy["test"] == 0.5
    assert [row.weights for row in found.layers] == [layer.weight.size for layer in network.convs]


def test_published_payload_counts_fractions_of_bits(result):
    layer = LayerResult("a", np.array([[1, 2, 3, 0, 3]], np.float32).reshape(1, 5, 1, 1), 5)
    one = LayerResult("b", np.full((1, 4, 1, 1), 2, np.float32), 4)
    found = account(
        replace(result, layers=(layer, one), quantized=None, own_bits={}), ENGINE, DEVICE
    )
    assert found.sizes["published"] == 7  # 4 log2(3) + 4 log2(1), rounded up
    assert found.sizes["payload"] == 4 * 2 + 4 * 1
    assert found.sizes["own"] is None


def test_without_integers_the_stream_is_counted_all_the_same(result):
    found = account(result, ENGINE, DEVICE)
    bare = account(replace(result, quantized=None, reason="because"), ENGINE, DEVICE)
    assert bare.sizes["rom"] is None
    assert bare.sizes["blocks"] is None
    assert bare.reason == "because"
    # Removed channels shorten gaps, so the engine's own network is never larger.
    assert found.sizes["stream"] <= bare.sizes["stream"] <= 1.3 * found.sizes["stream"]


def test_dense_sizes():
    sizes = dense_sizes(1000, 10, 8, DEVICE)
    assert (sizes["payload"], sizes["stream"], sizes["rom"]) == (8000, 8000, 8320)
    assert sizes["blocks"] >= 8320 / 4096


def test_accounts_survive_their_file(result, tmp_path):
    found = account(result, ENGINE, DEVICE, label="x")
    path = tmp_path / "a.json"
    save_account(found, path, {"seconds": 1})
    first = path.read_bytes()
    save_account(found, path, {"seconds": 1})
    assert path.read_bytes() == first
    back = read_account(path)
    assert back["seconds"] == 1
    assert back["ratio"]["rom"] == round(found.ratio("rom"), 3)
    path.write_text("[]")
    with pytest.raises(SqhwError, match=r"a.json: not an account of a compression$"):
        read_account(path)
    path.write_text(json.dumps({"kind": "sqhw account", "version": 1}))
    with pytest.raises(SqhwError, match=r"a.json: field 'label' is missing$"):
        read_account(path)
    with pytest.raises(SqhwError, match=r"none.json: no such file$"):
        read_account(tmp_path / "none.json")


def test_a_network_file_gives_the_same_account(result):
    whole, file = account(result, ENGINE, DEVICE), account_network(result.quantized, ENGINE, DEVICE)
    for basis in ("payload", "stream", "rom", "blocks"):
        assert whole.sizes[basis] == file.sizes[basis]
        assert whole.float32[basis] == file.float32[basis]
    for a, b in zip(whole.layers, file.layers, strict=True):
        assert (a.weights, a.nonzeros, a.stream, a.rom) == (b.weights, b.nonzeros, b.stream, b.rom)


def test_layers_are_measured_against_the_network_before():
    """Removed channels make layers smaller, but no share or ratio worse than the whole says."""
    before = small_network()
    images = np.random.default_rng(0).integers(0, 17, (8, *before.input_shape))
    network = quantize(before, images, ENGINE, settings=QuantizeSettings(density=0.03))
    found = account_network(network, ENGINE, DEVICE)
    assert sum(layer.weight.size for layer in network.convs) < before.weights
    assert [row.weights for row in found.layers] == [layer.weight.size for layer in before.convs]
    assert found.notes == ()
    kept = {key: text for key, text in network.metadata.items() if key != "layer_weights"}
    found = account_network(replace(network, metadata=kept), ENGINE, DEVICE)
    (note,) = found.notes
    assert note.startswith("the file does not tell the layers' weights before compression: their ")


@pytest.fixture
def files(result, tmp_path):
    labelled = replace(
        result.quantized,
        metadata=result.quantized.metadata
        | {"engine": json.dumps(ENGINE.to_dict()), "device": DEVICE.name},
    )
    save_network(labelled, tmp_path / "net.safetensors")
    save_account(account(result, ENGINE, DEVICE, label="other"), tmp_path / "b.json")
    return [tmp_path / "net.safetensors", tmp_path / "b.json"]


def test_report_prints_and_plots(files, tmp_path):
    run = CliRunner().invoke(app, ["report", *map(str, files), "--out", str(tmp_path / "r.html")])
    assert run.exit_code == 0, run.output
    assert "net: small by deep-compression" in run.output
    assert "other: small by deep-compression" in run.output
    assert "no integers" not in run.output
    assert run.output.count("\n  own: as the method itself encodes the weights") == 1
    assert run.output.count("\n  published: non-zeros times") == 2
    page = (tmp_path / "r.html").read_text()
    assert page.count("<img") == 3
    again = CliRunner().invoke(app, ["report", *map(str, files), "--out", str(tmp_path / "s.html")])
    assert again.exit_code == 0
    assert (tmp_path / "s.html").read_text() == page
    shown = CliRunner().invoke(app, ["report", str(files[1]), "--json"])
    assert json.loads(shown.stdout)["accounts"][0]["label"] == "other"


def test_plots_show_what_the_accounts_say(files):
    accounts = report(ReportOptions(files=files))["accounts"]
    panels = layer_figure(accounts[1]).axes
    heights = [bar.get_height() for bar in panels[1].patches]
    assert heights == [layer["bits"] for layer in accounts[1]["layers"]]
    panels = size_figure(accounts).axes
    line = panels[2].lines[0]
    assert set(line.get_xdata()) == {account["sizes"]["rom"] for account in accounts}


def test_bad_reports_are_refused(files, tmp_path):
    with pytest.raises(SqhwError, match=r"r.pdf: plots are written as .html, .png or .svg$"):
        report(ReportOptions(files=files, out=tmp_path / "r.pdf"))
    with pytest.raises(SqhwError, match=r"no such file"):
        report(ReportOptions(files=[tmp_path / "x.json"]))
