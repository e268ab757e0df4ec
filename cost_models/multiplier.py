"""The result of synthesis for a multiplication on a device."""

from sqhw.cost_models.fabric import Device, MultiplierPrimitive


def map_multiplier(a_bits: int, b_bits: int, device: Device) -> MultiplierPrimitive | None:
    """Return the DSP cell that synthesis takes for a registered signed product.

    Exact on all of ``benchmarks/cost_memory/data/multiplier_yosys.csv`` (yosys 0.70, up to 18 x 16
    bits). yosys never puts two products into one DSP block.

    Parameters
    ----------
    a_bits, b_bits : int
        Widths of the operands, 1 or more (unit: bit).
    device : Device
        The device to build for.

    Returns
    -------
    MultiplierPrimitive or None
        Cell; None if the product is made of LUTs, as always on a device without DSP blocks.

    Raises
    ------
    ValueError
        If an operand has less than 1 bit, or the product needs more than one cell.
    """
    if min(a_bits, b_bits) < 1:
        raise ValueError(f"operands must have 1 bit or more, not {a_bits} and {b_bits}")
    wide, narrow = max(a_bits, b_bits), min(a_bits, b_bits)
    cells = [cell for cell in device.multipliers if cell.inferred]
    for cell in cells:
        if (
            narrow <= cell.widths[1]
            and cell.least_widths[0] <= wide <= cell.widths[0]
            and narrow >= cell.least_widths[1]
            and wide + narrow >= cell.least_product
        ):
            return cell
    widest = max((cell.widths for cell in cells), default=(wide, narrow))
    if wide > widest[0] or narrow > widest[1]:
        raise ValueError(
            f"a product of {a_bits} x {b_bits} bits exceeds the widest multiplier of "
            f"{device.name}, {widest[0]} x {widest[1]}"
        )
    return None
