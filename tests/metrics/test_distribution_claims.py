"""Claims that every distance and every score between feature distributions must keep."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from anonbench.metrics.frechet import frechet_distance, frechet_distance_of_features, gaussian_stats
from anonbench.metrics.kernel import kernel_distance
from anonbench.metrics.prdc import prdc

Features = NDArray[np.float64]
Distance = Callable[[Features, Features], float]

DISTANCES: dict[str, Distance] = {
    "frechet": lambda real, fake: frechet_distance(real=gaussian_stats(real), fake=gaussian_stats(fake)),
    "frechet_of_features": lambda real, fake: frechet_distance_of_features(real=real, fake=fake),
    "kernel": lambda real, fake: kernel_distance(real=real, fake=fake),
    # As distances, so that all keep the same claims: 0 = best.
    "imprecision": lambda real, fake: 1 - prdc(real=real, fake=fake).precision,
    "uncovered": lambda real, fake: 1 - prdc(real=real, fake=fake).coverage,
}
every_distance = pytest.mark.parametrize("distance", DISTANCES.values(), ids=DISTANCES.keys())


def normal(n: int, d: int = 16, seed: int = 0) -> Features:
    return np.random.default_rng(seed).normal(size=(n, d))


@every_distance
def test_a_set_is_at_no_distance_from_itself(distance: Distance) -> None:
    real = normal(300)
    # An unbiased estimate counts no sample against itself within a set, but does across: slightly negative.
    assert distance(real, real) <= 1e-9
    assert distance(real, real) > -0.1


@every_distance
def test_distance_grows_with_graded_corruption(distance: Distance) -> None:
    real, fake, noise = normal(400, seed=1), normal(400, seed=2), normal(400, seed=3)
    grades = [distance(real, fake + amount * noise) for amount in (0.0, 0.7, 1.5, 3.0)]
    assert grades == sorted(grades)
    assert grades[-1] > grades[0]


@every_distance
def test_far_noise_is_worse_than_every_mild_corruption(distance: Distance) -> None:
    real = normal(300, seed=1)
    assert distance(real, 50 + 10 * normal(300, seed=2)) > distance(real, real + 0.3 * normal(300, seed=3))


@every_distance
def test_order_of_samples_does_not_matter(distance: Distance) -> None:
    real, fake = normal(150, seed=1), 0.3 + normal(120, seed=2)
    order = np.random.default_rng(0)
    shuffled = distance(order.permutation(real), order.permutation(fake))
    assert shuffled == pytest.approx(distance(real, fake), rel=1e-9)


@every_distance
def test_unequal_sizes_are_compared(distance: Distance) -> None:
    real = normal(300, seed=1)
    near, far = normal(90, seed=2), 2 + normal(90, seed=2)
    assert distance(real, near) < distance(real, far)


@every_distance
def test_float32_features_give_the_float64_answer(distance: Distance) -> None:
    real, fake = normal(200, seed=1), 0.5 + normal(200, seed=2)
    as_float32 = distance(real.astype(np.float32), fake.astype(np.float32))  # type: ignore[arg-type]
    assert as_float32 == pytest.approx(distance(real, fake), rel=1e-4)


@every_distance
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(distance: Distance, bad: float) -> None:
    real, fake = normal(20), normal(20)
    fake[3, 2] = bad
    with pytest.raises(ValueError, match="NaN or infinity in 1 of 20"):
        distance(real, fake)


@every_distance
def test_no_samples_are_an_error_and_never_a_score(distance: Distance) -> None:
    with pytest.raises(ValueError, match=r"at least \d samples?, got 0"):
        distance(normal(20), normal(0))
    with pytest.raises(ValueError, match=r"at least \d samples?, got 0"):
        distance(normal(0), normal(20))


@every_distance
def test_features_of_two_extractors_are_refused(distance: Distance) -> None:
    with pytest.raises(ValueError, match="one extractor, got 16 and 8 dimensions"):
        distance(normal(20, 16), normal(20, 8))


@pytest.mark.parametrize("metric", [frechet_distance_of_features, kernel_distance, prdc])
def test_real_and_fake_cannot_be_exchanged_unnoticed(metric: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="positional"):
        metric(normal(20), normal(20))


@every_distance
def test_a_batch_of_images_is_not_a_feature_matrix(distance: Distance) -> None:
    images = np.zeros((4, 3, 8, 8))
    with pytest.raises(ValueError, match="must be a matrix"):
        distance(images, images)
