"""Which ops hardware takes, by hand: limits, the first subgraph, costs, memory."""

import pathlib
import re

import pytest

from tflite_export import arena, flatbuffer, mapping, multiply_adds
from tflite_export.targets import base as targets_base

EDGETPU = targets_base.find("edgetpu")
NPU = targets_base.find("npu")


def tensor(index: int, *shape: int, **more) -> flatbuffer.Tensor:
    more = {"dtype": "INT8", "name": f"t{index}"} | more
    return flatbuffer.Tensor(index=index, shape=shape, **more)


def constant(*shape: int, **more) -> flatbuffer.Tensor:
    return tensor(99, *shape, constant=True, **more)


def axes(*values: int) -> flatbuffer.Tensor:
    return constant(len(values), dtype="INT32", values=values)


def op(name: str, inputs, outputs, **more) -> flatbuffer.Op:
    more = {"custom": False} | more
    return flatbuffer.Op(
        name=name, inputs=tuple(inputs), outputs=tuple(outputs), **more
    )


def file(*ops: flatbuffer.Op, inputs=(), outputs=()) -> flatbuffer.File:
    return flatbuffer.File(
        path=pathlib.Path("model.tflite"),
        size=0,
        ops=ops,
        tensors=(),
        inputs={t.name: t for t in inputs},
        outputs={t.name: t for t in outputs},
    )


IMAGE = tensor(0, 1, 8, 6, 16)
SAME = tensor(1, 1, 8, 6, 16)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (op("ADD", [IMAGE, IMAGE], [SAME]), None),
        (op("GELU", [IMAGE], [SAME]), "GELU is not in the table of the Edge TPU"),
        (
            op("ADD", [tensor(0, 1, 8, dtype="FLOAT32")], [SAME]),
            "tensor 't0' is float32, not 8 bits",
        ),
        (
            op("ADD", [tensor(0, 2, 8, 6, 16)], [SAME]),
            r"tensor 't0' is \[2, 8, 6, 16\]: only the 3 innermost",
        ),
        (
            op("CONV_2D", [IMAGE, SAME], [tensor(2, 1, 8, 6, 16)]),
            "its kernel is not constant",
        ),
        (
            op(
                "CONV_2D",
                [IMAGE, constant(16, 3, 3, 16)],
                [SAME],
                options={"dilationHFactor": 2, "dilationWFactor": 1},
            ),
            "dilation 2x1: must be the same",
        ),
        (
            op("MAX_POOL_2D", [IMAGE], [SAME], options={"fusedActivationFunction": 1}),
            "has a fused activation",
        ),
        (
            op(
                "FULLY_CONNECTED",
                [tensor(0, 4, 16), constant(8, 16)],
                [tensor(1, 4, 8)],
                options={"weightsFormat": 0},
            ),
            r"output \[4, 8\]: must be one-dimensional",
        ),
        (op("MEAN", [IMAGE, axes(1, 2)], [tensor(1, 1, 1, 1, 16)]), None),
        (op("MEAN", [IMAGE, axes(-1)], [tensor(1, 1, 8, 6)]), None),
        (
            op("MEAN", [tensor(0, 1, 8, 6, 6), axes(3)], [tensor(1, 1, 8, 6)]),
            "mean over 6 channels: must be a multiple of 4",
        ),
        (op("MEAN", [IMAGE, axes(0)], [SAME]), "reduces the batch"),
        (op("PAD", [IMAGE, axes(0, 0, 1, 1, 1, 1, 0, 0)], [SAME]), None),
        (op("PAD", [IMAGE, axes(1, 0, 0, 0, 0, 0, 0, 0)], [SAME]), "pads the batch"),
        (op("SPLIT", [axes(3), IMAGE], [SAME]), None),
        (op("SPLIT", [axes(0), IMAGE], [SAME]), "splits the batch"),
        (op("PACK", [IMAGE], [SAME], options={"axis": 0}), "packs over the batch"),
        (op("PRELU", [IMAGE, constant(1, 1, 16)], [SAME]), None),
        (op("PRELU", [IMAGE, constant(8, 6, 16)], [SAME]), "only the last dimension"),
        (op("SOFTMAX", [tensor(0, 1, 16000)], [tensor(1, 1, 16000)]), None),
        (op("SOFTMAX", [tensor(0, 1, 16001)], [tensor(1, 1, 16001)]), "at most 16000"),
        (op("SOFTMAX", [IMAGE], [SAME]), "must be one-dimensional"),
        (
            op(
                "STRIDED_SLICE",
                [IMAGE, axes(0), axes(8), axes(2)],
                [SAME],
                options={"ellipsisMask": 0, "newAxisMask": 0},
            ),
            r"strides \[2\]: must be 1",
        ),
        (
            op(
                "CONCATENATION",
                [IMAGE, IMAGE, constant(1, 8, 6, 16)],
                [SAME],
                options={"fusedActivationFunction": 0},
            ),
            "one of more than 2 inputs is constant",
        ),
    ],
)
def test_the_edge_tpu_keeps_to_the_limits_of_its_table(given, reason):
    (place,) = mapping.places(file(given), EDGETPU)
    if reason is None:
        assert place.status == "maps"
    else:
        assert place.status == "cpu"
        assert re.search(reason, place.reason)


