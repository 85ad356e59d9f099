import numpy as np
import pytest

from anonbench.metrics import features
from anonbench.metrics import prdc as module
from anonbench.metrics.prdc import Prdc, prdc


def numbers(found: Prdc) -> tuple[float, ...]:
    return found.precision, found.recall, found.density, found.coverage


def test_points_on_a_line_by_hand() -> None:
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    fake = np.array([[0.5], [2.9], [3.1]])
    # Nearest neighbours of real lie at 1, 1, 1, 8: the last ball, from 2 to 18, holds 2.9 and 3.1.
    # Those of fake lie at 2.4, 0.2, 0.2: the first ball, from -1.9 to 2.9, holds all real but 10.
    found = prdc(real=real, fake=fake, k_precision=1, k_coverage=1)
    np.testing.assert_array_equal(found.fake_inside, [True, True, True])
    np.testing.assert_array_equal(found.fake_density, [2, 2, 1])
    np.testing.assert_array_equal(found.real_inside, [True, True, True, False])
    np.testing.assert_array_equal(found.real_covered, [True, True, True, True])
    # -1.5 is in no ball; 0.9 is in those of 0 and 1, two of the four.
    partly = prdc(real=real, fake=np.array([[-1.5], [0.9]]), k_precision=1, k_coverage=1)
    assert numbers(partly) == (0.5, 0.75, 1.0, 0.5)
    border = prdc(real=real, fake=np.array([[-1.0], [50.0]]), k_precision=1, k_coverage=1)
    assert (border.precision, border.coverage) == (0.5, 0.25)


def test_mode_collapse_is_precise_and_covers_nothing() -> None:
    real = np.random.default_rng(0).normal(size=(500, 4))
    collapsed = np.repeat(real[np.linalg.norm(real, axis=1).argmin()][None], 500, axis=0)
    result = prdc(real=real, fake=collapsed)
    assert result.precision == 1.0
    assert result.coverage < 0.05


def test_scattered_samples_are_imprecise_but_cover() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 4))
    fake = np.concatenate([rng.normal(size=(300, 4)), 100 + rng.normal(size=(300, 4))])
    result = prdc(real=real, fake=fake)
    assert 0.4 < result.precision <= 0.5
    assert result.coverage > 0.8


def test_noise_deceives_recall_but_neither_density_nor_coverage() -> None:
    """Scattered samples have large balls: why Naeem et al. (2020) replaced precision and recall."""
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(400, 16)), rng.normal(size=(400, 16))
    good, noisy = prdc(real=real, fake=fake), prdc(real=real, fake=fake + 3 * rng.normal(size=fake.shape))
    assert noisy.recall > good.recall
    assert noisy.density < 0.1 * good.density
    assert noisy.coverage < 0.3 * good.coverage


def test_equal_distributions_have_a_density_of_one() -> None:
    rng = np.random.default_rng(0)
    found = [prdc(real=rng.normal(size=(500, 8)), fake=rng.normal(size=(500, 8))).density for _ in range(4)]
    assert np.mean(found) == pytest.approx(1, abs=0.05)


def test_exchanged_sets_exchange_precision_and_recall() -> None:
    rng = np.random.default_rng(1)
    wide, narrow = rng.normal(size=(200, 6)), 0.3 * rng.normal(size=(150, 6))
    right, exchanged = prdc(real=wide, fake=narrow), prdc(real=narrow, fake=wide)
    assert (right.precision, right.recall) == (exchanged.recall, exchanged.precision)
    assert right.precision > 0.9 > 0.5 > right.recall


def test_chunks_do_not_change_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    real, fake = rng.normal(size=(60, 5)), 0.5 + rng.normal(size=(50, 5))
    whole = prdc(real=real, fake=fake)
    monkeypatch.setattr(module, "_CHUNK_ROWS", 7)
    monkeypatch.setattr(features, "_CHUNK_ROWS", 3)
    assert numbers(prdc(real=real, fake=fake)) == numbers(whole)


def test_fewer_samples_than_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="5 neighbours need more than 5 real samples, got 5"):
        prdc(real=np.zeros((5, 2)), fake=np.zeros((9, 2)))
    with pytest.raises(ValueError, match="3 neighbours need more than 3 fake samples, got 3"):
        prdc(real=np.zeros((9, 2)), fake=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="k must be at least 1"):
        prdc(real=np.zeros((5, 2)), fake=np.zeros((9, 2)), k_precision=0)
