"""Training steps of other projects, for `benchmark.py train --peers`.

    python scripts/peer_steps.py PEER NETWORK --batch_size=16 --size=224 --classes=1000

Runs under the Python in which the peer is installed and imports nothing of this
project. Each peer trains as its own recipes do: images in memory, cross-entropy,
AdamW, RMSProp or SGD in the quickest form that it offers for CPUs.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import steps_on_request

NETWORKS = {
    "keras": {
        "mobilenet_v2": "MobileNetV2",
        "mobilenet_v3_large": "MobileNetV3Large",
        "mobilenet_v3_small": "MobileNetV3Small",
    },
    "timm": {
        "mobilenet_v2": "mobilenetv2_100",
        "mobilenet_v3_large": "mobilenetv3_large_100",
        "mobilenet_v3_small": "mobilenetv3_small_100",
        "mobilenet_v4_conv_small": "mobilenetv4_conv_small",
        "mobilenet_v4_conv_medium": "mobilenetv4_conv_medium",
    },
    "garden": {
        "mobilenet_v2": "MobileNetV2",
        "mobilenet_v3_large": "MobileNetV3Large",
        "mobilenet_v3_small": "MobileNetV3Small",
        "mobilenet_v4_conv_small": "MobileNetV4ConvSmall",
        "mobilenet_v4_conv_medium": "MobileNetV4ConvMedium",
    },
}
NETWORKS["timm_compiled"] = NETWORKS["timm_graphs"] = NETWORKS["timm"]

Run = Callable[[int], list[float]]


def times(step: Callable[[], None]) -> Run:
    """Takes a step so and so often and gives the seconds of each."""

    def run(count: int) -> list[float]:
        marks = [time.perf_counter()]
        for _ in range(count):
            step()
            marks.append(time.perf_counter())
        return [after - before for before, after in itertools.pairwise(marks)]

    return run


def _batch(given: argparse.Namespace) -> tuple[Any, Any]:
    import numpy as np

    generator = np.random.default_rng(0)
    shape = (given.batch_size, given.size, given.size, 3)
    images = generator.uniform(-1, 1, shape).astype("float32")
    return images, generator.integers(0, given.classes, given.batch_size)


def keras_applications(given: argparse.Namespace) -> Run:
    """`keras.applications`, trained with `fit`."""
    import keras
    import tensorflow as tf

    name = NETWORKS["keras"][given.network]
    settings: dict[str, Any] = {"include_preprocessing": False}
    network = getattr(keras.applications, name)(
        input_shape=(given.size, given.size, 3),
        weights=None,
        classes=given.classes,
        classifier_activation=None,
        **(settings if "V3" in name else {}),
    )
    optimizer = {
        "AdamW": keras.optimizers.AdamW(1e-3, weight_decay=0.1),
        "RMSProp": keras.optimizers.RMSprop(1e-3, momentum=0.9),
        "SGD": keras.optimizers.SGD(1e-3, momentum=0.9),
    }[given.optimizer]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, jit_compile=False)
    data = tf.data.Dataset.from_tensors(_batch(given)).repeat()
    return fitting(network, data)


def fitting(network: Any, data: Any) -> Run:
    """Steps of Keras's `fit`, its overhead between them included."""
    import keras

    class Marks(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.marks: list[float] = []

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.marks = self.marks or [time.perf_counter()]

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.marks.append(time.perf_counter())

    def run(count: int) -> list[float]:
        marks = Marks()
        network.fit(
            data, steps_per_epoch=count, verbose=0, shuffle=False, callbacks=[marks]
        )
        pairs = itertools.pairwise(marks.marks)
        return [after - before for before, after in pairs]

    return run


def timm(given: argparse.Namespace) -> Run:
    """timm on PyTorch, channels last, the optimizer fused.

    On a GPU in bfloat16 by autocast, the steps of a turn sent one after the other and
    waited for together; "timm_graphs" is compiled for CUDA graphs.
    """
    import timm as library
    import torch

    on_gpu = given.device == "cuda"
    torch.backends.cudnn.benchmark = on_gpu
    name = NETWORKS["timm"][given.network]
    network = library.create_model(name, num_classes=given.classes)
    network = network.to(given.device, memory_format=torch.channels_last).train()
    if given.peer != "timm":
        mode = "reduce-overhead" if given.peer == "timm_graphs" else None
        network = torch.compile(network, mode=mode)
    weights = network.parameters()
    optimizer: Any = {
        "AdamW": lambda: torch.optim.AdamW(weights, 1e-3, weight_decay=0.1, fused=True),
        "RMSProp": lambda: torch.optim.RMSprop(
            weights, 1e-3, momentum=0.9, foreach=True
        ),
        "SGD": lambda: torch.optim.SGD(weights, 1e-3, momentum=0.9, fused=True),
    }[given.optimizer]()
    pixels, labels = _batch(given)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    images = images.contiguous(memory_format=torch.channels_last).to(given.device)
    targets = torch.from_numpy(labels).to(given.device)
    loss = torch.nn.CrossEntropyLoss()

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(given.device, dtype=torch.bfloat16, enabled=on_gpu):
            value = loss(network(images), targets)
        value.backward()
        optimizer.step()
        return value

    if not on_gpu:
        return times(lambda: step().item())

    def run(count: int) -> list[float]:
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(count - 1):
            step()
        step().item()
        return [(time.perf_counter() - begun) / count] * count

    return run


def garden(given: argparse.Namespace) -> Run:
    """TensorFlow Model Garden, with the step of its classification task."""
    import tensorflow as tf
    import tf_keras

    from official.modeling.optimization import legacy_adamw
    from official.vision.modeling import classification_model
    from official.vision.modeling.backbones import mobilenet

    shape = tf_keras.layers.InputSpec(shape=[None, given.size, given.size, 3])
    backbone = mobilenet.MobileNet(NETWORKS["garden"][given.network], input_specs=shape)
    network = classification_model.ClassificationModel(
        backbone, given.classes, input_specs=shape
    )
    legacy = tf_keras.optimizers.legacy
    optimizer = {
        "AdamW": lambda: legacy_adamw.AdamWeightDecay(
            1e-3, weight_decay_rate=0.1, gradient_clip_norm=0.0
        ),
        "RMSProp": lambda: legacy.RMSprop(1e-3, momentum=0.9),
        "SGD": lambda: legacy.SGD(1e-3, momentum=0.9),
    }[given.optimizer]()
    images, labels = map(tf.constant, _batch(given))

    @tf.function
    def train() -> Any:
        with tf.GradientTape() as tape:
            logits = tf.cast(network(images, training=True), tf.float32)
            losses = tf_keras.losses.sparse_categorical_crossentropy(
                labels, logits, from_logits=True
            )
            loss = tf.reduce_mean(losses)
        weights = network.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, weights), weights, strict=True)
        )
        return loss

    return times(lambda: float(train()))


