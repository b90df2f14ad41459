"""Order, resumption, seeds, batches, caches and errors of the input pipeline."""

import dataclasses
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from official import failures
from official.data import base, errors, indexed, memory, pipeline


@dataclasses.dataclass(frozen=True, kw_only=True)
class Numbers(indexed.IndexedDataset):
    """Image k is full of k; odd images are larger; `broken` cannot be read."""

    count: int = 10
    broken: int | None = None
    log: str | None = None

    class_names = ("a", "b")
    palette = ((0, 0, 0), (255, 255, 255))

    def records(self, split):
        if split != "train":
            raise failures.DataError(f"no split {split!r}; there is train")
        return range(self.count)

    def read(self, record):
        if record == self.broken:
            raise failures.DataError(f"picture {record}.png: label 12; want 0..10")
        if self.log is not None:
            with pathlib.Path(self.log).open("a") as log:
                log.write(f"{record}\n")
        size = 3 + record % 2
        return {
            "image": np.full((size, 4, 3), record, np.uint8),
            "semantic": np.full((size, 4), record % 2, np.int32),
            "image_id": f"train/{record}",
        }


def _preprocess(example, *, training, seed=None):
    image = tf.image.resize(example["image"], (2, 2))
    targets = {"semantic": example["semantic"], "size": tf.shape(example["semantic"])}
    if training:
        targets = {"draw": tf.random.stateless_uniform([], seed)}
        targets["position"] = example["position"]
    return image, targets


def _ids(dataset, count):
    return [
        int(example["image_id"].decode().split("/")[1])
        for example in dataset.take(count).as_numpy_iterator()
    ]


def test_without_a_seed_every_example_comes_once_in_order():
    dataset = Numbers().load("train")
    assert _ids(dataset, -1) == list(range(10))
    assert _ids(Numbers().load("train", start=7), -1) == [7, 8, 9]


def test_shapes_that_all_examples_share_are_static():
    spec = Numbers().load("train").element_spec
    assert spec["image"] == tf.TensorSpec([None, None, 3], tf.uint8)
    assert spec["semantic"] == tf.TensorSpec([None, None], tf.int32)
    assert spec["image_id"] == tf.TensorSpec([], tf.string)
    assert spec["position"] == tf.TensorSpec([], tf.int64)


def test_every_pass_holds_every_example_in_a_fresh_order():
    ids = _ids(Numbers().load("train", seed=3), 30)
    passes = [ids[:10], ids[10:20], ids[20:]]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]
    assert ids != _ids(Numbers().load("train", seed=4), 30)
    assert ids == _ids(Numbers().load("train", seed=3), 30)


@pytest.mark.parametrize("seed", [-1, 0, 2**40])
def test_any_integer_is_a_seed(seed):
    assert sorted(_ids(Numbers().load("train", seed=seed), 10)) == list(range(10))


@pytest.mark.parametrize("start", [0, 7, 17, 20])
def test_a_stream_resumes_at_any_position(start):
    whole = Numbers().load("train", seed=3).take(30)
    late = Numbers().load("train", seed=3, start=start).take(30 - start)
    expected = list(whole.as_numpy_iterator())[start:]
    for one, other in zip(expected, late.as_numpy_iterator(), strict=True):
        assert one["position"] == other["position"]
        np.testing.assert_array_equal(one["image"], other["image"])


def test_a_limit_takes_the_first_examples_in_any_order():
    ids = _ids(Numbers().load("train", seed=3, limit=4), 12)
    assert sorted(ids[:4]) == sorted(ids[4:8]) == [0, 1, 2, 3]
    assert _ids(Numbers().load("train", limit=4), -1) == [0, 1, 2, 3]
    assert _ids(Numbers().load("train", limit=400), -1) == list(range(10))


