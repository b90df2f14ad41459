"""Which part of a loss is no longer a finite number."""

import math
from collections.abc import Mapping

TOTAL = "loss"
"""The name of the sum among the logs of a step; terms have names of their own."""

_SUFFIX = "_loss"


def log_name(term: str) -> str:
    """The name of a loss term among the logs of a step."""
    return f"{term}{_SUFFIX}"


def complaint(logs: Mapping[str, float], step: int) -> str:
    """What is NaN or infinite of the losses after a step; "" where nothing is.

    Args:
        logs: Means since the epoch began, in which what is not finite stays, so the
            step at which it comes up first is the step at which it was.
        step: Counted from 1.
    """
    bad = {name: value for name, value in logs.items() if not math.isfinite(value)}
    if not bad:
        return ""
    terms = [name.removesuffix(_SUFFIX) for name in logs if name.endswith(_SUFFIX)]
    found = {name: bad[log_name(name)] for name in terms if log_name(name) in bad}
    finite = sorted(name for name in terms if name not in found)
    if not found:
        # The total may still overflow, and it has a penalty that is no term.
        return (
            f"the loss is {_named(logs[TOTAL])} at step {step}, though its terms are "
            f"finite ({', '.join(finite)}): the L2 penalty, or their sum, is too large"
        )
    said = ", ".join(f"{name!r} is {_named(found[name])}" for name in sorted(found))
    if not finite and len(found) > 1:
        return (
            f"all loss terms are NaN or infinite at step {step} ({said}): an image of "
            "its batch, or a weight after the step before, is not finite"
        )
    others = f"others finite: {', '.join(finite)}" if finite else "there is no other"
    return f"loss term {said} at step {step} ({others})"


def _named(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
