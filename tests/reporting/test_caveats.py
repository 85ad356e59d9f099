import pytest

from anonbench.reporting.caveats import caveats
from anonbench.reporting.comparison import compare
from tests.reporting.fabricated import data_run, metric, record


def told(*sizes: int) -> str:
    records = [
        record(f"model{i}", {"fid.value.inception_v3": metric(10.0 + i, direction="lower", n=n)})
        for i, n in enumerate(sizes)
    ]
    (comparison,) = compare(records)
    return " ".join(caveats(comparison))


def test_distances_at_unequal_n_are_not_to_be_compared() -> None:
    assert "different n stand side by side (500, 30000)" in told(500, 30_000)


@pytest.mark.parametrize(("n", "warned"), [(2000, True), (30_000, False)])
def test_the_bias_of_few_crops_is_told(n: int, warned: bool) -> None:
    assert (f"at n = {n} are biased upwards" in told(n, n)) == warned


def test_the_notes_of_a_record_are_told_once() -> None:
    data = data_run().model_copy(update={"notes": ("the covariance is singular",)})
    records = [record(name, {"fid.value.inception_v3": metric(10.0)}, data=data) for name in ("a", "b")]
    (comparison,) = compare(records)
    assert sum("the covariance is singular" in caveat for caveat in caveats(comparison)) == 1
