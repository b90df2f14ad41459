"""Our networks with the weights of PyTorch's, against what those computed."""

import json
import pathlib

import drawn
import numpy as np
import pytest

from official.weights import files, published

FILES = sorted((pathlib.Path(__file__).parent / "goldens").glob("*.npz"))


def _load(file):
    with np.load(file) as archive:
        shapes = json.loads(archive["shapes"].tobytes())
        return int(archive["size"]), shapes, archive["logits"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_published_weights_reproduce_published_outputs(file):
    size, shapes, wanted = _load(file)
    item = published.find(file.stem.replace("_", ":", 1))
    network = published.classifier(item, image_size=size)
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
    assert wanted.std() > 0.1
    logits = network(drawn.image(size))["logits"]
    np.testing.assert_allclose(logits, wanted, atol=1e-4 * np.abs(wanted).max())


def test_every_network_that_must_fit_has_a_golden_file():
    assert len(FILES) == 17
    assert all(file.stat().st_size < 20_000 for file in FILES)
