"""The options of the steps that make networks."""

import typer

from sqhw.cli import checks
from sqhw.cli.options.shared import (
    ACC_BITS,
    BANK_RAM,
    BATCH,
    BUDGET,
    DATA,
    DEVICE,
    IMAGE_SIZE,
    MAX_BATCH,
    MOST_BITS,
    MOST_EPOCHS,
    NETWORK,
    OUT,
    PRECISION,
    QUOTIENT_ONES,
    RESUME,
    SEED,
    SOURCE,
    THREADS,
    ZOO_NETWORK,
    Table,
    file_option,
    seed_option,
)
from sqhw.names import ACCELERATORS, OBJECTIVES, OPTIMIZERS
from sqhw.steps.options import (
    CompressOptions,
    ImportOptions,
    QuantizeOptions,
    RetargetOptions,
    TrainOptions,
)

#: Largest value of a pixel of 8 bits.
LARGEST_PIXEL = 255

OPTIONS: Table = {
    TrainOptions: {
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "network": ZOO_NETWORK,
        "input_max": typer.Option(
            help="Largest number in your own arrays (npz:FILE).  [default: 255]",
            min=1,
            max=LARGEST_PIXEL,
        ),
        "mean": typer.Option(
            help="Mean of pixel / input_max: a number, or one a channel with commas. By default "
            "that of the network.",
            callback=checks.check_values,
        ),
        "std": typer.Option(
            help="Standard deviation of pixel / input_max, as the mean.",
            callback=checks.check_values,
        ),
        "out": OUT,
        "epochs": typer.Option(
            help="Passes over the data: 40, of large sets 6.", min=1, max=MOST_EPOCHS
        ),
        "batch": BATCH,
        "optimizer": typer.Option(
            help="adam, or sgd, with Nesterov's momentum, for large networks.",
            callback=checks.check_name("optimizer", OPTIMIZERS),
        ),
        "rate": typer.Option(
            help="Peak learning rate: 0.002, of sgd 0.1.", callback=checks.check_share
        ),
        "precision": PRECISION,
        "threads": THREADS,
        "seed": SEED,
        "resume": RESUME,
    },
    ImportOptions: {
        "network": typer.Argument(
            help="A model's file (.onnx, .tflite, .pt2), or a network of the zoo, for example "
            "resnet20; or python:FILE:CALLABLE, which runs that Python file: its callable returns "
            "a PyTorch module."
        ),
        "checkpoint": file_option(
            "Weights of a network of the zoo as safetensors; random ones without.",
            check=checks.check_source,
        ),
        "out": OUT,
        "check": typer.Option(
            "--check",
            help="Compare with another program on random images: ONNX Runtime, onnx or LiteRT.",
        ),
        "check_only": typer.Option(
            "--check-only", help="Name every operator that cannot be imported; write nothing."
        ),
        "data": typer.Option(
            help="Data set whose test images are compared too, as in other commands.",
            callback=checks.check_optional_data,
        ),
        "image_size": IMAGE_SIZE,
        "input_max": typer.Option(
            help="Largest pixel value of a file's images.  [default: 255]",
            min=1,
            max=LARGEST_PIXEL,
        ),
        "mean": typer.Option(
            help="A file is fed (pixel / input_max - mean) / std: a number, or one a channel with "
            "commas.  [default: 0]",
            callback=checks.check_values,
        ),
        "std": typer.Option(help="As the mean.  [default: 1]", callback=checks.check_values),
        "input_shape": typer.Option(
            help="Sizes of a file's image as 3x32x32, if the file leaves them open.",
            callback=checks.check_shape,
        ),
        "output": typer.Option(help="Name of the output, if a file has several."),
        "floats": typer.Option(
            "--floats",
            help="Make a float network of a quantized model, to compress or quantize it further.",
        ),
        "device": typer.Option(
            help="Device or board whose engine a quantized model gets; by default that of a large "
            "ECP5.",
            callback=checks.check_device,
        ),
        "seed": seed_option("Seed of random weights."),
    },
    CompressOptions: {
        "source": SOURCE,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "device": DEVICE,
        "budget": BUDGET,
        "out": OUT,
        "epochs": typer.Option(
            help="Passes over the data: 65, of large sets 16; more end better.",
            min=2,
            max=MOST_EPOCHS,
        ),
        "threads": THREADS,
        "precision": PRECISION,
        "rate": typer.Option(
            help="Peak learning rate, relative to a layer's weights.",
            callback=checks.check_share,
        ),
        "batch": BATCH,
        "accelerator": typer.Option(
            help="Device for the training: cpu or cuda.",
            callback=checks.check_name("accelerator", ACCELERATORS, counted=True),
        ),
        "resume": RESUME,
        "max_batch": MAX_BATCH,
        "acc_bits": ACC_BITS,
        "bank_ram": BANK_RAM,
        "quotient_ones": QUOTIENT_ONES,
        "seed": SEED,
    },
    QuantizeOptions: {
        "source": SOURCE,
        "data": DATA,
        "image_size": IMAGE_SIZE,
        "device": DEVICE,
        "density": typer.Option(
            help="Largest share of its weights that a layer keeps.", callback=checks.check_share
        ),
        "ends_density": typer.Option(
            help="The same for the first and the last layer.", callback=checks.check_share
        ),
        "bits": typer.Option(help="Width of a weight's code.", min=1, max=MOST_BITS),
        "objective": typer.Option(
            help="Objective of the choice of streams: rom or cycles.",
            callback=checks.check_name("objective", OBJECTIVES),
        ),
        "max_batch": MAX_BATCH,
        "acc_bits": ACC_BITS,
        "bank_ram": BANK_RAM,
        "quotient_ones": QUOTIENT_ONES,
        "out": OUT,
    },
    RetargetOptions: {
        "network": NETWORK,
        "device": DEVICE,
        "out": OUT,
        "max_batch": MAX_BATCH,
        "bank_ram": BANK_RAM,
        "quotient_ones": QUOTIENT_ONES,
    },
}
