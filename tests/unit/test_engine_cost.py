"""The engine's cost model: its files, its ranges, and what it has from the exact mappings."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqhw.compiler.device_engine import activation_blocks, dsp_blocks
from sqhw.cost_models import engine_cost as engine_cost_module
from sqhw.cost_models.calibration_file import (
    find_calibration,
    load_calibrations,
    parse_calibration,
)
from sqhw.cost_models.device import find_device, load_devices
from sqhw.cost_models.engine_cost import PARAMETERS, SWITCHES, engine_cost, parameters
from sqhw.cost_models.engine_features import (
    engine_memories,
    ff_features,
    lut_features,
    period_features,
)
from sqhw.cost_models.memory import map_ram
from sqhw.cost_models.rom import rom_plans
from sqhw.errors import SqhwError
from sqhw.machine.config import EngineConfig
from sqhw.machine.layout import rom_widths

ROOT = Path(__file__).parents[2]
DATA = ROOT / "benchmarks" / "cost_engine" / "data"
DEPTHS = {"weights": 3000, "params": 500, "codebook": 128}
ECP5 = find_device("LFE5U-85F")

ENGINES = st.builds(
    EngineConfig,
    lanes=st.sampled_from((4, 8, 16, 32, 64)),
    bank_depth=st.sampled_from((256, 1024, 4096, 16384)),
    requantizers=st.sampled_from((1, 2, 4)),
    max_batch=st.sampled_from((1, 2, 4)),
    lut_lanes=st.integers(0, 4),
    writable=st.booleans(),
    groups=st.booleans(),
    residuals=st.booleans(),
    maxpool=st.booleans(),
)
DEPTHS_OF_ANY = st.fixed_dictionaries(
    {
        "weights": st.integers(1, 30000),
        "params": st.integers(1, 4000),
        "codebook": st.integers(1, 500),
    }
)


def text(**changes):
    """Return a calibration file, small and right but for the changes."""
    fit = {
        "factors": {"lanes": 1.5},
        "ranges": {"lanes": [4, 32]},
        "engines": 12,
        "held_out": 6,
        "mean_error": 0.02,
        "worst_error": 0.04,
    }
    table = {
        "family": "ecp5",
        "device": "LFE5U-85F",
        "clock_devices": ["LFE5U-85F"],
        "rtl": "0123456789abcdef",
        "tools": {"pyosys": "0.70"},
        "luts": fit,
        "ffs": fit,
        "period_ns": None,
        "configurations": [],
    }
    return json.dumps({key: value for key, value in (table | changes).items() if value != "gone"})


def test_a_file():
    found = parse_calibration(text(), "ecp5.json")
    assert found.luts.ranges == (("lanes", (4, 32)),)
    assert found.luts.outside({"lanes": 32}) == {}
    assert found.luts.outside({"lanes": 64}) == {"lanes": (4, 32)}
    assert found.luts.predict({"lanes": 4.0, "other": 9.0}) == 6
    assert found.period_ns is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"familie": "x"}, "ecp5.json: unknown key 'familie'; did you mean 'family'?"),
        ({"rtl": "gone"}, "ecp5.json: key 'rtl' is missing"),
        ({"rtl": ""}, "ecp5.json: rtl must be a text, not ''"),
        ({"tools": []}, "ecp5.json: tools must be an object, not []"),
        ({"luts": None}, "ecp5.json: luts must be an object, not None"),
        ({"ffs": {"factors": {}}}, "ecp5.json: ffs: key 'engines' is missing"),
    ],
)
def test_a_bad_file_is_refused(changes, message):
    with pytest.raises(SqhwError) as error:
        parse_calibration(text(**changes), "ecp5.json")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("factors", {"lanes": -1}, "factor of 'lanes' must be a number of 0 or more, not -1"),
        ("factors", {"lanes": "1"}, "factor of 'lanes' must be a number of 0 or more, not '1'"),
        ("ranges", {"lanes": [8, 4]}, "range of 'lanes' must be [smallest, largest], not (8, 4)"),
        ("held_out", 0, "held_out must be a whole number of 1 or more, not 0"),
        ("worst_error", 0.01, "worst_error 0.01 is below mean_error"),
    ],
)
def test_a_bad_fit_is_refused(key, value, message):
    fit = json.loads(text())["luts"] | {key: value}
    with pytest.raises(SqhwError) as error:
        parse_calibration(text(luts=fit), "ecp5.json")
    assert str(error.value) == f"ecp5.json: luts: {message}"


def test_no_json():
    with pytest.raises(SqhwError, match=r"^ecp5\.json: "):
        parse_calibration("{", "ecp5.json")


@pytest.mark.parametrize("name", load_calibrations())
def test_the_files_in_the_package(name):
    found = find_calibration(name)
    device = find_device(found.device)
    engine = EngineConfig()
    memories = engine_memories(engine, device, DEPTHS)
    for fit, kind in ((found.luts, lut_features), (found.ffs, ff_features)):
        assert [feature for feature, _ in fit.factors] == list(kind(engine, device, memories))
    if found.period_ns:
        names = [feature for feature, _ in found.period_ns.factors]
        assert names == list(period_features(engine, memories, 1000.0))
    numbers = [number for number, _, _ in found.configurations]
    held_out = sum(is_held_out for _, is_held_out, _ in found.configurations)
    assert len(set(numbers)) == len(numbers) == found.luts.engines + found.luts.held_out
    assert held_out == found.luts.held_out
    assert device.family == name


@settings(max_examples=20)
@given(engine=ENGINES, depths=DEPTHS_OF_ANY)
def test_blocks_and_dsps_are_those_of_the_mapping(engine, depths):
    for device in (ECP5, find_device("iCE40UP5K")):
        cost = engine_cost(engine, device, depths)
        if engine.writable:
            roms = sum(
                map_ram(depths[name], width, device).blocks
                for name, width in rom_widths(engine).items()
            )
        else:
            roms = sum(plan.blocks for plan in rom_plans(engine, depths, device).values())
        assert cost.brams == roms + activation_blocks(engine, device)
        assert cost.dsps == dsp_blocks(engine, device)
        assert cost == engine_cost(engine, device, depths)
        assert cost.luts > 0
        assert cost.ffs > 0


@pytest.mark.parametrize("path", sorted(DATA.glob("*/*.json")), ids=lambda path: path.stem)
def test_blocks_and_dsps_are_those_measured(path):
    entry = json.loads(path.read_text())
    engine = EngineConfig.from_dict(entry["point"]["engine"])
    device = find_device(find_calibration(entry["family"]).device)
    cost = engine_cost(engine, device, entry["point"]["depths"])
    assert (cost.brams, cost.dsps) == (entry["brams"], entry["dsps"])


def test_outside_of_what_was_calibrated():
    entries = [json.loads(path.read_text()) for path in sorted(DATA.glob("ecp5/*.json"))]
    placed = [e["point"] for e in entries if e["fmax_mhz"] and not e["point"]["held_out"]]
    engine = EngineConfig.from_dict(placed[0]["engine"])
    inside = engine_cost(engine, ECP5, placed[0]["depths"])
    assert inside.calibrated, inside.notes
    fit = find_calibration("ecp5")
    assert (inside.luts_error, inside.ffs_error) == (fit.luts.mean_error, fit.ffs.mean_error)
    assert inside.fmax_error == fit.period_ns.mean_error
    limit = dict(find_calibration("ecp5").luts.ranges)["lanes"]
    wide = engine_cost(replace(engine, lanes=128), ECP5, placed[0]["depths"])
    assert not wide.calibrated
    assert f"lanes: 128, calibrated {limit[0]} to {limit[1]}" in wide.notes
    assert (wide.luts_error, wide.ffs_error, wide.fmax_error) == (None, None, None)
    assert wide.luts > inside.luts


def test_every_parameter_has_words():
    """Outside of its range each is named as people would, and switches as switches."""
    fit = replace(find_calibration("ecp5").luts, ranges=tuple((n, (-2, -1)) for n in PARAMETERS))
    device, engine = ECP5, EngineConfig(quotient_ones=8, tables=True)
    numbers = parameters(engine, engine_memories(engine, device, DEPTHS))
    assert list(numbers) == list(PARAMETERS)
    assert set(fit.outside(numbers)) == set(PARAMETERS)
    for name in SWITCHES:
        assert isinstance(getattr(engine, name), bool)


def test_the_clock_may_be_outside_alone(monkeypatch):
    fit = find_calibration("ecp5")
    ranges = (("lanes", (4, 8)), ("maxpool", (0, 0)))
    narrow = replace(fit, period_ns=replace(fit.period_ns, ranges=ranges))
    wide = replace(narrow, luts=replace(fit.luts, ranges=(("lanes", (4, 16)),)))
    monkeypatch.setattr(engine_cost_module, "find_calibration", lambda family: wide)
    cost = engine_cost(EngineConfig(lanes=16), ECP5, DEPTHS)
    assert cost.notes == (
        "clock: lanes: 16, calibrated 4 to 8",
        "clock: max pooling: with, calibrated without only",
    )
    assert not cost.calibrated
    assert (cost.luts_error, cost.fmax_error) == (fit.luts.mean_error, None)
    cost = engine_cost(EngineConfig(lanes=32), ECP5, DEPTHS)
    assert cost.notes[0] == "lanes: 32, calibrated 4 to 16"
    assert len(cost.notes) == 2


def test_a_device_without_dsp_blocks():
    device = find_device("iCE40HX8K")
    cost = engine_cost(EngineConfig(), device, DEPTHS)
    assert cost.dsps == 0
    assert not cost.calibrated
    assert cost.luts_error is cost.ffs_error is None
    assert cost.fmax_mhz is None
    assert cost.fmax_error is None
    said = "has no DSP blocks, unlike iCE40UP5K, on which the model was calibrated"
    assert said in cost.notes
    assert "the clock was calibrated on iCE40UP5K only" in cost.notes


def test_a_family_that_is_not_calibrated():
    families = {device.family for device in load_devices().values()}
    name = min(families - load_calibrations().keys())
    device = next(device for device in load_devices().values() if device.family == name)
    with pytest.raises(SqhwError, match=f"^the engine's logic is not calibrated for family {name}"):
        engine_cost(EngineConfig(), device, DEPTHS)


def test_files_are_found_by_their_family():
    folder = files("sqhw.cost_models") / "calibration"
    assert {f"{name}.json" for name in load_calibrations()} == {
        path.name for path in folder.iterdir() if path.name.endswith(".json")
    }


class TestFit:
    """The command that fits; it needs no synthesis to be tested."""

    @pytest.fixture(autouse=True)
    def _root(self, monkeypatch):
        monkeypatch.syspath_prepend(str(ROOT))

    def test_draw_is_that_of_its_seed(self):
        from benchmarks.cost_engine.design import HELD_OUT
        from benchmarks.cost_engine.families import FAMILIES

        for family in FAMILIES.values():
            points = family.draw()
            assert points == family.draw()
            assert len({point.engine for point in points}) == len(points)
            drawn = [point for point in points if point not in family.usual]
            assert sum(point.held_out for point in drawn) == family.held_out
            assert len(drawn) == family.points + family.held_out
            assert {point.number for point in points} >= set(family.placed)
            assert all(point.held_out == (point.number >= HELD_OUT) for point in points)

    def test_factors_are_found(self):
        from benchmarks.cost_engine.fit import fit_factors

        rows = [{"a": a, "b": 100.0 / a, "c": 30.0} for a in (5.0, 11.0, 20.0, 40.0, 70.0, 90.0)]
        wanted = {"a": 2.0, "b": 0.5, "c": 1.25}
        measured = [sum(wanted[name] * row[name] for name in wanted) for row in rows]
        found = fit_factors(rows, measured, dict.fromkeys(wanted, 1.0))
        assert found == pytest.approx(wanted, rel=0.02)
        assert found == fit_factors(rows, measured, dict.fromkeys(wanted, 1.0))

    def test_what_never_occurs_stays_as_it_was(self):
        from benchmarks.cost_engine.fit import fit_factors

        rows = [{"a": a, "never": 0.0} for a in (5.0, 11.0, 20.0)]
        found = fit_factors(rows, [3 * row["a"] for row in rows], {"a": 1.0, "never": 1.0})
        assert found == pytest.approx({"a": 3.0, "never": 3.0}, rel=0.01)

    def test_digest_is_of_what_makes_the_netlist(self):
        from benchmarks.cost_engine.families import FAMILIES
        from benchmarks.cost_engine.origin import rtl_digest

        digests = {name: rtl_digest(family) for name, family in FAMILIES.items()}
        # Only on ECP5 registers move into blocks after synthesis.
        assert len({digest for name, digest in digests.items() if name != "ecp5"}) == 1
        assert digests["ecp5"] != digests["ice40"]

    def test_report_parts_errors_by_the_ranges(self):
        from benchmarks.cost_engine.families import FAMILIES
        from benchmarks.cost_engine.present import read_present
        from benchmarks.cost_engine.report import report_text
        from benchmarks.cost_engine.synthesis import read_measurements

        measured = {name: read_measurements(DATA, name) for name in FAMILIES}
        found = report_text(measured, read_present(DATA))
        rows = [[cell.strip() for cell in line.split("|")] for line in found.splitlines()]
        counts = {row[1]: int(row[2]) for row in rows if len(row) == 13 and row[2].isdigit()}
        assert counts["all"] == counts["within the ranges"] + counts["outside of one"]
        assert counts["all"] == sum(counts[name] for name in load_calibrations())
