"""Board files, and the clocks, top modules, constraints and projects that are made of them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sqhw.boards.board_file import find_board, load_boards, parse_boards
from sqhw.boards.clocks import DesignClock, design_clocks, fastest_below
from sqhw.boards.constraints import lpf, pcf
from sqhw.boards.top import top_verilog
from sqhw.boards.vendor import SCRIPT, VENDORS, project_files
from sqhw.errors import SqhwError
from sqhw.synth.bitstream import PACKINGS, board_flow

OWN = """
package = "CABGA381"
speed = "6"
standard = "LVCMOS33"
source = ["its schematic"]

[clock]
pin = "G2"
mhz = 25

[uart]
rx = "M1"
tx = "L4"
baud = 1000000

[leds]
ready = "B2"
class = ["C2", "C1"]
active_low = ["class"]

[[board]]
name = "Mine"
device = "LFE5U-25F"
"""


def test_every_board_has_a_flow_and_a_clock():
    boards = load_boards()
    assert {
        "iCEBreaker", "UPduino 3", "ULX3S 12F", "ULX3S 85F", "OrangeCrab 25F", "Colorlight i5",
        "Colorlight i9", "ECPIX-5 45", "Arty A7-35", "PYNQ-Z2", "DE10-Nano",
    } <= boards.keys()  # fmt: skip
    for board in boards.values():
        if board.device.family in PACKINGS:
            assert "--package" in board_flow(board).part
        else:
            assert board.device.family in VENDORS
            assert board.part
        assert design_clocks(board)


def test_a_board_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(OWN)
    board = find_board(str(path))
    assert board.pins() == {
        "clock": "G2", "rx": "M1", "tx": "L4", "led_ready": "B2", "led_class_0": "C2",
        "led_class_1": "C1",
    }  # fmt: skip
    path.write_text(OWN + OWN[OWN.index("[[board]]") :].replace("Mine", "Other"))
    with pytest.raises(
        SqhwError, match=r"has 2 boards, Mine, Other; write .*mine.toml:Mine for one"
    ):
        find_board(str(path))
    assert find_board(f"{path}:other").name == "Other"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('tx = "L4"\n', "", "own.toml: uart: key 'tx' is missing"),
        ('tx = "L4"', 'tx = "L 4"', "own.toml: uart: tx must be the name of a pin such as 'G2'"),
        ('tx = "L4"', 'tx = "M1"', "board 'Mine': pin 'M1' is that of rx and of tx"),
        ("mhz = 25", "mhz = 0.5", "own.toml: clock: mhz must be a number of 1 to 400, not 0.5"),
        ("mhz = 25", "mhz = nan", "own.toml: "),
        ("mhz = 25", "MHz = 25", "own.toml: clock: unknown key 'MHz'; did you mean 'mhz'?"),
        ("baud = 1000000", "baud = 110", "uart: baud must be a whole number of 9600 or more"),
        ('device = "LFE5U-25F"', 'device = "LFE5U-26F"', "unknown device 'LFE5U-26F'; did you"),
        ('["class"]', '["glass"]', "leds: active_low must be a list of ready, busy, class, not"),
        ('["C2", "C1"]', '"C2"', "leds: class must be a list of up to 8 pins, not 'C2'"),
        ('source = ["its schematic"]\n', "", "own.toml: key 'source' is missing"),
        ("[[board]]", "[board]", "board must be a list of tables, [[board]], not"),
        ("[uart]", "[serial]", "own.toml: unknown key 'serial'"),
        ('package = "CABGA381"', 'package = "a;b"', "board 'Mine': package must be a word, not"),
    ],
)
def test_bad_files_name_the_key(old, new, message):
    assert old in OWN
    with pytest.raises(SqhwError) as error:
        parse_boards(OWN.replace(old, new, 1), "own.toml")
    assert message in str(error.value)
    assert str(error.value).startswith("own.toml: ")


def test_the_example_of_the_page_is_a_board():
    page = (Path(__file__).parents[2] / "docs" / "boards.md").read_text()
    example = page.split("```toml board\n", 1)[1].split("```", 1)[0]
    (board,) = parse_boards(example, "boards.md")
    assert board.pins()["led_class_3"] == "D2"
    for line in example.replace("# ", "").splitlines():  # also keys that are commented out
        assert not line.startswith(("pll", "part")) or parse_boards(
            example.replace(f"# {line}", line), "boards.md"
        )


def test_unknown_boards_suggest_the_nearest():
    with pytest.raises(SqhwError, match=r"unknown board 'icebraker'; did you mean 'iCEBreaker'\?"):
        find_board("icebraker")


def test_a_missing_board_file_is_named(tmp_path):
    for name in ("boards/mine", str(tmp_path / "mine")):
        with pytest.raises(SqhwError, match=f"board file '{name}' does not exist; a board"):
            find_board(name)
    with pytest.raises(SqhwError, match=r"board file .*mine\.toml: no such file"):
        find_board(str(tmp_path / "mine.toml"))
    (tmp_path / "mine").write_text(OWN)
    with pytest.raises(SqhwError, match=r"mine' is not a TOML file; a board is named by a path"):
        find_board(str(tmp_path / "mine"))


def test_clocks_keep_the_rules_of_the_plls():
    """Every clock is what the PLL's settings give, within the ranges of icepll and ecppll."""
    for name in ("iCEBreaker", "UPduino 3"):
        board = find_board(name)
        for clock in design_clocks(board):
            if clock.source == "pll":
                found = clock.settings
                oscillator = board.clock.mhz / (found["DIVR"] + 1) * (found["DIVF"] + 1)
                assert 533 <= oscillator <= 1066
                assert clock.mhz == oscillator / 2 ** found["DIVQ"]
    for name in ("ULX3S 85F", "ECPIX-5 85", "OrangeCrab 25F"):
        board = find_board(name)
        for clock in design_clocks(board):
            if clock.source == "pll":
                found = clock.settings
                exact = board.clock.mhz / found["CLKI_DIV"] * found["CLKFB_DIV"]
                assert clock.mhz == exact
                assert 400 <= exact * found["CLKOP_DIV"] <= 800


