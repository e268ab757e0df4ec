"""The text of `sqhw report`."""

from typing import Literal

from sqhw.report.columns import columns
from sqhw.report.results import AccountResult, ReportResult

#: Bases of the sizes of a layer in an account.
LayerBasis = Literal["payload", "stream", "rom", "own"]

#: Sentences below the tables, by the basis that they explain; not every account has these.
LEGEND = {
    "own": "as the method itself encodes the weights, with its tables; the engine reads none of it",
    "published": "non-zeros times log2 of the number of values, without positions, as papers count",
}


#: Codings of the weights, as the table names them.
CODINGS = {
    "fixed": "fields of one width",
    "rice": "Golomb-Rice gaps too",
    "entropy": "zero-order entropy",
    "mlw": "mlw_codec of Ethos-U",
}


def report_lines(result: ReportResult) -> list[str]:
    """Return the lines of `sqhw report`."""
    lines: list[str] = []
    for account in result["accounts"]:
        lines += [*account_lines(account), ""]
    return [*lines, f"wrote {result['file']}"] if "file" in result else lines[:-1]


def account_lines(account: AccountResult) -> list[str]:
    """Return the sizes of a compression and the table of its layers."""
    accuracy = ", ".join(
        f"{name.replace('_', ' ')} {value:.2%}" for name, value in account["accuracy"].items()
    )
    rows: list[tuple[str, ...]] = [("basis", "float32", "compressed", "ratio")]
    for basis, size in account["sizes"].items():
        before = account["float32"]["payload" if basis in ("own", "published") else basis]
        ratio = account["ratio"][basis]
        unit = "" if basis == "blocks" else " bit"
        if size is not None:
            # Cut and not rounded, so that the true ratio is never below the printed one.
            cut = f"{int(10 * ratio) / 10:,}x" if ratio is not None else "-"
            rows.append((basis, f"{before:,}{unit}", f"{size:,}{unit}", cut))
    bases: list[LayerBasis] = ["payload", "stream", "rom"]
    if account["sizes"]["own"] is not None:
        bases.append("own")
    table: list[tuple[str, ...]] = [("layer", "weights", "non-zero", "share", "bits", *bases)]
    for layer in account["layers"]:
        share = f"{layer['nonzeros'] / layer['weights']:.2%}" if layer["weights"] else "-"
        sizes = [layer[basis] for basis in bases]
        table.append(
            (
                layer["name"],
                f"{layer['weights']:,}",
                f"{layer['nonzeros']:,}",
                share,
                str(layer["bits"]),
                *("-" if size is None else f"{size:,}" for size in sizes),
            )
        )
    if account["sizes"]["rom"] is not None:
        # Maximum poolings have descriptors, but no weights and so no rows.
        rest = account["sizes"]["rom"] - sum(layer["rom"] or 0 for layer in account["layers"])
        if rest:
            table.append(("others", *"------", f"{rest:,}", *"-"[: len(bases) - 3]))
    head = f"{account['label']}: {account['network']}"
    if account["method"]:
        head += f" by {account['method']}"
    lines = [
        f"{head}, for {account['device']}",
        *([f"  {accuracy}"] if accuracy else []),
        (
            f"  {account['density']:.2%} of the weights, {account['average_bits']:.2f} bits each "
            f"on average"
        ),
        *columns(rows),
        "",
        *columns(table),
    ]
    lines += [
        f"  {basis}: {said}"
        for basis, said in LEGEND.items()
        if account["sizes"].get(basis) is not None
    ]
    if "codings" in account:
        lines += ["", *columns(_codings(account["codings"]))]
    if account["reason"]:
        lines.append(f"  no integers: {account['reason']}")
    return lines + [f"  {note}" for note in account["notes"]]


def _codings(bits: dict[str, int]) -> list[tuple[str, ...]]:
    """Return the rows on the weight streams in other codings, without codebooks."""
    rows: list[tuple[str, ...]] = [("streams without codebooks", "size", "to entropy")]
    for name, size in bits.items():
        share = f"{size / bits['entropy']:.3f}" if bits["entropy"] else "-"
        rows.append((CODINGS[name], f"{size:,} bit", share))
    return rows
