"""Options of the steps that tell the cost of a network: size, report."""

from dataclasses import dataclass
from pathlib import Path

from sqhw.steps.options.defaults import ALL, TECHNOLOGY


@dataclass(frozen=True, kw_only=True)
class SizeOptions:
    """Options of `sqhw.steps.size.size_network`.

    Parameters
    ----------
    network : str
        File of a quantized network, of a float network, or name of a network of the zoo. The
        weights of a quantized network are its own, those of the others are assumed.
    density : float, above 0, at most 1, optional
        Assumed share of non-zero weights; by default 1.
    bits : int, 1 to 8, optional
        Assumed width of a weight's code (unit: bit); by default 8.
    layer : list of str, optional
        Density and bits of single layers, each as ``name=density:bits``.
    device : str
        A device or board, a device file, or ``all``.
    batch : int, power of two
        Images of a run.
    budget : str, optional
        Limits for the choice of formats, see `sqhw.cost_models.budget.Budgets`.
    objective : {"rom", "cycles", "energy"}
        Objective of the choice of formats.
    technology : str
        A name or a file, see `sqhw.cost_models.technology`.
    explore : bool
        Whether to search engines and return their Pareto front instead.
    acc_bits : int, 16 to 32, optional
        Width of the accumulators (unit: bit); by default the width that the weights of a file
        need, 24 or more.
    bank_ram : {"block", "single-port"}, optional
        RAM of the activation banks; by default block RAM, unless that leaves none for weights.
    quotient_ones : int, 0 to 8, optional
        Most ones of a quotient in Golomb-Rice streams; with 0 engines do not decode them, also
        where a network file names another engine. By default engines of files keep their own, and
        the others do not decode them.
    cores : int, 1 to 16, optional
        Cores of the engine, each with its own maps and ROMs; by default one, or those of the
        engine that a network file names. A search tries several.
    plot : Path, optional
        File for a picture of the result.
    """

    network: str
    density: float | None = None
    bits: int | None = None
    layer: list[str] | None = None
    device: str = ALL
    batch: int = 1
    budget: str | None = None
    objective: str = "rom"
    technology: str = TECHNOLOGY
    explore: bool = False
    acc_bits: int | None = None
    bank_ram: str | None = None
    quotient_ones: int | None = None
    cores: int | None = None
    plot: Path | None = None


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Options of `sqhw.steps.report.report`.

    Parameters
    ----------
    files : list of Path
        Network files (``.safetensors``), or accounts (``.json``) as benchmarks write them.
    device : str, optional
        Device whose block RAMs are counted for network files; by default the device that each
        was compressed for.
    out : Path, optional
        File to write: as ``.html`` a page with all plots and tables, as ``.png`` or ``.svg`` the
        plots.
    """

    files: list[Path]
    device: str | None = None
    out: Path | None = None
