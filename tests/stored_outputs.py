"""Outputs of a panoptic network as a file gives them, for tests of what reads them."""

from collections.abc import Mapping

import numpy as np


def stored(real: Mapping[str, np.ndarray], kind: str):
    """Outputs of a type, their description, and the real values that they stand for.

    Args:
        real: Without the batch axis.
        kind: Of the numbers in the file.
    """
    outputs, tensors, reals = {}, [], {}
    for name, values in real.items():
        tensor = {"name": name}
        if kind != "float32":
            scale = (values.max() - values.min()) / 255
            zero_point = round(np.iinfo(kind).min - values.min() / scale)
            tensor |= {"scale": scale, "zero_point": zero_point}
            limits = np.iinfo(kind).min, np.iinfo(kind).max
            values = np.clip(np.rint(values / scale) + zero_point, *limits)
            reals[name] = ((values - zero_point) * scale).astype(np.float32)
        else:
            reals[name] = values.astype(np.float32)
        outputs[name] = values.astype(kind)[None]
        tensors.append(tensor)
    return outputs, tensors, reals
