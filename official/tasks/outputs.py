"""What a file gives: the end of its graph, made from the outputs of a network."""

import keras

from official.layers import (
    argmax,
    box_decoding,
    fake_quant,
    foreground,
    quantized_boxes,
)
from official.quantization import rewrite, rules
from official.tasks import detector as detector_lib


def of_logits(
    network: keras.Model, *, output: str, size: str, activation: str
) -> keras.Model:
    """The network with one of the forms "logits", "scores" and "class_ids".

    Args:
        network: Input `[B, H, W, 3]`; its outputs hold "logits" `[..., C]`.
        output: The form, which then stands in the place of the logits.
        size: "head", or "input": maps of logits are enlarged to the input's size.
        activation: "softmax" or "sigmoid": what makes scores of the logits.
    """
    outputs = dict(network.output)
    logits = outputs.pop("logits")
    if size == "input" and len(logits.shape) == 4:
        resize = keras.layers.Resizing(
            *network.input.shape[1:3], interpolation="bilinear", name="logits_resize"
        )
        logits = resize(logits)
    if output == "class_ids":
        outputs["class_ids"] = argmax.ArgMax(name="class_ids")(logits)
    elif output == "scores":
        outputs["scores"] = scores(network, logits, activation=activation)
    else:
        outputs["logits"] = logits
    return keras.Model(network.input, outputs, name="network")


def of_boxes(
    network: keras.Model,
    detector: detector_lib.Detector,
    *,
    output: str,
    activation: str,
) -> keras.Model:
    """A detector with one of the forms "detections", "raw" and "decoded".

    The first two are one graph: what makes detections of it is put behind the converted
    file. It gives "box_encodings" and "scores", the third "boxes_yxyx" and "scores".

    Args:
        network: Its outputs are "box_encodings" `[B, A, 4]` and "logits" `[B, A, C]`.
        detector: How they are read.
        output: The form.
        activation: "sigmoid", or "softmax" for logits whose first is the background's.
    """
    encodings, logits = network.output["box_encodings"], network.output["logits"]
    values = scores(network, logits, activation=activation)
    if activation == "softmax":
        values = foreground.Foreground(name="foreground")(values)
    if output != "decoded":
        outputs = {"box_encodings": encodings, "scores": values}
        return keras.Model(network.input, outputs, name="network")
    integers = rewrite.is_quantized(network)
    kind = (
        quantized_boxes.QuantizedBoxDecoding if integers else box_decoding.BoxDecoding
    )
    layer = kind(anchors=detector.anchors, scales=detector.scales, name="boxes")
    boxes = layer(encodings)
    if integers:
        fixed = rules.fixed_range(layer)
        boxes = fake_quant.FakeQuant(fixed=fixed, name="boxes_range")(boxes)
    outputs = {"boxes_yxyx": boxes, "scores": values}
    return keras.Model(network.input, outputs, name="network")


def scores(
    network: keras.Model, logits: keras.KerasTensor, *, activation: str
) -> keras.KerasTensor:
    """Adds scores 0..1; in a network of integers on the grid that TFLite fixes."""
    layer = keras.layers.Activation(activation, name="scores")
    values = layer(logits)
    if not rewrite.is_quantized(network):
        return values
    fixed = rules.fixed_range(layer)
    return fake_quant.FakeQuant(fixed=fixed, name="scores_range")(values)
