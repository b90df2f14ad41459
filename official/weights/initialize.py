"""The weights that a training starts from."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import keras

from official import failures, mirror, spelling
from official.backbones import base, convolutions, mobilenet_v3
from official.layers import normalization
from official.weights import (
    download,
    files,
    published,
    torch_files,
    transfer,
)
from official.weights.publishers import base as publishers_base

CHECKPOINTS = ("best", "last")
PROVENANCE = "weights.json"
"""The file of a run folder with the `provenance` of what the run started from."""

_LEAST = 0.1
"""Share of a backbone's layers: fewer have names and shapes in common by chance."""

_OF_BACKBONE = re.compile(r"stem_|C\d_block|last_|embedding_")

# What does not change the meaning of weights, or is compared by itself.
_FREE_FIELDS = (
    "norm",
    "output_stride",
    "reduced_tail",
    "stem_stride",
    "stochastic_depth",
)


def initialize(
    network: keras.Model, backbone: base.Backbone, init_from: str
) -> transfer.Transfer:
    """Sets those weights of a network that a file has and that fit.

    Args:
        network: Contains the backbone.
        init_from: The name of published weights ("keras-applications:imagenet",
            "timm:mnasnet_100", "torchvision:mobilenet_v2"), which are downloaded
            once; a file of that kind; a `.npz` checkpoint of ours; or a run folder,
            whose best (else last) checkpoint is read. From checkpoints whatever matches
            by path and shape is taken, and the moving average of a weight if there is
            one.

    Raises:
        RequestError: If it does not exist, cannot be had, is of none of these kinds or
            of another architecture, or has nothing that fits.
        RunError: If a download fails halfway.
    """
    item, file = _locate(init_from, network, backbone)
    try:
        result = files.load(file, network, backbone)
    except failures.RequestError as error:
        raise failures.RequestError(f"init_from {error}") from error
    _require_some(result, backbone)
    warnings = (
        *_differences(item, file, network=network, backbone=backbone),
        *_few(result, backbone),
    )
    return dataclasses.replace(
        result,
        source=item.name if item else result.source,
        provenance=_provenance(item, file) | _elsewhere(init_from),
        warnings=warnings,
    )


def _locate(
    init_from: str, network: keras.Model, backbone: base.Backbone
) -> tuple[publishers_base.Published | None, pathlib.Path]:
    """What is known of the weights, and their file."""
    if mirror.is_remote(init_from):
        init_from = str(mirror.downloaded(init_from))
    if not published.is_named(init_from):
        file = _file(pathlib.Path(init_from).expanduser())
        item = published.of_file(file)
        if item:
            _require_kind(item, backbone, init_from)
        return item, file
    size = network.input_shape[1] if isinstance(network.input_shape, tuple) else None
    item = published.find(init_from, backbone, image_size=size)
    _require_kind(item, backbone, item.name)
    return item, download.fetch(item.file)


def _require_kind(
    item: publishers_base.Published, backbone: base.Backbone, shown: str
) -> None:
    if type(item.backbone) is not type(backbone):
        raise failures.RequestError(
            f"init_from {shown} is a {type(item.backbone).__name__}, the task's "
            f"backbone a {type(backbone).__name__}: "
            f'--set "task.backbone = @{type(item.backbone).__name__}()"'
        )


def _file(path: pathlib.Path) -> pathlib.Path:
    if path.is_dir():
        found = [path / "checkpoints" / f"{name}.npz" for name in CHECKPOINTS]
        for file in found:
            if file.is_file():
                return file
        raise failures.RequestError(
            f"init_from {path}: neither checkpoints/best.npz nor checkpoints/last.npz "
            "is in this folder; give the folder of a run that trained"
        )
    if not path.exists():
        raise failures.RequestError(
            f"init_from: {spelling.missing(path)}; names of published weights begin "
            f"with {', '.join(f'{source}:' for source in publishers_base.SOURCES)}"
        )
    return path


