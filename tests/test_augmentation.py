"""Augmentations, and each image operation against PIL's."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from official import bindings, failures, gin
from official.data.augmentation import (
    auto_augment,
    base,
    color_jitter,
    color_policy,
    erasing,
    magnitudes,
    operations,
    rand_augment,
)

SEED = (3, 14)
ALL = (
    rand_augment.RandAugment(),
    rand_augment.RandAugment(
        magnitude=15.0, magnitude_std=0.5, probability=0.7, scale="model_garden"
    ),
    auto_augment.AutoAugment(),
    auto_augment.AutoAugment(policy="paper"),
    color_jitter.ColorJitter(),
    color_policy.ColorPolicy(),
    color_policy.ColorPolicy(strength=0.2),
    erasing.RandomErasing(probability=1.0),
)


@pytest.fixture(scope="module")
def photo(shared):
    """A real photograph, uint8 `[120, 160, 3]`."""
    file = min((shared / "data" / "flowers" / "val").glob("*/*.jpg"))
    with Image.open(file) as image:
        return image.convert("RGB").resize((160, 120), Image.Resampling.BOX)


def drawn(height=48, width=64):
    """An image of whole values with ramps and noise; no photograph needed."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).integers(0, 60, (height, width, 3))
    ramps = np.stack([3 * x, 4 * y, 2 * x + y], -1)
    return (ramps + noise).clip(0, 255).astype(np.float32)


def mapped(function, count=1):
    """Results of `function(image, seed)` for several seeds, in tf.data."""
    image = tf.constant(drawn())
    seeds = tf.data.Dataset.from_tensor_slices([(7, k) for k in range(count)])
    changed = seeds.map(lambda seed: function(image, seed))
    assert changed.element_spec.shape == image.shape
    return np.stack(list(changed.as_numpy_iterator()))


PIL_POINTWISE = {
    "autocontrast": (operations.autocontrast, ImageOps.autocontrast, ()),
    "equalize": (operations.equalize, ImageOps.equalize, ()),
    "invert": (operations.invert, ImageOps.invert, ()),
    **{
        f"posterize_{bits}": (operations.posterize, ImageOps.posterize, (bits,))
        for bits in range(1, 9)
    },
    "solarize_100": (operations.solarize, ImageOps.solarize, (100,)),
    "solarize_256": (operations.solarize, ImageOps.solarize, (256,)),
}


@pytest.mark.parametrize("name", PIL_POINTWISE)
def test_an_operation_on_values_is_pils(photo, name):
    ours, theirs, arguments = PIL_POINTWISE[name]
    image = tf.constant(np.asarray(photo), tf.float32)
    changed = ours(image, *map(float, arguments))
    # PIL cuts the stretched values of autocontrast to whole ones.
    tolerance = 1.0 if name == "autocontrast" else 0.0
    expected = np.asarray(theirs(photo, *arguments), np.float32)
    np.testing.assert_allclose(changed, expected, atol=tolerance)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (operations.color, ImageEnhance.Color),
        (operations.contrast, ImageEnhance.Contrast),
        (operations.brightness, ImageEnhance.Brightness),
        (operations.sharpness, ImageEnhance.Sharpness),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.1, 0.5, 1.0, 1.5, 1.9])
def test_an_enhancement_is_pils(photo, ours, theirs, factor):
    changed = ours(tf.constant(np.asarray(photo), tf.float32), factor)
    expected = np.asarray(theirs(photo).enhance(factor), np.float32)
    # PIL rounds the gray or the smoothed image, and then cuts the blend.
    np.testing.assert_allclose(changed, expected, atol=1.0 + 0.5 * abs(1 - factor))