def test_a_cache_reads_each_example_once_over_all_passes(tmp_path):
    log = tmp_path / "log"
    dataset = Numbers(log=str(log)).load("train", seed=1, cache=True)
    sampled = len(log.read_text().split())  # the first example, and the estimate
    assert _ids(dataset, 20) == _ids(Numbers().load("train", seed=1), 20)
    _ids(dataset, 20)
    # Two threads may read one example at the same time; a pass each would be 40.
    assert len(log.read_text().split()) - sampled <= 12


def test_cached_examples_are_not_changed_downstream():
    dataset = Numbers().load("train", cache=True).map(lambda e: e["semantic"] + 1)
    first = [labels.max() for labels in dataset.as_numpy_iterator()]
    assert first == [labels.max() for labels in dataset.as_numpy_iterator()]


def test_a_cache_larger_than_half_of_the_free_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    with pytest.raises(failures.DataError, match=r"cache = True for the 10 examples"):
        Numbers().load("train", cache=True)


def test_free_memory_is_between_nothing_and_all():
    assert 2**20 < memory.free_bytes() < 2**50


def test_an_unknown_split_is_refused():
    with pytest.raises(failures.DataError, match="no split 'val'; there is train"):
        Numbers().load("val")


def test_a_split_without_examples_is_refused():
    with pytest.raises(failures.DataError, match=r"split 'train' of .* has no example"):
        Numbers(count=0).size("train")


def test_an_error_in_a_thread_is_found_again():
    stream = Numbers(broken=7).load("train")
    with pytest.raises(tf.errors.OpError):
        list(stream)
    with pytest.raises(failures.DataError) as caught, errors.clear():
        list(stream)
    assert str(caught.value) == "picture 7.png: label 12; want 0..10"


def test_an_error_in_the_first_example_comes_at_once():
    with pytest.raises(failures.DataError, match=r"^picture 0\.png: label 12"):
        Numbers(broken=0).load("train")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        failures.DataError("x"),
        failures.RunError("DataError: x\nTraceback (most recent call last)"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, errors.clear():
        raise error
    assert caught.value is error


def _train(source=None, start_step=0, seed=5, count=8, dataset=None):
    source = source or pipeline.Input(split="train", batch_size=4)
    batches = pipeline.training_batches(
        dataset or Numbers(), source, _preprocess, seed=seed, start_step=start_step
    )
    return list(batches.take(count).as_numpy_iterator())


def test_training_batches_are_endless_and_static():
    source = pipeline.Input(split="train", batch_size=4)
    batches = pipeline.training_batches(Numbers(), source, _preprocess, seed=5)
    assert batches.element_spec[0].shape == (4, 2, 2, 3)
    positions = np.concatenate([targets["position"] for _, targets in _train()])
    np.testing.assert_array_equal(positions, np.arange(32))


@pytest.mark.parametrize("cache", [False, True])
def test_training_resumes_exactly_at_a_step(cache):
    source = pipeline.Input(split="train", batch_size=4, cache=cache)
    whole, late = _train(source), _train(source, start_step=3, count=5)
    for one, other in zip(whole[3:], late, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1]["draw"], other[1]["draw"])


def test_every_position_draws_its_own_numbers():
    draws = np.concatenate([targets["draw"] for _, targets in _train()])
    assert len(np.unique(draws)) == len(draws)
    other = np.concatenate([targets["draw"] for _, targets in _train(seed=6)])
    assert not np.isin(draws, other).any()


def _mix(images, targets, *, seed):
    draw = tf.random.stateless_uniform([], seed)
    return images + 0.5, targets | {"mixed": tf.repeat(draw, tf.shape(images)[0])}


def _mixed(seed=5, start_step=0, count=6):
    source = pipeline.Input(split="train", batch_size=4)
    batches = pipeline.training_batches(
        Numbers(), source, _preprocess, mix=_mix, seed=seed, start_step=start_step
    )
    return list(batches.take(count).as_numpy_iterator())


