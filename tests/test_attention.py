import keras
import numpy as np
import pytest
import tensorflow as tf

from official.layers import attention

LAYER = attention.MultiQueryAttention


def _inputs(*, batch: int = 2, heads: int = 3, channels: int = 4) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    shapes = [(4, 5, heads * channels), (2, 3, channels), (2, 3, channels)]
    return [random.normal(1, 1, (batch, *s)).astype("float32") for s in shapes]


def _by_definition(queries, keys, values) -> np.ndarray:
    """One query and head at a time."""
    channels = keys.shape[-1]
    outputs = np.empty_like(queries)
    for image, row, column, head in np.ndindex(
        *queries.shape[:3], queries.shape[3] // channels
    ):
        part = slice(head * channels, (head + 1) * channels)
        logits = keys[image] @ queries[image, row, column, part] / channels**0.5
        shares = np.exp(logits) / np.exp(logits).sum()
        outputs[image, row, column, part] = np.sum(
            shares[..., None] * values[image], axis=(0, 1)
        )
    return outputs


@pytest.mark.parametrize("form", attention.FORMS)
@pytest.mark.parametrize("batch", [1, 2])
def test_each_head_gets_the_mean_that_the_paper_defines(form, batch):
    inputs = _inputs(batch=batch)
    outputs = LAYER(form=form)(*inputs)
    np.testing.assert_allclose(outputs, _by_definition(*inputs), atol=1e-5)


def test_rows_of_places_give_what_maps_give():
    queries, keys, values = _inputs()
    rows = [x.reshape(2, -1, x.shape[-1]) for x in (queries, keys, values)]
    np.testing.assert_allclose(
        LAYER()(*rows), LAYER()(queries, keys, values).numpy().reshape(2, 20, 12)
    )


@pytest.mark.filterwarnings("error")
def test_a_single_key_gets_all_without_a_warning():
    queries, keys, values = _inputs()
    outputs = LAYER()(queries, keys[:, :1, :1], values[:, :1, :1])
    wanted = np.broadcast_to(np.tile(values[:, :1, :1], 3), queries.shape)
    np.testing.assert_allclose(outputs, wanted, atol=1e-6)


@pytest.mark.parametrize("form", attention.FORMS)
def test_a_graph_of_unknown_sizes_computes_the_same(form):
    inputs = _inputs()
    maps = [keras.Input((None, None, x.shape[-1])) for x in inputs]
    model = keras.Model(maps, LAYER(form=form)(*maps))
    np.testing.assert_allclose(model(inputs), _by_definition(*inputs), atol=1e-5)


def test_the_softmax_is_float32_in_half_precision():
    inputs = [x.astype("float16") for x in _inputs()]
    layer = LAYER(dtype="mixed_float16")
    outputs = layer(*inputs)
    assert outputs.dtype == "float16"
    np.testing.assert_allclose(outputs, _by_definition(*_inputs()), atol=1e-2)
    graph = tf.function(lambda: layer(*inputs)).get_concrete_function().graph
    (softmax,) = (op for op in graph.get_operations() if op.type == "Softmax")
    assert softmax.inputs[0].dtype == tf.float32


@pytest.mark.parametrize("form", attention.FORMS)
def test_its_cost_is_that_of_two_products(form):
    images = [keras.Input((4, 5, 12)), keras.Input((2, 3, 4)), keras.Input((2, 3, 4))]
    layer = LAYER(form=form)
    layer(*images)
    assert layer.multiply_adds() == 20 * 6 * 4 * 3 * 2  # N, M, channels, heads, two


def test_the_cost_wants_static_sizes():
    layer = LAYER(name="attend")
    layer(keras.Input((None, 5, 12)), keras.Input((6, 4)), keras.Input((6, 4)))
    with pytest.raises(ValueError, match=r"'attend' has queries .*static input size"):
        layer.multiply_adds()


@pytest.mark.parametrize(("queries", "values"), [(10, 4), (12, 5)])
def test_channels_that_do_not_fit_are_refused(queries, values):
    inputs = [keras.Input((6, size)) for size in (queries, 4, values)]
    with pytest.raises(ValueError, match=r"'attend': queries .* must have one shape"):
        LAYER(name="attend")(*inputs)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form = 'fast': must be one of 'batched', 's"):
        LAYER(form="fast")


def test_a_layer_survives_its_config():
    layer = LAYER(form="single", name="attend")
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()


def _converted(form: str, *, places: int) -> tuple[list[str], float]:
    """Ops of an int8 file, and its signal to noise in dB."""
    from ai_edge_litert import interpreter

    random = np.random.default_rng(0)
    heads, channels = 2, 16
    fed = [
        random.normal(0, 1.5, (1, 64, heads * channels)).astype("float32"),
        random.normal(0, 1, (1, places, channels)).astype("float32"),
        random.normal(0, 1, (1, places, channels)).astype("float32"),
    ]
    fed[2] += random.normal(0, 1, channels).astype("float32")
    layer = LAYER(form=form)
    signature = [
        tf.TensorSpec(x.shape, name=n) for x, n in zip(fed, "qkv", strict=True)
    ]
    function = tf.function(lambda q, k, v: layer(q, k, v), input_signature=signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()]
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: [fed]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    runner = interpreter.Interpreter(model_content=converter.convert(), num_threads=1)
    runner.allocate_tensors()
    for detail in runner.get_input_details():
        runner.set_tensor(detail["index"], fed["qkv".index(detail["name"][0])])
    runner.invoke()
    ours = runner.get_tensor(runner.get_output_details()[0]["index"])
    wanted = layer(*fed).numpy()
    ops = [op["op_name"] for op in runner._get_ops_details()]
    return ops, 10 * np.log10(wanted.var() / np.mean((ours - wanted) ** 2))


@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs")
@pytest.mark.parametrize("form", attention.FORMS)
def test_an_int8_file_keeps_the_products_and_the_signal(form):
    ops, signal = _converted(form, places=1024)
    product = {"batched": "BATCH_MATMUL", "single": "FULLY_CONNECTED"}[form]
    assert ops.count(product) == 2
    assert not {"BATCH_MATMUL", "FULLY_CONNECTED"} - {product} & set(ops)
    # With 1024 keys a share is a quarter of the step of SOFTMAX: without the plain
    # mean of the values less than 10 dB are left.
    assert signal > 25