def pil_affine(photo, matrix):
    return photo.transform(
        photo.size,
        Image.Transform.AFFINE,
        matrix,
        Image.Resampling.NEAREST,
        fillcolor=(128, 128, 128),
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda x: operations.rotate(x, 20.0), lambda x: x.rotate(
            20, fillcolor=(128, 128, 128))),
        (lambda x: operations.shear_x(x, 0.21),
         lambda x: pil_affine(x, (1, 0.21, 0, 0, 1, 0))),
        (lambda x: operations.shear_y(x, -0.21),
         lambda x: pil_affine(x, (1, 0, 0, -0.21, 1, 0))),
        (lambda x: operations.translate_x(x, 17.0),
         lambda x: pil_affine(x, (1, 0, -17, 0, 1, 0))),
        (lambda x: operations.translate_y(x, -9.2),
         lambda x: pil_affine(x, (1, 0, 0, 0, 1, 9))),
    ],
    ids=["rotate", "shear_x", "shear_y", "translate_x", "translate_y"],
)  # fmt: skip
def test_a_geometric_operation_is_pils(photo, ours, theirs):
    changed = ours(tf.constant(np.asarray(photo), tf.float32)).numpy()
    expected = np.asarray(theirs(photo), np.float32)
    gray = (expected == 128).all(-1)
    assert 0.05 < gray.mean() < 0.5
    # PIL's coordinates have 16 bits behind the point, so that ties fall otherwise.
    assert (changed == expected).all(-1).mean() > 0.995


def test_translations_move_right_and_down():
    image = np.zeros((8, 8, 3), np.float32)
    image[2, 3] = 200
    right = operations.translate_x(tf.constant(image), 2.0).numpy()
    down = operations.translate_y(tf.constant(image), 2.0).numpy()
    assert right[2, 5, 0] == 200
    assert down[4, 3, 0] == 200
    assert (right[:, :2] == 128).all()
    assert (down[:2] == 128).all()


def test_solarize_add_lifts_dark_values_only():
    image = tf.reshape(tf.constant([0.0, 100.0, 127.0, 128.0, 250.0, 1.0]), [1, 2, 3])
    changed = operations.solarize_add(image, 200.0)
    assert changed.numpy().ravel().tolist() == [200, 255, 255, 128, 250, 201]


def test_cutout_paints_a_gray_square_that_may_be_cut_off():
    image = tf.constant(np.zeros((40, 50, 3), np.float32))
    areas = []
    for k in range(60):
        changed = operations.cutout(image, 6.0, seed=tf.constant((0, k))).numpy()
        gray = (changed == 128).all(-1)
        rows, columns = gray.any(1).sum(), gray.any(0).sum()
        assert gray.sum() == rows * columns
        assert (changed[~gray] == 0).all()
        areas.append(int(gray.sum()))
    assert max(areas) == 144
    assert 36 <= min(areas) < 144


def test_an_image_of_one_value_survives_every_operation():
    flat = tf.fill([16, 16, 3], 90.0)
    for operation in (operations.autocontrast, operations.equalize):
        np.testing.assert_array_equal(operation(flat), flat)
    for name in magnitudes.NAMES:
        changed = performed(name, flat, 9.0)
        assert np.isfinite(changed).all()


def performed(name, image, magnitude, scale="increasing", seed=SEED):
    return magnitudes.perform(
        tf.constant(0),
        image,
        names=(name,),
        magnitude=tf.constant(magnitude),
        scale=scale,
        cutout=40 / 224,
        translate=0.3,
        seed=tf.constant(seed),
    ).numpy()


@pytest.mark.parametrize(
    "name",
    [n for n in magnitudes.NAMES if n not in ("autocontrast", "equalize", "invert")],
)
def test_magnitude_0_changes_nothing_and_more_changes_more(name):
    image = tf.constant(drawn())
    np.testing.assert_allclose(performed(name, image, 0.0), image, atol=1e-3)
    distance = [
        np.mean([
            np.abs(performed(name, image, magnitude, seed=(0, k)) - image).mean()
            for k in range(8)
        ])
        for magnitude in (2.5, 5.0, 10.0)
    ]  # fmt: skip
    assert 0 < distance[0] < distance[1] < distance[2]


