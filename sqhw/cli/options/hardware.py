"""The options of the steps from a quantized network to RTL."""

import typer

from sqhw.cli import checks
from sqhw.cli.options.shared import (
    CORES,
    DATA,
    FOLDER,
    IMAGE_SIZE,
    LEAST_CLOCK_MHZ,
    MOST_CLOCK_MHZ,
    MOST_IMAGES,
    NETWORK,
    ROM_DEVICE,
    Table,
    file_option,
    seed_option,
    source_argument,
)
from sqhw.machine.naming import TOPS
from sqhw.names import (
    BYTE_ORDERS,
    MAX_MEMORY_DEPTH,
    MAX_MEMORY_WIDTH,
    NATIVE_FORMAT,
    ROM_FORMATS,
    SIMULATORS,
)
from sqhw.steps.options import ExportOptions, RomOptions, RtlOptions, SimulateOptions, VerifyOptions

OPTIONS: Table = {
    SimulateOptions: {
        "network": source_argument("Quantized network; none is needed with --rom."),
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "float_network": file_option(
            "Float network, to print its accuracy too.", "--float", check=checks.check_source
        ),
        "rom": file_option(
            "Folder of ROM images: they are decoded and run; with a NETWORK, they must be its own.",
            check=checks.check_images,
        ),
        "trace": typer.Option(
            "--trace",
            help="Count values inside the network: range of sums, zeros, saturation, cycles.",
        ),
        "clock": typer.Option(
            help="Clock at which the trace gives images/s (MHz).",
            min=LEAST_CLOCK_MHZ,
            max=MOST_CLOCK_MHZ,
        ),
        "compare": typer.Option(
            help="Images whose logits are compared with PyTorch, 0 for none. By default as many as "
            "take seconds.",
            min=0,
            max=MOST_IMAGES,
        ),
    },
    RomOptions: {
        "network": NETWORK,
        "out": FOLDER,
        "batch": typer.Option(
            help="Images of a run, a power of two up to the engine's max_batch.",
            callback=checks.check_power_of_two,
        ),
        "device": ROM_DEVICE,
        "rtl": file_option("Write them for the Verilog in this folder.", check=checks.check_rtl),
        "name": typer.Option(
            help="Prefix of the file names; by default that of the Verilog, or none.",
            callback=checks.check_prefix,
        ),
        "format": typer.Option(
            help=f"Formats with commas: {', '.join(ROM_FORMATS)}; or {NATIVE_FORMAT}, that of the "
            "device's vendor. By default hex, which the Verilog reads; with --width or --depth "
            f"{NATIVE_FORMAT}.",
            callback=checks.check_formats,
        ),
        "rom": typer.Option(
            help="ROMs with commas: weights, params, codebook; by default all.",
            callback=checks.check_roms,
        ),
        "whole": typer.Option("--whole", help="Do not cut ROMs into pieces."),
        "width": typer.Option(
            help="Bits of a word of a memory of your own; the words are packed anew.",
            min=1,
            max=MAX_MEMORY_WIDTH,
        ),
        "depth": typer.Option(
            help="Words of a memory of your own, filled up with zeros.", min=1, max=MAX_MEMORY_DEPTH
        ),
        "byte_order": typer.Option(
            help="Bytes of a word in bin, ihex and srec: little or big first.",
            callback=checks.check_name("byte order", BYTE_ORDERS),
        ),
        "mmi": typer.Option(
            help="FILE.mmi of Vivado's write_mem_info, or FILE.mmi:INSTANCE: updatemem images get "
            "the address of the memory there.",
            callback=checks.check_mmi,
        ),
    },
    ExportOptions: {
        "network": NETWORK,
        "out": file_option(
            "Folder to write to; the files begin with the name of the network's file."
        ),
        "format": typer.Option(
            help="Formats with commas: c (C99, integers only), qdq (ONNX with QuantizeLinear), "
            "qonnx (ONNX with Quant), exact (ONNX of standard operators, equal bit for bit).",
            callback=checks.check_export_formats,
        ),
    },
    RtlOptions: {
        "network": NETWORK,
        "out": file_option("Folder to write to; with --bench only if named.  [default: build/rtl]"),
        "interface": typer.Option(
            help="plain, or axi: AXI4-Stream and AXI4-Lite around the engine.",
            callback=checks.check_name("interface", tuple(TOPS)),
        ),
        "device": ROM_DEVICE,
        "name": typer.Option(
            help="Prefix of modules and files; each engine of a design needs its own.",
            callback=checks.check_prefix,
        ),
        "bench": file_option(
            "Folder for a bench to take along: Verilog, ROM images, vectors, and what runs them "
            "in cocotb or in Icarus Verilog alone, without sqhw."
        ),
        "cores": CORES,
    },
    VerifyOptions: {
        "network": NETWORK,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "rtl": file_option("Folder with Verilog and ROM images.", check=checks.check_rtl),
        "work": file_option("Folder for the simulator's files."),
        "simulator": typer.Option(
            help="verilator, icarus, or cxxrtl for thousands of images.",
            callback=checks.check_name("simulator", SIMULATORS),
        ),
        "images": typer.Option(help="Test images to run.", min=1),
        "seed": seed_option("Seed of pauses and noise."),
        "jobs": typer.Option(help="Processes of cxxrtl.", callback=checks.check_threads),
    },
}
