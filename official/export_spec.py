"""What is exported after training."""

import dataclasses

PRECISIONS = ("float32", "float16", "dynamic", "int8")
TYPES = ("uint8", "int8", "float32")
OUTPUTS = ("logits", "scores", "class_ids")
SIZES = ("head", "input")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """The files that a run ends with, and the gate each must pass.

    Attributes:
        target: Hardware by name; a module of `tflite_export.targets`.
        precisions: One file for each: "float32", "float16" (weights), "dynamic"
            (8-bit weights, float activations), "int8" (weights and activations).
        input_type: "uint8" (pixels 0..255 as decoded), "int8" (pixel - 128) or
            "float32" (pixels 0..255). Normalisation is part of the file.
        output_type: "uint8", "int8" or "float32" for the logits or scores of an int8
            file; the other precisions give float32. Class ids are int32 in every file.
        output: "logits", "scores" (0..1: their softmax, or the sigmoid of each where
            there may be several classes) or "class_ids" (argmax inside the file).
        output_size: "head" (the resolution of the head) or "input".
        calibration_examples: Training images whose activation ranges are recorded.
        max_drop: Largest loss of the metric against the Keras model, in points
            (hundredths), for float and for 8-bit files.
        min_agreement: Smallest share of equal decisions, likewise.
    """

    target: str = "cpu"
    precisions: tuple[str, ...] = ("float32", "int8")
    input_type: str = "uint8"
    output_type: str = "uint8"
    output: str = "logits"
    output_size: str = "head"
    calibration_examples: int = 100
    max_drop_float: float = 0.1
    max_drop_int8: float = 1.0
    min_agreement_float: float = 0.999
    min_agreement_int8: float = 0.97

    def __post_init__(self):
        for field, known in (
            ("input_type", TYPES),
            ("output_type", TYPES),
            ("output", OUTPUTS),
            ("output_size", SIZES),
        ):
            _require_known(field, getattr(self, field), known)
        if not self.precisions:
            raise ValueError(f"precisions is empty: want some of {PRECISIONS}")
        for precision in self.precisions:
            _require_known("precisions", precision, PRECISIONS)
        if self.calibration_examples < 1:
            raise ValueError(
                f"calibration_examples {self.calibration_examples}: want 1 or more"
            )


def _require_known(field: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{field} {value!r}: want one of {', '.join(known)}")
