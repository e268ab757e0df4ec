"""Defaults that several steps share: names, files and folders."""

from pathlib import Path

#: Default data set, device and technology of the energies.
DATA, DEVICE, TECHNOLOGY = "digits", "iCEBreaker", "horowitz45"
#: Files and folders that steps write and later ones read.
FLOAT_FILE = Path("build/float.safetensors")
NETWORK_FILE = Path("build/network.safetensors")
RTL_FOLDER = Path("build/rtl")
WORK_FOLDER = Path("build/sim")
DEMO_FOLDER = Path("build/demo")
EXPORT_FOLDER = Path("build/export")
BUILD_FOLDER = Path("build/board")
SWEEP_FOLDER = Path("build/sweep")
#: Test images that are run through the RTL.
RTL_IMAGES = 20
#: Device name that stands for every device.
ALL = "all"
