"""Image files of every mode."""

import numpy as np
import pytest
from PIL import Image

from official import failures
from official.data import decoding


def _photo(height=40, width=56):
    """Smooth, as photographs are: JPEG keeps it to a few levels."""
    y, x = np.mgrid[:height, :width]
    red = 40 + 3 * x
    return np.stack([red, 30 + 4 * y, 220 - 2 * x - y], -1).astype(np.uint8)


def _save(path, array, mode=None, **options):
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_is_decoded_as_pillow_decodes_it(tmp_path, options):
    path = _save(tmp_path / "a.jpg", _photo(), quality=90, **options)
    decoded = decoding.image(path)
    assert decoded.dtype == np.uint8
    pillow = np.asarray(Image.open(path).convert("RGB")).astype(int)
    # Both use libjpeg-turbo's accurate transform; rounding differs by a level at most.
    assert np.abs(decoded - pillow).max() <= 1


def test_real_photographs_decode_alike_on_both_paths(shared):
    for path in sorted((shared / "data/camvid/images/val").glob("*.jpg"))[:5]:
        pillow = np.asarray(Image.open(path).convert("RGB")).astype(int)
        assert np.abs(decoding.image(path) - pillow).max() <= 2


def test_rgb_png_is_lossless(tmp_path):
    path = _save(tmp_path / "a.png", _photo())
    np.testing.assert_array_equal(decoding.image(path), _photo())


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "webp", "gif"])
def test_grayscale_is_repeated(tmp_path, ending):
    gray = np.full((16, 24), 100, np.uint8)
    options = {"lossless": True} if ending == "webp" else {}
    image = decoding.image(_save(tmp_path / f"a.{ending}", gray, **options))
    np.testing.assert_array_equal(image, np.full((16, 24, 3), 100))


def test_sixteen_bit_gray_keeps_the_upper_bits(tmp_path):
    gray = np.array([[0, 255, 256, 65535]], np.uint16)
    image = decoding.image(_save(tmp_path / "a.png", gray))
    np.testing.assert_array_equal(image[0, :, 0], [0, 0, 1, 255])


def test_sixteen_bit_rgb_keeps_the_upper_bits(tmp_path):
    import tensorflow as tf

    rgb = (_photo().astype(np.uint16) << 8) + 77
    (tmp_path / "a.png").write_bytes(tf.io.encode_png(rgb).numpy())
    np.testing.assert_array_equal(decoding.image(tmp_path / "a.png"), _photo())


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_dropped(tmp_path, mode):
    opaque = Image.fromarray(_photo()).convert(mode)
    opaque.putalpha(10)
    opaque.save(tmp_path / "a.png")
    expected = np.asarray(Image.fromarray(_photo()).convert(mode[:-1]).convert("RGB"))
    np.testing.assert_array_equal(decoding.image(tmp_path / "a.png"), expected)