@pytest.mark.parametrize("scale", ["increasing", "model_garden"])
@pytest.mark.parametrize("name", magnitudes.NAMES)
def test_values_stay_in_0_to_255_at_any_magnitude(name, scale):
    image = tf.constant(drawn())
    for magnitude in (0.0, 7.0, 10.0, 15.0, 30.0):
        changed = performed(name, image, magnitude, scale)
        assert changed.min() >= 0
        assert changed.max() <= 255
        assert np.isfinite(changed).all()


def test_the_scale_of_model_garden_is_its_own():
    image = tf.constant(drawn())
    one = tf.constant
    for name, magnitude, expected in (
        ("posterize", 9.0, operations.posterize(image, 3.0)),
        ("posterize", 0.0, operations.posterize(image, 1.0)),
        ("solarize", 4.0, operations.solarize(image, 102.0)),
        ("solarize", 10.0, image),
        ("color", 5.0, image),
        ("brightness", 0.0, operations.brightness(image, one(0.1))),
        ("solarize_add", 3.0, operations.solarize_add(image, 33.0)),
    ):
        changed = performed(name, image, magnitude, "model_garden")
        np.testing.assert_allclose(changed, expected, atol=1e-2)


@pytest.mark.parametrize("name", ["rotate", "shear_x", "translate_y", "color"])
def test_directions_are_drawn(name):
    image = tf.constant(drawn())
    results = {performed(name, image, 8.0, seed=(0, k)).tobytes() for k in range(12)}
    assert len(results) == 2


@pytest.mark.parametrize("augmentation", ALL, ids=lambda one: type(one).__name__)
def test_an_augmentation_is_a_function_of_its_seed(augmentation):
    first = mapped(lambda image, seed: augmentation(image, seed=seed), 24)
    again = mapped(lambda image, seed: augmentation(image, seed=seed), 24)
    np.testing.assert_array_equal(first, again)
    assert len({one.tobytes() for one in first}) > 5  # ColorPolicy knows few changes
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 255
    eager = augmentation(tf.constant(drawn()), seed=tf.constant((7, 3)))
    # Compiled graphs may fuse multiply and add; a step of posterize may turn on it.
    assert np.mean(np.abs(eager - first[3]) > 0.01) < 0.001


def test_an_image_of_unknown_size_is_augmented():
    augmentations = ALL
    signature = tf.TensorSpec([None, None, 3], tf.float32)

    @tf.function(input_signature=[signature])
    def augmented(image):
        return base.apply(augmentations, image, seed=tf.constant(SEED))

    assert augmented(tf.constant(drawn(20, 31))).shape == (20, 31, 3)


def test_equal_augmentations_in_a_row_draw_apart():
    image = tf.constant(drawn())
    eraser = erasing.RandomErasing(probability=1.0)
    once = base.apply((eraser,), image, seed=tf.constant(SEED))
    twice = base.apply((eraser, eraser), image, seed=tf.constant(SEED))
    changed = (twice.numpy() != once.numpy()).any(-1).mean()
    assert changed > 0.01
    np.testing.assert_array_equal(base.apply((), image, seed=tf.constant(SEED)), image)


def only(name, **options):
    others = tuple(one for one in magnitudes.NAMES if one != name)
    return rand_augment.RandAugment(exclude=others, **options)


def test_rand_augment_draws_every_operation_but_the_excluded():
    image = tf.constant(drawn())
    augmentation = rand_augment.RandAugment(layers=1, exclude=("cutout", "rotate"))
    names = augmentation._names()
    assert set(magnitudes.NAMES) - set(names) == {"cutout", "rotate"}
    changed = mapped(lambda image, seed: augmentation(image, seed=seed), 400)
    fixed = {
        name: performed(name, image, 10.0).tobytes()
        for name in ("autocontrast", "equalize", "invert", "posterize", "solarize_add")
    }
    counts = [sum(one.tobytes() == want for one in changed) for want in fixed.values()]
    # 400 / 14 = 28.6 each, deviation 5.2.
    assert min(counts) > 10
    assert max(counts) < 50