def test_a_version_that_the_compiler_does_not_know_is_refused():
    later = op("TRANSPOSE_CONV", [IMAGE], [SAME], version=4)
    (place,) = mapping.places(file(later), EDGETPU)
    assert place.status == "refused"
    assert place.reason == (
        "version 4: the compiler knows TRANSPOSE_CONV up to version 3 and ends with an "
        "error"
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            op(
                "AVERAGE_POOL_2D",
                [tensor(0, 1, 30, 30, 8)],
                [SAME],
                options={"filterHeight": 25, "filterWidth": 25},
            ),
            "window 25x25: at most 8 on some NPUs, unless it covers all",
        ),
        (
            op(
                "AVERAGE_POOL_2D",
                [tensor(0, 1, 30, 30, 8)],
                [SAME],
                options={"filterHeight": 30, "filterWidth": 30},
            ),
            "",
        ),
        (
            op("DEPTHWISE_CONV_2D", [IMAGE, constant(1, 9, 9, 16)], [SAME]),
            "kernel 9x9: at most 8 on some NPUs",
        ),
        (
            op(
                "FULLY_CONNECTED",
                [tensor(0, 1, 16), constant(2, 16, scales=(0.1, 0.2))],
                [tensor(1, 1, 2)],
            ),
            "its kernel has a scale for each channel, which some NPUs do not know",
        ),
    ],
)
def test_npus_have_limits_too(given, reason):
    (place,) = mapping.places(file(given), NPU)
    assert place.reason == reason


def test_only_what_depends_on_an_op_outside_is_left_out():
    a, b, c, d, e = (tensor(index, 1, 8) for index in range(1, 6))
    image = tensor(0, 1, 8)
    ops = [
        op("RELU", [image], [a]),
        op("GELU", [a], [b]),
        op("TANH", [image], [c]),  # behind GELU in order, but not dependent on it
        op("ADD", [b, c], [d]),
        op("RELU", [d], [e]),
    ]
    places = mapping.places(file(*ops, inputs=[image], outputs=[e]), EDGETPU)
    assert [place.status for place in places] == ["maps", "cpu", "maps", "cpu", "cpu"]
    assert "more than one subgraph is not supported" in places[3].reason
    assert mapping.summarize(places).first_outside == 1


def test_a_float_input_leaves_only_its_conversion_to_the_cpu():
    image = tensor(0, 1, 8, dtype="FLOAT32")
    a, b = tensor(1, 1, 8), tensor(2, 1, 8)
    ops = [op("QUANTIZE", [image], [a]), op("RELU", [a], [b])]
    places = mapping.places(file(*ops, inputs=[image], outputs=[b]), EDGETPU)
    assert [place.status for place in places] == ["cpu", "maps"]