def test_each_batch_is_mixed_with_a_seed_of_its_own():
    draws = [targets["mixed"][0] for _, targets in _mixed()]
    assert len(np.unique(draws)) == 6
    augmentation = np.concatenate([targets["draw"] for _, targets in _mixed()])
    assert not np.isin(draws, augmentation).any()
    assert not np.isin(draws, [targets["mixed"][0] for _, targets in _mixed(6)]).any()
    np.testing.assert_array_equal(_mixed()[0][0], _train()[0][0] + 0.5)


def test_mixing_resumes_exactly_at_a_step():
    for one, other in zip(_mixed()[4:], _mixed(start_step=4, count=2), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1]["mixed"], other[1]["mixed"])


def test_what_a_task_refuses_arrives_as_it_was_raised():
    def refuse(example, *, training, seed=None):
        raise failures.RequestError("set something else")

    source = pipeline.Input(split="train", batch_size=4)
    with pytest.raises(failures.RequestError, match=r"^set something else$"):
        pipeline.training_batches(Numbers(), source, refuse, seed=0)
    with pytest.raises(failures.RequestError, match=r"^set something else$"):
        pipeline.evaluation_batches(Numbers(), source, refuse)


def test_training_with_a_limit_sees_only_the_first_examples():
    source = pipeline.Input(split="train", batch_size=3, limit=3)
    for images, _ in _train(source):
        assert sorted(images[:, 0, 0, 0]) == [0, 1, 2]


def test_a_batch_may_be_larger_than_the_data():
    source = pipeline.Input(split="train", batch_size=25)
    assert _train(source, count=1)[0][0].shape[0] == 25


def test_evaluation_keeps_the_last_batch_and_pads_labels_with_ignore():
    source = pipeline.Input(split="train", batch_size=4)
    batches = pipeline.evaluation_batches(Numbers(), source, _preprocess)
    seen = list(batches.as_numpy_iterator())
    assert [len(images) for images, _ in seen] == [4, 4, 2]
    _, targets = seen[0]
    assert targets["semantic"].shape == (4, 4, 4)
    assert (targets["semantic"][0, 3] == 255).all()
    assert (targets["semantic"][1] == 1).all()
    assert targets["size"].tolist() == [[3, 4], [4, 4], [3, 4], [4, 4]]


def test_evaluation_takes_the_limit():
    source = pipeline.Input(split="train", batch_size=4, limit=5)
    batches = pipeline.evaluation_batches(Numbers(), source, _preprocess)
    assert [len(images) for images, _ in batches] == [4, 1]


def _calibration(count, dataset=None, seed=0):
    source = pipeline.Input(split="train", batch_size=4)
    return list(
        pipeline.calibration_images(
            dataset or Numbers(), source, _preprocess, count=count, seed=seed
        )
    )


def test_calibration_images_do_not_repeat_until_all_were_drawn():
    images = _calibration(12)
    assert len(images) == 12
    assert images[0].shape == (1, 2, 2, 3)
    assert images[0].dtype == np.float32
    values = [int(image[0, 0, 0, 0]) for image in images]
    assert sorted(values[:10]) == list(range(10))
    assert values != [int(image[0, 0, 0, 0]) for image in _calibration(12, seed=1)]


def test_calibration_reports_bad_data_in_one_line():
    with pytest.raises(failures.DataError, match=r"^picture 7\.png: label 12"):
        _calibration(12, dataset=Numbers(broken=7))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stream(base.Dataset):
    """The same examples from a source that can only be read from its start."""

    numbers: Numbers

    class_names = palette = ()

    def size(self, split):
        return self.numbers.size(split)

    def load(self, split, *, seed=None, start=0, cache=False, limit=None, **_):
        return self.numbers.load(
            split, seed=seed, start=start, cache=cache, limit=limit
        )


def _picked(dataset, count, limit=None):
    source = pipeline.Input(split="train", batch_size=4, limit=limit)
    return list(pipeline.picked(dataset, source, count))


