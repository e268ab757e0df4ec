"""`sqhw rtl`: the Verilog of the engine of a network."""

from sqhw.export.build import write_rtl
from sqhw.machine.naming import check_name
from sqhw.report.results import RtlResult
from sqhw.steps.options import RtlOptions
from sqhw.steps.program import device_pieces, program_of


def rtl(options: RtlOptions) -> RtlResult:
    """Write the Verilog of the engine, with its ROMs in pieces that suit the device."""
    check_name(options.name)
    program = program_of(options.network)
    pieces = device_pieces(program, options.device)
    paths = write_rtl(
        program.engine, program.depths, options.out, options.interface, pieces, options.name
    )
    return {"files": [str(path) for path in paths], "engine": program.engine.to_dict()}
