"""MediaPipe Tasks against our own reading of a file, on photographs.

    python scripts/compare_mediapipe.py MODEL.tflite PHOTO [PHOTO ...] [--limit=20]

MODEL is an exported classifier, segmenter or detector with its description (`.json`)
beside it; MediaPipe is told nothing but the file. A folder stands for the images in it.
Each photograph is asked twice:

- cut and resized by us to the file's input, so that both are fed the same pixels:
  labels and scores, masks at the input's size, or boxes should be equal;
- whole, as an app has it: either side cuts and resizes by itself. A classifier is given
  the central window of the description as the region of interest.

Of a segmenter there are two masks: the class with the largest of MediaPipe's confidence
masks, and its category mask, for which it interpolates corner to corner instead of by
pixel centers. Whole photographs differ because MediaPipe resizes them otherwise, too:
it takes pixel i of the result from i * scale of the photograph, not from
(i + 0.5) * scale - 0.5. Of a detector those detections count that either side gives a
score of 0.3 or more; boxes are compared in whole pixels, as MediaPipe gives them.
Prints a line a photograph, then one of JSON; exit status 3 if, on the same pixels, a
label or a name differs, a score by more than 1e-4, or a box overlaps ours by less than
0.95.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
from collections.abc import Mapping
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
_SHOWN = 0.3
_OVERLAP = 0.95
_TOLERANCE = 1e-4  # float32 arithmetic; a level of an int8 file is 40 times as much


class Classifier:
    """A file as an `ImageClassifier`."""

    def __init__(self, runner: Any, description: Mapping[str, Any]):
        from mediapipe.tasks import python as tasks
        from mediapipe.tasks.python import vision

        self._runner = runner
        self._names = description["class_names"]
        self._share = description["preprocessing"]["shown_share"]
        base = tasks.BaseOptions(model_asset_path=str(runner.file.path))
        options = vision.ImageClassifierOptions(base_options=base)
        self._task = vision.ImageClassifier.create_from_options(options)
        self.close = self._task.close

    def compare(self, pixels: Any, photograph: Any) -> dict[str, Any]:
        import numpy as np

        ours = self._ours(pixels)
        theirs = self._theirs(pixels)
        whole = self._theirs(photograph, region=self._window(photograph))
        difference = float(np.abs(ours - theirs).max())
        return {
            "ours": self._best(ours),
            "mediapipe": self._best(theirs),
            "difference": difference,
            "equal": self._best(ours) == self._best(theirs) and difference < _TOLERANCE,
            "whole_equal": self._best(ours) == self._best(whole),
            "whole_difference": float(np.abs(ours - whole).max()),
        }

    def _ours(self, pixels: Any) -> Any:
        (values,) = self._runner(pixels[None]).values()
        return values[0]

    def _theirs(self, image: Any, region: Any = None) -> Any:
        import numpy as np

        found = self._task.classify(_shown(image), region)
        scores = {
            entry.category_name: entry.score
            for entry in found.classifications[0].categories
        }
        return np.array([scores[name] for name in self._names])

    def _window(self, image: Any) -> Any:
        """The central window that evaluation shows, as a region of interest."""
        from mediapipe.tasks.python.components.containers import rect
        from mediapipe.tasks.python.vision.core import image_processing_options

        if self._share is None:
            return None
        height, width = image.shape[:2]
        rows, columns = self._runner.image_size
        fit = self._share * min(height / rows, width / columns)
        down, across = fit * rows / height / 2, fit * columns / width / 2
        region = rect.RectF(
            left=0.5 - across, top=0.5 - down, right=0.5 + across, bottom=0.5 + down
        )
        return image_processing_options.ImageProcessingOptions(
            region_of_interest=region
        )

    def _best(self, values: Any) -> str:
        return self._names[int(values.argmax())]


class Segmenter:
    """A file as an `ImageSegmenter`."""

    def __init__(self, runner: Any, description: Mapping[str, Any]):
        from mediapipe.tasks import python as tasks
        from mediapipe.tasks.python import vision

        self._runner = runner
        self._names = description["class_names"]
        self._activation = description["score_activation"]
        options = vision.ImageSegmenterOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(runner.file.path)),
            output_confidence_masks=True,
            output_category_mask=True,
        )
        self._task = vision.ImageSegmenter.create_from_options(options)
        self.close = self._task.close

    def compare(self, pixels: Any, photograph: Any) -> dict[str, Any]:
        import numpy as np

        scores, ours = self._ours(pixels, pixels.shape[:2])
        confidences, categories = self._theirs(pixels)
        difference = float(np.abs(scores - confidences).max())
        _, whole_ours = self._ours(pixels, photograph.shape[:2])
        whole, _ = self._theirs(photograph)
        return {
            "equal": self._task.labels == self._names and difference < _TOLERANCE,
            "difference": difference,
            "same_mask": float(np.mean(confidences.argmax(-1) == scores.argmax(-1))),
            "logits_mask": float(np.mean(confidences.argmax(-1) == ours)),
            "category_mask": float(np.mean(categories == ours)),
            "whole_mask": float(np.mean(whole.argmax(-1) == whole_ours)),
        }

    def _ours(self, pixels: Any, size: tuple[int, int]) -> tuple[Any, Any]:
        """Scores `[H, W, C]`, enlarged as MediaPipe does, and our mask `[H, W]`."""
        import keras
        import numpy as np

        ((name, values),) = self._runner(pixels[None]).items()
        scores = values[0]
        if name == "logits":
            scores = getattr(keras.ops, self._activation)(scores)
        mask = np.argmax(keras.ops.image.resize(values[0], size), axis=-1)
        return np.asarray(keras.ops.image.resize(scores, size)), mask

    def _theirs(self, image: Any) -> tuple[Any, Any]:
        import numpy as np

        found = self._task.segment(_shown(image))
        masks = [np.squeeze(mask.numpy_view()) for mask in found.confidence_masks]
        return np.stack(masks, axis=-1), np.squeeze(found.category_mask.numpy_view())


class Detector:
    """A file as an `ObjectDetector`."""

    def __init__(self, runner: Any, description: Mapping[str, Any]):
        from mediapipe.tasks import python as tasks
        from mediapipe.tasks.python import vision

        self._runner = runner
        self._description = description
        self._names = description["class_names"]
        options = vision.ObjectDetectorOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(runner.file.path)),
            score_threshold=_SHOWN,
        )
        self._task = vision.ObjectDetector.create_from_options(options)
        self.close = self._task.close

    def compare(self, pixels: Any, photograph: Any) -> dict[str, Any]:
        ours, theirs = self._ours(pixels.astype("uint8")), self._theirs(pixels)
        overlaps, differences = self._paired(ours, theirs)
        whole_ours, whole = self._ours(photograph), self._theirs(photograph)
        whole_overlaps, _ = self._paired(whole_ours, whole)
        found = len(overlaps) == len(ours) == len(theirs)
        difference = max(differences, default=0.0)
        least = min(overlaps, default=1.0)
        return {
            "ours": len(ours),
            "mediapipe": len(theirs),
            "difference": difference,
            "least_overlap": least,
            "equal": found and difference < _TOLERANCE and least >= _OVERLAP,
            "whole_found": len(whole_overlaps) / max(len(whole_ours), len(whole), 1)
            if whole_ours or whole
            else 1.0,
            "whole_least_overlap": min(whole_overlaps, default=1.0),
        }

    def _ours(self, image: Any) -> list[tuple[str, float, Any]]:
        """Names, scores and boxes in whole pixels, as `predict` gives them."""
        from official.report.panels import base as panels
        from tflite_export import predict

        panel = panels.of_outputs(self._runner.shapes, task=self._description["task"])
        found = predict.predict(
            self._runner, image, panel=panel, description=self._description
        )
        height, width = image.shape[:2]
        rows = zip(
            found["class_ids"], found["scores"], found["boxes_yxyx"], strict=True
        )
        return [
            (
                self._names[class_id],
                float(score),
                _whole(box * [height, width, height, width]),
            )
            for class_id, score, box in rows
            if score >= _SHOWN
        ]

    def _theirs(self, image: Any) -> list[tuple[str, float, Any]]:
        import numpy as np

        found = self._task.detect(_shown(image)).detections
        rows = []
        for detection in found:
            box = detection.bounding_box
            top, left = box.origin_y, box.origin_x
            sides = [top, left, top + box.height, left + box.width]
            # Boxes that are equal in whole pixels are one, with several categories.
            rows += [
                (category.category_name, category.score, np.array(sides, float))
                for category in detection.categories
            ]
        return rows

    def _paired(self, ours: Any, theirs: Any) -> tuple[list[float], list[float]]:
        """Overlaps and differences of scores of pairs, the best first."""
        import numpy as np

        from official.metrics import detections

        overlaps, differences, left = [], [], list(theirs)
        for name, score, box in ours:
            same = [row for row in left if row[0] == name]
            if not same:
                continue
            boxes = np.array([row[2] for row in same])
            table = detections.overlaps(box[None], boxes)[0]
            best = same[int(table.argmax())]
            left = [row for row in left if row is not best]
            overlaps.append(float(table.max()))
            differences.append(abs(best[1] - score))
        return overlaps, differences


def _whole(box: Any) -> Any:
    """A box as MediaPipe gives it: its corner and its sides, cut to whole pixels."""
    import numpy as np

    corner, sides = np.floor(box[:2]), np.floor(box[2:] - box[:2])
    return np.concatenate([corner, corner + sides])


def _shown(image: Any) -> Any:
    import mediapipe
    import numpy as np

    data = np.ascontiguousarray(image.astype(np.uint8))
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=data)


def photographs(paths: list[pathlib.Path], limit: int) -> list[pathlib.Path]:
    """The images, those in folders included, evenly picked if there are more."""
    from official.data import image_files

    found: list[pathlib.Path] = []
    for path in paths:
        inside = image_files.within(path)[0] if path.is_dir() else None
        found += [path / name for name in inside] if inside is not None else [path]
    step = max(1, len(found) / limit)
    return [found[int(i * step)] for i in range(min(limit, len(found)))]


def compare(model: pathlib.Path, paths: list[pathlib.Path]) -> list[dict[str, Any]]:
    from tflite_export import interpreter, sidecar

    runner, description = interpreter.Runner(model), sidecar.read(model)
    if not description:
        sys.exit(f"error: {sidecar.path_of(model)} is missing; export the run again")
    taker = description["mediapipe"]["task"]
    kinds = {
        "ImageClassifier": Classifier,
        "ImageSegmenter": Segmenter,
        "ObjectDetector": Detector,
    }
    if taker not in kinds:
        sys.exit(f"error: {model}: {description['mediapipe']['warning']}")
    with contextlib.closing(kinds[taker](runner, description)) as task:
        return [_compare_one(task, runner, description, path) for path in paths]


def _compare_one(
    task: Any, runner: Any, description: Mapping[str, Any], path: pathlib.Path
) -> dict[str, Any]:
    import numpy as np

    from official.data import crops, decoding, transforms

    image = decoding.image(path)
    share = description["preprocessing"]["shown_share"]
    if share is None:
        pixels = transforms.resize(image, runner.image_size)
    else:
        pixels = crops.center_crop(image, size=runner.image_size, share=share)
    pixels = np.asarray(pixels).round().clip(0, 255).astype(np.float32)
    row = {"photograph": path.name, **task.compare(pixels, image)}
    print("  ".join(f"{key} {_short(value)}" for key, value in row.items()))
    return row


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("photographs", type=pathlib.Path, nargs="+")
    parser.add_argument("--limit", type=int, default=20, help="photographs at most")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from tflite_export import quiet

    quiet.import_tensorflow()
    paths = photographs(arguments.photographs, arguments.limit)
    rows = compare(arguments.model, paths)
    numbers = [key for key, value in rows[0].items() if not isinstance(value, str)]
    means = {key: statistics.mean(float(row[key]) for row in rows) for key in numbers}
    worst = max(row["difference"] for row in rows)
    summary = {"model": str(arguments.model), "photographs": len(rows), "mean": means}
    print(json.dumps(summary | {"largest_difference": worst}))
    if not all(row["equal"] for row in rows):
        sys.exit(3)


if __name__ == "__main__":
    main()
