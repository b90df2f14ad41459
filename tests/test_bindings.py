"""Bindings and their text, on small dataclasses."""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import pytest

from official import annotations, bindings, failures, gin


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self) -> float: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Circle(Shape):
    radius: float = 1.0

    def __post_init__(self):
        if self.radius <= 0:
            raise ValueError(f"radius {self.radius}: want more than 0")

    def area(self):
        return 3 * self.radius**2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rectangle(Shape):
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError(f"low {self.low} above high {self.high}")

    def area(self):
        return self.low * self.high


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frame(Shape):
    inner: Shape = Circle()
    margin: float = 0.5

    def area(self):
        return self.inner.area() + self.margin


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Hidden(Shape):
    def area(self):
        return 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plain:
    """Not a shape."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    shape: Shape = Circle()
    spare: Shape | None = None
    shapes: tuple[Shape, ...] = ()
    plain: Plain = Plain()
    size: tuple[int, int] = (1, 2)
    weights: tuple[float, ...] | None = None
    steps: int = 10
    rate: float = 0.1
    number: float | int = 1
    flag: bool = False
    name: str = "a"
    mode: Literal["fast", "slow"] = "fast"
    groups: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    mapping: Mapping[str, int] = dataclasses.field(default_factory=dict)
    anything: Any = None


def bound(*settings: str, config: Any = None) -> Any:
    return bindings.apply(config or Config(), map(gin.parse_setting, settings))


def refusal(*settings: str) -> str:
    with pytest.raises(failures.RequestError) as caught:
        bound(*settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("steps = 3", "steps", 3),
        ("rate = -2.5e-3", "rate", -0.0025),
        ("rate = 1e999", "rate", math.inf),
        ("flag = True", "flag", True),
        ("name = 'b # = @c'", "name", "b # = @c"),
        ("mode = 'slow'", "mode", "slow"),
        ("size = (3, 4)", "size", (3, 4)),
        ("size = [3, 4]", "size", (3, 4)),
        ("weights = (1, 2.5)", "weights", (1.0, 2.5)),
        ("weights = None", "weights", None),
        ("groups = {'a': [1, 2], 'b': ()}", "groups", {"a": (1, 2), "b": ()}),
        ("mapping = {'a': 1}", "mapping", {"a": 1}),
        ("anything = ('a', [1, None])", "anything", ("a", [1, None])),
        ("shape = @Circle(radius=2)", "shape", Circle(radius=2.0)),
        ("shape = @Frame(inner=@Frame())", "shape", Frame(inner=Frame())),
        ("spare = @Circle()", "spare", Circle()),
        ("shapes = (@Circle(), @Frame())", "shapes", (Circle(), Frame())),
        ("shape.radius = 4", "shape", Circle(radius=4.0)),
    ],
)
def test_a_binding_sets_a_field(setting, field, value):
    config = bound(setting)
    assert getattr(config, field) == value
    assert config == dataclasses.replace(Config(), **{field: value})


def test_an_int_becomes_a_float_where_a_float_is_declared():
    assert type(bound("rate = 1").rate) is float
    assert type(bound("number = 2").number) is int


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("steps = 1.0", "expected int"),
        ("steps = True", "expected int"),
        ("rate = True", "expected float"),
        ("flag = 1", "expected bool"),
        ("flag = 'True'", "expected bool"),
        ("name = 3", "expected str"),
        ("mode = 'quick'", "expected 'fast' | 'slow'"),
        ("size = (1, 2, 3)", "expected tuple[int, int] (2 values, not 3)"),
        ("size = (1, 2.5)", "expected tuple[int, int]"),
        ("weights = ('a',)", "expected tuple[float, ...] | None"),
        ("weights = 1.0", "; one alone is written (VALUE,)"),
        ("shapes = @Circle()", "; one alone is written (VALUE,)"),
        ("shapes = (@Circle(), 1)", "expected tuple[a Shape component, ...], as @Cir"),
        ("groups = {1: ()}", "expected dict[str, tuple[int, ...]]"),
        ("steps = None", "expected int"),
        ("steps = @Circle()", "expected int"),
        ("shape = 'Circle'", "expected a Shape component, as @Circle()"),
        ("shape = None", "expected a Shape component"),
        ("shape = @Frame(margin='a')", "shape.margin = 'a': expected float"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(setting, expected):
    message = refusal(setting)
    assert message.startswith("--set: ")
    assert setting in message or "margin" in setting
    assert expected in message


def test_an_unknown_field_names_the_nearest_one_and_all_fields():
    message = refusal("shape.raduis = 2")
    assert "--set: shape.raduis = 2: Circle has no field 'raduis'" in message
    assert "did you mean radius? (its fields: radius)" in message


def test_an_unknown_field_is_found_elsewhere_in_the_tree():
    assert "did you mean shape.radius?" in refusal("radius = 2")


@pytest.mark.parametrize("name", ["_Hidden", "Shape", "Plain", "eval", "Nothing"])
def test_only_public_concrete_classes_of_the_kind_are_components(name):
    message = refusal(f"shape = @{name}()")
    assert "expected a Shape component" in message
    assert "(there are: Circle, Frame, Rectangle)" in message


def test_an_unknown_component_names_the_nearest_one():
    assert "did you mean Rectangle?" in refusal("shape = @Rectangel(low=1, high=2)")
    assert "did you mean Circle?" in refusal("spare = @Cirle()")


def test_an_unknown_field_of_a_component_is_refused():
    message = refusal("shape = @Circle(radios=1)")
    assert "shape.radios = 1: Circle has no field 'radios'; did you mean rad" in message


def test_a_component_that_lacks_a_value_says_which():
    message = refusal("shape = @Rectangle(low=1)")
    assert message == "--set: shape = @Rectangle(low=1): Rectangle also needs high"


def test_a_component_may_be_bound_field_by_field():
    config = bound("shape = @Rectangle()", "shape.low = 1", "shape.high = 2")
    assert config.shape == Rectangle(low=1, high=2)


def test_values_that_are_valid_together_may_be_bound_in_any_order():
    config = Config(shape=Rectangle(low=1, high=2))
    settings = ["shape.low = 5", "shape.high = 7"]
    assert bound(*settings, config=config) == bound(*settings[::-1], config=config)


def test_the_later_binding_wins():
    assert bound("steps = 1", "steps = 2").steps == 2
    assert bound("shape.radius = 3", "shape = @Circle()").shape == Circle()


def test_a_refusal_by_the_dataclass_names_the_binding():
    assert refusal("shape.radius = -1") == (
        "--set: shape.radius = -1: radius -1.0: want more than 0"
    )


def test_an_unknown_component_in_a_tuple_names_the_nearest_one_and_its_line(tmp_path):
    file = tmp_path / "main.gin"
    file.write_text(
        "steps = 1\nshapes = (\n    @Circle(),\n    @Rectangel(low=1),\n)\n"
    )
    with pytest.raises(
        failures.RequestError, match=r"main.gin:2: shapes = .*Rectangle"
    ):
        bindings.apply(Config(), gin.parse_file(file))
    assert "Circle has no field 'raduis'; did you mean radius?" in refusal(
        "shapes = (@Frame(), @Circle(raduis=1))"
    )
    assert "radius -1.0: want more than 0" in refusal("shapes = (@Circle(radius=-1),)")


def test_a_path_into_a_tuple_of_components_is_refused():
    message = refusal("shapes = (@Circle(), @Frame())", "shapes.radius = 2")
    assert message == (
        "--set: shapes.radius = 2: shapes holds 2 values; bind it whole, to "
        "tuple[a Shape component, ...]"
    )


def test_the_article_of_a_component_fits_its_name():
    @dataclasses.dataclass
    class Ellipse:
        """Its name begins with a vowel."""

    assert annotations.describe(Ellipse) == "an Ellipse component"
    assert annotations.describe(Shape) == "a Shape component"


def test_a_path_through_a_plain_value_is_refused():
    assert "spare is None; bind it first, to a Shape component | None" in refusal(
        "spare.radius = 1"
    )
    assert "steps is 10" in refusal("steps.more = 1")


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "# only a comment",
        "steps",
        "steps = ",
        "= 3",
        "a b = 3",
        "steps : int = 3",
        "steps = 1\nrate = 2",
        "include 'a.gin'",
        "steps = (1",
        "name = 'a",
        "name = plain",
        "name = /data/photos",
        "name = f'{1}'",
        "name = b'a'",
        "name = {1, 2}",
        "name = ...",
        "name = 'a' + 'b'",
        "steps = __import__('os').getpid()",
        "steps = [i for i in (1,)]",
        "shape = Circle()",
        "shape = @Circle",
        "shape = @tests.Circle()",
        "shape = @Circle(2.0)",
        "shape = @Circle(radius=1, radius=2)",
        "shape = @Circle(**{'radius': 1})",
        "shape = @Circle(radius=print())",
        "shape = @Circle()()",
        "shape = 1 @Circle()",
        "groups = {**{}}",
    ],
)
def test_what_is_no_binding_is_refused(setting):
    assert refusal(setting).startswith("--set")


def test_a_text_without_quotes_is_told_so():
    assert refusal("name = /data/photos  # mine") == (
        "--set: name: /data/photos is not a value: text stands in quotes, "
        "a component is written @Name(field=value)"
    )
    assert "did you mean True?" in refusal("flag = true")


def test_a_file_holds_comments_includes_and_values_over_several_lines(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.gin").write_text("steps = 5\nname = 'base'\n")
    main = tmp_path / "main.gin"
    main.write_text(
        '# first\n\ninclude "sub/base.gin"  # relative\nname = "main"\n'
        "shape = @Frame(  # why\n    margin=2.0,\n)\nsize = (\n  3,\n  4)\n"
    )
    found = gin.parse_file(main)
    places = [binding.source.rpartition("/")[2] for binding in found]
    assert places == ["base.gin:1", "base.gin:2", "main.gin:4", "main.gin:5", "main.g"
                      "in:8"]  # fmt: skip
    config = bindings.apply(Config(), found)
    assert config == Config(steps=5, name="main", shape=Frame(margin=2.0), size=(3, 4))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\nsteps == 3", ":2: steps == 3: expected PATH = VALUE"),
        ("steps = (1,\n", ":1: a bracket or a quote is not closed"),
        ("\n\nsteps = nine", ":3: steps: nine is not a value"),
        ('\ninclude "overlya.gin"', ":2: "),
        ('\ninclude "main.gin"', "includes itself"),
    ],
)
def test_errors_name_file_and_line(tmp_path, content, expected):
    file = tmp_path / "main.gin"
    file.write_text(content)
    with pytest.raises(failures.RequestError) as caught:
        gin.parse_file(file)
    assert str(caught.value).startswith(f"{file}:")
    assert expected in str(caught.value)


def test_a_wrong_binding_of_a_file_names_its_line(tmp_path):
    file = tmp_path / "main.gin"
    file.write_text("steps = 1\nstep = 2\n")
    with pytest.raises(failures.RequestError, match=r"main.gin:2: .*did you mean step"):
        bindings.apply(Config(), gin.parse_file(file))


def test_a_file_may_be_included_twice_but_not_by_itself(tmp_path):
    (tmp_path / "a.gin").write_text("steps = 5")
    (tmp_path / "b.gin").write_text('include "a.gin"\nsteps = 6\ninclude "a.gin"')
    found = gin.parse_file(tmp_path / "b.gin")
    assert bindings.apply(Config(), found).steps == 5
    (tmp_path / "a.gin").write_text('include "b.gin"')
    with pytest.raises(failures.RequestError, match=r"b\.gin:1: .* includes itself"):
        gin.parse_file(tmp_path / "a.gin")


def test_a_missing_file_names_the_nearest_one(tmp_path):
    (tmp_path / "smoke.gin").write_text("steps = 5")
    with pytest.raises(failures.RequestError, match=r"did you mean smoke\.gin\?"):
        gin.parse_file(tmp_path / "smok.gin")
    (tmp_path / "binary.gin").write_bytes(b"\xff\xfe")
    with pytest.raises(failures.RequestError, match="not a UTF-8 text file"):
        gin.parse_file(tmp_path / "binary.gin")


RICH = Config(
    shape=Frame(inner=Rectangle(low=1, high=2)),
    spare=Circle(radius=0.1 + 0.2),
    shapes=(Circle(), Frame(margin=3.0)),
    weights=(math.inf, 1e-300),
    name="quote ' and \" and\nnewline, \\ and ü",
    groups={"a": (1,)},
)


def read_back(config, start, tmp_path):
    file = tmp_path / "config.gin"
    file.write_text(bindings.dump(config), encoding="utf-8")
    return bindings.apply(start, gin.parse_file(file))


def test_the_dump_gives_the_equal_config_wherever_it_starts_from(tmp_path):
    for start in (Config(), RICH, Config(shape=Rectangle(low=3, high=4))):
        assert read_back(RICH, start, tmp_path) == RICH
        assert read_back(Config(), start, tmp_path) == Config()


def test_the_dump_alone_constructs_the_config(tmp_path):
    file = tmp_path / "config.gin"
    file.write_text(bindings.dump(RICH), encoding="utf-8")
    assert bindings.construct(Config, gin.parse_file(file)) == RICH
    with pytest.raises(failures.RequestError, match="Rectangle also needs low, high"):
        bindings.construct(Rectangle, [])


def test_the_dump_is_stable_and_holds_every_leaf():
    text = bindings.dump(RICH)
    assert text == bindings.dump(RICH)
    assert text.startswith("# ")
    for line in (
        "shape = @Frame()",
        "shape.inner = @Rectangle()",
        "shape.inner.low = 1",
        "plain = @Plain()",
        "steps = 10",
    ):
        assert line in text.splitlines()


def test_what_is_no_literal_is_not_dumped():
    with pytest.raises(ValueError, match="is not a literal"):
        bindings.dump(Config(anything=object()))
    with pytest.raises(ValueError, match="nan"):
        bindings.dump(Config(rate=math.nan))


def test_differences_are_named_by_path():
    assert bindings.difference(Config(), Config()) == []
    theirs = Config(shape=Rectangle(low=1, high=2), rate=2.0, plain=Plain())
    assert bindings.difference(Config(rate=1), theirs) == [
        "rate: 1 != 2.0",
        "shape: @Circle() != @Rectangle()",
    ]
    ours = Config(shape=Circle(radius=2.0), spare=None)
    assert bindings.difference(ours, Config(spare=Circle())) == [
        "spare: None != @Circle()",
        "shape.radius: 2.0 != 1.0",
    ]


def test_an_int_and_the_equal_float_are_no_difference():
    assert bindings.difference(Config(rate=1), Config(rate=1.0)) == []


def test_two_classes_of_one_name_are_a_defect_that_is_reported():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Base:
        """Its family is this function's own."""

    twins = {
        number: dataclasses.dataclass(frozen=True)(
            type("Twin", (Base,), {"__module__": __name__})
        )
        for number in range(2)
    }
    with pytest.raises(ValueError, match="two components are named Twin"):
        annotations.components(Base)
    assert len(twins) == 2  # held until here: a class that nobody holds is forgotten


def test_an_optional_binding_is_left_out_where_there_is_no_such_field():
    settings = ("optional shape.margin = 0.25", "optional spare.radius = 2.0")
    assert bound(*settings) == Config()
    framed = bound("shape = @Frame()", *settings)
    assert framed == Config(shape=Frame(margin=0.25))
    inner = bound("optional shape.inner.radius = 3.0", config=framed)
    assert inner == Config(shape=Frame(inner=Circle(radius=3.0), margin=0.25))


def test_an_optional_binding_must_still_hold_the_right_type():
    assert "steps" in refusal("optional steps = 'many'")


def test_optional_is_a_name_like_any_other_where_a_path_begins():
    assert gin.parse_setting("optional = 1").path == "optional"
    assert gin.parse_setting("optional.field = 1").path == "optional.field"