def test_palette_becomes_color(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png", transparency=b"\x00\xff")
    image = decoding.image(tmp_path / "a.png")
    np.testing.assert_array_equal(image[0], [[255, 0, 0], [0, 0, 255]])


def test_cmyk_jpeg_is_not_inverted(tmp_path):
    path = _save(tmp_path / "a.jpg", _photo(), mode="CMYK", quality=95)
    assert Image.open(path).mode == "CMYK"
    # Quality 95 and chroma kept whole: a few levels.
    assert np.abs(decoding.image(path) - _photo().astype(int)).max() <= 8


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_exif_orientation_is_applied(tmp_path, ending):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    path = _save(tmp_path / f"a.{ending}", _photo(16, 32), exif=exif)
    image, header = decoding.image(path), decoding.header(path)
    assert image.shape == (32, 16, 3)
    assert (header.height, header.width) == (32, 16)
    expected = np.rot90(_photo(16, 32), k=-1).astype(int)
    assert np.abs(image - expected).mean() < 4


@pytest.mark.parametrize(
    ("name", "color"), [("a.png", True), ("g.png", False), ("p.png", False)]
)
def test_header_tells_colors_from_numbers(tmp_path, name, color):
    _save(tmp_path / "a.png", _photo())
    _save(tmp_path / "g.png", _photo()[..., 0])
    _save(tmp_path / "p.png", _photo(), mode="P")
    header = decoding.header(tmp_path / name)
    assert header == decoding.Header(width=56, height=40, color=color, orientation=1)


def test_label_map_keeps_the_numbers(tmp_path):
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    palette = Image.fromarray(labels, "P")
    palette.putpalette([7 * i % 256 for i in range(36)])
    palette.save(tmp_path / "palette.png")
    palette.save(tmp_path / "bits.png", bits=4)
    _save(tmp_path / "gray.png", labels)
    _save(tmp_path / "wide.png", labels.astype(np.uint16) * 1000)
    for name in ("palette", "bits", "gray"):
        decoded = decoding.label_map(tmp_path / f"{name}.png")
        assert decoded.dtype == np.int32
        np.testing.assert_array_equal(decoded, labels)
    wide = decoding.label_map(tmp_path / "wide.png")
    np.testing.assert_array_equal(wide, labels.astype(int) * 1000)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_label_map_undoes_the_spread_of_few_bits(tmp_path, depth):
    import struct
    import zlib

    row = bytes([0, 0b01101100])  # no filter, then 8 bits of pixels
    header = struct.pack(">IIBBBBB", 8 // depth, 1, depth, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(row)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    (tmp_path / "a.png").write_bytes(data)
    numbers = {1: [0, 1, 1, 0, 1, 1, 0, 0], 2: [1, 2, 3, 0], 4: [6, 12]}[depth]
    np.testing.assert_array_equal(decoding.label_map(tmp_path / "a.png"), [numbers])


def test_label_map_refuses_colors(tmp_path):
    path = _save(tmp_path / "a.png", _photo())
    with pytest.raises(failures.DataError, match=r"a\.png: holds colors \(mode RGB\)"):
        decoding.label_map(path)


def test_label_map_refuses_jpeg(tmp_path):
    path = _save(tmp_path / "a.jpg", _photo()[..., 0])
    with pytest.raises(failures.DataError, match="JPEG compression alters labels"):
        decoding.label_map(path)


READERS = [decoding.image, decoding.label_map, decoding.header]


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file_is_named(tmp_path, reader):
    with pytest.raises(failures.DataError, match=r"a\.png: no such file"):
        reader(tmp_path / "a.png")


@pytest.mark.parametrize("reader", READERS)
def test_an_empty_file_is_named(tmp_path, reader):
    (tmp_path / "a.png").touch()
    with pytest.raises(failures.DataError, match=r"a\.png: the file is empty"):
        reader(tmp_path / "a.png")


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_image_is_named(tmp_path, reader):
    (tmp_path / "a.png").write_text("<html>404</html>")
    with pytest.raises(failures.DataError, match=r"a\.png: not an image; want JPEG"):
        reader(tmp_path / "a.png")


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_in_place_of_a_file_is_named(tmp_path, reader):
    with pytest.raises(failures.DataError, match="cannot be read"):
        reader(tmp_path)


@pytest.mark.parametrize(
    ("ending", "mode"),
    [("jpg", "RGB"), ("jpg", "CMYK"), ("png", "RGB"), ("png", "RGBA")],
)
def test_a_truncated_file_is_named(tmp_path, ending, mode):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = _save(tmp_path / f"a.{ending}", noise, mode=mode)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(failures.DataError, match="truncated, damaged"):
        decoding.image(path)


def test_fractions_are_refused(tmp_path):
    path = _save(tmp_path / "a.tif", np.full((4, 4), 0.5, np.float32))
    with pytest.raises(failures.DataError, match="save it with 8 bits"):
        decoding.image(path)
    with pytest.raises(failures.DataError, match="holds fractions"):
        decoding.label_map(path)
