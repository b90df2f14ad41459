"""Image files to arrays; training, evaluation and prediction read with these.

The common forms (8-bit RGB and grayscale, baseline or progressive) go through
TensorFlow's decoders, up to four times as fast as Pillow's on large pictures; anything
else goes through Pillow. Both undo no color profile.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageOps

from official import failures

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
"""Lower-case endings of the files that `image` reads."""

Path = str | os.PathLike[str]

_ORIENTATION = 0x0112  # the EXIF tag
_COLOR_MODES = frozenset({"RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"})

# Pillow and TensorFlow spread 2-bit and 4-bit grayscale over 0..255.
_GRAY_STEPS = {2: 85, 4: 17}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """What the first bytes of an image file say.

    Attributes:
        width: Pixels, once upright.
        height: Pixels, once upright.
        color: Whether a pixel holds a color; else it holds one number, which may be an
            index into a palette.
        orientation: What EXIF says of how the stored pixels lie: 1 upright, 2 to 4
            mirrored or upside down, 5 to 8 on their side.
    """

    width: int
    height: int
    color: bool
    orientation: int

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width of the pixels as they are stored."""
        if self.orientation >= 5:
            return self.width, self.height
        return self.height, self.width


def header(path: Path) -> Header:
    """Size and kind of an image, without decoding it.

    Raises:
        failures.DataError: If the file is missing, empty or no image.
    """
    with _reading(path), pathlib.Path(path).open("rb") as file:
        _require_content(file.peek(1), path)
        return _header(Image.open(file))


