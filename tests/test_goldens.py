"""Our networks with the weights of PyTorch's, against what those computed."""

import json
import pathlib

import drawn
import numpy as np
import pytest

from official.weights import files, published

OUTPUTS = ("logits", "box_encodings")
FILES = sorted((pathlib.Path(__file__).parent / "goldens").glob("*.npz"))


def _load(file):
    with np.load(file) as archive:
        shapes = json.loads(archive["shapes"].tobytes())
        step = int(archive["step"]) if "step" in archive else 1
        outputs = {k: archive[k] for k in OUTPUTS if k in archive}
        return int(archive["size"]), shapes, outputs, step


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_published_weights_reproduce_published_outputs(file):
    size, shapes, wanted, step = _load(file)
    item = published.find(file.stem.replace("_", ":", 1))
    network = published.build(item, image_size=size)
    moved = files.of_tensors(drawn.tensors(shapes), network, source=item.name)
    assert not moved.skipped
    assert not moved.random
    # Every tensor has a place: none of theirs is left over.
    ours = sum(weight.shape.num_elements() for weight in network.weights)
    theirs = sum(
        int(np.prod(shape))
        for name, shape in shapes.items()
        if not name.endswith("num_batches_tracked")
    )
    assert ours == theirs
    given = network(drawn.image(size))
    assert given.keys() == wanted.keys()
    for name, values in wanted.items():
        assert values.std() > 0.1
        # Of detectors some anchors alone are in the file. What rounding makes of them
        # is 1.9e-4 against double precision.
        some = given[name][:, ::step] if step > 1 else given[name]
        tolerance = 5e-4 if step > 1 else 1e-4
        np.testing.assert_allclose(some, values, atol=tolerance * np.abs(values).max())


def test_every_network_that_must_fit_has_a_golden_file():
    assert len(FILES) == 18
    assert all(file.stat().st_size < 20_000 for file in FILES)
