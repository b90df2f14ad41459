"""How the outputs of a panoptic file become segments, as plain data beside the file."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from official.ops import panoptic
from official.tasks import center_grouping, panoptic_merging

MASKS = frozenset(("mask_logits", "class_logits"))
SLOTS = frozenset(("slots", "class_logits"))
CENTERS = frozenset(("logits", "center_heatmap", "offsets"))

SURE = 20.0
"""Logit of a pixel's slot where a file gives the slot alone; the others' are 0."""

_KINDS = {
    kind.__name__: kind
    for kind in (
        panoptic_merging.MaskWise,
        panoptic_merging.PixelWise,
        center_grouping.CenterGrouping,
    )
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentReader:
    """Reads the outputs of one image.

    Attributes:
        merging: How slots, or centers, become segments.
        thing_ids: The classes that are things.
    """

    merging: panoptic_merging.Merging | center_grouping.CenterGrouping
    thing_ids: tuple[int, ...]

    def __call__(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int]
    ) -> panoptic_merging.Segments:
        """The segments, at the size of the image.

        Args:
            outputs: Without the batch axis; "mask_logits" `[h, w, N]` or "slots"
                `[h, w]`, with "class_logits" `[N, C + 1]`; or, for a merging of
                centers, "logits" `[h, w, C]`, "center_heatmap" `[h, w, 1]` and
                "offsets" `[h, w, 2]`.
            size: Height and width.
        """
        if isinstance(self.merging, center_grouping.CenterGrouping):
            return self.merging(
                outputs["logits"],
                outputs["center_heatmap"],
                outputs["offsets"],
                size=size,
                thing_ids=self.thing_ids,
            )
        class_logits = outputs["class_logits"]
        if "slots" in outputs:
            mask_logits = of_slots(outputs["slots"], len(class_logits))
        else:
            mask_logits = outputs["mask_logits"]
        return self.merging(
            mask_logits, class_logits, size=size, thing_ids=self.thing_ids
        )

    def settings(self) -> dict[str, Any]:
        """All of it as plain data, for the description beside a file."""
        return {
            "merging": type(self.merging).__name__,
            **dataclasses.asdict(self.merging),
            "thing_ids": list(self.thing_ids),
            "label_divisor": panoptic.LABEL_DIVISOR,
            "void": panoptic.VOID,
        }


def of_settings(settings: Mapping[str, Any]) -> SegmentReader:
    """The reader that gave these `SegmentReader.settings`.

    Raises:
        ValueError: If they are not such settings.
    """
    kind = _KINDS.get(str(settings.get("merging")))
    if kind is None:
        raise ValueError(
            f"merging {settings.get('merging')!r}: want one of {', '.join(_KINDS)}"
        )
    names = [field.name for field in dataclasses.fields(kind)]
    missing = [name for name in (*names, "thing_ids") if name not in settings]
    if missing:
        raise ValueError(f"{kind.__name__} lacks {', '.join(missing)}")
    numbers = [settings[name] for name in names]
    things = settings["thing_ids"]
    if not all(_is_number(number) for number in numbers):
        raise ValueError(f"{kind.__name__}: want numbers, got {numbers}")
    if not (isinstance(things, list) and all(type(c) is int for c in things)):
        raise ValueError(f"thing_ids {things!r}: want a list of class ids")
    return SegmentReader(
        merging=kind(**dict(zip(names, numbers, strict=True))),
        thing_ids=tuple(things),
    )


def of_slots(slots: np.ndarray, count: int) -> np.ndarray:
    """Mask logits `[h, w, count]` of a map of slots: `SURE` for a pixel's own."""
    return SURE * (np.asarray(slots)[..., None] == np.arange(count)).astype(np.float32)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and bool(np.isfinite(value))
