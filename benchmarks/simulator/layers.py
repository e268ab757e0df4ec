"""What bounds each layer: its speed beside what loads, multiplications and outputs allow.

The model counts instructions of the inner loops. An entry, of one or two non-zero weights, costs
one load of weights and one of activations for each vector of a block, and as many multiplications
of pairs; an output costs about `OUTPUT_OPERATIONS` for each vector. A core does `PORTS` of each a
cycle; a cycle is the time of two fused multiply-adds of a vector, of which the peak consists.
"""

import statistics
import time

from benchmarks.simulator.cases import LISTED, products, random_network
from benchmarks.simulator.rows import Record
from sqhw.network.quantized import Conv
from sqhw.sim import kernels
from sqhw.sim.arenas import Runner
from sqhw.sim.plan import Choice, prepare
from sqhw.sim.plan_layout import CHANNEL, OP_FIELDS
from sqhw.sim.variants import variants_of

#: Loads, and multiplications of vectors, that a core does in a cycle.
PORTS = 2
#: Instructions that begin, requantize and store a vector of outputs, and how many a cycle.
OUTPUT_OPERATIONS, ISSUED = 11, 4
#: Size of activations of a block above which a first-level cache does not keep them (unit: byte).
NEAR_BYTES = 32 << 10


def measure(name: str, rounds: int, peak: float) -> Record:
    """Return time, work and bounds of each layer of a random network.

    Parameters
    ----------
    name : str
        Name in the zoo.
    rounds : int
    peak : float
        Multiply-adds of float32 a nanosecond that the core reaches.
    """
    network = random_network(name, LISTED)
    runner = Runner(prepare(network, Choice(kernels.SHAPE)))
    plan = runner.plan
    cycle = PORTS * kernels.LANES / peak / 1e9  # seconds
    rows = []
    with runner.arena() as arena:
        for layer in network.layers:
            if not isinstance(layer, Conv):
                continue
            steps = plan.steps[layer.name]
            operations = plan.operations[steps.start : steps.stop]
            early = len(operations) if steps.start < plan.split else 0
            times = []
            for _ in range(rounds + 1):
                start = time.process_time()
                kernels.run(plan.content, operations, early, arena, plan.groups)
                times.append((time.process_time() - start) / plan.images)
            entries = outputs = 0
            for operation in operations:
                fields = dict(zip(OP_FIELDS, map(int, operation), strict=True))
                end = fields["channels"] + fields["outputs"] * CHANNEL.itemsize
                records = plan.content[fields["channels"] : end].view(CHANNEL)
                entries += int((records["end"] - records["begin"]).sum())
                outputs += fields["outputs"]
            block = variants_of(kernels.SHAPE)[
                int(operations[0][OP_FIELDS.index("variant")])
            ].vectors
            _, height, width = network.shapes()[layer.name]
            vectors = height * width / kernels.LANES  # of an image, a channel
            rows.append(
                {
                    "layer": layer.name,
                    "kind": _kind(layer, height, width),
                    "seconds": statistics.median(times[1:]),
                    "products": products(network, layer),
                    "loads": entries * (1 + 1 / block) / PORTS * vectors * cycle,
                    "multiplications": entries / PORTS * vectors * cycle,
                    "outputs": outputs * OUTPUT_OPERATIONS / ISSUED * vectors * cycle,
                    "entries": entries / max(1, outputs),
                }
            )
    return {"network": name, "layers": rows}


def _kind(layer: Conv, height: int, width: int) -> str:
    kind = "depthwise" if layer.groups > 1 else "convolution"
    return f"{kind} {layer.kernel[0]}x{layer.kernel[1]}, map {height}x{width}"
