"""From a float network to one that computes on the grids of an integer file.

Its layers keep names and weights; after each of those that end an op of the file comes
a layer `<name>_range`. Ranges lie where TFLite has tensors: not between a convolution,
its norm and its ReLU, which are one op, nor behind ops whose output must have the
quantization of their input, nor on the parts of a concatenation.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras

from official import graph
from official.layers import (
    attention,
    batch_norm,
    box_decoding,
    fake_quant,
    hard_swish,
    masks,
    quantized,
    quantized_attention,
    quantized_boxes,
    quantized_masks,
)
from official.quantization import rules
from official.quantization.rules import Kind

NORMALIZE = "normalize"
"""The layer that scales pixels 0..255; what it gives is what a file is fed."""

_FIELDS = {
    "weight_bits": "no layer that it decides on has a kernel",
    "symmetric_activations": "no layer that it decides on is in an op whose range is "
    "found in training",
}
"""What a rule can say, and why it may say that in vain."""

_OWN_RANGES = (Kind.SAME, Kind.ATTENTION, Kind.IDS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for layers without a rule.

    Attributes:
        weight_bits: Of kernels.
        activation_bits: Of everything else.
        symmetric: Ranges around zero.
        decay: Of ranges.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    symmetric: bool = False
    decay: float = 0.99


def quantized_network(
    network: keras.Model, settings: Settings, user_rules: tuple[rules.Rule, ...] = ()
) -> keras.Model:
    """The network with rounded weights and activations, weights included.

    Raises:
        ValueError: If a layer is of a class that nothing is known of, or a rule or one
            of its fields decides nothing.
    """
    rewriting = _Rewriting(network, settings, user_rules)
    rewritten = graph.rebuild(network, rewriting.visit)
    rewriting.require_used(user_rules)
    for layer in rewritten.layers:
        if layer.weights and not isinstance(layer, fake_quant.FakeQuant):
            original = network.get_layer(layer.name).get_weights()
            if original:
                layer.set_weights(original)
    return rewritten


def without_ranges(network: keras.Model, *, rounded: bool) -> keras.Model:
    """The float form of a network from `quantized_network`, its weights included.

    For files that are quantized after training, or not at all.

    Args:
        rounded: Keep kernels on their grids.
    """

    def visit(node: graph.Node, args: Any, kwargs: Mapping[str, Any]) -> Any:
        operation = node.operation
        if isinstance(operation, fake_quant.FakeQuant):
            return args[0]
        float_kind = next(
            (
                kind
                for fake, kind in _FLOAT_KINDS.items()
                if isinstance(operation, fake)
            ),
            None,
        )
        if float_kind is None:
            return graph.copy(node, args, kwargs)
        config = operation.get_config()
        for name in ("weight_bits", "bits", "symmetric", "decay"):
            config.pop(name, None)
        return float_kind.from_config(config)(*args, **kwargs)

    plain = graph.rebuild(network, visit)
    for layer in plain.layers:
        original = network.get_layer(layer.name)
        if not layer.weights:
            continue
        layer.set_weights(original.get_weights()[: len(layer.weights)])
        if rounded and isinstance(original, quantized.Kernel):
            layer.kernel.assign(original.rounded_weights())
    return plain


_FLOAT_KINDS: Mapping[type, type[keras.layers.Layer]] = {
    quantized.QuantizedConv2D: keras.layers.Conv2D,
    quantized.QuantizedDepthwiseConv2D: keras.layers.DepthwiseConv2D,
    quantized.QuantizedDense: keras.layers.Dense,
    quantized.QuantizedNorm: batch_norm.BatchNormalization,
    quantized.QuantizedRescaling: keras.layers.Rescaling,
    quantized.QuantizedHardSwish: hard_swish.HardSwish,
    quantized.QuantizedHardSigmoid: hard_swish.HardSigmoid,
    quantized_attention.QuantizedMultiQueryAttention: attention.MultiQueryAttention,
    quantized_boxes.QuantizedBoxDecoding: box_decoding.BoxDecoding,
    quantized_masks.QuantizedKMeansUpdate: masks.KMeansUpdate,
}


def is_quantized(network: keras.Model) -> bool:
    """Whether `quantized_network` has made it."""
    return any(isinstance(x, fake_quant.FakeQuant) for x in network.layers)


def fakes(network: keras.Model) -> Iterator[Any]:
    """Everything in a network with a `mode`."""
    for layer in network._flatten_layers():
        if isinstance(layer, fake_quant.FakeQuant | quantized.Fake):
            yield layer


def observe(network: keras.Model, batches: Iterable[Any]) -> None:
    """Finds the ranges of a network on images, without training it.

    Args:
        network: From `quantized_network`; its norms keep their statistics.
        batches: Images as it takes them, `[B, H, W, 3]`.
    """
    norms = [
        layer
        for layer in network.layers
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    for layer in norms:
        layer.trainable = False  # it then computes as in inference
    for fake in fakes(network):
        fake.mode = "observe"
    for images in batches:
        network(images, training=True)
    for fake in fakes(network):
        fake.mode = "quantize"
    for layer in norms:
        layer.trainable = True


class _Rewriting:
    def __init__(
        self,
        network: keras.Model,
        settings: Settings,
        user_rules: tuple[rules.Rule, ...],
    ):
        found = graph.nodes(network)
        self._settings = settings
        self._rules = rules.resolve(user_rules, [node.name for node in found])
        self._used: set[tuple[str, str]] = set()
        self._kinds: dict[str, Kind] = {}
        # What is computed before the last range: the kinds of an unfinished op.
        self._open: dict[str, bool] = {}
        makers: dict[int, str] = {}
        for node in found:
            self._kinds[node.name] = rules.kind(node.operation)
            makers.update({id(tensor): node.name for tensor in node.outputs})
        self._found = {node.name: node for node in found}
        for node in found:
            self._open[node.name] = self._continues(node)
        self._inputs = {id(tensor) for tensor in network.inputs}
        self._kernels = {
            node.name: self._follows_kernel(node, makers) for node in found
        }
        # The layers of the op that each layer is in, up to this one.
        self._layers: dict[str, tuple[str, ...]] = {}
        for node in found:
            source = makers.get(id(node.inputs[0]))
            before = source if source and self._open[source] else None
            self._layers[node.name] = (
                *(self._layers[before] if before else ()),
                node.name,
            )

    def _continues(self, node: graph.Node) -> bool:
        """Whether the op that a node is in goes on with the one that reads it."""
        reader = node.only_consumer
        if reader is None:
            return False
        kind, after = self._kinds[node.name], self._kinds[reader.name]
        if kind is Kind.NORM or kind is Kind.SCALE:
            return after in (Kind.SCALE, Kind.RELU) or self._scales(node, reader)
        if kind is Kind.KERNEL:
            folded = (Kind.NORM, Kind.SCALE, Kind.RELU)
            return after in folded or self._scales(node, reader)
        sums = (keras.layers.Add, keras.layers.Multiply, keras.layers.Rescaling)
        return after is Kind.RELU and isinstance(node.operation, sums)

    def _scales(self, node: graph.Node, reader: keras.Operation) -> bool:
        """Whether the reader is attention, and this its queries, which it divides."""
        if self._kinds[reader.name] is not Kind.ATTENTION:
            return False
        queries = self._found[reader.name].inputs[0]
        return any(tensor is queries for tensor in node.outputs)

    def _joined(self, node: graph.Node) -> bool:
        """Whether its values go nowhere but into a concatenation.

        TFLite's parts of a concatenation have the quantization of the whole.
        """
        reader = node.only_consumer
        while reader is not None and self._kinds[reader.name] is Kind.SAME:
            reader = self._found[reader.name].only_consumer
        return isinstance(reader, keras.layers.Concatenate)

    def _follows_kernel(self, node: graph.Node, makers: Mapping[int, str]) -> bool:
        """Whether it can be folded into a convolution before it."""
        source = makers.get(id(node.inputs[0]))
        if source is None:
            return False
        weighted = self._kinds[source] is Kind.KERNEL
        norm = self._kinds[source] is Kind.NORM
        return self._open[source] and (weighted or norm)

    def visit(self, node: graph.Node, args: Any, kwargs: Mapping[str, Any]) -> Any:
        kind = self._kinds[node.name]
        if node.name == NORMALIZE and isinstance(
            node.operation, keras.layers.Rescaling
        ):
            return self._normalized(node.operation, args)
        if any(id(tensor) in self._inputs for tensor in node.inputs):
            # The images of a network that does not scale pixels itself.
            args = (self._ranged(args[0], "images"), *args[1:])
        outputs = self._layer(node, kind)(*args, **kwargs)
        fixed = rules.fixed_range(node.operation)
        if kind in _OWN_RANGES or self._open[node.name]:
            return outputs
        if fixed is None and self._joined(node):
            return outputs
        return self._ranged(outputs, node.name, fixed=fixed)

    def _ranged(
        self, values: Any, name: str, *, fixed: tuple[float, float] | None = None
    ) -> Any:
        settings, symmetric = self._settings, self._settings.symmetric
        for layer in self._layers.get(name, ()):
            found = None if fixed else self._of_rule(layer, "symmetric_activations")
            symmetric = symmetric if found is None else found
        return fake_quant.FakeQuant(
            bits=settings.activation_bits,
            symmetric=symmetric,
            decay=settings.decay,
            fixed=fixed,
            name=f"{name}_range",
        )(values)

    def _normalized(self, layer: keras.layers.Rescaling, args: Any) -> Any:
        """Pixels as a file reads them: the zero point of its input is an integer."""
        zero_point = pixel_zero_point(layer)
        shifted = keras.layers.Rescaling(
            layer.scale, offset=-zero_point * layer.scale, name=layer.name
        )
        bounds = -zero_point * layer.scale, (255 - zero_point) * layer.scale
        return self._ranged(shifted(*args), layer.name, fixed=bounds)

    def _of_rule(self, layer: str, field: str) -> Any:
        """What the layer's rule says, which is then known to decide something."""
        rule = self._rules.get(layer)
        found = None if rule is None else getattr(rule, field)
        if rule is not None and found is not None:
            self._used.add((rule.layers, field))
        return found

    def require_used(self, user_rules: tuple[rules.Rule, ...]) -> None:
        """Raises a ValueError if a field of a rule has decided nothing."""
        for rule in user_rules:
            for field, where in _FIELDS.items():
                wanted = getattr(rule, field) is not None
                if wanted and (rule.layers, field) not in self._used:
                    raise ValueError(
                        f"Rule(layers={rule.layers!r}): its {field} decides nothing: "
                        f"{where}"
                    )

    def _layer(self, node: graph.Node, kind: Kind) -> Any:
        operation, settings = node.operation, self._settings
        if kind is Kind.SCALE and not self._kernels[node.name]:
            raise ValueError(
                f"layer {node.name!r}: a LayerScale has an integer form here only "
                "right behind a convolution (or its norm) that nothing else reads"
            )
        if isinstance(operation, batch_norm.BatchNormalization):
            if not self._kernels[node.name]:
                return _as(operation, quantized.QuantizedNorm)
            return graph.renew(operation)
        if kind is Kind.KERNEL:
            bits = self._of_rule(node.name, "weight_bits")
            return _as(
                operation,
                _weighted(operation),
                weight_bits=bits or settings.weight_bits,
            )
        if kind is Kind.ATTENTION:
            return _as(
                operation,
                quantized_attention.QuantizedMultiQueryAttention,
                bits=settings.activation_bits,
                symmetric=settings.symmetric,
                decay=settings.decay,
            )
        if isinstance(operation, keras.layers.Rescaling):
            return _as(operation, quantized.QuantizedRescaling)
        if isinstance(operation, masks.KMeansUpdate):
            bits = settings.activation_bits
            return _as(operation, quantized_masks.QuantizedKMeansUpdate, bits=bits)
        if isinstance(operation, hard_swish.HardSwish):
            # Fused it is one op, with a range before it and one behind.
            if operation.form == "fused":
                return graph.renew(operation)
            bits = settings.activation_bits
            return _as(operation, quantized.QuantizedHardSwish, bits=bits)
        if isinstance(operation, hard_swish.HardSigmoid):
            bits = settings.activation_bits
            return _as(operation, quantized.QuantizedHardSigmoid, bits=bits)
        return graph.renew(operation)


def pixel_zero_point(normalize: keras.layers.Rescaling) -> int:
    """The uint8 value that stands for zero in what a file is fed."""
    # Half away from zero, as the converter.
    return int(-normalize.offset / normalize.scale + 0.5)


def _as(
    operation: keras.Operation, kind: type[keras.layers.Layer], **settings: Any
) -> Any:
    return kind.from_config({**operation.get_config(), **settings})


def _weighted(operation: keras.Operation) -> type[keras.layers.Layer]:
    if isinstance(operation, keras.layers.DepthwiseConv2D):
        return quantized.QuantizedDepthwiseConv2D
    if isinstance(operation, keras.layers.Dense):
        return quantized.QuantizedDense
    return quantized.QuantizedConv2D