def test_rand_augment_applies_its_layers_one_after_the_other():
    image = drawn()
    twice = mapped(lambda image, seed: only("invert")(image, seed=seed))[0]
    np.testing.assert_allclose(twice, image, atol=1e-4)
    once = mapped(lambda image, seed: only("invert", layers=1)(image, seed=seed))[0]
    np.testing.assert_allclose(once, 255 - image)


def test_rand_augment_skips_operations_by_its_probability():
    augmentation = only("invert", layers=1, probability=0.3)
    changed = mapped(lambda image, seed: augmentation(image, seed=seed), 300)
    inverted = np.mean(np.abs(changed - (255 - drawn())).max(axis=(1, 2, 3)) < 1e-3)
    same = np.mean((changed == drawn()).all(axis=(1, 2, 3)))
    assert inverted + same == 1
    assert 0.2 < inverted < 0.4


def test_rand_augment_draws_its_magnitude_around_the_mean():
    augmentation = only("solarize_add", layers=1, magnitude=5.0, magnitude_std=1.0)
    changed = mapped(lambda image, seed: augmentation(image, seed=seed), 200)
    dark = drawn() < 100
    # 11 for each magnitude; some of the dark values are cut off at 255.
    added = np.median((changed - drawn())[:, dark], axis=1) / 11.0
    assert abs(added.mean() - 5.0) < 0.3
    assert 0.8 < added.std() < 1.2


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (rand_augment.RandAugment, {"exclude": ("cutuot",)}, "did you mean cutout"),
        (rand_augment.RandAugment, {"exclude": magnitudes.NAMES}, "no operation"),
        (rand_augment.RandAugment, {"layers": 0}, "layers 0: want 1 or more"),
        (rand_augment.RandAugment, {"magnitude": -1.0}, "magnitude -1.0"),
        (rand_augment.RandAugment, {"probability": 1.5}, "probability 1.5"),
        (auto_augment.AutoAugment, {"translate": -0.1}, "translate -0.1"),
        (erasing.RandomErasing, {"probability": -0.1}, "probability -0.1"),
        (erasing.RandomErasing, {"area_range": (0.5, 0.1)}, "area_range (0.5, 0.1)"),
        (erasing.RandomErasing, {"min_aspect": 2.0}, "min_aspect 2.0"),
        (color_jitter.ColorJitter, {"hue": 2.0}, "hue 2.0"),
        (color_policy.ColorPolicy, {"strength": 1.5}, "strength 1.5"),
    ],
)
def test_values_that_make_no_sense_are_refused(kind, fields, message):
    with pytest.raises(ValueError) as caught:
        kind(**fields)
    assert message in str(caught.value)


def test_auto_augment_follows_its_policy():
    for rows in auto_augment._POLICIES.values():
        assert len(rows) == 25
        for row in rows:
            for name, probability, magnitude in row:
                assert name in magnitudes.NAMES
                assert 0 <= probability <= 1
                assert 0 <= magnitude <= 10
    augmentation = auto_augment.AutoAugment(policy="paper")
    changed = mapped(lambda image, seed: augmentation(image, seed=seed), 600)
    # Both steps skipped, or without effect (color at 5 does not occur).
    rows = auto_augment._POLICIES["paper"]
    skipped = np.mean([(1 - first[1]) * (1 - second[1]) for first, second in rows])
    same = np.mean((changed == drawn()).all(axis=(1, 2, 3)))
    assert abs(same - skipped) < 0.05


def test_the_color_policy_is_one_of_five_pairs():
    policy = color_policy.ColorPolicy()
    changed = mapped(lambda image, seed: policy(image, seed=seed), 400)
    rows = color_policy._ROWS
    skipped = np.mean([(1 - first[1]) * (1 - second[1]) for first, second in rows])
    same = np.mean((changed == drawn()).all(axis=(1, 2, 3)))
    assert abs(same - skipped) < 0.08  # 0.61, and three deviations of 0.024
    # What brightness does at magnitude 10: 1.8 + 0.1 times each value.
    brighter = np.minimum(1.9 * drawn(), 255.0)
    assert (np.abs(changed - brighter).max(axis=(1, 2, 3)) < 1e-2).any()


