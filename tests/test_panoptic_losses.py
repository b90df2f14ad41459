import keras
import numpy as np
import pytest
import tensorflow as tf
from panoptic_outputs import SIZES, drawn

from official.losses import panoptic

BOTH = tuple(SIZES)
LOSSES = {
    "class": panoptic.MaskClassLoss(prefixes=BOTH),
    "class relaxed": panoptic.MaskClassLoss(
        prefixes=BOTH, remask=True, reclass_eta=0.1
    ),
    "dice": panoptic.MaskDiceLoss(prefixes=BOTH),
    "dice relaxed": panoptic.MaskDiceLoss(
        prefixes=BOTH, remask=True, gate_activation="softmax"
    ),
    "id": panoptic.MaskIdLoss(prefixes=BOTH),
    "id relaxed": panoptic.MaskIdLoss(prefixes=BOTH, remask=True),
    "instances": panoptic.InstanceDiscriminationLoss(prefixes=BOTH),
    "instances sampled": panoptic.InstanceDiscriminationLoss(prefixes=BOTH, samples=9),
    "semantic": panoptic.SemanticLoss(prefixes=BOTH, hardest_fraction=0.5),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
RELAXED = [name for name in LOSSES if name.endswith("relaxed")]


def gradients(loss, targets, outputs):
    """The value, and the gradient to each output; zeros where there is none."""
    variables = {name: tf.constant(value) for name, value in outputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(variables)
        value = loss(targets, variables)
    found = tape.gradient(value, variables, unconnected_gradients="zero")
    return float(value), {k: np.asarray(v) for k, v in found.items()}


# One image of 2 x 2 pixels, three queries, two classes. The first two pixels are of
# segment 0 (class 1, query 2), the third of segment 1 (class 0, query 0), the last void.
SCORES = [
    [0.25, 0.25, 0.50],
    [0.50, 0.25, 0.25],
    [0.50, 0.25, 0.25],
    [0.25, 0.50, 0.25],
]
CLASSES = [[0.500, 0.25, 0.250], [0.25, 0.25, 0.50], [0.125, 0.625, 0.25]]
TARGETS = {
    "segments": np.int32([[[0, 0], [1, -1]]]),
    "segment_classes": np.int32([[1, 0, -1]]),
    "slots": np.int32([[2, 0, -1]]),
}
OUTPUTS = {
    "mask_logits": np.log(np.float32(SCORES)).reshape(1, 2, 2, 3),
    "class_logits": np.log(np.float32(CLASSES))[None],
}


def test_the_loss_of_ids_worked_by_hand():
    # The pixels of segments give their query 0.5, 0.25 and 0.5.
    wanted = -np.log([0.5, 0.25, 0.5]).mean()
    loss = panoptic.MaskIdLoss(weight=2.0)
    assert float(loss(TARGETS, OUTPUTS)) == pytest.approx(2 * wanted, rel=1e-5)


def test_the_dice_loss_worked_by_hand():
    # Segment 0: 2 pixels; its query has 0.5 + 0.25 on it, and 0.25 on the third.
    first = 1 - (2 * 0.75 + 1) / (2 + 1.0 + 1)
    # Segment 1: 1 pixel; its query has 0.5 there, and 0.25 + 0.5 on the others.
    second = 1 - (2 * 0.5 + 1) / (1 + 1.25 + 1)
    # Their queries give their classes 0.625 and 0.5; 0.75 by three queries, times 3.
    wanted = 3 * 0.75 / 3 * (0.625 * first + 0.5 * second)
    loss = panoptic.MaskDiceLoss()
    assert float(loss(TARGETS, OUTPUTS)) == pytest.approx(wanted, rel=1e-5)


def class_weights():
    """Of the queries in the case above."""
    return (
        # Dice of segment 1: shared 0.5, areas of 1 and 1.25.
        0.75 * 0.5 / ((1 + 1.25) / 2 + 1e-5),
        # 0.5 of a mask of 0.25 + 0.25 + 0.25 + 0.5 is on the void pixel.
        0.25 * 0.5 / 1.25,
        # Dice of segment 0: shared 0.75, areas of 2 and 1.
        0.75 * 0.75 / ((2 + 1) / 2 + 1e-5),
    )


def test_the_loss_of_classes_worked_by_hand():
    # Class 0 of query 0, void of query 1, class 1 of query 2.
    terms = -np.log([0.5, 0.5, 0.625])
    wanted = 3 * np.dot(class_weights(), terms) / 3
    loss = panoptic.MaskClassLoss()
    assert float(loss(TARGETS, OUTPUTS)) == pytest.approx(wanted, rel=1e-5)


def test_reclass_worked_by_hand():
    # The sigmoid of a logit log(p) is p / (1 + p): 1/5 of 0.25, 1/3 of 0.5. Class 1 has
    # two pixels and class 0 one. The share of it times eta is added, to what is not 1.
    fifth, third = 1 / 5, 1 / 3
    wanted = np.float64(
        [
            [1, 0.1 * (fifth + third) / 2, 0],
            [0.1 * fifth, 0.1 * (fifth + fifth) / 2, 1],
            [0.1 * fifth, 1, 0],
        ]
    )
    terms = -(wanted * np.log(CLASSES)).sum(axis=1)
    loss = panoptic.MaskClassLoss(reclass_eta=0.1)
    assert float(loss(TARGETS, OUTPUTS)) == pytest.approx(
        3 * np.dot(class_weights(), terms) / 3, rel=1e-5
    )


def test_a_query_without_a_loss_is_not_counted():
    outputs = OUTPUTS | {"class_logits": np.log(np.float32(CLASSES))[None]}
    outputs["class_logits"][0, 1] = [-60, -60, 60]
    loss = panoptic.MaskClassLoss(weight=1.0)
    first, _, last = class_weights()
    wanted = (first * -np.log(0.5) + last * -np.log(0.625)) / 2
    assert float(loss(TARGETS, outputs)) == pytest.approx(wanted, rel=1e-5)


def test_instance_discrimination_worked_by_hand():
    features = np.float32([[1, 0], [0, 1], [1, 0], [0, 1]]).reshape(1, 2, 2, 2)
    # Likeness by 0.5 is 2 or 0. Of the first pixel: 2, 0, 2, and its segment's mean is
    # 1; of the second: 0, 2, 0 and 1; of the third: 2, 0, 2 and 2. The void one is none.
    two = np.log(2 * np.exp(2) + 1)
    wanted = ((two - 1) + (np.log(np.exp(2) + 2) - 1) + (two - 2)) / 3
    loss = panoptic.InstanceDiscriminationLoss(temperature=0.5)
    found = float(loss(TARGETS, {"pixel_features": features}))
    assert found == pytest.approx(wanted, rel=1e-5)


def test_semantic_targets_are_subsampled_from_the_middle():
    semantic = np.full((1, 4, 4), 255)
    semantic[0, 2, 2], semantic[0, 2, 0] = 1, 0
    # One place a quarter: rows and columns 2 of 0..3; for one place a row, column 2.
    logits = np.float32([[[[0.0, 1.0]]]])
    loss = panoptic.SemanticLoss()
    wanted = np.log(1 + np.exp(-1))
    assert float(
        loss({"semantic": semantic}, {"semantic_logits": logits})
    ) == pytest.approx(wanted, rel=1e-5)


def test_outputs_of_several_layers_are_summed():
    targets, outputs = drawn()
    parts = [
        float(panoptic.MaskIdLoss(prefixes=(one,))(targets, outputs)) for one in BOTH
    ]
    assert float(LOSSES["id"](targets, outputs)) == pytest.approx(sum(parts), rel=1e-5)


def test_a_segment_too_small_for_an_output_leaves_its_query_alone():
    """It is no void there, and its mask is not asked to be empty."""
    targets, outputs = drawn(1)
    targets["segments"][:] = 0
    targets["segment_classes"][:] = [[1, 2, -1, -1, -1]]
    targets["slots"][:] = [[0, 1, -1, -1, -1]]
    # Of the second segment there is a pixel on the fine grid alone.
    targets["segments"][0, 0, 0] = 1
    dice = panoptic.MaskDiceLoss(prefixes=("aux1_",))
    _, found = gradients(dice, targets, outputs)
    alone = targets | {
        "segment_classes": np.int32([[1, -1, -1, -1, -1]]),
        "slots": np.int32([[0, -1, -1, -1, -1]]),
    }
    _, wanted = gradients(dice, alone, outputs)
    np.testing.assert_allclose(
        found["aux1_mask_logits"], wanted["aux1_mask_logits"], atol=1e-7
    )
    _, found = gradients(panoptic.MaskClassLoss(prefixes=("aux1_",)), targets, outputs)
    void = found["aux1_class_logits"][0, 1, -1]
    # Away from void, though with next to no weight.
    assert 0 < void < 1e-4


@every_loss
def test_halves_of_a_batch_weigh_as_the_whole(loss):
    targets, outputs = drawn(4)
    whole = float(loss(targets, outputs))
    halves = [
        float(
            loss(
                {k: v[part] for k, v in targets.items()},
                {k: v[part] for k, v in outputs.items()},
            )
        )
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert halves[0] != pytest.approx(halves[1], rel=1e-3)
    assert sum(halves) / 2 == pytest.approx(whole, rel=1e-5)


@every_loss
def test_the_order_of_queries_does_not_matter(loss):
    targets, outputs = drawn()
    order = np.random.default_rng(1).permutation(7)
    place = np.argsort(order)
    moved = dict(outputs)
    for prefix in BOTH:
        for name, axis in (("mask_logits", 3), ("class_logits", 1)):
            moved[prefix + name] = np.take(outputs[prefix + name], order, axis=axis)
    slots = targets["slots"]
    there = targets | {"slots": np.where(slots < 0, -1, place[slots])}
    assert float(loss(there, moved)) == pytest.approx(
        float(loss(targets, outputs)), rel=1e-5
    )


@every_loss
def test_nothing_is_learned_at_pixels_without_a_segment(loss):
    """But that classes weigh queries by their share there, and samples vary."""
    targets, outputs = drawn()
    nothing = targets["segments"] < 0
    _, found = gradients(loss, targets, outputs)
    names = ("mask_logits", "pixel_features", "semantic_logits")
    assert nothing.any()
    for name in names:
        assert (found[name][nothing] == 0).all(), name
    if loss.name == "mask_class" or getattr(loss, "samples", 4096) < 4096:
        return
    changed = {}
    for prefix, step in (("", 1), ("aux1_", 2)):
        there = nothing[:, step // 2 :: step, step // 2 :: step, None]
        for name in (prefix + name for name in names):
            # Features stay of one length.
            other = outputs[name][..., ::-1]
            changed[name] = np.where(there, other, outputs[name])
    assert float(loss(targets, outputs | changed)) == pytest.approx(
        float(loss(targets, outputs)), rel=1e-5
    )


@pytest.mark.parametrize("name", RELAXED)
def test_no_panoptic_loss_reaches_the_semantics(name):
    targets, outputs = drawn()
    _, found = gradients(LOSSES[name], targets, outputs)
    assert (found["aux1_semantic_logits"] == 0).all()
    assert (found["semantic_logits"] == 0).all()


@pytest.mark.parametrize("kind", ["MaskDiceLoss", "MaskIdLoss"])
def test_without_the_stop_it_does_where_masks_are_relaxed(kind):
    targets, outputs = drawn()
    loss = getattr(panoptic, kind)(prefixes=BOTH, remask=True, stop_gradient=False)
    _, found = gradients(loss, targets, outputs)
    assert (found["aux1_semantic_logits"] != 0).any()
    # The final masks are not relaxed, whatever semantics there are.
    assert (found["semantic_logits"] == 0).all()


@pytest.mark.parametrize("name", RELAXED)
def test_only_outputs_with_semantics_of_their_own_are_relaxed(name):
    targets, outputs = drawn()
    loss = LOSSES[name]
    settings = loss.get_config() | {"remask": False}
    plain = type(loss).from_config(settings)
    assert float(loss(targets, outputs)) != pytest.approx(
        float(plain(targets, outputs)), rel=1e-4
    )
    del outputs["aux1_semantic_logits"]
    assert float(loss(targets, outputs)) == float(plain(targets, outputs))


def test_an_eta_of_zero_is_plain_cross_entropy():
    targets, outputs = drawn(1)
    found = gradients(panoptic.MaskClassLoss(), targets, outputs)[1]["class_logits"]
    scores = np.asarray(keras.ops.softmax(outputs["class_logits"], axis=-1))
    hits = np.zeros_like(scores)
    hits[..., -1] = 1
    for slot, label in zip(
        targets["slots"][0], targets["segment_classes"][0], strict=True
    ):
        if slot >= 0:
            hits[0, slot] = np.eye(5)[label]
    # Its gradient is softmax - y, by a factor for each query.
    ratios = found / (scores - hits)
    np.testing.assert_allclose(
        ratios, ratios[..., :1] * np.ones(5), rtol=1e-3, atol=1e-7
    )
    assert (ratios > 0).all()


def test_the_gradient_of_reclass_is_that_of_finite_differences():
    """The fused cross-entropy fails this: its targets would have to sum to 1."""
    targets, outputs = drawn(1)
    loss = panoptic.MaskClassLoss(reclass_eta=1.0)
    _, found = gradients(loss, targets, outputs)
    step = 1e-2
    for place in [(0, 0, 0), (0, 1, 2), (0, 3, 4), (0, 6, 1)]:
        values = []
        for sign in (1, -1):
            moved = outputs["class_logits"].copy()
            moved[place] += sign * step
            values.append(float(loss(targets, outputs | {"class_logits": moved})))
        wanted = (values[0] - values[1]) / (2 * step)
        # Differences of float32 values near 1 by a step of 1e-2.
        assert found["class_logits"][place] == pytest.approx(wanted, abs=5e-5)


@every_loss
def test_half_precision_is_summed_in_single_and_does_not_overflow(loss):
    targets, outputs = drawn()
    halves = {
        k: np.clip(v if "features" in k else 5e4 * v, -6e4, 6e4).astype("float16")
        for k, v in outputs.items()
    }
    value, found = gradients(loss, targets, halves)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in found.values())
    singles = {k: v.astype("float32") for k, v in halves.items()}
    assert value == pytest.approx(float(loss(targets, singles)), rel=1e-6)


@every_loss
def test_an_image_without_a_segment_is_finite(loss):
    targets, outputs = drawn()
    for name, nothing in (
        ("segments", -1),
        ("segment_classes", -1),
        ("slots", -1),
        ("semantic", 255),
    ):
        targets[name][:] = nothing
    value, found = gradients(loss, targets, outputs)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in found.values())
    # All queries are to be void; nothing else is to be learned.
    assert (value > 0) == isinstance(loss, panoptic.MaskClassLoss)


@every_loss
def test_a_compiled_step_gives_the_same(loss):
    targets, outputs = drawn()
    value, found = gradients(loss, targets, outputs)

    @tf.function
    def step(targets, outputs):
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            value = loss(targets, outputs)
        return value, tape.gradient(value, outputs, unconnected_gradients="zero")

    other, others = step(
        {k: tf.constant(v) for k, v in targets.items()},
        {k: tf.constant(v) for k, v in outputs.items()},
    )
    assert float(other) == pytest.approx(value, rel=1e-5)
    for name, gradient in found.items():
        np.testing.assert_allclose(others[name], gradient, rtol=1e-3, atol=1e-6)


@every_loss
def test_a_loss_is_saved_with_its_settings(loss):
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: panoptic.MaskIdLoss(gate_activation="tanh"),
            "gate_activation = 'tanh': must be one of 'sigmoid', 'softmax'",
        ),
        (
            lambda: panoptic.MaskClassLoss(reclass_eta=1.5),
            "reclass_eta = 1.5: must be in [0, 1]",
        ),
        (
            lambda: panoptic.MaskClassLoss(alpha=1.0),
            "MaskClassLoss.alpha = 1.0: must be in (0, 1)",
        ),
        (
            lambda: panoptic.InstanceDiscriminationLoss(samples=0),
            "samples = 0: must be at least 1",
        ),
        (
            lambda: panoptic.InstanceDiscriminationLoss(temperature=0.0),
            "temperature = 0.0: must be above 0",
        ),
    ],
)
def test_a_wrong_value_is_refused(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert message in str(error.value)
