import keras
import numpy as np
import pytest
import tensorflow as tf

from official.layers import hard_swish

# x, x * relu6(x + 3) / 6 by hand
VALUES = np.array([-4, -3, -1.5, 0, 1.5, 3, 4], "float32")
HARD_SWISH = np.array([0, 0, -0.375, 0, 1.125, 3, 4], "float32")
HARD_SIGMOID = np.array([0, 0, 0.25, 0.5, 0.75, 1, 1], "float32")


@pytest.mark.parametrize("form", hard_swish.FORMS)
def test_hard_swish_has_the_values_of_the_paper(form):
    layer = hard_swish.HardSwish(form=form)
    np.testing.assert_allclose(layer(VALUES), HARD_SWISH, atol=1e-6)


def test_hard_sigmoid_has_the_values_of_the_paper():
    np.testing.assert_allclose(
        hard_swish.HardSigmoid()(VALUES), HARD_SIGMOID, atol=1e-7
    )


def test_the_split_constant_is_the_next_float_above_a_sixth():
    above = np.nextafter(np.float32(1 / 6), np.float32(1))
    assert np.float32(hard_swish._SIXTH_UNFUSED) == above


def test_both_forms_have_the_same_gradient():
    images = tf.constant(np.linspace(-5, 5, 102, dtype="float32"))
    gradients = []
    for form in hard_swish.FORMS:
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = hard_swish.HardSwish(form=form)(images)
        gradients.append(tape.gradient(outputs, images))
    np.testing.assert_allclose(*gradients, atol=1e-6)


@pytest.mark.parametrize("form", hard_swish.FORMS)
def test_the_converter_writes_the_chosen_form(form):
    from ai_edge_litert import interpreter

    images = keras.Input((4, 4, 8), batch_size=1)
    model = keras.Model(images, hard_swish.HardSwish(form=form)(images))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    reader = interpreter.Interpreter(
        model_content=content,
        experimental_op_resolver_type=(
            interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        ),
    )
    names = {op["op_name"] for op in reader._get_ops_details()}
    assert ("HARD_SWISH" in names) == (form == "fused")
    assert ("MUL" in names) == (form == "split")


@pytest.mark.parametrize(
    "layer", [hard_swish.HardSwish(form="split"), hard_swish.HardSigmoid()]
)
def test_a_layer_survives_its_config(layer):
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()


def test_the_form_of_a_model_is_exchanged_by_cloning():
    images = keras.Input((8,))
    model = keras.Model(images, hard_swish.HardSwish(name="act")(images * 0.5))

    def split(layer):
        config = layer.get_config()
        if isinstance(layer, hard_swish.HardSwish):
            config["form"] = "split"
        return type(layer).from_config(config)

    clone = keras.models.clone_model(model, clone_function=split)
    assert clone.get_layer("act").form == "split"
    rows = np.linspace(-8, 8, 8, dtype="float32")[None]
    np.testing.assert_allclose(clone(rows), model(rows), atol=1e-6)


@pytest.mark.parametrize("kind", [hard_swish.HardSwish, hard_swish.HardSigmoid])
def test_mixed_precision_keeps_the_compute_dtype(kind):
    layer = kind(dtype="mixed_bfloat16")
    images = keras.Input((3,), dtype="bfloat16")
    assert layer(images).dtype == "bfloat16"
    assert layer(tf.ones([2, 3], tf.bfloat16)).dtype == "bfloat16"


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match=r"HardSwish.form = 'exact'.*'fused', 'split'"):
        hard_swish.HardSwish(form="exact")


@pytest.mark.parametrize("form", hard_swish.FORMS)
def test_in_training_values_and_gradients_are_those_of_the_ops(form, monkeypatch):
    monkeypatch.setattr(hard_swish, "_LEAST_FOR_XLA", 1)
    images = tf.constant(
        np.linspace(-5, 5, 1001, dtype="float32").reshape(7, 11, 13, 1)
    )
    outer = tf.constant(np.cos(np.arange(1001, dtype="float32")).reshape(images.shape))
    layer, found = hard_swish.HardSwish(form=form), []
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images, training=training)
        found.append((outputs, tape.gradient(outputs, images, outer)))
    for one_loop, ops in zip(*found, strict=True):
        # A rounding or two of values up to 5.
        np.testing.assert_allclose(one_loop, ops, atol=2e-6)


def test_the_gradient_at_its_corners_is_that_of_the_ops(monkeypatch):
    monkeypatch.setattr(hard_swish, "_LEAST_FOR_XLA", 1)
    corners = tf.constant([-3.0, 3.0])
    found = []
    for training in (True, False):
        with tf.GradientTape() as tape:
            tape.watch(corners)
            outputs = hard_swish.HardSwish()(corners, training=training)
        found.append(tape.gradient(outputs, corners))
    np.testing.assert_allclose(*found, atol=1e-6)


@pytest.mark.parametrize(
    ("training", "size", "compiled"), [(True, 64, 1), (True, 63, 0), (False, 64, 0)]
)
def test_only_training_compiles_it_and_only_where_it_is_large(training, size, compiled):
    layer = hard_swish.HardSwish()
    step = tf.function(lambda images: layer(images, training=training))
    images = tf.ones([size, 8, 8, 64])
    operations = step.get_concrete_function(images).graph.get_operations()
    calls = [op for op in operations if "PartitionedCall" in op.type]
    assert sum(op.get_attr("_XlaMustCompile") for op in calls) == compiled