def test_settings_are_those_of_icepll_and_ecppll():
    """What ``icepll -i 12 -o 34.5`` and ``ecppll -i 25 -o 64.2857``, ``-o 50`` print."""
    assert fastest_below(find_board("iCEBreaker"), 34.5).settings == {
        "DIVR": 0, "DIVF": 45, "DIVQ": 4, "FILTER_RANGE": 1,
    }  # fmt: skip
    for limit, settings in ((64.29, (7, 18, 9, 4)), (50, (1, 2, 12, 5))):
        names = ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOP_CPHASE")
        clock = fastest_below(find_board("ULX3S 25F"), limit)
        assert clock.settings == dict(zip(names, settings, strict=True))


def test_clocks_have_whole_bits_of_the_serial_line():
    board = find_board("iCEBreaker")
    for clock in design_clocks(board):
        divisor = clock.divisor(board.uart.baud)
        assert divisor >= 8
        assert abs(clock.mhz * 1e6 / divisor / board.uart.baud - 1) < 0.021


def test_the_fastest_clock_below_a_limit():
    board = find_board("iCEBreaker")
    clock = fastest_below(board, 35.1)
    assert (clock.mhz, clock.source) == (34.5, "pll")
    assert fastest_below(board, 12.1) == DesignClock(12, "divider", {"halvings": 0})
    with pytest.raises(SqhwError) as error:
        fastest_below(board, 5)
    assert str(error.value) == (
        "board iCEBreaker: its slowest clock is 12 MHz, the design reaches 5.0 MHz only"
    )


def test_a_serial_line_that_no_clock_suits():
    (board,) = parse_boards(OWN.replace("1000000", "12000000"), "own.toml")
    assert min(clock.mhz for clock in design_clocks(board)) >= 94  # 12 Mbit/s, 8 cycles a bit, 2 %
    slow = OWN.replace("1000000", "12000000").replace("LFE5U-25F", "5CSEBA6")
    (board,) = parse_boards(slow, "own.toml")
    with pytest.raises(SqhwError, match=r"made of \[clock\] mhz = 25 has 8 or more whole cycles"):
        design_clocks(board)


