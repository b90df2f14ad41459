"""Size and latency of exported classifiers against published .tflite files.

    python scripts/benchmark_peers.py --images=FOLDER \
        --weights=mobilenet_v2.weights.h5 --peer=tf2_mobilenet_v2_1.0_224_ptq.tflite

Builds MobileNetV2 with ImageNet weights, and other networks with random ones (their
norms given the statistics of the images, so that activations have the sizes of a
trained network), converts each to float32 and int8, the images as calibration data, and
to the int8 file that quantization-aware training ends in, and times all files and the
peer's in one interleaved run on one thread. The last line is JSON.
"""

import argparse
import dataclasses
import json
import pathlib
import sys
from typing import TYPE_CHECKING

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import keras
    import numpy as np

    from tflite_export import benchmark

SIZE = (224, 224)
CLASSES = 1000
IMAGES = 50
PRECISIONS = ("float32", "int8")


def photographs(folder: pathlib.Path) -> "np.ndarray":
    """float32 `[N, H, W, 3]`: some photographs of a folder, spread evenly over it."""
    import numpy as np

    from official.data import decoding, transforms

    files = sorted(folder.rglob("*.jpg"))
    if not files:
        sys.exit(f"{folder} has no .jpg files")
    chosen = files[:: max(1, len(files) // IMAGES)][:IMAGES]
    return np.stack(
        [np.asarray(transforms.resize(decoding.image(f), SIZE)) for f in chosen]
    )


def networks(weights: str, pixels: "np.ndarray") -> "dict[str, keras.Model]":
    """Classifiers by name."""
    import keras

    from official.backbones import mobilenet_v2, mobilenet_v3, mobilenet_v4
    from official.heads import classification as heads
    from official.tasks import classification
    from official.weights import initialize

    backbones = {
        "MobileNetV2": mobilenet_v2.MobileNetV2(),
        "MobileNetV3-Large": mobilenet_v3.MobileNetV3(),
        "MobileNetV4-Conv-Small": mobilenet_v4.MobileNetV4(variant="conv_small"),
        "MobileNetV4-Hybrid-Medium": mobilenet_v4.MobileNetV4(variant="hybrid_medium"),
    }
    built = {}
    for name, backbone in backbones.items():
        keras.utils.set_random_seed(0)
        task = classification.Classification(
            backbone=backbone, head=heads.Classification(), image_size=SIZE
        )
        network = task.build(num_classes=CLASSES, training=False)
        if name == "MobileNetV2":
            print(initialize.initialize(network, backbone, weights).summary())
        else:
            settle(network, pixels)
        built[name] = network
    return built


def settle(network: "keras.Model", pixels: "np.ndarray") -> None:
    """Gives every norm the statistics of the images."""
    import keras

    norms = [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in norms:
        layer.momentum = 0.5
    for _ in range(10):
        network(pixels[:16], training=True)


def convert(
    networks: "dict[str, keras.Model]", pixels: "np.ndarray", folder: pathlib.Path
) -> dict[str, pathlib.Path]:
    """The files of every network, by name and precision."""
    from official import export_spec
    from tflite_export import calibration, conversion, inference
    from tflite_export.targets import base as targets

    spec = export_spec.Export(precisions=PRECISIONS)
    target = targets.find(spec.target)
    images = calibration.collect(image[None] for image in pixels)
    files = {}
    for name, network in networks.items():
        for precision in PRECISIONS:
            rewritten = target.rewrite(network, precision).model
            graph = inference.build(rewritten, spec=spec, precision=precision)
            content = conversion.convert(
                graph, precision, spec=spec, calibration=images
            )
            file = folder / f"{name}_{precision}.tflite"
            file.write_bytes(content)
            files[f"{name} {precision}"] = file
        # As quantization-aware training ends, but for the training.
        graph = inference.build(
            observed(target.rewrite(network, "int8").model, pixels),
            spec=spec,
            precision="int8",
        )
        file = folder / f"{name}_int8_qat.tflite"
        file.write_bytes(conversion.convert(graph, "int8", spec=spec))
        files[f"{name} int8 QAT"] = file
    return files


def observed(network: "keras.Model", pixels: "np.ndarray") -> "keras.Model":
    """The network under a quantization scheme, its ranges found on the images."""
    from official.quantization import rewrite, scheme

    quantized = scheme.QuantScheme().apply(network)
    rewrite.observe(quantized, [pixels])
    return quantized


def show(files: dict[str, pathlib.Path], figures: "list[benchmark.Figures]") -> None:
    """A table, and JSON."""
    by_name = dict(zip(files, figures, strict=True))
    print("| file | size, MB | latency, ms | partitions | against its float file |")
    print("|---|---|---|---|---|")
    for name, found in by_name.items():
        float_name = name.replace(" int8 QAT", " float32").replace("int8", "float32")
        float_file = by_name.get(float_name)
        ratio = found.latency_ms / float_file.latency_ms if float_file else None
        print(
            f"| {name} | {found.size / 1e6:.2f} | {found.latency_ms:.2f} | "
            f"{found.partitions} | {'' if ratio is None else f'{ratio:.2f}'} |"
        )
    print(json.dumps([dataclasses.asdict(f) for f in figures], default=str))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", required=True, help="folder of photographs")
    parser.add_argument("--weights", required=True, help="MobileNetV2 ImageNet weights")
    parser.add_argument("--peer", action="append", default=[], help="a .tflite file")
    parser.add_argument("--out", default="runs/peers", help="folder of the files")
    arguments = parser.parse_args()
    from tflite_export import benchmark, quiet

    quiet.import_tensorflow()
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    pixels = photographs(pathlib.Path(arguments.images))
    files = convert(networks(arguments.weights, pixels), pixels, out)
    files |= {pathlib.Path(peer).name: pathlib.Path(peer) for peer in arguments.peer}
    show(files, benchmark.measure(list(files.values())))


if __name__ == "__main__":
    main()