@pytest.mark.parametrize("dataset", [Numbers(), Stream(numbers=Numbers())])
@pytest.mark.parametrize(
    ("count", "limit", "places"),
    [
        (1, None, [0]),
        (4, None, [0, 2, 5, 7]),
        (3, 6, [0, 2, 4]),
        (8, 3, [0, 1, 2]),
        (99, None, list(range(10))),
    ],
)
def test_picked_examples_are_spread_over_what_is_used(dataset, count, limit, places):
    examples = _picked(dataset, count, limit)
    assert [example["position"] for example in examples] == places
    everything = list(dataset.load("train").as_numpy_iterator())
    for example in examples:
        expected = everything[example["position"]]
        assert example.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_array_equal(example[key], value)
            assert np.asarray(example[key]).dtype == np.asarray(value).dtype


def test_picking_reads_no_other_examples(tmp_path):
    log = tmp_path / "log"
    _picked(Numbers(log=str(log)), 2)
    assert log.read_text().split() == ["0", "5"]


@pytest.mark.parametrize("wrap", [lambda numbers: numbers, lambda n: Stream(numbers=n)])
def test_picking_reports_bad_data_in_one_line(wrap):
    with pytest.raises(failures.DataError, match=r"^picture 5\.png: label 12"):
        _picked(wrap(Numbers(broken=5)), 2)


@pytest.mark.parametrize(("limit", "count"), [(None, 10), (4, 4), (400, 10)])
def test_an_input_counts_what_it_uses(limit, count):
    source = pipeline.Input(split="train", batch_size=4, limit=limit)
    assert source.count(Numbers()) == count


@pytest.mark.parametrize("field", ["batch_size", "limit"])
def test_sizes_of_an_input_are_checked(field):
    fields = {"split": "train", "batch_size": 1} | {field: 0}
    with pytest.raises(failures.RequestError, match=f"{field} = 0: want 1 or more"):
        pipeline.Input(**fields)


def test_reading_stays_parallel_with_deterministic_ops(root):
    """In a process of its own: the switch cannot be turned back."""
    script = """
        import dataclasses, threading
        import numpy as np
        import tensorflow as tf
        from official.data import indexed

        together = threading.Barrier(2, timeout=20)

        @dataclasses.dataclass(frozen=True, kw_only=True)
        class Slow(indexed.IndexedDataset):
            class_names = palette = ()

            def records(self, split):
                return range(9)

            def read(self, record):
                if record:  # the first is read alone, to look at its keys
                    together.wait()
                return {"image": np.zeros((2, 2, 3), np.uint8), "image_id": str(record)}

        tf.config.threading.set_inter_op_parallelism_threads(4)
        tf.config.experimental.enable_op_determinism()
        tf.random.set_seed(0)
        ids = [int(e["image_id"].numpy()) for e in Slow().load("train", start=1)]
        assert ids == list(range(1, 9)), ids
        """
    _run(root, script)


def test_two_replicas_share_the_global_batch(root):
    script = """
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        from official import failures
        from official.data import errors, pipeline
        from tests import test_pipeline

        strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
        source = pipeline.Input(split="train", batch_size=4)

        def positions(broken=None):
            batches = pipeline.training_batches(
                test_pipeline.Numbers(broken=broken), source,
                test_pipeline._preprocess, seed=5,
            )
            shared = iter(strategy.experimental_distribute_dataset(batches))
            return [
                [x.numpy().tolist() for x in strategy.experimental_local_results(
                    next(shared)[1]["position"])] for _ in range(3)
            ]

        assert positions() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [10, 11]]]
        try:
            with errors.clear():
                positions(broken=7)
        except failures.DataError as error:
            assert str(error).startswith("picture 7.png"), error
        else:
            raise SystemExit("no error")
        """
    _run(root, script)


def _run(root, script):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