def _elsewhere(init_from: str) -> dict[str, str]:
    """Where a file was, of which a copy was read."""
    if not mirror.is_remote(init_from):
        return {}
    return {"source": init_from, "file": init_from}


def _provenance(
    item: publishers_base.Published | None, file: pathlib.Path
) -> dict[str, str]:
    found = {"source": str(file)}
    if item:
        found = item.provenance()
    elif (
        file.suffix == files.CHECKPOINT
        and (before := file.parent.parent / PROVENANCE).is_file()
    ):
        # Of a run: what it started from is in its weights still.
        found = json.loads(before.read_text(encoding="utf-8"))
        found |= {"source": f"{file}, which started from {found.get('source', '?')}"}
    return found | {"file": str(file), "sha256": download.digest_of(file)}


def _require_some(result: transfer.Transfer, backbone: base.Backbone) -> None:
    taken, total = _counts(result)
    if taken < total * _LEAST:
        raise failures.RequestError(
            f"init_from {result.source}: only {taken} of the {total} layers of the "
            f"task's {type(backbone).__name__} are in it: set task.backbone to what "
            "these weights were trained in (config.gin in the folder of a run has it)"
        )


def _counts(result: transfer.Transfer) -> tuple[int, int]:
    """Layers of the backbone that were taken, and all of them."""
    skipped = [item.layer for item in result.skipped]
    taken, total = (
        sum(bool(_OF_BACKBONE.match(name)) for name in names)
        for names in (result.taken, [*result.taken, *skipped, *result.random])
    )
    return taken, total


def _few(result: transfer.Transfer, backbone: base.Backbone) -> Iterator[str]:
    """A warning where most of the backbone starts afresh."""
    taken, total = _counts(result)
    if taken < total / 2:
        yield (
            f"only {taken} of {total} layers of the backbone fit: are these weights of "
            f"another variant or width than the task's {type(backbone).__name__}?"
        )


def _differences(
    item: publishers_base.Published | None,
    file: pathlib.Path,
    *,
    network: keras.Model,
    backbone: base.Backbone,
) -> Iterator[str]:
    wanted = item.backbone if item else _conventional(file, backbone)
    mend = list(_mend(wanted, backbone))
    fed = normalization.kind_of(network)
    if item and fed and fed != item.normalization:
        mend.insert(0, f"task.normalization = {item.normalization!r}")
    if mend:
        kind = item.name if item else f"what is in {file.name}"
        yield f"{kind} was trained otherwise; as it was: " + ", ".join(mend)


def _mend(wanted: base.Backbone, backbone: base.Backbone) -> Iterator[str]:
    """The bindings that make the backbone what the weights were trained in."""
    for field in dataclasses.fields(wanted):
        value = getattr(wanted, field.name)
        if field.name in _FREE_FIELDS or value == getattr(backbone, field.name):
            continue
        yield f"task.backbone.{field.name} = {value!r}"
    norms = [getattr(spec, "norm", None) for spec in (wanted, backbone)]
    epsilons = [norm.epsilon for norm in norms if norm]
    if len(set(epsilons)) > 1:
        yield f"task.backbone.norm.epsilon = {epsilons[0]!r}"


def _conventional(file: pathlib.Path, backbone: base.Backbone) -> base.Backbone:
    """The backbone as whoever wrote such files usually trains it."""
    norm = getattr(backbone, "norm", None)
    if file.suffix == files.CHECKPOINT or norm is None:
        return backbone
    changes: dict[str, Any] = {"padding": "same", "norm": convolutions.Norm()}
    if file.suffix in torch_files.SUFFIXES:
        # torchvision's V3 keeps TensorFlow's epsilon, timm's does not.
        both = isinstance(backbone, mobilenet_v3.MobileNetV3)
        epsilon = norm.epsilon if both else 1e-5
        changes = {"padding": "symmetric", "norm": convolutions.Norm(epsilon=epsilon)}
    known = {field.name for field in dataclasses.fields(backbone)}
    kept = {name: value for name, value in changes.items() if name in known}
    return dataclasses.replace(backbone, **kept)
