"""What a file gives: the end of its graph, made from the logits of a network."""

import keras

from official.layers import argmax, fake_quant
from official.quantization import rewrite, rules


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
