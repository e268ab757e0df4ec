"""`sqhw host`: test images on a board, compared with the simulator."""

import time

import numpy as np

from sqhw.cost_models.schedule import schedule
from sqhw.errors import SqhwError
from sqhw.host.client import BoardClient
from sqhw.host.port import SerialPort
from sqhw.report.results import HostResult
from sqhw.steps.build import NETWORK
from sqhw.steps.images import accuracy, check_classes, check_count, load_data
from sqhw.steps.options import HostOptions
from sqhw.steps.progress import Progress, silent
from sqhw.steps.swap import suitable_program
from sqhw.synth.build_folder import read_build

#: Stage of the progress.
STAGE = "run on the board"


def host(options: HostOptions, progress: Progress = silent) -> HostResult:
    """Run test images on a board that has the bitstream of a build.

    Raises
    ------
    SqhwError
        If the port is wrong, the board does not answer or has another bitstream, or its results or
        cycles differ from those of simulator and schedule.
    """
    from sqhw.verify.job import job_of

    build = read_build(options.build)
    source = options.network or options.build / NETWORK
    program = suitable_program(source, build, options.build)
    network = program.network
    data = load_data(options.data, network, image_size=options.image_size, progress=progress)
    check_classes(network, data)
    check_count(options.images, data)
    test = data.test
    job = job_of(program, test.images[: options.images])
    predicted = schedule(network, program.engine, program.batch).cycles
    found = np.zeros_like(job.results)
    with SerialPort(options.port, build.baud) as port:
        client = BoardClient(
            port, *job.sizes, predicted / (build.clock_mhz * 1e6), queue=build.queue
        )
        identity = client.identify()
        if identity != build.identity:
            raise SqhwError(
                f"the board at {options.port} has another bitstream ({identity:08x}) than the "
                f"build in {options.build} ({build.identity:08x}); load "
                f"{options.build / build.bitstream}"
            )
        started = time.monotonic()
        answers = client.run_all([pixels.tobytes() for pixels in job.pixels])
        for done, (index, results, cycles) in enumerate(answers):
            found[index] = np.frombuffer(results, np.uint8)
            if cycles != predicted:
                raise SqhwError(
                    f"image {index}: the board took {cycles} cycles, {predicted} are predicted; is "
                    f"the network in its bitstream that of {source}?"
                )
            progress(STAGE, done + 1, len(job.pixels), "images")
        seconds = time.monotonic() - started
    differ = np.flatnonzero((found != job.results).any(axis=1))
    if len(differ):
        raise SqhwError(
            f"the results of {len(differ)} of {len(found)} images differ from the simulator's, "
            f"first those of image {differ[0]}; is the network in the bitstream that of {source}?"
        )
    logits = found.view(np.int8) if network.formats()[network.layers[-1].name].signed else found
    return {
        "port": options.port,
        "board": build.board,
        "network": network.name,
        "images": len(found),
        "equal": len(found),
        "accuracy": accuracy(logits, test.labels[: options.images]),
        "cycles": predicted,
        "cycles_predicted": predicted,
        "retries": client.retries,
        "seconds": seconds,
        "images_per_second": len(found) / seconds,
    }
