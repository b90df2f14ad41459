"""Quantization-aware training."""

import dataclasses

import keras

from official.layers import batch_norm
from official.quantization import estimators, rewrite
from official.quantization import rules as rules_lib


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantScheme:
    """Trains a network on the grids of the int8 file that it becomes.

    Jacob et al., 2018, https://arxiv.org/abs/1712.05877, section 3: kernels are rounded
    by a symmetric scale for each output channel, activations by one range for each
    tensor that the file has. Start from a trained float network (`init_from`), at a
    tenth to a hundredth of its learning rate.

    Norms are not folded for training: as a scale for each channel moves with a factor
    of the channel, the folded kernel has the same integers.

    Attributes:
        target: Hardware that the network is rewritten for before it is quantized; the
            form of an activation decides where its ranges lie. An export for another
            target is quantized after training, from the float weights.
        rules: What holds for some layers; the first that matches a layer counts.
        weight_bits: 4 to 8; with fewer than 8 an int8 file uses every n-th level.
        activation_bits: 8, or 16 (around zero), for files of "int16x8". The converter
            takes trained weights there, and finds 16-bit ranges by itself.
        symmetric_activations: Ranges around zero.
        range_decay: Share of its range that a batch leaves as it was.
        observe_steps: So many steps, the first, train in floats while ranges are found.
        freeze_step: From this step on the statistics of norms and the ranges stay as
            they are; None is after three quarters of the training.
        estimator: The gradient of rounding.
    """

    target: str = "cpu"
    rules: tuple[rules_lib.Rule, ...] = ()
    weight_bits: int = 8
    activation_bits: int = 8
    symmetric_activations: bool = False
    range_decay: float = 0.99
    observe_steps: int = 20
    freeze_step: int | None = None
    estimator: estimators.Estimator = estimators.StraightThrough()

    def __post_init__(self):
        rules_lib.check_weight_bits(self, self.weight_bits)
        if self.activation_bits not in rules_lib.ACTIVATION_BITS:
            raise ValueError(
                f"QuantScheme.activation_bits = {self.activation_bits}: must be one of "
                f"{rules_lib.ACTIVATION_BITS}; TFLite kernels know no others"
            )
        if not 0 <= self.range_decay < 1:
            raise ValueError(
                f"QuantScheme.range_decay = {self.range_decay}: must be in [0, 1)"
            )
        if self.observe_steps < 1:
            raise ValueError(
                f"QuantScheme.observe_steps = {self.observe_steps}: must be 1 or more; "
                "a range is not known before it was seen"
            )
        if self.freeze_step is not None and self.freeze_step < self.observe_steps:
            raise ValueError(
                f"QuantScheme.freeze_step = {self.freeze_step}: comes before the "
                f"{self.observe_steps} observe_steps are over"
            )

    @property
    def precision(self) -> str:
        """The export precision that the network is trained for."""
        return "int8" if self.activation_bits == 8 else "int16x8"

    def apply(self, network: keras.Model, *, training: bool = False) -> keras.Model:
        """The network on its grids, weights included; `network` is left as it is.

        Args:
            network: Float, flat, rewritten for the target.
            training: Give rounding the estimator's gradient.

        Raises:
            ValueError: If a layer is of a class that nothing is known of, or a rule
                decides nothing.
        """
        settings = rewrite.Settings(
            weight_bits=self.weight_bits,
            activation_bits=self.activation_bits,
            symmetric=self.symmetric_activations or self.activation_bits == 16,
            decay=self.range_decay,
        )
        quantized = rewrite.quantized_network(network, settings, self.rules)
        if training:
            for fake in rewrite.fakes(quantized):
                fake.rounding = self.estimator
        return quantized

    def set_step(self, network: keras.Model, step: int, *, total_steps: int) -> bool:
        """Puts a network into the phase that a step of its training is in.

        Args:
            network: From `apply`.
            step: Counted from 0.

        Returns:
            Whether this changed anything: a compiled step is then out of date.
        """
        mode = "observe" if step < self.observe_steps else "quantize"
        frozen = step >= self.freezes_at(total_steps)
        changed = False
        for fake in rewrite.fakes(network):
            changed = changed or fake.mode != mode
            fake.mode = mode
            if hasattr(fake, "frozen"):
                changed = changed or fake.frozen != frozen
                fake.frozen = frozen
        if frozen:
            for layer in network.layers:
                if isinstance(layer, batch_norm.BatchNormalization):
                    layer.use_batch_statistics = False
        return changed

    def freezes_at(self, total_steps: int) -> int:
        """The step from which ranges and statistics stay as they are."""
        if self.freeze_step is not None:
            return self.freeze_step
        return max(self.observe_steps + 1, round(0.75 * total_steps))
