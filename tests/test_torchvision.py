"""Where torchvision is installed: what its networks compute, and where they are."""

import pytest
import pytorch

from official.weights import published

ITEMS = [item for item in published._all() if item.name.startswith("torchvision:")]
MODELS = {item.model: item for item in ITEMS if item.classes == 1000}.values()


@pytest.fixture(scope="module", autouse=True)
def torchvision():
    return pytorch.installed("torchvision")


@pytest.mark.parametrize("item", MODELS, ids=lambda item: item.name)
def test_a_network_gives_what_torchvision_gives(item, tmp_path):
    pytorch.compare(item, tmp_path)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_the_file_is_that_of_torchvision(item, torchvision):
    model, _, tag = item.name.partition(":")[2].partition(".")
    weights = torchvision.models.get_model_weights(model)
    assert weights[tag.upper()].url == item.file.url


def test_a_model_without_a_tag_is_the_default(torchvision):
    for name in {item.model for item in ITEMS}:
        weights = torchvision.models.get_model_weights(name.partition(":")[2])
        tag = weights.DEFAULT.name.lower()
        assert published.find(name).name == f"{name}.{tag}"
