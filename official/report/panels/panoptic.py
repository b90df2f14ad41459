"""Things and stuff laid over the image."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from official.data import base as data_base
from official.ops import panoptic
from official.report import segments
from official.report import tiles as tiles_lib
from official.report.panels import base
from official.tasks import center_grouping, panoptic_merging, segment_reader
from official.tasks import detector as tasks_detector

_WIDTH = 480
_SAMPLE = 320
_LISTED = 10

# Of a file that does not say how it is read. That a segment is large enough nobody
# knows either.
_MASKS = panoptic_merging.MaskWise(
    thing_threshold=0.5, stuff_threshold=0.5, overlap_threshold=0.8
)
_CENTERS = center_grouping.CenterGrouping(min_stuff_area=0)


class Panoptic(base.Panel):
    """The image, the segments of each map laid over it, and a legend of the classes.

    Predictions are "panoptic" int32 `[H, W]`, "segment_ids" `[S]`, padded with -1, and
    "segment_scores" `[S]`; the truth has "panoptic" and "thing_ids" `[T]`. A thing that
    the truth has, too, has the same shade in all pictures. Void is hatched. Up to three
    tiles stand in one row, more in rows of two.
    """

    draws_samples = True

    def truth(self, example: data_base.Example) -> base.Predictions:
        if "semantic" not in example or "instance" not in example:
            return {}
        pixels = panoptic.encode(
            np.asarray(example["semantic"]),
            np.asarray(example["instance"]),
            ignore_label=data_base.IGNORE_LABEL,
        )
        things = np.asarray(example.get("thing_ids", np.zeros(0, np.int32)))
        return {"panoptic": pixels, "thing_ids": things}

    def draw(
        self,
        image: np.ndarray,
        truth: base.Predictions,
        predictions: Mapping[str, base.Predictions],
        *,
        class_names: Sequence[str],
        palette: Sequence[data_base.Color],
    ) -> Image.Image:
        shown = ({"truth": truth} if truth else {}) | dict(predictions)
        size = base.fitted(image, _WIDTH)
        ground = Image.fromarray(image).resize(size, Image.Resampling.BOX)
        tiles = {"input": ground}
        first = None
        height, width = image.shape[:2]
        classes: set[int] = set()
        void = False
        for caption, each in shown.items():
            # A batch pads the maps of smaller images.
            pixels = np.asarray(each["panoptic"])[:height, :width]
            shades = segments.colors(pixels, palette, like=first)
            first = first or (pixels, shades)
            if (pixels == panoptic.VOID).all():
                caption = f"{caption}: nothing"
            tiles[caption] = segments.drawn(
                ground, pixels, shades, names=_names(each, class_names)
            )
            classes |= set((np.unique(pixels) // panoptic.LABEL_DIVISOR).tolist())
            void |= bool((pixels == panoptic.VOID).any())
        columns = len(tiles) if len(tiles) <= 3 else 2
        known = min(len(class_names), len(palette))
        legend = tiles_lib.legend(
            [*sorted(c for c in classes if c < known), *([known] if void else ())],
            [*class_names[:known], "nothing (hatched)"],
            [*palette[:known], segments.VOID],
            columns * (size[0] + tiles_lib.MARGIN),
        )
        return tiles_lib.arranged(tiles, legend, columns)

    def sample(
        self,
        image: np.ndarray,
        targets: Mapping[str, np.ndarray],
        *,
        class_names: Sequence[str],
        palette: Sequence[data_base.Color],
    ) -> Image.Image:
        """As `Panel.sample`; things are those of "segments", or around centers."""
        size = base.fitted(image, _SAMPLE)
        ground = Image.fromarray(image).resize(size, Image.Resampling.BOX)
        if "segments" in targets:
            pixels = _of_slots(targets)
        else:
            pixels = _of_centers(targets, height=image.shape[0])
        shades = segments.colors(pixels, palette)
        names = _names({"panoptic": pixels}, class_names)
        return segments.drawn(ground, pixels, shades, names=names)

    def classes(self, outputs: base.Shapes) -> int | None:
        names = set(outputs)
        ranks = {name: len(shape) for name, shape in outputs.items()}
        if names in (segment_reader.MASKS, segment_reader.SLOTS):
            map_name, rank = ("slots", 3) if "slots" in names else ("mask_logits", 4)
            if ranks[map_name] != rank or ranks["class_logits"] != 3:
                return None
            _, slots, classes = outputs["class_logits"]
            fits = rank == 3 or outputs["mask_logits"][3] == slots
            possible = slots < panoptic.LABEL_DIVISOR and classes > 1
            return classes - 1 if fits and possible else None
        if names == segment_reader.CENTERS and set(ranks.values()) == {4}:
            channels = {name: shape[3] for name, shape in outputs.items()}
            fits = (channels["center_heatmap"], channels["offsets"]) == (1, 2)
            return channels["logits"] if fits else None
        return None

    def decide(
        self,
        outputs: Mapping[str, np.ndarray],
        size: tuple[int, int],
        *,
        scores: str,
        detector: tasks_detector.Detector | None = None,
        reader: segment_reader.SegmentReader | None = None,
    ) -> base.Predictions:
        """As `Panel.decide`; without a `reader` every slot is a thing of its own."""
        del detector  # of other tasks
        del scores  # softmax, always
        if reader is None:
            of_centers = set(outputs) == segment_reader.CENTERS
            name = "logits" if of_centers else "class_logits"
            reader = segment_reader.SegmentReader(
                merging=_CENTERS if of_centers else _MASKS,
                thing_ids=tuple(range(outputs[name].shape[-1])),
            )
        # A file from anyone may say what is no number.
        values = {
            name: np.nan_to_num(value[0], posinf=1e4, neginf=-1e4)
            for name, value in outputs.items()
        }
        found = reader(values, size)
        return {
            "panoptic": found.panoptic,
            "segment_ids": found.ids,
            "segment_scores": found.scores,
        }

    def lines(
        self, predictions: base.Predictions, class_names: Sequence[str]
    ) -> tuple[str, ...]:
        """The largest segments, with their scores and shares of the image."""
        pixels = np.asarray(predictions["panoptic"])
        ids, place = panoptic.segments(pixels)
        areas = np.bincount(place.ravel(), minlength=len(ids))
        scores = _scores(predictions)
        order = np.argsort(-areas, kind="stable")
        seen = [row for row in order if ids[row] != panoptic.VOID]
        if not seen:
            return ("nothing",)
        return tuple(
            f"{100 * scores.get(int(ids[row]), 0.0):5.1f} %  "
            f"{_name(int(ids[row]) // panoptic.LABEL_DIVISOR, class_names)}, "
            f"{100 * areas[row] / pixels.size:.1f} % of the image"
            for row in seen[:_LISTED]
        )


def _of_centers(targets: Mapping[str, np.ndarray], *, height: int) -> np.ndarray:
    """A panoptic map `[h, w]` of training targets: a thing is what points at a place.

    Args:
        height: Of the image, in whose pixels the offsets are.
    """
    semantic = np.asarray(targets["semantic"])
    single = np.asarray(targets["offset_weights"]) > 0
    stride = round(height / len(semantic))
    places = (np.argwhere(single) + 0.5) * stride
    centers = places + np.asarray(targets["offsets"])[single]
    # In tenths of a pixel: sums of floats, and centers differ by more.
    rounded = np.rint(10 * centers).astype(np.int64)
    instance = np.zeros_like(semantic)
    instance[single] = 1 + np.unique(rounded, axis=0, return_inverse=True)[1].ravel()
    return panoptic.encode(semantic, instance, ignore_label=data_base.IGNORE_LABEL)


def _of_slots(targets: Mapping[str, np.ndarray]) -> np.ndarray:
    """A panoptic map `[h, w]` of training targets: all segments as things."""
    numbers = np.asarray(targets["segments"])
    # The last stands for -1.
    classes = np.append(np.asarray(targets["segment_classes"]), -1)[numbers]
    instances = np.where(classes < 0, 0, numbers + 1)
    return panoptic.encode(
        np.where(classes < 0, data_base.IGNORE_LABEL, classes),
        instances,
        ignore_label=data_base.IGNORE_LABEL,
    )


def _names(each: base.Predictions, class_names: Sequence[str]) -> dict[int, str]:
    """What is written on the segments of a map; scores where they are known."""
    scores = _scores(each)
    things = set(np.asarray(each.get("thing_ids", ())).ravel().tolist())
    names = {}
    for segment in np.unique(each["panoptic"]).tolist():
        class_id, instance = divmod(segment, panoptic.LABEL_DIVISOR)
        name = _name(class_id, class_names)
        if segment == panoptic.VOID:
            continue
        if segment in scores:
            names[segment] = f"{name} {100 * scores[segment]:.0f} %"
        elif instance == 0 and class_id in things:
            names[segment] = f"{name} (crowd)"
        else:
            names[segment] = name
    return names


def _scores(each: base.Predictions) -> dict[int, float]:
    if "segment_ids" not in each:
        return {}
    ids = np.asarray(each["segment_ids"]).tolist()
    return dict(zip(ids, np.asarray(each["segment_scores"]).tolist(), strict=True))


def _name(class_id: int, class_names: Sequence[str]) -> str:
    """A file from anyone may know more classes than there are names."""
    known = class_id < len(class_names)
    return class_names[class_id] if known else f"class {class_id}"
