"""Names of modules and files: what a name may be, and who takes it from the manifests."""

import json
import re

import pytest
from command_line import refuse, run
from strategies import random_network

from sqhw.compiler.program import compile_network
from sqhw.cost_models.device import find_device
from sqhw.errors import SqhwError
from sqhw.export.build import write_rom, write_rtl
from sqhw.export.manifest import check_manifest, check_same_pieces, name_of
from sqhw.export.readmemh import read_image
from sqhw.machine.config import EngineConfig
from sqhw.machine.naming import MAX_LENGTH, check_name
from sqhw.machine.rom_pieces import whole
from sqhw.network.quantized_file import save_network
from sqhw.synth.place import place, synthesis_script
from sqhw.synth.tools import flow_for
from sqhw.synth.top import engine_ports, top_verilog

ENGINE = EngineConfig(lanes=4, bank_depth=1024, groups=True, residuals=True)


@pytest.fixture(scope="module")
def program():
    return compile_network(random_network(3), ENGINE)


@pytest.fixture
def saved(program, tmp_path):
    path = tmp_path / "net.safetensors"
    network = program.network
    network.metadata["engine"] = json.dumps(ENGINE.to_dict())
    save_network(network, path)
    return path


@pytest.mark.parametrize("name", ["a", "cam", "Cam_2", "sqhw", "x" * MAX_LENGTH, "modules"])
def test_identifiers_are_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "2cam",
        "_cam",
        "cam-2",
        "cam 2",
        "cam.v",
        "../cam",
        "käm",
        "cam\n",
        "c$m",
        "\\cam",
        "x" * 33,
    ],
)
def test_what_no_module_can_begin_with_is_refused(name):
    with pytest.raises(SqhwError) as error:
        check_name(name)
    assert "give a letter and up to 31 letters, digits and underscores" in str(error.value)
    assert len(str(error.value)) < 200
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["module", "reg", "table", "xor"])
def test_key_words_are_refused(monkeypatch, capsys, saved, tmp_path, name):
    for command in ("rtl", "rom"):
        message = refuse(
            monkeypatch, capsys, command, saved, "--out", tmp_path / "out", "--name", name
        )
        assert message == f"the name {name!r} is a key word of Verilog; give another one"
    assert not (tmp_path / "out").exists()


def test_command_line(monkeypatch, capsys, saved, program, tmp_path):
    """Images take their name from the Verilog; both manifests have it."""
    folder = tmp_path / "rtl"
    assert run(monkeypatch, capsys, "rtl", saved, "--out", folder, "--name", "cam")[0] == 0
    assert run(monkeypatch, capsys, "rom", saved, "--out", folder, "--rtl", folder)[0] == 0
    assert {path.name for path in folder.iterdir()} == {
        "cam_engine.v", "cam_rom.v", "cam_ram.v", "rtl.json",
        "cam_weights.hex", "cam_params.hex", "cam_codebook.hex", "rom.json",
    }  # fmt: skip
    assert name_of(folder, "rtl") == name_of(folder, "rom") == "cam"
    image = program.image("weights")
    assert read_image("weights", whole(image.depth, image.width), folder, "cam") == image
    rom = ["rom", saved, "--out", tmp_path / "rom", "--rtl", folder]
    message = refuse(monkeypatch, capsys, *rom, "--name", "mic")
    assert message == f"the Verilog in {folder} has the name cam, not mic; leave --name out"
    assert not (tmp_path / "rom").exists()


def test_images_of_another_name_are_refused(program, tmp_path):
    rtl, roms = tmp_path / "rtl", tmp_path / "rom"
    write_rtl(ENGINE, program.depths, rtl, name="cam")
    write_rom(program, roms)
    with pytest.raises(SqhwError) as error:
        check_same_pieces(rtl, roms, ENGINE)
    assert str(error.value) == (
        f"the Verilog in {rtl} has the name cam, the ROM images in {roms} sqhw; "
        "write the images anew with `sqhw rom --name cam`"
    )


@pytest.mark.parametrize("name", ["../etc/passwd", "module", 7, None])
def test_a_manifest_with_no_name_is_damaged(program, tmp_path, name):
    write_rom(program, tmp_path)
    path = tmp_path / "rom.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name}))
    for reader in (
        lambda: name_of(tmp_path, "rom"),
        lambda: check_manifest(tmp_path, "rom", ENGINE),
    ):
        with pytest.raises(SqhwError, match=re.escape(f"{path} is damaged; write them anew")):
            reader()


def test_a_folder_of_before_has_the_default_name(program, tmp_path):
    write_rom(program, tmp_path)
    path = tmp_path / "rom.json"
    content = json.loads(path.read_text())
    del content["name"]
    path.write_text(json.dumps(content))
    assert name_of(tmp_path, "rom") == name_of(tmp_path / "none") == "sqhw"


def test_place_and_route_takes_the_name_from_the_folder(program, tmp_path):
    write_rtl(ENGINE, program.depths, tmp_path, name="cam")
    ports = engine_ports((tmp_path / "cam_engine.v").read_text(), "cam")
    assert re.search(r"^  cam_engine engine \($", top_verilog(ports, "cam"), re.MULTILINE)
    device = find_device("iCEBreaker")
    script = synthesis_script(flow_for(device), ("cam_engine.v", "cam_rom.v"))
    assert script.startswith("read_verilog cam_engine.v cam_rom.v sqhw_place.v\n")
    (tmp_path / "cam_rom.v").unlink()
    with pytest.raises(SqhwError, match=r"cam_rom\.v is missing; write it"):
        place(tmp_path, device, work=tmp_path / "work")


def test_a_name_that_is_no_string_is_refused(program, tmp_path):
    for name in (None, 5, b"cam"):
        with pytest.raises(SqhwError, match="cannot begin Verilog modules; give a string"):
            write_rom(program, tmp_path / "rom", name=name)
    assert not (tmp_path / "rom").exists()


def test_a_folder_may_be_a_string(program, tmp_path):
    assert (tmp_path / "rom" / "rom.json") in write_rom(program, f"{tmp_path}/rom")
    assert (tmp_path / "rtl" / "rtl.json") in write_rtl(ENGINE, program.depths, f"{tmp_path}/rtl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": 2**40}, r"'weights' must be 1 to 16384 words, which weight_addr_bits"),
        ({"weights": 2**14 + 1}, r"'weights' must be 1 to 16384 words"),
        ({"params": 2**12 + 1}, r"'params' must be 1 to 4096 words, which param_addr_bits"),
        ({"codebook": 0}, r"'codebook' must be 1 to 512 words, .*, not 0$"),
        ({"weights": 5.5}, r"not 5.5$"),
        ({"weights": True}, r"not True$"),
        ({"x`y": 3}, r"^depths must be those of the ROMs weights, params, codebook, not \["),
    ],
)
def test_depths_that_the_engine_does_not_address_are_refused(tmp_path, changes, message):
    depths = {"weights": 16, "params": 16, "codebook": 16} | changes
    with pytest.raises(SqhwError, match=message):
        write_rtl(EngineConfig(), depths, tmp_path / "rtl")
    assert not (tmp_path / "rtl").exists()


def test_depths_without_a_rom_are_refused(tmp_path):
    with pytest.raises(SqhwError, match=r"not \['weights'\]$"):
        write_rtl(EngineConfig(), {"weights": 16}, tmp_path / "rtl")
