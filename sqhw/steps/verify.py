"""`sqhw verify`: test images through the RTL, compared with the simulator."""

from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from sqhw.compiler.program import Program
from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.export.file_set import check_set, unchanged
from sqhw.export.manifest import (
    FILES,
    check_manifest,
    check_plain,
    check_roms,
    check_same_pieces,
    name_of,
)
from sqhw.export.readmemh import read_image
from sqhw.machine.layout import rom_widths
from sqhw.machine.rom_pieces import depth_of
from sqhw.network.quantized import QuantizedNetwork
from sqhw.network.quantized_file import load_network
from sqhw.report.results import VerifyResult
from sqhw.seeds import check_seed
from sqhw.steps.images import check_count, load_data
from sqhw.steps.options import VerifyOptions
from sqhw.steps.program import program_of
from sqhw.steps.progress import Progress, silent


def verify(options: VerifyOptions, progress: Progress = silent) -> VerifyResult:
    """Run test images through the RTL in a folder and compare everything with the simulator.

    White images fill the last run if the ROM images are for runs of several images. The progress
    begins with the build of the simulation. For few images the build takes most of the time.

    Raises
    ------
    SqhwError
        If files do not belong together, a tool is missing, or the RTL differs. The message names
        the place.
    """
    from sqhw.verify.cxxrtl import VolumeBench
    from sqhw.verify.runner import RtlBench
    from sqhw.verify.work_folder import check_work_path, work_folder

    folder, work, images, seed = options.rtl, options.work, options.images, options.seed
    check_seed(seed)
    check_work_path(work, options.simulator)
    with unchanged(folder):
        program = program_in(options.network, folder)
        data = load_data(
            options.data, program.network, image_size=options.image_size, progress=progress
        )
        check_count(images, data)
        made_up = made_up_images(program.network, seed, images, program.batch)
        batch = np.concatenate([data.test.images[:images], made_up])
        with work_folder(work):
            built, run = (f"{options.simulator}: {stage}" for stage in ("build", "run"))
            progress(built, 0, 1, "a minute or more")
            if options.simulator == "cxxrtl":
                volume = VolumeBench(folder, work)
                progress(built, 1, 1, "")
                report = volume.run(
                    program,
                    batch,
                    folder,
                    seed,
                    jobs=options.jobs,
                    progress=lambda done: progress(run, done, len(batch), "images"),
                )
                found = asdict(report)
            else:
                bench = RtlBench(folder, work, options.simulator, program.engine.requantizers)
                progress(built, 1, 1, "")
                progress(run, 0, len(batch), "images")
                found = asdict(bench.run(program, batch, folder, seed))
                progress(run, len(batch), len(batch), "images")
    plan = schedule(program.network, program.engine, program.batch)
    more = {
        "images": images,
        "batch": program.batch,
        "made_up_images": len(made_up),
        "cycles_predicted": plan.cycles,
    }
    return cast(VerifyResult, found | more)


def program_in(source: Path, folder: Path) -> Program:
    """Return the program of a network whose ROM images and Verilog lie in a folder.

    Raises
    ------
    SqhwError
        If the files in the folder are damaged, or not those of the network.
    """
    engine = load_network(source).facts.engine
    images_of, verilog_of = (check_manifest(folder, kind, engine) for kind in ("rom", "rtl"))
    program = program_of(source, images_of.get("batch", 1))
    check_plain(folder, verilog_of)
    check_set(folder, "rom", images_of)
    check_set(folder, "rtl", verilog_of)
    pieces = check_same_pieces(folder, folder, engine)
    check_roms(pieces, rom_widths(engine), folder / FILES["rom"])
    depths = {name: depth_of(parts) for name, parts in pieces.items()}
    for image in program.padded(depths).images:
        if read_image(image.name, pieces[image.name], folder, name_of(folder)) != image:
            raise SqhwError(
                f"the {image.name} ROM image in {folder} is not that of {source}; "
                "write it anew with `sqhw rom` and the Verilog with `sqhw rtl`"
            )
    return program


def made_up_images(
    network: QuantizedNetwork, seed: int, images: int, batch: int
) -> npt.NDArray[np.uint8]:
    """Return a white and a noise image, which excite weights that real images rarely do.

    Further white images fill the last run of `batch` images after `images` real ones.

    Returns
    -------
    ndarray of uint8, shape (2 or more, channels, height, width)
    """
    fmt = network.input_format
    noise = np.random.default_rng(seed).integers(fmt.lo, fmt.hi + 1, network.input_shape)
    white = np.full(network.input_shape, fmt.hi)
    more = -(images + 2) % batch
    return np.stack([white, noise, *[white] * more]).astype(np.uint8)
