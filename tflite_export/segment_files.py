"""What the outputs of a panoptic file are, for apps."""

from collections.abc import Iterable

from tflite_export import ports

_MEANINGS = {
    "class_logits": "a row for each slot: logits of the classes, in the order of "
    "class_names, and of 'nothing' in the last place; the softmax of a row says what "
    "the slot is, and how sure that is",
    "mask_logits": "a channel for each slot: the softmax over the channels of a pixel "
    "says which slot it belongs to; no channel is a class, the class of a slot is in "
    "class_logits",
    "slots": "the number of the slot that each pixel belongs to, from 0; no class, the "
    "class of a slot is in class_logits",
    "logits": "a channel for each class; that with the largest value is the class of a "
    "pixel, for things together with those that center_heatmap and offsets tell apart",
    "center_heatmap": "about 1 where the center of a thing is, about 0 far from all",
    "offsets": "y and x from each place to the center of its thing, in pixels of the "
    "input",
}


def meaning(outputs: Iterable[str], name: str) -> str | None:
    """What an output of a file is; None if the file gives no segments.

    Args:
        outputs: Names of all outputs of the file.
        name: Of one of them.
    """
    source = ports.postprocessing(outputs)
    if source is None:
        return None
    return (
        f"{_MEANINGS[name]}. What makes segments of all outputs together, with the "
        f"thresholds under segments, is in {source.name}"
    )
