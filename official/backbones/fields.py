"""Checks of the fields of networks and of their parts."""

from collections.abc import Sequence


def check_choice(spec: object, field: str, allowed: Sequence[object]) -> None:
    """Checks a field of a component.

    Raises:
        ValueError: If it does not hold one of the allowed values; names them.
    """
    value = getattr(spec, field)
    if value not in allowed:
        raise ValueError(
            f"{type(spec).__name__}.{field} = {value!r}: must be one of "
            + ", ".join(repr(known) for known in allowed)
        )


def check_positive(spec: object, field: str) -> None:
    """Checks a number of a component.

    Raises:
        ValueError: If it is not above 0.
    """
    value = getattr(spec, field)
    if not value > 0:
        raise ValueError(f"{type(spec).__name__}.{field} = {value!r}: must be above 0")


def check_rate(spec: object, field: str) -> None:
    """Checks a probability of a component.

    Raises:
        ValueError: If it is not in [0, 1).
    """
    value = getattr(spec, field)
    if not 0 <= value < 1:
        raise ValueError(
            f"{type(spec).__name__}.{field} = {value!r}: must be in [0, 1)"
        )
