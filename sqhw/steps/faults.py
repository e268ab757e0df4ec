"""`sqhw faults`: what flipped bits in ROMs and feature maps do to the accuracy."""

import time
from collections.abc import Iterable, Sequence

import numpy as np

from sqhw.data.dataset import Split
from sqhw.errors import SqhwError
from sqhw.faults.bench import FaultBench
from sqhw.faults.campaign import Campaign, Outcome, Single
from sqhw.faults.injections import parse_flip, parse_rates
from sqhw.faults.interval import wilson
from sqhw.faults.map_flips import BYTE_BITS, MapFlips, MapOutcome
from sqhw.faults.protected import UNPROTECTED, ProtectedCampaign, check_protection
from sqhw.faults.sites import sites_of
from sqhw.machine.layout import ROMS
from sqhw.report.fault_results import (
    BitSample,
    CriticalBit,
    FaultsResult,
    FieldSample,
    FlipResult,
    ProtectedSample,
    RateSample,
    Sample,
)
from sqhw.seeds import check_seed
from sqhw.steps.images import check_classes, check_count, load_data
from sqhw.steps.options import FaultsOptions
from sqhw.steps.program import program_of
from sqhw.steps.progress import Progress, silent

#: Stages whose progress is told.
SINGLES, UPSETS, MAPS = "flip bits", "upset memories", "flip activations"
PROTECTED = "upset memories with check bits"


def faults(options: FaultsOptions, progress: Progress = silent) -> FaultsResult:
    """Flip bits of the ROM images and of the feature maps, and measure the accuracy.

    Raises
    ------
    SqhwError
        If an option is out of its range, a bit that is named lies outside of the images, or the
        network takes other images.
    """
    began = time.perf_counter()
    check_seed(options.seed)
    check_protection(options.protection)
    rates = parse_rates(options.rates)
    roms = [name.strip() for name in (options.rom or ",".join(ROMS)).split(",")]
    program = program_of(options.network)
    network = program.network
    tabled = [layer.name for layer in network.convs if layer.table]
    if tabled:
        raise SqhwError(
            f"layer {tabled[0]!r}: its activation function is a table, of which no flips are "
            "computed; take a network of ReLUs"
        )
    data = load_data(options.data, network, image_size=options.image_size, progress=progress)
    check_classes(network, data)
    images = min(options.images, len(data.test))
    check_count(images, data)
    test = data.test.take(np.arange(images))
    bench = FaultBench(program, test.images, options.threads)
    sites = sites_of(bench.reader)
    campaign = Campaign(bench, sites, test.labels, roms)
    found = {rom: len(bits) for rom, bits in sites.covered.items()}
    result: FaultsResult = {
        "network": network.name,
        "images": images,
        "accuracy": campaign.judge(bench.logits).accuracy,
        "bits": found,
        "descriptor_bits": program.rom_bits - sum(found.values()),
        "seed": options.seed,
        "seconds": 0.0,
    }
    if options.flip:
        result["flip"] = _named(campaign, options.flip)
    else:
        _singles(campaign, options, result, progress)
        _upsets(campaign, rates, options, result, progress)
        _protected(campaign, rates, options, result, progress)
        _maps(bench, test, rates, options, result, progress)
    result["seconds"] = time.perf_counter() - began
    return result


def _named(campaign: Campaign, texts: Sequence[str]) -> FlipResult:
    """Return what bits that the user names make of the network together."""
    flips: dict[str, list[int]] = {rom: [] for rom in ROMS}
    for rom, word, bit in map(parse_flip, texts):
        at = campaign.sites.number(rom, word, bit)
        if at in flips[rom]:
            raise SqhwError(f"--flip: bit {bit} of word {word} of {rom} is named twice")
        flips[rom].append(at)
    chosen = {rom: np.array(bits, np.int64) for rom, bits in flips.items() if bits}
    outcome = campaign.outcome(chosen)
    changed = len(campaign.labels)
    if outcome.resolved:
        logits = campaign.bench.maps(campaign.bench.program.network.layers[-1].name)
        classes = logits.reshape(len(logits), -1).argmax(axis=1)
        changed = int((classes != campaign.bench.logits.argmax(axis=1)).sum())
    return {
        "flips": list(texts),
        "accuracy": outcome.accuracy,
        "images_changed": changed,
        "resolved": outcome.resolved,
    }


def _sample(outcomes: Iterable[Outcome]) -> Sample:
    """Return the figures of some outcomes, one or more."""
    right, changed = zip(*((one.accuracy, one.changed) for one in outcomes), strict=True)
    return {**_figures(right, changed), "worst": min(right)}


def _rate_sample(rate: float, outcomes: Sequence[Outcome], flips: Sequence[int]) -> RateSample:
    """Return the figures of damaged memories, whose bits flip at a rate."""
    unresolved = sum(not one.resolved for one in outcomes)
    mean = float(np.mean(flips))
    return {"rate": rate, "flips": mean, "unresolved": unresolved, **_sample(outcomes)}


def _figures(right: Sequence[float], changed: Sequence[bool]) -> Sample:
    mean, share, count = float(np.mean(right)), float(np.mean(changed)), len(right)
    return {
        "injections": count,
        "accuracy": mean,
        "accuracy_interval": wilson(mean, count),
        "changed": share,
        "changed_interval": wilson(share, count),
    }


