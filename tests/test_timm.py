"""Where timm is installed: what its networks compute, and what it says of them."""

import pytest
import pytorch

from official.weights import published

ITEMS = [item for item in published._all() if item.name.startswith("timm:")]
# Weights of one model under several tags differ in nothing that the network shows.
MODELS = {
    (item.model, item.normalization): item for item in ITEMS if item.classes == 1000
}.values()


@pytest.fixture(scope="module", autouse=True)
def timm():
    return pytorch.installed("timm")


@pytest.mark.parametrize("item", MODELS, ids=lambda item: item.name)
def test_a_network_gives_what_timm_gives(item, tmp_path):
    pytorch.compare(item, tmp_path)


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_what_is_said_of_weights_is_what_timm_says(item, timm):
    config = timm.models.get_pretrained_cfg(item.name.partition(":")[2])
    assert f"https://huggingface.co/{config.hf_hub_id}/" in item.file.url
    assert config.num_classes == item.classes
    assert config.input_size == (3, item.image_size, item.image_size)
    assert config.license == item.licence.lower()
    means = {
        "imagenet": (0.485, 0.456, 0.406),
        "symmetric": (0.5, 0.5, 0.5),
        "unit": (0, 0, 0),
    }
    assert config.mean == pytest.approx(means[item.normalization])


def test_a_model_without_a_tag_is_that_of_timm(timm):
    for name in {item.model for item in ITEMS}:
        config = timm.models.get_pretrained_cfg(name.partition(":")[2])
        assert published.find(name).name == f"{name}.{config.tag}"