def test_a_graph_that_reads_what_it_makes_maps_nowhere():
    a, b = tensor(0, 1, 8), tensor(1, 1, 8)
    places = mapping.places(file(op("RELU", [a], [b]), op("RELU", [b], [a])), EDGETPU)
    assert [place.status for place in places] == ["cpu", "cpu"]


@pytest.mark.parametrize(
    ("given", "count"),
    [
        (op("CONV_2D", [IMAGE, constant(4, 3, 3, 16)], [tensor(1, 1, 8, 6, 4)]), 27648),
        (op("DEPTHWISE_CONV_2D", [IMAGE, constant(1, 5, 5, 16)], [SAME]), 19200),
        (
            op(
                "FULLY_CONNECTED",
                [tensor(0, 2, 16), constant(8, 16)],
                [tensor(1, 2, 8)],
            ),
            256,
        ),
        (
            op(
                "TRANSPOSE_CONV",
                [axes(1, 16, 12, 4), constant(4, 2, 2, 16), IMAGE],
                [tensor(1, 1, 16, 12, 4)],
            ),
            8 * 6 * 16 * 2 * 2 * 4,
        ),
        (
            op(
                "BATCH_MATMUL",
                [tensor(0, 1, 4, 16), tensor(1, 1, 16, 8)],
                [tensor(2, 1, 4, 8)],
            ),
            512,
        ),
        (op("ADD", [IMAGE, IMAGE], [SAME]), 0),
    ],
)
def test_multiply_adds_are_those_of_the_shapes(given, count):
    assert multiply_adds.of(given) == count


def test_the_arena_is_planned_as_by_hand():
    # 0 (64 bytes) -> 1 (32) -> 2 (64), and 0 is read again at the end.
    first, second, third, last = (
        tensor(0, 64),
        tensor(1, 20),  # 32 bytes with its alignment
        tensor(2, 64),
        tensor(3, 64),
    )
    ops = [
        op("RELU", [first], [second]),
        op("TANH", [second], [third]),
        op("ADD", [first, third], [last]),
    ]
    plan = arena.plan(file(*ops, inputs=[first], outputs=[last]))
    # At ADD: 64 + 64 + 64; TANH has 64 + 32 + 64.
    assert (plan.least, plan.peak_op, plan.op) == (192, 2, "ADD")
    assert plan.planned == 192


def test_of_equal_sizes_the_later_tensor_is_placed_first():
    # As TFLite Micro does, measured: of 18432 bytes each, which makes 72 KiB of 63.
    image, first, second, third = (
        tensor(0, 48),
        tensor(1, 32),
        tensor(2, 32),
        tensor(3, 64),
    )
    ops = [
        op("RELU", [image], [first]),
        op("TANH", [first], [second]),
        op("RELU", [second], [third]),
    ]
    plan = arena.plan(file(*ops, inputs=[image], outputs=[third]))
    # third at 0, image at 0, second behind third at 64; between image and second
    # there are 16 bytes, thus first at 96.
    assert (plan.planned, plan.least) == (128, 96)


def test_an_output_is_kept_until_the_end():
    image, early, late = tensor(0, 16), tensor(1, 16), tensor(2, 160)
    ops = [op("RELU", [image], [early]), op("TANH", [image], [late])]
    plan = arena.plan(file(*ops, inputs=[image], outputs=[early, late]))
    assert plan.least == 16 + 16 + 160


def test_weights_beyond_the_memory_of_the_edge_tpu_are_told():
    large = op("CONV_2D", [IMAGE, constant(1024, 3, 3, 1024)], [SAME])
    (line,) = mapping.general_advice(file(large), EDGETPU)
    assert line.startswith("9.0 MiB of weights, the Edge TPU keeps about 8 MiB")
    assert mapping.general_advice(file(large), NPU) == []
