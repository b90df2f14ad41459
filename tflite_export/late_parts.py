"""Parts of TensorFlow that are imported when something first asks for them."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

# What neither a training nor a conversion of Keras 3 uses, at least not at first: the
# API of TensorFlow 1, Keras 2 behind feature columns, embeddings of TPUs. A fifth of
# the time that the import takes. No gradient is registered there. TensorFlow Lite is
# not among them: imported late, its package would take the place of its API.
PARTS = (
    "tensorflow._api.v2.__internal__.feature_column",
    "tensorflow._api.v2.compat",
    "tensorflow._api.v2.experimental.dtensor",
    "tensorflow._api.v2.feature_column",
    "tensorflow._api.v2.tpu",
)


class _Late(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in PARTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """The parts that are imported inside are run at the first look into them."""
    finder = _Late()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
