"""The k-means mask transformer."""

import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import convolutions, fields
from official.heads import base, maps, pixel_decoder, predictors, query_decoder
from official.layers import queries

SEMANTIC_FORMS = ("separable", "aspp")
_DILATIONS = (1, 6, 12, 18)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KMaX(base.PanopticHead):
    """A slot for each segment: its mask, and its class.

    kMaX-DeepLab (Yu et al., 2022, https://arxiv.org/abs/2207.04044) with the branches
    that ReMaX (Sun et al., 2023, https://arxiv.org/abs/2306.17319) adds in training.

    Outputs: "mask_logits" `[B, H, W, N]` and "class_logits" `[B, N, C + 1]` (void
    last), which is all that a file needs; for losses "pixel_features" `[B, H, W, D]`,
    "semantic_logits" `[B, H, W, C]`, and for each layer i of the transformer
    "aux{i}_mask_logits", "aux{i}_class_logits", "aux{i}_pixel_features" at the stride
    of its pixels, for the first `relaxed` of them "aux{i}_semantic_logits", too.

    `EFFICIENT` has the widths of ReMaX's MobileNetV3 models. Their parameters for COCO
    (18.6 M with MobileNetV3-Small, 22.0 M with Large, recalled from the paper) are the
    only thing that is known of them: blocks and layers are inferred from these counts,
    which are those of all but the semantic head and branches. `EDGE`, of this project,
    is made for integer files.

    Attributes:
        pixels: The pixel decoder.
        decoder: Layers of the transformer decoder.
        layers: How many of them read each level of the pixels, from the coarsest;
            the finest is for the masks alone, unless a fourth number says otherwise.
        slots: N.
        relaxed: How many of the first layers have a semantic branch for ReMaX.
        semantic_width: Channels of the auxiliary semantic head and of the branches.
        semantic_form: "separable" (a depthwise and a 1x1 convolution on each level that
            is used) or "aspp" (Chen et al., 2017, https://arxiv.org/abs/1706.05587:
            dilations 6, 12, 18 and the mean of the image): for the branches as third
            parties have built them, for the auxiliary head on the coarsest level, with
            the two finest joined, as in DeepLab2.
        norm: Batch normalization.
    """

    pixels: pixel_decoder.PixelDecoder = pixel_decoder.ConvPixelDecoder()
    decoder: query_decoder.QueryDecoder = query_decoder.QueryDecoder(
        width=128,
        key_width=64,
        heads=4,
        attention="multi_query",
        hidden=256,
        embedding=64,
        mask_norm=False,
        activation="relu",
    )
    layers: tuple[int, ...] = (1, 1, 1)
    slots: int = 64
    relaxed: int = 3
    semantic_width: int = 64
    semantic_form: str = "separable"
    norm: convolutions.Norm = convolutions.Norm()

    def __post_init__(self) -> None:
        fields.check_choice(self, "semantic_form", SEMANTIC_FORMS)
        for name in ("slots", "semantic_width"):
            fields.check_positive(self, name)
        if len(self.layers) > len(self.pixels.taps) or not sum(self.layers):
            raise ValueError(
                f"KMaX.layers = {self.layers!r}: must be numbers of layers for up to "
                f"{len(self.pixels.taps)} levels, and not all 0"
            )
        if not 0 <= self.relaxed <= sum(self.layers):
            raise ValueError(
                f"KMaX.relaxed = {self.relaxed}: must be from 0 to {sum(self.layers)}, "
                "the number of layers"
            )

    @property
    def needed(self) -> tuple[str, ...]:
        return ("mask_logits", "class_logits")

    @property
    def stride(self) -> int:
        return predictors.tap_stride(self.pixels.taps[0], owner="KMaX.pixels.taps")

    @property
    def prefixes(self) -> tuple[str, ...]:
        return ("", *(f"aux{i}_" for i in range(1, sum(self.layers) + 1)))

    @property
    def semantic_prefixes(self) -> tuple[str, ...]:
        return self.prefixes[: self.relaxed + 1]

    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> base.Outputs:
        """Adds the head.

        Raises:
            ValueError: If a tap is not among the features.
        """
        levels = self.pixels(features, norm=self.norm)
        x = queries.LearnedQueries(
            count=self.slots, width=self.decoder.width, name="queries"
        )(levels[-1])
        outputs: base.Outputs = {}
        number = 0
        for level, count in zip(reversed(levels), self.layers, strict=False):
            for _ in range(count):
                number += 1
                name = f"decoder{number}"
                x, answer = self.decoder.layer(
                    x, level, num_classes, norm=self.norm, name=name
                )
                outputs |= _named(answer, f"aux{number}_")
                if number <= self.relaxed:
                    outputs[f"aux{number}_semantic_logits"] = self._semantic(
                        level, num_classes, f"{name}_semantic"
                    )
        answer = self.decoder.end(
            x, levels[0], num_classes, norm=self.norm, name="masks"
        )
        outputs |= _named(answer, "")
        joined = self.semantic_form == "aspp"
        level = self._joined(levels) if joined else levels[0]
        outputs["semantic_logits"] = self._separable(level, num_classes, "semantic")
        return outputs

    def _joined(self, levels: list[keras.KerasTensor]) -> keras.KerasTensor:
        """The pyramid of the coarsest level, and two finer ones added to it.

        As in DeepLab2: the finest and the one of twice its stride, with 32 and 64
        channels, each joined by a separable convolution.
        """
        x = self._projected(self._pyramid(levels[-1], "semantic"), "semantic_pyramid")
        for number, filters in ((2, 64), (1, 32)):
            name = f"semantic_low{number}"
            low = convolutions.conv_norm(
                levels[number - 1],
                filters,
                norm=self.norm,
                activation="relu",
                name=f"{name}_tap",
            )
            x = maps.resize(x, maps.size(low), name=f"{name}_resize")
            x = keras.layers.Concatenate(name=f"{name}_concat")([x, low])
            x = convolutions.depthwise_norm(
                x, 5, norm=self.norm, activation="relu", name=f"{name}_depthwise"
            )
            x = self._projected(x, name)
        return x

    def _semantic(
        self, level: keras.KerasTensor, num_classes: int, name: str
    ) -> keras.KerasTensor:
        """The classes of pixels, of a branch for ReMaX; no file has it."""
        if self.semantic_form == "separable":
            return self._separable(level, num_classes, name)
        x = self._projected(self._pyramid(level, name), name)
        return maps.classify(x, num_classes, name=f"{name}_logits")

    def _separable(
        self, level: keras.KerasTensor, num_classes: int, name: str
    ) -> keras.KerasTensor:
        x = convolutions.depthwise_norm(
            level, 5, norm=self.norm, activation="relu", name=f"{name}_depthwise"
        )
        x = self._projected(x, name)
        return maps.classify(x, num_classes, name=f"{name}_logits")

    def _projected(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        return convolutions.conv_norm(
            x,
            self.semantic_width,
            norm=self.norm,
            activation="relu",
            name=f"{name}_project",
        )

    def _pyramid(self, level: keras.KerasTensor, name: str) -> keras.KerasTensor:
        branches = [
            convolutions.conv_norm(
                level,
                self.semantic_width,
                kernel=3 if dilation > 1 else 1,
                dilation=dilation,
                norm=self.norm,
                activation="relu",
                name=f"{name}_dilation{dilation}",
            )
            for dilation in _DILATIONS
        ]
        mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(
            level
        )
        mean = convolutions.conv_norm(
            mean,
            self.semantic_width,
            norm=self.norm,
            activation="relu",
            name=f"{name}_pool",
        )
        branches.append(maps.resize(mean, maps.size(level), name=f"{name}_pool_resize"))
        return keras.layers.Concatenate(name=f"{name}_concat")(branches)


def _named(answer: query_decoder.Answer, prefix: str) -> base.Outputs:
    return {f"{prefix}{name}": value for name, value in answer._asdict().items()}


EDGE = KMaX()
EFFICIENT = KMaX(
    pixels=pixel_decoder.AxialPixelDecoder(),
    decoder=query_decoder.QueryDecoder(drop_path=0.2),
    slots=128,
    semantic_width=256,
    semantic_form="aspp",
)
