"""The transformer decoder of a k-means mask transformer."""

import dataclasses
import math
from typing import Any, NamedTuple

import keras

from official.backbones import convolutions, fields
from official.layers import attention, l2_normalize, masks, query_attention

ATTENTIONS = ("multi_head", "multi_query")
MASK_GAMMA = 0.1
"""What the factor of mask logits starts at."""


class Answer(NamedTuple):
    """What queries and pixels say together.

    Attributes:
        mask_logits: `[B, H, W, N]`.
        class_logits: `[B, N, C + 1]`, void last.
        pixel_features: `[B, H, W, D]`, of length one.
    """

    mask_logits: keras.KerasTensor
    class_logits: keras.KerasTensor
    pixel_features: keras.KerasTensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryDecoder:
    """Layers that let queries gather the pixels of their segments.

    Yu et al., 2022, https://arxiv.org/abs/2207.04044, section 3, with what DeepLab2
    adds: norms everywhere, the first update by the pixels (k-means) and the second
    among the queries both from the queries before the layer. Queries are
    `[B, N, 1, width]`.

    Attributes:
        width: Channels of the queries.
        key_width: Channels of keys of the attention among queries, over all heads.
        heads: Of that attention.
        attention: "multi_head" as in DeepLab2, or "multi_query", which has one head of
            keys and values for all queries (Shazeer, 2019,
            https://arxiv.org/abs/1911.02150) and an integer form.
        hidden: Channels between the two convolutions of a layer's end.
        embedding: D, channels in which queries and pixels are compared.
        pixel_kernel: Side of the depthwise kernel before the pixels' embedding.
        mask_norm: One norm for all mask logits, whose factor starts at 0.1. Without it
            the norm of the queries' kernels starts there, which folds in a file.
        drop_path: Rate at which an update of an image is left out in training.
        activation: One of `convolutions.ACTIVATIONS`.
    """

    width: int = 256
    key_width: int = 128
    heads: int = 8
    attention: str = "multi_head"
    hidden: int = 2048
    embedding: int = 128
    pixel_kernel: int = 5
    mask_norm: bool = True
    drop_path: float = 0.0
    activation: str = "gelu"

    def __post_init__(self) -> None:
        fields.check_choice(self, "attention", ATTENTIONS)
        fields.check_choice(self, "activation", convolutions.ACTIVATIONS)
        for name in ("width", "key_width", "heads", "hidden", "embedding"):
            fields.check_positive(self, name)
        if self.key_width % self.heads or self.width % self.heads:
            raise ValueError(
                f"QueryDecoder.heads = {self.heads}: must divide width {self.width} "
                f"and key_width {self.key_width}"
            )
        if not 0 <= self.drop_path < 1:
            raise ValueError(
                f"QueryDecoder.drop_path = {self.drop_path}: must be in [0, 1)"
            )

    def layer(
        self,
        queries: keras.KerasTensor,
        pixels: keras.KerasTensor,
        num_classes: int,
        *,
        norm: convolutions.Norm,
        name: str,
    ) -> tuple[keras.KerasTensor, Answer]:
        """Adds a layer.

        Args:
            pixels: `[B, H, W, C]`, of the pixel decoder.

        Returns:
            The queries after it, and the answer of those before it, from which they
            were updated.
        """
        asked = self._projected(queries, self.width, norm, f"{name}_query")
        pixels = convolutions.activation_layer(
            self.activation, f"{name}_level_activation"
        )(pixels)
        pixels = self._projected(pixels, self.width, norm, f"{name}_pixel")
        answer = self.answer(asked, asked, pixels, num_classes, norm=norm, name=name)
        gathered = self._gathered(answer.mask_logits, pixels, norm, f"{name}_kmeans")
        told = self._told(asked, norm, f"{name}_attention")
        x = keras.layers.Add(name=f"{name}_kmeans_add")([queries, gathered])
        x = keras.layers.Add(name=f"{name}_attention_add")([x, told])
        x = self._activated(x, f"{name}_activation")
        hidden = self._projected(x, self.hidden, norm, f"{name}_ffn_expand")
        update = convolutions.conv_norm(
            hidden, self.width, norm=norm, gamma=0.0, name=f"{name}_ffn_project"
        )
        update = self._dropped(update, f"{name}_ffn_drop")
        x = keras.layers.Add(name=f"{name}_ffn_add")([x, update])
        return self._activated(x, f"{name}_ffn_activation"), answer

    def end(
        self,
        queries: keras.KerasTensor,
        pixels: keras.KerasTensor,
        num_classes: int,
        *,
        norm: convolutions.Norm,
        name: str,
    ) -> Answer:
        """Adds the last answer, of embeddings of their own for classes and masks."""
        pixels = convolutions.activation_layer(
            self.activation, f"{name}_level_activation"
        )(pixels)
        of_class, of_mask = (
            self._projected(queries, self.width, norm, f"{name}_{end}_embedding")
            for end in ("class", "mask")
        )
        return self.answer(of_class, of_mask, pixels, num_classes, norm=norm, name=name)

    def answer(
        self,
        of_class: keras.KerasTensor,
        of_mask: keras.KerasTensor,
        pixels: keras.KerasTensor,
        num_classes: int,
        *,
        norm: convolutions.Norm,
        name: str,
    ) -> Answer:
        """Adds a predictor.

        Args:
            of_class: `[B, N, 1, width]`, of which classes are told.
            of_mask: The same, of which masks are made.
            pixels: `[B, H, W, C]`, activated.
        """
        x = convolutions.depthwise_norm(
            pixels,
            self.pixel_kernel,
            norm=norm,
            activation=self.activation,
            name=f"{name}_pixel_depthwise",
        )
        x = self._projected(x, self.width, norm, f"{name}_pixel_project")
        x = keras.layers.Conv2D(
            self.embedding,
            1,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.01),
            name=f"{name}_pixel_embedding_conv",
        )(x)
        x = norm(x, f"{name}_pixel_embedding_norm")
        features = l2_normalize.L2Normalize(name=f"{name}_pixel_features")(x)
        kernels = convolutions.conv_norm(
            of_mask,
            self.embedding,
            norm=norm,
            gamma=1.0 if self.mask_norm else MASK_GAMMA,
            name=f"{name}_mask_kernel",
        )
        mask_logits = masks.MaskProduct(name=f"{name}_mask_product")(features, kernels)
        if self.mask_norm:
            mask_logits = _normalized(mask_logits, norm, f"{name}_mask")
        class_logits = keras.layers.Conv2D(
            num_classes + 1,
            1,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.01),
            bias_initializer=VoidBias(),
            name=f"{name}_class_conv",
        )(of_class)
        class_logits = keras.layers.Reshape(
            (of_class.shape[1], num_classes + 1), name=f"{name}_class_logits"
        )(class_logits)
        return Answer(mask_logits, class_logits, features)

    def _gathered(
        self,
        mask_logits: keras.KerasTensor,
        pixels: keras.KerasTensor,
        norm: convolutions.Norm,
        name: str,
    ) -> keras.KerasTensor:
        values = convolutions.conv_norm(
            pixels, self.width, norm=norm, name=f"{name}_value"
        )
        # Sums over all pixels of a slot: in half precision they would overflow.
        sums = masks.KMeansUpdate(dtype="float32", name=name)(mask_logits, values)
        sums = norm(sums, f"{name}_norm", dtype="float32")
        update = convolutions.conv_norm(
            sums, self.width, norm=norm, gamma=0.0, name=f"{name}_project"
        )
        return self._dropped(update, f"{name}_drop")

    def _told(
        self, asked: keras.KerasTensor, norm: convolutions.Norm, name: str
    ) -> keras.KerasTensor:
        """Attention among the queries."""
        if self.attention == "multi_head":
            joined = convolutions.conv_norm(
                asked,
                2 * self.key_width + self.width,
                norm=norm,
                name=f"{name}_project",
            )
            x = query_attention.QueryAttention(
                heads=self.heads,
                key_width=self.key_width,
                momentum=norm.momentum,
                epsilon=norm.epsilon,
                synchronized=norm.synchronized,
                name=name,
            )(joined)
        else:
            each = self.key_width // self.heads
            queries, keys, values = (
                convolutions.conv_norm(asked, width, norm=norm, name=f"{name}_{end}")
                for end, width in (
                    ("query", self.key_width),
                    ("key", each),
                    ("value", each),
                )
            )
            x = attention.MultiQueryAttention(name=name)(queries, keys, values)
        x = norm(x, f"{name}_mean_norm")
        x = self._activated(x, f"{name}_mean_activation")
        update = convolutions.conv_norm(
            x, self.width, norm=norm, gamma=0.0, name=f"{name}_output"
        )
        return self._dropped(update, f"{name}_drop")

    def _projected(
        self,
        x: keras.KerasTensor,
        filters: int,
        norm: convolutions.Norm,
        name: str,
    ) -> keras.KerasTensor:
        return convolutions.conv_norm(
            x, filters, norm=norm, activation=self.activation, name=name
        )

    def _activated(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return convolutions.activation_layer(self.activation, name)(x)

    def _dropped(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        if not self.drop_path:
            return x
        return keras.layers.Dropout(
            self.drop_path, noise_shape=(None, 1, 1, 1), name=name
        )(x)


def _normalized(
    logits: keras.KerasTensor, norm: convolutions.Norm, name: str
) -> keras.KerasTensor:
    """One factor and one offset for all logits of a map, by the statistics of all."""
    height, width, count = logits.shape[1:]
    x = keras.layers.Reshape((height, width * count, 1), name=f"{name}_column")(logits)
    x = norm(x, f"{name}_norm", gamma=MASK_GAMMA)
    return keras.layers.Reshape((height, width, count), name=f"{name}_logits")(x)


@keras.saving.register_keras_serializable(package="mobile_vision")
class VoidBias(keras.initializers.Initializer):
    """Of class logits: void, the last class, starts with a share of the probability."""

    SHARE = 0.9

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        (count,) = shape
        void = math.log((count - 1) * self.SHARE / (1 - self.SHARE))
        return keras.ops.convert_to_tensor([0.0] * (count - 1) + [void], dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {}
