"""The gradient of a 5x5 depthwise kernel on CPUs, stride 1: three ways to compute it.

    python scripts/benchmark.py depthwise [--threads=1] [--repeats=40] [--batch_size=16]

"TensorFlow" is its own kernel, "oneDNN" what it takes where nothing else is asked for,
"ours" that of `official/layers/depthwise.py`. They take turns; printed is the slowest
of the fastest quarter of all repeats, in milliseconds by the clock, and how far ours is
off TensorFlow's.
"""

import argparse
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tflite_export import quiet

# Of MobileNetV3-Large, MobileNetV4-Conv-Small and a network of 256 pixels.
SHAPES = ((28, 120), (28, 64), (16, 480), (14, 480), (7, 960), (7, 512), (7, 128))


def ways(side: int, channels: int, batch_size: int) -> dict[str, Callable[[], Any]]:
    """Compiled functions by name, on the same noise."""
    import tensorflow as tf

    from official.layers import depthwise

    generator = tf.random.Generator.from_seed(0)
    shape = (batch_size, side, side, channels)
    images, outer = (generator.normal(shape) for _ in range(2))
    weights = tf.zeros([5, 5, channels, 1])

    def gradient(images: Any, outer: Any, **padding: Any) -> Any:
        return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=images,
            filter_sizes=weights.shape,
            out_backprop=outer,
            strides=[1, 1, 1, 1],
            **padding,
        )

    around = {"padding": "EXPLICIT", "explicit_paddings": [0, 0, 2, 2, 2, 2, 0, 0]}
    found: dict[str, Callable[[Any, Any], Any]] = {
        "TensorFlow": lambda images, outer: gradient(images, outer, **around),
        "oneDNN": lambda images, outer: gradient(images, outer, padding="SAME"),
        "ours": lambda images, outer: depthwise.of_five_columns(images, weights, outer),
    }

    def bound(way: Callable[[Any, Any], Any]) -> Callable[[], Any]:
        compiled = tf.function(way, autograph=False)
        return lambda: compiled(images, outer)

    return {name: bound(way) for name, way in found.items()}


def timed(
    found: dict[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, float], float]:
    """Milliseconds by name; how far ours is off, as a share of the largest value."""
    import numpy as np

    results = {name: np.asarray(way()) for name, way in found.items()}
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(repeats):
        for name, way in found.items():
            begun = time.perf_counter()
            way()
            taken[name].append(1e3 * (time.perf_counter() - begun))
    wanted = results["TensorFlow"]
    off = np.abs(results["ours"] - wanted).max() / np.abs(wanted).max()
    quarter = {name: sorted(each)[len(each) // 4] for name, each in taken.items()}
    return quarter, float(off)


def main() -> None:
    flags = argparse.ArgumentParser(
        prog="benchmark_depthwise.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    flags.add_argument("--threads", type=int, help="all cores if not given")
    flags.add_argument("--repeats", type=int, default=40)
    flags.add_argument("--batch_size", type=int, default=16)
    given = flags.parse_args()
    quiet.import_tensorflow()
    import tensorflow as tf

    if given.threads:
        tf.config.threading.set_intra_op_parallelism_threads(given.threads)
        tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    print("| map | TensorFlow, ms | oneDNN | ours | off by, of the largest value |")
    print("|---|---|---|---|---|")
    for side, channels in SHAPES:
        found = ways(side, channels, given.batch_size)
        taken, off = timed(found, given.repeats)
        row = " | ".join(f"{taken[name]:.1f}" for name in found)
        shape = f"[{given.batch_size}, {side}, {side}, {channels}]"
        print(f"| {shape} | {row} | {off:.0e} |", flush=True)


if __name__ == "__main__":
    main()