def header_of_bytes(data: bytes, *, name: Path) -> Header:
    """`header` of a file's content; `name` stands for it in messages."""
    with _reading(name):
        _require_content(data, name)
        return _header(Image.open(io.BytesIO(data)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain:
    """A file that TensorFlow decodes as Pillow does, upright and of 8 bits.

    Attributes:
        kind: "JPEG" or "PNG".
        height: Pixels.
        width: Pixels.
    """

    kind: str
    height: int
    width: int


def plain(data: bytes, *, name: Path) -> Plain | None:
    """What a file is, by its first bytes; None if Pillow has to decode it.

    Raises:
        failures.DataError: If it is empty or no image.
    """
    with _reading(name):
        _require_content(data, name)
        picture = Image.open(io.BytesIO(data))
        if not _is_plain(picture, data):
            return None
        width, height = picture.size
        return Plain(kind=str(picture.format), height=height, width=width)


def content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        failures.DataError: If it is missing, empty or cannot be read.
    """
    with _reading(path):
        data = pathlib.Path(path).read_bytes()
        _require_content(data, path)
        return data


def image(path: Path) -> np.ndarray:
    """An image file as uint8 `[H, W, 3]`, RGB, upright as its EXIF orientation says.

    Grayscale is repeated in the three channels, of 16 bits the upper 8 are kept, alpha
    is dropped (the colors below it stay), of several frames the first is taken.

    Raises:
        failures.DataError: If the file is missing, empty, truncated or no image.
    """
    with _reading(path):
        return image_of_bytes(pathlib.Path(path).read_bytes(), name=path)


def image_of_bytes(data: bytes, *, name: Path) -> np.ndarray:
    """`image` of a file's content; `name` stands for it in messages."""
    with _reading(name):
        _require_content(data, name)
        picture = Image.open(io.BytesIO(data))
        if _is_plain(picture, data):
            return _tensorflow_decode(data, picture.format, channels=3)
        return _rgb(_upright(picture))


def label_map(path: Path) -> np.ndarray:
    """The numbers of a label image as int32 `[H, W]`.

    8-bit, 16-bit and 1-bit to 4-bit grayscale give the stored number, palette images
    the index.

    Raises:
        failures.DataError: If the file is missing, empty, truncated, no image, a JPEG,
            or holds a color for each pixel.
    """
    with _reading(path):
        return label_map_of_bytes(pathlib.Path(path).read_bytes(), name=path)


def label_map_of_bytes(data: bytes, *, name: Path) -> np.ndarray:
    """`label_map` of a file's content; `name` stands for it in messages."""
    with _reading(name):
        _require_content(data, name)
        picture = Image.open(io.BytesIO(data))
        _require_labels(name, picture)
        if picture.mode == "L" and _is_plain(picture, data):
            labels = _tensorflow_decode(data, picture.format, channels=1)[..., 0]
        else:
            labels = _indices(_upright(picture), data)
        return labels.astype(np.int32)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (failures.DataError, MemoryError):
        raise
    except Exception as error:  # decoders raise just about anything on damaged bytes
        raise _data_error(path, error) from error


def _header(picture: Image.Image) -> Header:
    width, height = picture.size
    orientation = _orientation(picture)
    if orientation >= 5:  # lies on its side
        width, height = height, width
    return Header(
        width=width,
        height=height,
        color=picture.mode in _COLOR_MODES,
        orientation=orientation,
    )


def _require_content(data: bytes, path: Path) -> None:
    if not data:
        raise failures.DataError(f"{path}: the file is empty; copy it again")


def _require_labels(path: Path, picture: Image.Image) -> None:
    if picture.format in ("JPEG", "MPO"):
        raise failures.DataError(
            f"{path}: JPEG compression alters labels; save label maps as PNG"
        )
    if picture.mode in _COLOR_MODES:
        raise failures.DataError(
            f"{path}: holds colors (mode {picture.mode}), not a class id for each "
            "pixel; save it as 8-bit grayscale or palette PNG"
        )


def _is_plain(picture: Image.Image, data: bytes) -> bool:
    """Whether TensorFlow decodes it as Pillow does."""
    if picture.mode not in ("RGB", "L") or _orientation(picture) != 1:
        return False
    if picture.format == "PNG":
        return _png_depth(data) == 8
    return picture.format == "JPEG"


def _png_depth(data: bytes) -> int:
    return data[24]  # signature 8, chunk length and name 8, width 4, height 4


def _tensorflow_decode(data: bytes, kind: str | None, *, channels: int) -> np.ndarray:
    import tensorflow as tf

    with tf.device("/cpu:0"):
        if kind == "PNG":
            return tf.io.decode_png(data, channels=channels).numpy()
        return tf.io.decode_jpeg(
            data, channels=channels, dct_method="INTEGER_ACCURATE"
        ).numpy()


def _orientation(picture: Image.Image) -> int:
    # Asked for the EXIF data of a PNG, Pillow decodes the whole picture to look for it
    # at the end, unless it came first.
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1
    found = picture.getexif().get(_ORIENTATION, 1)
    return found if found in range(1, 9) else 1  # some cameras write 0


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    return picture if _orientation(picture) == 1 else ImageOps.exif_transpose(picture)


def _rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode[0] in "IF":
        return np.repeat(_upper_8_of_16_bits(picture)[..., None], 3, axis=2)
    if picture.mode == "P":
        picture = picture.convert("RGBA")  # a palette may carry alpha
    return np.array(picture.convert("RGB"))


def _upper_8_of_16_bits(picture: Image.Image) -> np.ndarray:
    values = np.asarray(picture)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise ValueError(f"mode {picture.mode}, beyond 16 bits: save it with 8 bits")
    return (values >> 8).astype(np.uint8)


def _indices(picture: Image.Image, data: bytes) -> np.ndarray:
    values = np.asarray(picture)
    if values.ndim == 3:  # gray with alpha
        values = values[..., 0]
    if picture.mode == "L" and data.startswith(b"\x89PNG"):
        values = values // _GRAY_STEPS.get(_png_depth(data), 1)
    if values.dtype.kind == "f":
        raise ValueError("holds fractions, not class ids; save it as 8-bit PNG")
    return values


def _data_error(path: Path, error: Exception) -> failures.DataError:
    if isinstance(error, FileNotFoundError):
        return failures.DataError(f"{path}: no such file")
    if isinstance(error, OSError) and error.errno is not None:
        return failures.DataError(f"{path}: cannot be read ({error.strerror})")
    if isinstance(error, Image.UnidentifiedImageError):
        return failures.DataError(
            f"{path}: not an image; want JPEG, PNG, BMP, GIF, TIFF or WebP"
        )
    # TensorFlow begins with the name of its op on its device.
    text = re.sub(r"\{\{.*?\}\}", "", str(error))
    reason = " ".join(text.split())[:120] or type(error).__name__
    return failures.DataError(
        f"{path}: truncated, damaged or of an unknown kind ({reason}); "
        "copy or convert it again"
    )