def test_a_clock_that_suits_no_serial_line_names_file_and_keys(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(OWN.replace("mhz = 25", "mhz = 3"))
    with pytest.raises(SqhwError) as error:
        find_board(str(own))
    assert str(error.value) == (
        f"{own}: board Mine: no clock that can be made of [clock] mhz = 3 has 8 or more whole "
        "cycles a bit of a serial line of [uart] baud = 1000000; name another baud in its file"
    )


def ports(verilog):
    return re.findall(r"(?:input|output) wire (\w+)", verilog)


@pytest.mark.parametrize("name", list(load_boards()))
def test_the_top_module_has_the_pins_of_the_board(name):
    board = find_board(name)
    for clock in design_clocks(board)[::40]:
        text = top_verilog(board, clock)
        assert sorted(ports(text)) == sorted(board.pins())


def test_constraints_name_every_pin():
    ice, ulx = find_board("iCEBreaker"), find_board("ULX3S 25F")
    assert pcf(ice).splitlines()[:2] == ["set_io clock 35", "set_io -pullup yes rx 6"]
    assert pcf(ice).splitlines()[-1] == "set_frequency clock 12"
    for port, pin in ulx.pins().items():
        assert f'LOCATE COMP "{port}" SITE "{pin}";' in lpf(ulx)
    assert 'IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;' in lpf(ulx)
    assert 'FREQUENCY PORT "clock" 25 MHZ;' in lpf(ulx)


#: Commands of the scripts, as in UG835 of AMD and in the Quartus scripting reference.
COMMANDS = {
    "xc7": {
        "cd", "create_project", "read_verilog", "read_xdc", "synth_design", "opt_design",
        "place_design", "route_design", "report_utilization", "report_timing_summary",
        "write_bitstream", "set_property", "create_clock", "create_generated_clock",
    },
    "cyclonev": {
        "package", "cd", "project_new", "set_global_assignment", "set_location_assignment",
        "set_instance_assignment", "execute_flow", "project_close", "create_clock",
        "create_generated_clock", "derive_clock_uncertainty",
    },
}  # fmt: skip
#: Word of a Tcl command that needs no substitution but of commands: braces, quotes, brackets, bare.
WORD = r"""\{[^{}\\$]*\}|"[^"\\$\[\]]*"|\[[\w ./:{}\[\]-]*\]|[\w:./+-]+"""


def commands(script):
    """Return the words of each command of a script that has no variables."""
    found = []
    for line in script.splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(rf"(?:{WORD})(?: (?:{WORD}))*", line), line
            for pair in ("{}", "[]"):
                assert line.count(pair[0]) == line.count(pair[1])
            assert line.count('"') % 2 == 0
            found.append(re.findall(WORD, line))
    return found


@pytest.mark.parametrize("name", ["Arty A7-35", "Arty A7-100", "PYNQ-Z2", "DE10-Nano"])
def test_projects_for_vendor_tools(name, tmp_path):
    board = find_board(name)
    family = board.device.family
    for clock in (fastest_below(board, 50), DesignClock(25, "divider", {"halvings": 2})):
        sources = ("a.v", "b.v")
        files = project_files(board, clock, sources)
        script = commands(files[SCRIPT])
        assert {words[0] for words in script} <= COMMANDS[family]
        named = {word.strip("{}") for words in script for word in words}
        assert {*sources, VENDORS[family].constraints, board.part} <= named
        constraints = files[VENDORS[family].constraints]
        assert {words[0] for words in commands(constraints)} <= COMMANDS[family]
        text = files[SCRIPT] + constraints
        assert all(re.search(rf"\b(PIN_)?{pin}\b", text) for pin in board.pins().values())
        if shutil.which("tclsh"):
            check_with_tclsh(files, family, tmp_path)


def check_with_tclsh(files, family, folder):
    """Run script and constraints with commands that do nothing."""
    stubs = [f"proc {name} args {{}}" for name in COMMANDS[family] - {"cd", "package"}]
    stubs += [f"proc {name} args {{}}" for name in ("get_ports", "get_pins", "get_registers")]
    stubs += ["proc current_design args {}", "rename package tcl_package", "proc package args {}"]
    path = folder / "check.tcl"
    path.write_text("\n".join([*stubs, *files.values()]))
    subprocess.run(["tclsh", str(path)], check=True, timeout=20)


def test_a_vendor_needs_the_part():
    (board,) = parse_boards(OWN.replace("LFE5U-25F", "XC7A35T"), "own.toml")
    with pytest.raises(SqhwError) as error:
        project_files(board, fastest_below(board, 50), ())
    assert str(error.value) == "board Mine: its file has no part, which Vivado needs"
