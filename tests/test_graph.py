"""Functional models taken apart and built anew."""

import keras
import numpy as np
import pytest

from official import graph


def _network():
    images = keras.Input((8, 8, 3), name="images")
    x = keras.layers.Conv2D(4, 3, padding="same", name="stem_conv")(images)
    y = keras.layers.ReLU(name="stem_activation")(x)
    both = keras.layers.Add(name="add")([x, y])
    return keras.Model(images, {"sum": both, "relu": y}, name="toy")


def _apply(model):
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    return model.predict_on_batch(images)


def test_a_copy_has_the_same_layers_outputs_and_values():
    model = _network()
    again = graph.rebuild(model, graph.copy)
    graph.copy_weights(model, again)
    assert [x.name for x in again.layers] == [x.name for x in model.layers]
    ours, theirs = _apply(again), _apply(model)
    assert ours.keys() == theirs.keys() == {"sum", "relu"}
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


def test_a_visitor_can_leave_out_a_layer_and_change_another():
    model = _network()

    def visit(node, args, kwargs):
        if node.name == "stem_activation":
            return args[0]
        return graph.copy(node, args, kwargs)

    again = graph.rebuild(model, visit)
    graph.copy_weights(model, again)
    found = _apply(again)
    np.testing.assert_array_equal(found["sum"], 2 * found["relu"])


def test_a_node_knows_who_reads_it_and_whether_the_model_gives_it():
    conv, relu, add = graph.nodes(_network())
    assert [x.name for x in conv.consumers] == ["stem_activation", "add"]
    assert conv.only_consumer is None  # there are two
    assert relu.is_output
    assert relu.only_consumer is None  # the model gives it, too
    assert add.is_output


def test_what_is_no_flat_network_is_refused_by_name():
    images = keras.Input((8, 8, 3))
    inner = _network()
    with pytest.raises(ValueError, match=r"layer 'toy' of .* is a model of its own"):
        graph.nodes(keras.Model(images, inner(images)))
    layer = keras.layers.ReLU(name="twice")
    with pytest.raises(ValueError, match=r"layer 'twice' of .* more than once"):
        graph.nodes(keras.Model(images, layer(layer(images))))
