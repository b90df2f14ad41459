"""Learning rates at steps worked by hand."""

import pytest

from official.optim import schedules


def rate(schedule: schedules.Schedule, step: int) -> float:
    return float(schedule.build(total_steps=100, steps_per_epoch=10)(step))


def test_polynomial_reaches_zero_at_the_end():
    schedule = schedules.Polynomial(learning_rate=0.1, power=0.9)
    assert rate(schedule, 0) == pytest.approx(0.1)
    assert rate(schedule, 50) == pytest.approx(0.1 * 0.5**0.9)
    assert rate(schedule, 100) == pytest.approx(0)


def test_cosine_is_halved_in_the_middle():
    schedule = schedules.Cosine(learning_rate=0.2, final_fraction=0.1)
    assert rate(schedule, 50) == pytest.approx(0.2 * (0.5 * 0.9 + 0.1))
    assert rate(schedule, 100) == pytest.approx(0.02)


def test_exponential_steps_stay_between_steps():
    schedule = schedules.ExponentialSteps(learning_rate=1.0, factor=0.5, every_epochs=2)
    assert rate(schedule, 19) == pytest.approx(1)
    assert rate(schedule, 20) == pytest.approx(0.5)
    assert rate(schedule, 40) == pytest.approx(0.25)


def test_constant_stays():
    schedule = schedules.Constant(learning_rate=0.3)
    assert rate(schedule, 0) == rate(schedule, 99) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "kind", [schedules.Polynomial, schedules.Cosine, schedules.Constant]
)
def test_warm_up_is_a_line_to_where_the_decay_is(kind):
    plain = kind(learning_rate=0.1)
    warm = kind(learning_rate=0.1, warmup_epochs=2, warmup_start=0.01)
    target = rate(plain, 20)
    assert rate(warm, 0) == pytest.approx(0.01)
    assert rate(warm, 10) == pytest.approx((0.01 + target) / 2)
    assert rate(warm, 20) == pytest.approx(target)
    assert rate(warm, 70) == pytest.approx(rate(plain, 70))


def test_a_rate_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r"learning_rate 0\.0: want more than 0"):
        schedules.Constant(learning_rate=0.0)