def _singles(
    campaign: Campaign, options: FaultsOptions, result: FaultsResult, progress: Progress
) -> None:
    """Flip single bits of the ROMs."""
    if not options.injections:
        return
    rng = np.random.default_rng([options.seed, 0])
    names = [layer.name for layer in campaign.bench.program.network.layers]
    found = campaign.singles(
        options.injections, rng, lambda done: progress(SINGLES, done, options.injections, "")
    )
    fields, bits = list[FieldSample](), list[BitSample]()
    for number, place in enumerate(campaign.sites.places):
        chosen = [one.outcome for one in found if one.place == place]
        if chosen:
            fields.append(
                {
                    "rom": place.rom,
                    "layer": names[place.layer],
                    "field": place.field,
                    "bits": len(campaign.sites.bits(number)),
                    **_sample(chosen),
                }
            )
    for field, position in sorted({(one.place.field, one.position) for one in found}):
        chosen = [
            one.outcome for one in found if (one.place.field, one.position) == (field, position)
        ]
        bits.append({"field": field, "bit": position, **_sample(chosen)})
    result["fields"], result["field_bits"] = fields, bits
    result["critical"] = [
        _critical(one, names, campaign.bench.reader.widths)
        for one in sorted(
            (one for one in found if one.outcome.changed),
            key=lambda one: (one.outcome.accuracy, one.place.rom, one.at),
        )[: options.top]
    ]


def _critical(one: Single, names: Sequence[str], widths: dict[str, int]) -> CriticalBit:
    word, bit = divmod(one.at, widths[one.place.rom])
    return {
        "rom": one.place.rom,
        "word": word,
        "bit": bit,
        "layer": names[one.place.layer],
        "field": one.place.field,
        "position": one.position,
        "accuracy": one.outcome.accuracy,
    }


def _upsets(
    campaign: Campaign,
    rates: Sequence[float],
    options: FaultsOptions,
    result: FaultsResult,
    progress: Progress,
) -> None:
    """Flip bits of the ROMs at rates."""
    if not options.trials:
        return
    samples = list[RateSample]()
    for number, rate in enumerate(rates):
        rng = np.random.default_rng([options.seed, 1, number])
        done, total = number * options.trials, len(rates) * options.trials

        def told(count: int, done: int = done, total: int = total) -> None:
            progress(UPSETS, done + count, total, "")

        outcomes, flips = campaign.upsets(rate, options.trials, rng, told)
        samples.append(_rate_sample(rate, outcomes, flips))
    result["rates"] = samples


def _protected(
    campaign: Campaign,
    rates: Sequence[float],
    options: FaultsOptions,
    result: FaultsResult,
    progress: Progress,
) -> None:
    """Flip bits of ROMs with check bits at rates."""
    if options.protection == UNPROTECTED or not options.trials:
        return
    damage = ProtectedCampaign(campaign, options.protection)
    samples = list[ProtectedSample]()
    for number, rate in enumerate(rates):
        rng = np.random.default_rng([options.seed, 4, number])
        outcomes, flips, words = damage.upsets(rate, options.trials, rng, lambda done: None)
        samples.append(
            {
                **_rate_sample(rate, outcomes, flips),
                "corrected": float(np.mean([one.corrected for one in words])),
                "detected": float(np.mean([one.detected for one in words])),
                "silent": float(np.mean([one.silent for one in words])),
            }
        )
        progress(PROTECTED, number + 1, len(rates), "")
    result["protected"] = {
        "protection": options.protection,
        "check_bits": damage.check_bits,
        "rates": samples,
    }


def _maps(
    bench: FaultBench,
    test: Split,
    rates: Sequence[float],
    options: FaultsOptions,
    result: FaultsResult,
    progress: Progress,
) -> None:
    """Flip bits of the feature maps, and at rates."""
    if not options.activations:
        return
    damage = MapFlips(bench, test.labels)
    rounds, names = options.activations, list(bench.program.network.shapes())
    outcomes = dict[str, list[MapOutcome]]()
    for number, name in enumerate(reversed(names)):
        rng = np.random.default_rng([options.seed, 2, number])
        outcomes[name] = [damage.singles(name, rng) for _ in range(rounds)]
        progress(MAPS, number + 1, len(names) + len(rates), name)
    result["maps"] = [{"map": name, **_map_sample(outcomes[name])} for name in names]
    whole = [one for found in outcomes.values() for one in found]
    result["map_bits"] = [
        {"bit": bit, **_map_sample(whole, bit)}
        for bit in range(BYTE_BITS)
        if any((one.bit == bit).any() for one in whole)
    ]
    samples = list[RateSample]()
    for number, rate in enumerate(rates):
        rng = np.random.default_rng([options.seed, 3, number])
        right, changed, flips = zip(*(damage.upsets(rate, rng) for _ in range(rounds)), strict=True)
        figures = _figures(np.concatenate(right).tolist(), np.concatenate(changed).tolist())
        images = rounds * len(test)
        samples.append({"rate": rate, "flips": sum(flips) / images, "unresolved": 0, **figures})
        progress(MAPS, len(names) + number + 1, len(names) + len(rates), "")
    result["map_rates"] = samples


def _map_sample(outcomes: Sequence[MapOutcome], bit: int | None = None) -> Sample:
    """Return the figures of flips in maps, or of those of one bit of their bytes."""
    chosen = [
        np.ones(len(one.bit), np.bool_) if bit is None else one.bit == bit for one in outcomes
    ]
    right = [one.right[mask] for one, mask in zip(outcomes, chosen, strict=True)]
    changed = [one.changed[mask] for one, mask in zip(outcomes, chosen, strict=True)]
    return _figures(np.concatenate(right).tolist(), np.concatenate(changed).tolist())