def test_the_strength_of_the_color_policy_is_a_factor_on_magnitudes():
    policy = color_policy.ColorPolicy(strength=0.2)
    changed = mapped(lambda image, seed: policy(image, seed=seed), 200)
    darker = (0.18 * 2 + 0.1) * drawn()  # brightness at magnitude 2
    assert (np.abs(changed - darker).max(axis=(1, 2, 3)) < 1e-2).any()


def test_erasing_replaces_one_rectangle_by_noise():
    augmentation = erasing.RandomErasing(probability=1.0)
    # An image of fractions: every value of the noise is a whole one.
    image = tf.fill([60, 80, 3], 100.5)
    shares, aspects, values = [], [], []
    for k in range(80):
        changed = augmentation(image, seed=tf.constant((0, k))).numpy()
        erased = (changed != 100.5).any(-1)
        height, width = erased.any(1).sum(), erased.any(0).sum()
        assert erased.sum() == height * width
        shares.append(erased.mean())
        aspects.append(height / width)
        values.append(changed[erased])
    values = np.concatenate(values)
    assert min(shares) > 0.015
    assert max(shares) < 0.35
    assert 0.25 < min(aspects) < 0.6
    assert 1.6 < max(aspects) < 3.7
    assert {values.min(), values.max()} == {0, 255}
    np.testing.assert_allclose(values.mean(), 127.5, atol=1)


def test_erasing_happens_with_its_probability():
    changed = mapped(lambda image, seed: erasing.RandomErasing()(image, seed=seed), 400)
    share = np.mean((changed != drawn()).any(axis=(1, 2, 3)))
    assert 0.18 < share < 0.32


def test_color_jitter_at_zero_changes_nothing():
    none = color_jitter.ColorJitter(brightness=0, contrast=0, saturation=0, hue=0)
    np.testing.assert_array_equal(mapped(lambda x, s: none(x, seed=s))[0], drawn())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    augmentations: tuple[base.Augmentation, ...] = ()


def test_augmentations_are_bound_dumped_and_read_back(tmp_path):
    file = tmp_path / "overlay.gin"
    file.write_text(
        "augmentations = (\n"
        "    @RandAugment(magnitude=15, exclude=('cutout',), scale='model_garden'),\n"
        "    @RandomErasing(area_range=(0.1, 0.2)),\n"
        "    @AutoAugment(policy='paper'),\n"
        "    @ColorJitter(),\n"
        ")\n"
    )
    config = bindings.apply(Config(), gin.parse_file(file))
    assert config.augmentations == (
        rand_augment.RandAugment(
            magnitude=15.0, exclude=("cutout",), scale="model_garden"
        ),
        erasing.RandomErasing(area_range=(0.1, 0.2)),
        auto_augment.AutoAugment(policy="paper"),
        color_jitter.ColorJitter(),
    )
    file.write_text(bindings.dump(config))
    assert bindings.construct(Config, gin.parse_file(file)) == config


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("(@RandAugmnet(),)", "did you mean RandAugment"),
        ("@RandAugment()", "one alone is written (VALUE,)"),
        ("(@RandAugment(magnitud=3),)", "did you mean magnitude"),
        ("(@RandAugment(exclude=('cut_out',)),)", "did you mean cutout"),
        ("(@AutoAugment(policy='v1'),)", "expected 'v0' | 'paper'"),
    ],
)
def test_a_wrong_binding_names_its_line_and_the_way_out(tmp_path, value, message):
    file = tmp_path / "overlay.gin"
    file.write_text(f"\naugmentations = {value}\n")
    with pytest.raises(failures.RequestError) as caught:
        bindings.apply(Config(), gin.parse_file(file))
    assert "overlay.gin:2: augmentations" in str(caught.value)
    assert message in str(caught.value)
