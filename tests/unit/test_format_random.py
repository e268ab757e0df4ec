"""docs/format.md holds for random networks: all fields of descriptors, records and streams."""

import format_decoder as decoder
from hypothesis import given
from hypothesis import strategies as st
from strategies import networks, reads_with_one_stride

from sqhw.compiler.program import compile_network
from sqhw.machine.config import EngineConfig
from sqhw.planner.placement import Write

#: An engine with every feature, and words that no field ends with.
ENGINE = EngineConfig(
    lanes=8,
    bank_depth=4096,
    acc_bits=32,
    mult_bits=16,
    word_bits=21,
    weight_addr_bits=20,
    param_addr_bits=16,
    codebook_addr_bits=12,
    max_gap_bits=12,
    taps_per_entry=2,
    requantizers=4,
    max_batch=4,
    groups=True,
    residuals=True,
    quotient_ones=7,
    tables=True,
)


@given(
    network=networks(
        taps_per_entry=2, branches=True, max_layers=5, quotient_ones=7, word_bits=21, tables=True
    ).filter(reads_with_one_stride),
    batch=st.sampled_from([1, 2, 4]),
)
def test_random_networks_are_decoded(network, batch):
    program = compile_network(network, ENGINE, batch)
    roms = {image.name: list(image.words) for image in program.images}
    engine = ENGINE.to_dict()
    layers = decoder.descriptors(roms["params"], engine)
    for fields, tiling in zip(layers, program.tilings, strict=True):
        layer = tiling.layer
        assert {name: fields[name] for name in meaning(tiling)} == meaning(tiling)
        records = decoder.records(roms["params"], engine, fields)
        if layer.kind == "maxpool":
            one = {"count": layer.taps, "bias": 0, "multiplier": 1, "shift": 0}
            assert records == [one] * fields["out_channels"]
            continue
        channels = decoder.weights(roms, engine, fields)
        assert decoder.dense(channels, layer.weight.shape) == layer.weight.ravel().tolist()
        found = decoder.activation(roms["params"], engine, fields, layer.output.signed)
        assert tuple(found) == layer.table
        for field in ("bias", "multiplier", "shift"):
            assert [record[field] for record in records] == getattr(layer, field).tolist()
    covered = {name for tiling in program.tilings for name in meaning(tiling)}
    assert set(layers[0]) - covered == RECORD_FORMAT


#: Fields that say how records and streams are packed: decoding them is their check.
RECORD_FORMAT = {
    *("last", "in_signed", "clamp_lo", "clamp_hi", "skip_signed", "weight_addr", "codebook_addr"),
    "quotient_addr",
    *("param_addr", "count_base", "count_width", "bias_lo_width", "bias_hi_width", "bias_shift"),
    *("multiplier_base", "multiplier_width", "shift_base", "shift_width", "table", "table_addr"),
}


def meaning(tiling):
    """Return the fields of a descriptor that the page derives from the memory plan."""
    layer, lanes, depth = tiling.layer, ENGINE.lanes, ENGINE.bank_depth
    source, target, batch = tiling.source, tiling.target, tiling.source.batch
    channels, height, width = source.shape
    out_channels, out_height, out_width = target.shape
    pool = layer.kind == "maxpool"
    top, left = (0, 0) if pool else (layer.padding[0], layer.padding[2])
    groups = channels if pool else layer.groups
    split, up, aside = source.split, -top // source.split, -left // source.split
    first = (up * source.pitch + aside) * batch
    phase = 2 * (-top % split) + -left % split
    in_phase, out_phase = (m.phase_rows if m.split > 1 else 0 for m in (source, target))
    skip = None if pool else layer.residual
    added = tiling.skip.shape[0] if skip else 0
    return {
        "pool": int(pool),
        "in_channels": channels,
        "in_split": split - 1,
        "in_phase_rows": in_phase,
        "in_pitch_rows": source.pitch * batch // lanes * channels % depth,
        "in_pitch_lane": source.pitch * batch % lanes,
        "in_last_x": width - 1,
        "in_last_y": height - 1,
        "start_row": (source.base + phase * in_phase + first // lanes * channels) % depth,
        "start_lane": first % lanes,
        "start_phase_x": -left % split,
        "start_phase_y": -top % split,
        "start_dx": -left,
        "start_dy": -top,
        "last_dx": (layer.window[1] if pool else layer.weight.shape[3]) - 1 - left,
        "batch_shift": {1: 0, 2: 1, 4: 2}[batch],
        "group_channels": channels // groups,
        "group_last": out_channels // groups - 1,
        "skip": int(skip is not None),
        "skip_weight": skip.weight if skip else 0,
        "skip_row": (tiling.skip.base - skip.first) % depth if skip else 0,
        "skip_channels": added,
        "skip_first": skip.first if skip else 0,
        "skip_last": skip.first + added - 1 if skip else 0,
        "pitch_last_x": source.pitch - 1,
        "last_tile": tiling.tiles - 1,
        "last_channel": out_channels - 1,
        "out_base": target.base,
        "out_channels": out_channels,
        "out_split": target.split - 1,
        "out_phase_rows": out_phase,
        "out_pitch_rows": target.pitch * batch // lanes * out_channels % depth,
        "out_pitch_lane": target.pitch * batch % lanes,
        "out_last_x": out_width - 1,
        "out_last_y": out_height - 1,
        "out_walk": int(tiling.write is not Write.AS_COMPUTED),
        "out_serial": int(tiling.write is Write.SERIAL),
        "gap_bits": 0 if pool else layer.stream.descriptor.get("gap_bits", 0),
        "filler_ones": 0 if pool else getattr(layer.stream, "ones", 0),
        "entry_bits": 0 if pool else layer.stream.entry_bits,
    }
