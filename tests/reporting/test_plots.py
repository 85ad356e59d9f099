from pathlib import Path

import pytest
from PIL import Image

from anonbench.reporting.comparison import compare
from anonbench.reporting.plots import (
    PALETTE,
    REFERENCE_COLOUR,
    consistency_realism,
    metric_bars,
    model_colours,
    write_plots,
)
from tests.reporting.fabricated import fid, metric, record, reid, small_set


def test_a_model_has_one_colour_in_every_comparison() -> None:
    records = [record(m, reid(1.0), data=d) for d, models in (("x", "ab"), ("y", "ca")) for m in models]
    colours = model_colours(compare(records))
    assert [colours[m] for m in "abc"] == list(PALETTE[:3])


def test_untouched_images_are_grey() -> None:
    colours = model_colours(compare(small_set()))
    assert colours["original"] == REFERENCE_COLOUR
    assert colours["baseline"] == PALETTE[0]


def test_plots_are_written_at_paper_width(tmp_path: Path) -> None:
    (comparison,) = compare(small_set())
    files = write_plots(comparison, model_colours([comparison]), tmp_path, "made-up")
    assert [file.name for file in files] == [
        "made-up.metrics.png",
        "made-up.metrics.pdf",
        "made-up.consistency_realism.png",
        "made-up.consistency_realism.pdf",
    ]
    with Image.open(files[0]) as image:
        assert image.width == 1400
    assert files[1].read_bytes().startswith(b"%PDF")
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_bars_show_values_and_say_what_was_not_measured() -> None:
    records = [record("a", reid(12.0)), record("b", reid(34.0)), record("b", fid(5.0))]
    (comparison,) = compare(records)
    consistency, realism = metric_bars(comparison, model_colours([comparison])).axes[:2]
    assert sorted(patch.get_width() for patch in consistency.patches) == [12.0, 34.0]
    assert "chance" in [text.get_text() for text in consistency.texts]
    assert "not measured" in [text.get_text() for text in realism.texts]


def test_panels_say_which_way_is_better_and_the_unit() -> None:
    (comparison,) = compare(small_set())
    labels = [axes.get_xlabel() for axes in metric_bars(comparison, model_colours([comparison])).axes]
    assert labels == ["percent, higher is better →", "← lower is better, distance"]


def test_the_scatter_has_realistic_to_the_right() -> None:
    (comparison,) = compare(small_set())
    consistency, realism = comparison.headlines
    (axes,) = consistency_realism(consistency, realism, model_colours([comparison])).axes
    left, right = axes.get_xlim()
    assert left > 25 > right
    assert {"final", "baseline", "original"} <= {text.get_text() for text in axes.texts}


@pytest.mark.parametrize(
    ("metrics", "plots"),
    [
        ({"mine.own_number.x": metric(1.0)}, []),
        (
            {"fid.value.x": metric(0.0, direction="lower", interval=None, seeds=())},
            ["s.metrics.png", "s.metrics.pdf"],
        ),
    ],
)
def test_only_plots_with_measures_are_written(tmp_path: Path, metrics: dict, plots: list[str]) -> None:
    (comparison,) = compare([record("a", metrics)])
    assert [
        file.name for file in write_plots(comparison, model_colours([comparison]), tmp_path, "s")
    ] == plots
