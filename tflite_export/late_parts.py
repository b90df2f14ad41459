"""Parts of TensorFlow that are imported when something first asks for them."""

import contextlib
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

# What neither a training nor a conversion of Keras 3 uses, at least not at first: the
# API of TensorFlow 1, Keras 2 behind feature columns, embeddings of TPUs. No gradient
# is registered there. TensorFlow Lite is not among them: imported late, its package
# would take the place of its API.
PARTS = (
    "tensorflow._api.v2.__internal__.feature_column",
    "tensorflow._api.v2.compat",
    "tensorflow._api.v2.experimental.dtensor",
    "tensorflow._api.v2.feature_column",
    "tensorflow._api.v2.tpu",
)


_RUNNING = threading.RLock()


class Part(ModuleType):
    """Runs its code at the first look into it, once; other threads wait for the end.

    `importlib.util.LazyLoader` shows them a half empty module up to Python 3.11.8 and
    3.12.2.
    """

    def __getattribute__(self, name: str) -> Any:
        # The import system looks here whenever the part is imported once more.
        if name != "__spec__":
            _run(self)
        # Not of `super()`: by now it is an ordinary module.
        return ModuleType.__getattribute__(self, name)


def _run(part: Part) -> None:
    spec = object.__getattribute__(part, "__spec__")
    with _RUNNING:
        loader = spec.loader_state
        if loader is None:
            return  # It has run, or runs in this thread and looks into itself.
        spec.loader_state = None
        try:
            loader.exec_module(part)
        except BaseException:
            spec.loader_state = loader
            raise
        part.__class__ = ModuleType  # type: ignore[assignment]


class _Waits(importlib.abc.Loader):
    """Leaves a module to be run later."""

    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None
        spec.loader = module.__loader__ = self._loader
        spec.loader_state = self._loader
        module.__class__ = Part


class _Late(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in PARTS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Waits(spec.loader)
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
