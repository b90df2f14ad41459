"""This project's training step with Keras on JAX, for `benchmark.py gpu`.

    python scripts/jax_steps.py NETWORK [--batch_size=256] [--size=224] [--classes=1000]
        [--precision=mixed_bfloat16] [--fed]

Needs keras and jax, and no TensorFlow. It is trained in `fit`, what that does between
the steps included, on a batch in the device's memory or, with `--fed`, on one that
comes from the host's memory anew for each step. See `steps_on_request`.
"""

import argparse
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import steps_on_request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

NETWORKS = {
    "mobilenet_v3_large": ("mobilenet_v3.MobileNetV3", "large"),
    "mobilenet_v3_small": ("mobilenet_v3.MobileNetV3", "small"),
    "mobilenet_v4_conv_small": ("mobilenet_v4.MobileNetV4", "conv_small"),
    "mobilenet_v4_conv_medium": ("mobilenet_v4.MobileNetV4", "conv_medium"),
    "mobilenet_v4_conv_large": ("mobilenet_v4.MobileNetV4", "conv_large"),
}


def built(given: argparse.Namespace) -> Any:
    """The model, ready to train."""
    import importlib

    import keras

    from official.heads import classification
    from official.layers import normalization
    from official.losses import classification as losses
    from official.optim import optimizers, schedules
    from official.training import trainable

    where, variant = NETWORKS[given.network]
    module, kind = where.split(".")
    backbones = importlib.import_module(f"official.backbones.{module}")
    backbone = getattr(backbones, kind)(variant=variant)
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(given.precision)
    images = keras.Input((given.size, given.size, 3), name="images", dtype="float32")
    features = backbone(normalization.add(images, "symmetric"))
    # timm drops nothing either, unless it is asked to.
    head = classification.Classification(dropout=0.0)
    network = keras.Model(images, head(features, given.classes))
    model = trainable.Trainable(network, {"class": losses.SoftmaxCrossEntropy()})
    rate = schedules.Constant(learning_rate=1e-3)
    optimizer = optimizers.AdamW(schedule=rate, weight_decay=0.1).build(
        network.trainable_variables, total_steps=1000, steps_per_epoch=1000
    )
    model.compile(optimizer, jit_compile=True)
    optimizer.build(network.trainable_variables)
    model.build(network.input_shape)
    return model


def fitting(model: Any, batch: tuple[Any, Any]) -> Callable[[int], list[float]]:
    """Steps of `fit`; each is given the time of all of them by their number."""
    import keras

    class Marks(keras.callbacks.Callback):
        """Lets Keras read the losses of each step, as a training's callbacks do."""

        def __init__(self, count: int):
            super().__init__()
            self._last = count - 1
            self.seconds = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.late.begin()

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if not batch:
                self._begun = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == self._last:
                self.model.late.newest()  # waits for this step
                self.seconds = time.perf_counter() - self._begun

    def batches() -> Iterator[Any]:
        while True:
            yield batch[0], {"label": batch[1]}

    def run(count: int) -> list[float]:
        marks = Marks(count)
        model.fit(
            batches(),
            steps_per_epoch=count,
            verbose=0,
            shuffle=False,
            callbacks=[marks],
        )
        return [marks.seconds / count] * count

    return run


def _peak_mib() -> float:
    """Of the device where it tells, else of the process."""
    import jax

    found = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in found:
        return found["peak_bytes_in_use"] / 2**20
    return steps_on_request.memory_mib()


def main() -> None:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("network", choices=NETWORKS)
    flags.add_argument("--batch_size", type=int, default=256)
    flags.add_argument("--size", type=int, default=224)
    flags.add_argument("--classes", type=int, default=1000)
    flags.add_argument("--precision", default="mixed_bfloat16")
    flags.add_argument("--fed", action="store_true")
    given = flags.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    # Of several contenders on one device each takes what it needs.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    out = steps_on_request.answers()
    import jax
    import keras
    import numpy as np

    model = built(given)
    generator = np.random.default_rng(0)
    shape = (given.batch_size, given.size, given.size, 3)
    images = generator.uniform(0, 255, shape).astype("float32")
    labels = generator.integers(0, given.classes, given.batch_size, np.int32)
    batch = (images, labels)
    if not given.fed:
        batch = (jax.device_put(images), jax.device_put(labels))
    device = jax.local_devices()[0].device_kind
    steps_on_request.serve(
        fitting(model, batch),
        out,
        version=f"keras {keras.__version__}, jax {jax.__version__}, {device}",
        imported=0.0,
        peak=_peak_mib,
    )


if __name__ == "__main__":
    main()
