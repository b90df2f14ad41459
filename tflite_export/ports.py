"""What lies beside a file for those who port an app to it."""

import pathlib
from collections.abc import Iterable

from official.tasks import segment_reader
from tflite_export import center_postprocess, panoptic_postprocess


def postprocessing(outputs: Iterable[str]) -> pathlib.Path | None:
    """The source of what makes segments of outputs, in NumPy alone; None without any.

    Args:
        outputs: Names of all outputs of a file.
    """
    named = frozenset(outputs)
    if named in (segment_reader.MASKS, segment_reader.SLOTS):
        return pathlib.Path(panoptic_postprocess.__file__)
    if named == segment_reader.CENTERS:
        return pathlib.Path(center_postprocess.__file__)
    return None
