"""What is exported after training."""

import dataclasses

PRECISIONS = ("float32", "float16", "dynamic", "int8", "int16x8", "mixed")
INTEGER = ("int8", "int16x8", "mixed")
"""Precisions whose activations are quantised, thus need their ranges."""
CALIBRATIONS = ("average", "min_max", "percentile", "mse")
TYPES = ("uint8", "int8", "float32")
OUTPUTS = (
    "logits",
    "scores",
    "class_ids",
    "detections",
    "raw",
    "decoded",
    "masks",
    "slots",
)
SIZES = ("head", "input")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """The files that a run ends with, and the gate each must pass.

    Attributes:
        target: Hardware by name; a module of `tflite_export.targets`.
        precisions: One file for each: "float32", "float16" (weights), "dynamic"
            (8-bit weights, float activations), "int8" (weights and activations),
            "int16x8" (8-bit weights, 16-bit activations), "mixed" (int8 but for the
            layers whose rounding costs most; see `max_drop_mixed`).
        input_type: "uint8" (pixels 0..255 as decoded), "int8" (pixel - 128) or
            "float32" (pixels 0..255). Normalisation is part of the file. For "int16x8"
            both integer types mean int16 (pixel / scale), all that TFLite has there.
        output_type: "uint8", "int8" or "float32" for the logits or scores of an int8
            file (of an int16x8 file int16 instead of the first two); the float ones
            give float32. Class ids are int32 in every file.
        output: "logits", "scores" (0..1: their softmax, or the sigmoid of each where
            there may be several classes) or "class_ids" (argmax inside the file). Of a
            detector: "detections" (boxes, classes and scores of what is there: four
            outputs of `TFLite_Detection_PostProcess`), "raw" (encoded boxes and scores
            of all anchors, which the file's metadata has) or "decoded" (boxes and
            scores of all anchors; the app leaves out what overlaps). Of a panoptic
            network: "masks" (what segments are made of: mask and class logits, or
            classes, centres and offsets) or "slots" (of mask logits only the number of
            the largest, for each pixel).
        output_size: "head" (the resolution of the head) or "input".
        split: Write, beside each file of which the target's hardware takes a part, that
            part and the rest as two files, which give the same one after the other. For
            targets that take one part of a graph ("edgetpu").
        calibration_examples: Training images whose activation ranges are recorded.
        calibration: From the values on these images to the range that 8 bits hold:
            "average" (mean of the images' ranges), "min_max" (the extremes of all),
            "percentile" (all but a share) or "mse" (least mean square error). Ranges of
            16 bits are the extremes.
        max_drop_mixed: Loss of the metric against the Keras model, in points, within
            which a mixed file must stay; layers are left float until it does.
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
    split: bool = False
    calibration_examples: int = 100
    calibration: str = "mse"
    max_drop_mixed: float = 0.5
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
            ("calibration", CALIBRATIONS),
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