PEERS = {
    "keras": keras_applications,
    "timm": timm,
    "timm_compiled": timm,
    "timm_graphs": timm,
    "garden": garden,
}


def _version(peer: str) -> str:
    """Imports the peer, and says what it is."""
    if peer == "keras":
        import keras
        import tensorflow as tf

        return f"keras {keras.__version__}, tensorflow {tf.__version__}"
    if peer == "garden":
        # It is written for this, and TensorFlow reads it when it is imported.
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import importlib.metadata

        import tensorflow as tf

        import official.vision.modeling  # noqa: F401

        garden_version = importlib.metadata.version("tf-models-official")
        return f"tf-models-official {garden_version}, tensorflow {tf.__version__}"
    import timm as library
    import torch

    return f"timm {library.__version__}, torch {torch.__version__}"


def _gpu_peak_mib() -> float:
    import torch

    return torch.cuda.max_memory_allocated() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("network", help="see NETWORKS in this file")
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--size", type=int, required=True, help="of a square image")
    parser.add_argument("--classes", type=int, required=True)
    parser.add_argument("--optimizer", default="AdamW")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    given = parser.parse_args()
    if given.network not in NETWORKS[given.peer]:
        sys.exit(f"{given.peer} has no {given.network}")
    out = steps_on_request.answers()
    version = _version(given.peer)
    imported = steps_on_request.memory_mib("VmRSS")
    run = PEERS[given.peer](given)
    peak = steps_on_request.memory_mib if given.device == "cpu" else _gpu_peak_mib
    steps_on_request.serve(run, out, version=version, imported=imported, peak=peak)


if __name__ == "__main__":
    main()
