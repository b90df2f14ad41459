"""Unlabelled photographs mixed into labelled data."""

import dataclasses

import numpy as np
import pytest
from small import Quarters

from official import failures
from official.data import base, indexed, with_unlabeled


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stamps(indexed.IndexedDataset):
    """Images that hold their number, and one kind of label."""

    count: int = 6
    first: int = 0
    kind: str = "label"

    @property
    def class_names(self):
        return ("x", "y", "z")

    @property
    def palette(self):
        return ((0, 0, 0),) * 3

    def records(self, split):
        return range(self.first, self.first + self.count * (2 if split == "val" else 1))

    def read(self, record):
        label = {"label": record % 3, "labels": np.eye(3)[record % 3]}[self.kind]
        image = np.full((2, 3, 3), record, np.uint8)
        return {"image": image, self.kind: label, "image_id": str(record)}


PHOTOGRAPHS = Stamps(count=4, first=100)


def _mixed(**fields):
    given = {"labeled": Stamps(), "unlabeled": PHOTOGRAPHS} | fields
    return with_unlabeled.WithUnlabeled(**given)


def _list(stream, count=None):
    stream = stream if count is None else stream.take(count)
    return list(stream.as_numpy_iterator())


def _ids(examples):
    return [int(example["image_id"]) for example in examples]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.7])
def test_the_share_holds_wherever_one_looks(share):
    examples = _list(_mixed(share=share).load("train", seed=1), 60)
    unlabelled = np.array(_ids(examples)) >= 100
    assert [int(e["label"]) == -1 for e in examples] == unlabelled.tolist()
    for start in range(40):
        assert abs(unlabelled[start : start + 20].sum() - 20 * share) < 1


def test_labelled_examples_keep_their_labels_and_their_order():
    mixed = _list(_mixed().load("train", seed=5), 40)
    alone = _list(Stamps().load("train", seed=5), 20)
    kept = [example for example in mixed if example["label"] >= 0]
    assert _ids(kept) == _ids(alone)
    assert [int(e["label"]) for e in kept] == [int(e["label"]) for e in alone]
    assert [int(e["position"]) for e in mixed] == list(range(40))


def test_every_pass_has_each_labelled_example_once():
    dataset = _mixed(share=0.3)
    size = dataset.size("train")
    assert size == 8  # 6 of 8 are the whole part of 70 percent
    for examples in (
        _list(dataset.load("train")),
        _list(dataset.load("train", seed=2), size),
    ):
        assert len(examples) == size
        assert sorted(n for n in _ids(examples) if n < 100) == list(range(6))


def test_photographs_come_round_in_an_order_of_the_seed():
    def photographs(seed):
        ids = _ids(_list(_mixed().load("train", seed=seed), 16))
        return [number for number in ids if number >= 100]

    first = photographs(1)
    assert sorted(first[:4]) == sorted(first[4:]) == [100, 101, 102, 103]
    assert first == photographs(1)
    assert first != photographs(2)


@pytest.mark.parametrize("start", [1, 2, 7, 30])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_stream_resumes_anywhere(start, share):
    dataset = _mixed(share=share)
    whole = _list(dataset.load("train", seed=3), 40)
    late = _list(dataset.load("train", seed=3, start=start), 40 - start)
    assert _ids(late) == _ids(whole)[start:]
    assert [int(e["position"]) for e in late] == list(range(start, 40))
    plain = _ids(_list(dataset.load("train")))
    assert _ids(_list(dataset.load("train", start=3))) == plain[3:]


def test_few_photographs_come_round_within_a_pass():
    dataset = _mixed(unlabeled=Stamps(count=2, first=100))
    assert _ids(_list(dataset.load("train")))[1::2] == [100, 101, 100, 101, 100, 101]


def test_a_limit_counts_both():
    examples = _list(_mixed().load("train", limit=4))
    assert _ids(examples) == [0, 100, 1, 101]
    seeded = _list(_mixed().load("train", limit=4, seed=1, cache=True), 12)
    assert {number for number in _ids(seeded) if number < 100} == {0, 1}
    assert _ids(_mixed().pick("train", [1, 2])) == [100, 1]


def test_other_splits_are_those_of_the_labelled_data():
    dataset = _mixed()
    assert dataset.class_names == ("x", "y", "z")
    assert dataset.size("val") == 12
    assert _ids(_list(dataset.load("val"))) == list(range(12))
    assert _ids(dataset.pick("val", [4, 7])) == [4, 7]


def test_several_labels_become_unknown():
    stream = _mixed(labeled=Stamps(kind="labels")).load("train", seed=1)
    assert stream.element_spec["labels"].shape == (3,)
    labels = [example["labels"].tolist() for example in _list(stream, 4)]
    assert labels[1] == labels[3] == [-1, -1, -1]
    assert sorted(labels[0]) == sorted(labels[2]) == [0, 0, 1]


def test_a_label_map_becomes_unlabelled():
    examples = _list(_mixed(labeled=Quarters()).load("train", seed=1), 2)
    assert set(examples[0]) == set(examples[1])
    assert examples[1]["semantic"].shape == (2, 3)
    assert (examples[1]["semantic"] == base.IGNORE_LABEL).all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 1.5])
def test_a_share_beyond_the_limits_is_refused(share):
    with pytest.raises(failures.RequestError, match=rf"share = {share}; want above 0"):
        _mixed(share=share)
