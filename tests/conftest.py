"""Fixtures shared by all tests."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import converters
import pytest

from tflite_export import child, quiet

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Networks here are tiny, and each worker has a core: more threads only get in the way.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
quiet.import_tensorflow()

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Files whose tests take longest, begun first: none is left for one worker at the end.
LONGEST = (
    "test_workers",
    "test_mirrored",
    "test_jax_training",
    "test_experiments",
    "test_training",
    "test_backbone_conversion",
    "test_detector_conversion",
    "test_kmax_conversion",
    "test_mobilenet_v4",
    "test_targets",
    "test_quantization_training",
    "test_guides",
    "test_guide_trainings",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: names.get(item.path.stem, len(names)))


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """Development data: photographs with labels, and published checkpoints."""
    folder = pathlib.Path(
        os.environ.get("MOBILE_VISION_SHARED", ROOT.parent / "shared")
    )
    if not (folder / "data").is_dir():
        pytest.skip(f"development data is not at {folder} (set MOBILE_VISION_SHARED)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def forked_converters() -> Iterator[None]:
    """Spares each conversion its import of TensorFlow; see `converters`."""
    forks = converters.Forks()

    def forked(module: str, argument: str, **settings: Any) -> Any:
        if module in converters.MODULES and not settings:
            return forks.run(module, argument)
        return converters.process(module, argument, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(child, "run", forked)
        yield
