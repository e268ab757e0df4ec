"""All steps in a row."""

import json
from pathlib import Path

from sqhw.atomic import atomic_write_text
from sqhw.cli.console import progress, status
from sqhw.data import load_dataset
from sqhw.files.own_folder import check_own, mark_own
from sqhw.steps import flow
from sqhw.verify.tools import has_icarus
from sqhw.verify.work_folder import check_make_path

ICARUS_IMAGES = 2


def run_demo(
    out: Path, spec: str, device: str, budget: str | None, images: int, seed: int
) -> flow.Result:
    """Train, compress, simulate, export, generate and verify; return all results."""
    check_make_path(out / "sim", "--out")
    check_own(out, "--out")
    data = load_dataset(spec)
    flow.check_count(images, data)
    flow.check_target(data, None, device, budget)
    mark_own(out)
    trained, network, rtl = out / "float.safetensors", out / "network.safetensors", out / "rtl"
    with progress() as report:
        result: flow.Result = {"data": spec, "seed": seed}
        result["train"] = flow.train(data, None, trained, None, seed, report)
        result["compress"] = flow.compress(trained, data, device, budget, network, seed, report)
        result["simulate"] = flow.simulate(network, data, trained, report)
    result["rom"] = flow.rom(network, rtl)
    result["rtl"] = flow.rtl(network, rtl)
    result["cycles"] = flow.cycles(network)
    result["verify"] = []
    runs = [("verilator", images)]
    if has_icarus():
        runs.append(("icarus", min(ICARUS_IMAGES, images)))
    for simulator, count in runs:
        with status.status(f"running {count} images through the RTL under {simulator}"):
            result["verify"].append(
                flow.verify(network, data, rtl, out / "sim", simulator, count, seed)
            )
    atomic_write_text(out / "result.json", json.dumps(result, indent=2) + "\n")
    result["folder"] = str(out)
    return result
