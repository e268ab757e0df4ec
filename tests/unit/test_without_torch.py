"""Without PyTorch everything but training works, and training says what to install."""

import json

import numpy as np
import pytest
from command_line import run_without
from float_networks import chain_network
from golden_networks import ENGINES, golden_networks

from sqhw.cost_models.device import find_device
from sqhw.environment.extras import need_torch
from sqhw.errors import SqhwError
from sqhw.network.float_file import save_float
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import save_network
from sqhw.size.account import account_network
from sqhw.size.account_file import save_account
from sqhw.verify.cxxrtl import VolumeBench
from sqhw.verify.runner import RtlBench
from sqhw.verify.tools import has_icarus

RUN = "pip install 'sqhw[torch]'"
#: The quickest there is; the benches of all run in tests/hdl.
SIMULATOR = "icarus" if has_icarus() else "cxxrtl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A quantized network of three outputs, data for it, its account, and a float network."""
    folder = tmp_path_factory.mktemp("files")
    chain = golden_networks()["chain"]
    engine, device = ENGINES["chain"], find_device("iCE40UP5K")
    labels = {"engine": json.dumps(engine.to_dict()), "device": device.name}
    network = QuantizedNetwork(
        chain.name, chain.input_shape, chain.input_format, chain.layers, labels
    )
    save_network(network, folder / "net.safetensors")
    save_account(account_network(network, engine, device), folder / "account.json")
    save_float(chain_network(), folder / "float.safetensors")
    images = np.random.default_rng(0).integers(0, 17, (60, *chain.input_shape)).astype(np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.arange(60) % 3)
    (folder / "sweep.toml").write_text(
        'step = "size"\n[options]\nnetwork = "resnet8"\ndevice = "iCEBreaker"\nbits = 4\n'
        "[product]\ndensity = [0.2]\n"
    )
    return folder


def works(folder):
    """Return the commands that must work: all but those that train or quantize."""
    net, rtl = folder / "net.safetensors", folder / "rtl"
    return {
        "devices": ["devices"],
        "size a name": ["size", "resnet8", "--density", "0.2", "--bits", "4", "--json"],
        "size floats": ["size", folder / "float.safetensors", "--device", "iCEBreaker"],
        "size integers": ["size", net, "--device", "iCEBreaker"],
        "simulate": ["simulate", net, "--data", f"npz:{folder / 'data.npz'}"],
        "faults": [
            "faults", net, "--data", f"npz:{folder / 'data.npz'}", "--images", "2",
            "--injections", "2", "--trials", "0", "--activations", "0",
        ],
        "sweep": ["sweep", folder / "sweep.toml", "--out", folder / "sweep"],
        "retarget": ["retarget", net, "--device", "iCEBreaker", "--out", folder / "other"],
        "rom": ["rom", net, "--out", rtl],
        "export": ["export", net, "--format", "c,qdq,qonnx,exact", "--out", folder / "export"],
        "rtl": ["rtl", net, "--out", rtl],
        "verify": [
            "verify", net, "--rtl", rtl, "--work", folder / "sim", "--images", "1",
            "--simulator", SIMULATOR,
        ],
        "report a network": ["report", net],
        "report an account": ["report", folder / "account.json"],
    }  # fmt: skip


def refuses(folder):
    """Return the commands that need PyTorch; a new folder shows that nothing is done before."""
    floats, new = folder / "float.safetensors", ["--out", folder / "new" / "file"]
    return {
        "sqhw train": ["train", *new],
        "sqhw import of a network of the zoo": ["import", "resnet8", *new],
        "sqhw compress": ["compress", floats, *new],
        "sqhw quantize": ["quantize", floats, *new],
        "sqhw demo": ["demo", *new],
        "the accuracy of a float network": [
            "simulate", folder / "net.safetensors", "--float", floats,
        ],
    }  # fmt: skip


def refuses_otherwise(folder):
    """Return commands that take minutes or a board, with something else missing than PyTorch."""
    net, new = folder / "net.safetensors", folder / "new"
    return {
        "unknown board": ["build", net, "--board", "nowhere", "--out", new],
        "not a build": ["swap", folder, net, "--out", new],
        "not a build for a host": ["host", folder, "--port", "/dev/null"],
    }


