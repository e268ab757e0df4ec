"""All steps in a row."""

import json

from sqhw.atomic import atomic_write_text
from sqhw.cli.console import progress
from sqhw.data.form import LARGEST_BYTE
from sqhw.files.own_folder import check_own, mark_own
from sqhw.frontends.zoo import zoo_topology
from sqhw.report.results import DemoResult, VerifyResult
from sqhw.steps.compress import compress
from sqhw.steps.cycles import cycles
from sqhw.steps.data_defaults import network_for
from sqhw.steps.images import check_count, load_data
from sqhw.steps.options import (
    CompressOptions,
    DemoOptions,
    RomOptions,
    RtlOptions,
    SimulateOptions,
    TrainOptions,
    VerifyOptions,
)
from sqhw.steps.rom import rom
from sqhw.steps.rtl import rtl
from sqhw.steps.simulate import simulate
from sqhw.steps.target import check_target
from sqhw.steps.train import train
from sqhw.steps.verify import verify
from sqhw.verify.tools import has_icarus
from sqhw.verify.work_folder import check_make_path

#: Number of test images for Icarus, which is slower than Verilator.
ICARUS_IMAGES = 2


def run_demo(options: DemoOptions) -> DemoResult:
    """Train, compress, simulate, export, generate and verify; return all results."""
    out, spec, seed = options.out, options.data, options.seed
    check_make_path(out / "sim", "--out")
    check_own(out, "--out")
    name, size = network_for(spec, options.network), options.image_size
    data = load_data(spec, zoo_topology(name), image_size=size, input_max=LARGEST_BYTE)
    check_count(options.images, data)
    check_target(name, data.classes, options.device, options.budget)
    mark_own(out)
    floats, network, folder = out / "float.safetensors", out / "network.safetensors", out / "rtl"
    with progress() as report:
        trained = train(
            TrainOptions(data=spec, image_size=size, network=name, out=floats, seed=seed), report
        )
        compressed = compress(
            CompressOptions(
                source=floats,
                data=spec,
                image_size=size,
                device=options.device,
                budget=options.budget,
                out=network,
                seed=seed,
            ),
            report,
        )
        simulated = simulate(
            SimulateOptions(network=network, data=spec, image_size=size, float_network=floats),
            report,
        )
    result: DemoResult = {
        "data": spec,
        "seed": seed,
        "train": trained,
        "compress": compressed,
        "simulate": simulated,
        "rom": rom(RomOptions(network=network, out=folder)),
        "rtl": rtl(RtlOptions(network=network, out=folder)),
        "cycles": cycles(network),
        "verify": _verify(options),
    }
    atomic_write_text(out / "result.json", json.dumps(result, indent=2) + "\n")
    result["folder"] = str(out)
    return result


def _verify(options: DemoOptions) -> list[VerifyResult]:
    """Verify under Verilator, and Icarus if it is installed."""
    out = options.out
    runs = [("verilator", options.images)]
    if has_icarus():
        runs.append(("icarus", min(ICARUS_IMAGES, options.images)))
    found = []
    for simulator, count in runs:
        run = VerifyOptions(
            network=out / "network.safetensors",
            data=options.data,
            image_size=options.image_size,
            rtl=out / "rtl",
            work=out / "sim",
            simulator=simulator,
            images=count,
            seed=options.seed,
        )
        with progress() as report:
            found.append(verify(run, report))
    return found
