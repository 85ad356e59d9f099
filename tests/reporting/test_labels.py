import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonbench.reporting.headlines import HEADLINES
from anonbench.reporting.labels import MetricKey, decimals, file_stem

part = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(st.lists(part, min_size=1, max_size=6))
def test_a_key_survives_being_taken_apart(parts: list[str]) -> None:
    assert str(MetricKey.parse(".".join(parts))) == ".".join(parts)


@given(st.lists(part, min_size=1, max_size=6))
def test_every_key_has_a_label_and_a_place(parts: list[str]) -> None:
    key = MetricKey.parse(".".join(parts))
    assert key.label.strip()
    assert sorted([key, MetricKey.parse("reid.same_latent.map.x")], key=lambda k: k.reading_order)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("reid.same_latent.map.x", "mAP, one latent per identity"),
        ("reid.same_latent.map_surface.x", "mAP, one latent per identity, synthesized crops"),
        ("reid.permuted_latent.assigned_map.x", "mAP, random latents, assigned identity"),
        ("lpips.diversity_masked.x", "Diversity: perceptual distance between two latents, inside the mask"),
        ("fid.value.x", "Fréchet distance"),
        ("someones.new_setting.own_number.x", "own number, new setting"),
    ],
)
def test_labels_read_as_words(key: str, label: str) -> None:
    assert MetricKey.parse(key).label == label


def test_headlines_are_measures_without_an_extractor() -> None:
    for measure in HEADLINES:
        assert MetricKey.parse(f"{measure}.x").measure == measure


def test_map_comes_before_ranks_and_whole_images_before_parts() -> None:
    keys = [
        "reid.same_latent.map_surface.x",
        "reid.same_latent.rank1.x",
        "reid.same_latent.map.x",
        "reid.original.map.x",
    ]
    ordered = sorted(keys, key=lambda key: MetricKey.parse(key).reading_order)
    assert ordered == [keys[3], keys[2], keys[1], keys[0]]


@given(st.text())
def test_file_stems_are_safe_everywhere(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]+", file_stem(text))


@pytest.mark.parametrize(
    ("unit", "value", "digits"),
    [
        ("percent", 3.14159, 1),
        ("distance", 123.4, 1),
        ("distance", 12.3, 1),
        ("ratio", 1.23, 2),
        ("distance", 0.0123, 4),
        ("x", 0.0, 3),
    ],
)
def test_values_are_printed_with_three_significant_digits(unit: str, value: float, digits: int) -> None:
    assert decimals(unit, [value]) == digits