def test_every_command_is_tried(folder):
    from sqhw.cli.commands import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    all_tried = works(folder) | refuses(folder) | refuses_otherwise(folder)
    assert {arguments[0] for arguments in all_tried.values()} == commands


def test_everything_but_training_works(folder):
    commands = works(folder)
    results = dict(zip(commands, run_without("torch", *commands.values()), strict=True))
    assert {name: err for name, (code, _, err) in results.items() if code} == {}
    _, shown, _ = results["simulate"]
    assert "simulator == NumPy reference on 12 of 12 images (36 logits)" in shown
    said = "PyTorch, which is quick enough for all images, is not installed"
    assert f"{said}; run: {RUN}" in shown
    _, shown, _ = results["size a name"]
    assert json.loads(shown)["weights"] == 77_360
    _, shown, _ = results["verify"]
    assert f"{SIMULATOR}: RTL == simulator on 1 test and 2 made-up images" in shown


def test_training_says_what_to_install(folder):
    before = sorted(folder.rglob("*"))
    commands = refuses(folder)
    for what, found in zip(commands, run_without("torch", *commands.values()), strict=True):
        sentence = f"{what} needs the Python package torch, which is not installed; run: {RUN}"
        assert found == [1, "", f"sqhw: {sentence}\n"]
    assert sorted(folder.rglob("*")) == before


def test_boards_need_no_torch(folder):
    before = sorted(folder.rglob("*"))
    for code, out, err in run_without("torch", *refuses_otherwise(folder).values()):
        assert (code, out) == (1, "")
        assert err.startswith("sqhw: ")
        assert "torch" not in err
    assert sorted(folder.rglob("*")) == before


def install_torch(monkeypatch, version):
    """Let a version of torch seem to be installed, whether one is or not."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)


@pytest.mark.parametrize("version", ["2.5.1", "1.13.1+cpu", "2.5.0a0+872d972e41.nv24.08"])
def test_an_old_torch_is_refused(monkeypatch, version):
    install_torch(monkeypatch, version)
    with pytest.raises(SqhwError) as error:
        need_torch("sqhw train")
    needs = "sqhw train needs torch 2.6 or later"
    assert str(error.value) == f"{needs}, {version} is installed; run: {RUN}"


@pytest.mark.parametrize("version", ["2.6.0", "2.13.0+cpu", "2.10.0", "3.0.0", "unknown"])
def test_a_later_torch_is_not(monkeypatch, version):
    install_torch(monkeypatch, version)
    need_torch("sqhw train")


@pytest.mark.parametrize(("package", "extra"), [("amaranth", "rtl"), ("matplotlib", "plot")])
def test_other_extras_are_named_as_well(folder, package, extra):
    net = folder / "net.safetensors"
    cases = {
        "amaranth": {"writing Verilog": ["rtl", net, "--out", folder / "none"]},
        "matplotlib": {
            "the plot a.html": ["report", net, "--out", "a.html"],
            "the plot a.png": ["size", net, "--plot", "a.png"],
        },
    }[package]
    for what, found in zip(cases, run_without(package, *cases.values()), strict=True):
        needs = f"{what} needs the Python package {package}, which is not installed"
        assert found == [1, "", f"sqhw: {needs}; run: pip install 'sqhw[{extra}]'\n"]
    assert not (folder / "none").exists()


@pytest.mark.parametrize(
    ("bench", "simulator", "package"),
    [(RtlBench, "icarus", "cocotb"), (VolumeBench, "cxxrtl", "pyosys")],
)
def test_verification_names_its_extra(monkeypatch, tmp_path, bench, simulator, package):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    arguments = (simulator,) if bench is RtlBench else ()
    with pytest.raises(SqhwError) as error:
        bench(tmp_path, tmp_path / "work", *arguments)
    needs = f"verification with {simulator} needs the Python package {package}"
    assert str(error.value) == f"{needs}, which is not installed; run: pip install 'sqhw[rtl]'"
    assert not (tmp_path / "work").exists()
