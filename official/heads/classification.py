"""The classifier."""

import dataclasses

import keras

from official.backbones import base as backbones_base
from official.backbones import fields
from official.heads import base


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification(base.Head):
    """Dropout and one dense layer, "classes", on the embedding of the image.

    Output: "logits" `[B, num_classes]`.

    Attributes:
        dropout: Share of the embedding that is dropped in training.
    """

    dropout: float = 0.2

    def __post_init__(self) -> None:
        fields.check_rate(self, "dropout")

    def __call__(
        self, features: backbones_base.Features, num_classes: int
    ) -> base.Outputs:
        """Adds the head.

        Raises:
            ValueError: If the backbone gives no "embedding".
        """
        if "embedding" not in features:
            raise ValueError(
                "the classification head reads 'embedding', which the backbone does "
                "not give; it has " + ", ".join(repr(name) for name in sorted(features))
            )
        x = features["embedding"]
        x = keras.layers.Reshape((x.shape[-1],), name="classes_reshape")(x)
        if self.dropout:
            x = keras.layers.Dropout(self.dropout, name="classes_dropout")(x)
        return {"logits": keras.layers.Dense(num_classes, name="classes")(x)}
