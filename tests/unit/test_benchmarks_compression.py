"""The benchmark of compression: resumable, and its table tells what its files say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from method_cases import DEVICE, ENGINE, QUICK, digits, small_network
from typer.testing import CliRunner

from benchmarks.compression import layers
from benchmarks.compression.__main__ import app
from benchmarks.compression.cases import CASES, Case, cases, labelled
from benchmarks.compression.oneshot import Setting, curves, figure
from benchmarks.compression.oneshot import markdown as curve_markdown
from benchmarks.compression.published import PUBLISHED
from benchmarks.compression.recount import recounted
from benchmarks.compression.runner import read_result, run_case
from benchmarks.compression.table import HEAD, heading, markdown, missing
from benchmarks.seal import write_sealed
from sqhw.compress import save_float, torch_logits
from sqhw.compress.methods import METHODS, Recipe, configure
from sqhw.compress.methods.job import Job
from sqhw.errors import SqhwError
from sqhw.network.quantized_file import load_network
from sqhw.size.account import account_network

RESULTS = Path(layers.__file__).parent / "results"
SHARE = Recipe(epochs=1, rate=1e-4, batch=64)


class Stopped(Exception):
    """Stands for a lost machine."""


def case():
    return Case("dc", configure("deep-compression", density=0.3, share=SHARE, **QUICK))


def job():
    return Job(small_network(), digits(), ENGINE, DEVICE)


def test_an_interrupted_case_gives_the_same_files(tmp_path):
    whole = run_case(case(), job(), tmp_path / "a", lambda text: None)
    seen = []

    def stop(text):
        seen.append(text)
        if len(seen) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        run_case(case(), job(), tmp_path / "b", stop)
    found = run_case(case(), job(), tmp_path / "b", lambda text: None)
    names = ("dc.safetensors", "dc.log")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert found | {"seconds": 0} == whole | {"seconds": 0}
    again = []
    assert run_case(case(), job(), tmp_path / "b", again.append) == found
    assert again == ["dc: done before"]
    # The file of the network is the row of the table.
    network = load_network(tmp_path / "a" / "dc.safetensors")
    assert network.facts.engine == ENGINE
    test = digits().test
    right = (torch_logits(network, test.images).argmax(1) == test.labels).mean()
    assert whole["accuracy"]["test"] == pytest.approx(right)
    counted = account_network(network, ENGINE, DEVICE).sizes
    for basis in ("payload", "published", "stream", "rom", "blocks"):
        assert whole["sizes"][basis] == counted[basis]
    changed = replace(case(), config=replace(case().config, conv_bits=3))
    assert run_case(changed, job(), tmp_path / "b", lambda text: None)["key"] != found["key"]


def test_the_table_has_a_row_for_every_file_and_every_paper(tmp_path):
    found = run_case(case(), job(), tmp_path, lambda text: None)
    lines = [line for line in markdown("lenet5", [found]).splitlines() if line.startswith("|")]
    assert len(lines) == 3 + len(PUBLISHED["lenet5"])
    assert all(line.count("|") == len(HEAD) + 1 for line in lines)
    cells = [cell.strip() for cell in lines[2].split("|")[1:-1]]
    row = dict(zip(HEAD, cells, strict=True))
    assert row["test %"] == f"{100 * found['accuracy']['test']:.2f}"
    assert row["rom"].endswith("x")
    assert float(row["rom"][:-1].replace(",", "")) <= found["ratio"]["rom"]


def test_papers_are_recounted_with_positions_and_constants():
    for row in PUBLISHED["lenet5"]:
        if row.density is None or row.basis != "payload":
            continue
        sizes = recounted("lenet5-caffe", row.density, row.bits, DEVICE.name)
        # Printed shares and bits are rounded.
        assert 32 * 430_500 / sizes["payload"] == pytest.approx(row.ratio, rel=0.05)
        assert sizes["payload"] < sizes["stream"] < sizes["rom"]
    whole, more = (recounted("lenet5-caffe", 0.1, bits, DEVICE.name) for bits in (3, 4))
    mixed = recounted("lenet5-caffe", 0.1, 3.25, DEVICE.name)
    assert mixed["rom"] == pytest.approx(0.75 * whole["rom"] + 0.25 * more["rom"])


def test_both_curves_have_the_same_sizes_and_go_on_where_they_stopped(tmp_path):
    file = tmp_path / "curve.json"
    shared = Setting(small_network(), digits(), ENGINE, DEVICE, file)
    found = curves(shared, ((0.6, 4), (0.3, 4)))
    for plain, ours in zip(found["plain"], found["oneshot"], strict=True):
        assert ours["rom"] <= plain["rom"]
        assert ours["test"] > plain["test"] - 0.02
    lines = curve_markdown(found).splitlines()
    assert [line.count("|") for line in lines[:4]] == [9] * 4
    assert len(figure("small", found).axes) == 1
    text = file.read_text()
    assert curves(shared, ((0.6, 4), (0.3, 4))) == found
    found["oneshot"].pop()
    write_sealed(file, found)
    curves(shared, ((0.6, 4), (0.3, 4)))
    again, whole = json.loads(file.read_text()), json.loads(text)
    assert again["oneshot"][0] == whole["oneshot"][0]
    assert again["oneshot"][1] | {"seconds": 0} == whole["oneshot"][1] | {"seconds": 0}


def test_a_table_says_how_it_is_made():
    command = "python -m benchmarks.compression --network lenet5 --models DIR --data mnist:DIR"
    text = heading("lenet5", "mnist:some/folder", 12)
    assert text == f"# Compression of lenet5\n\n    {command} --epochs 12\n\n"
    assert "--network mine --data digits --epochs 3" in heading("mine", "digits", 3)


def test_a_call_for_some_rows_keeps_those_of_others_and_says_what_is_missing(tmp_path):
    save_float(small_network(), tmp_path / "mine.safetensors")
    common = ["--network", str(tmp_path / "mine.safetensors"), "--epochs", "3"]
    for method in ("deep-compression", "low-rank"):
        run = CliRunner().invoke(app, [*common, "--methods", method, "--out", str(tmp_path)])
        assert run.exit_code == 0, run.stderr
    text = (tmp_path / "mine" / "RESULTS.md").read_text()
    assert "\n| deep-compression |" in text
    assert "\n| low-rank |" in text
    left = text.splitlines()[-1]
    assert left.startswith("Not run: sql-")
    assert "low-rank" not in left
    assert missing([]) == ""


def test_every_method_has_cases():
    assert set(CASES) == set(METHODS) | {"joint-long", "joint-coded", "joint-coded-long"}
    old, new = (cases("lenet5", 8_000_000, [name], 9, 1, 0) for name in ("hardware", "joint"))
    assert old == new
    for network in ("lenet5", "resnet20", "other"):
        plan = cases(network, 8_000_000, list(CASES), 9, 1, 0)
        labels = [entry.label for entry in plan]
        assert len(labels) == len(set(labels))
        assert labelled(plan, labels[3]) is plan[3]
        norms = [entry for entry in plan if entry.label.endswith("-norm")]
        assert norms
        for norm in norms:  # beside the row on folded weights
            folded = labelled(plan, norm.label.removesuffix("-norm")).config
            assert (folded.normalise, norm.config.normalise) == (False, True)
    with pytest.raises(SqhwError, match=r"^unknown row of the benchmark 'sqs-9'"):
        labelled(plan, "sqs-9")
    with pytest.raises(SqhwError, match=r"^unknown method of the benchmark 'sqll'; did you mean"):
        cases("lenet5", 8_000_000, ["sqll"], 9, 1, 0)


def test_rows_with_coded_streams_differ_in_the_engine_alone():
    plain, coded = (
        cases("resnet20", 8_000_000, [f"joint{part}"], 9, 1, 0) for part in ("", "-coded")
    )
    first, second = plain[0], labelled(coded, "coded-rom344000")
    assert first.config == second.config
    assert first.job(job()).engine == ENGINE
    assert second.job(job()).engine == replace(ENGINE, quotient_ones=8)


def test_the_command_refuses_in_one_sentence(tmp_path):
    run = CliRunner().invoke(app, ["--network", "lenet6", "--out", str(tmp_path)])
    assert run.exit_code == 1
    assert "unknown network of the benchmark 'lenet6'; did you mean 'lenet5'?" in run.stderr
    run = CliRunner().invoke(app, ["--network", "lenet5", "--out", str(tmp_path)])
    assert "needs its checkpoint; name its folder with --models" in run.stderr


def test_layers_of_a_row_stand_beside_published_savings(tmp_path):
    row = RESULTS / "resnet20" / "hardware-rom344000.json"
    done = CliRunner().invoke(layers.app, [str(row), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "resnet20-hardware-rom344000.png").is_file()
    # 432 weights of 4 bits are an eighth of 32 bits each; the stream has 1,856 bits.
    assert "| conv1 | 432 | 0.00 | 4 | 8.0x | 7.4x | 87.50 | 86.57 |" in done.output
    assert "SQS" not in done.output
    account = read_result(row)
    few = account["layers"][:14]
    text = layers.markdown(account | {"network": "vgg16", "layers": few})
    assert text.splitlines()[-1].endswith(" | 99.95 |")
    assert "SQS" not in layers.markdown(account | {"network": "vgg16", "layers": few[:13]})
    done = CliRunner().invoke(layers.app, [str(tmp_path / "none.json"), "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.count("\n") == 1
