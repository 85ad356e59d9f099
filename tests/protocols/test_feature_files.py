"""Features from files: equal to what a run measures, and every wrong file named with its reason."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anonbench.errors import AnonbenchError, DataError, UsageError
from anonbench.latents import sample_tokens
from anonbench.protocols.feature_runs import FeatureRequest, score_file
from anonbench.protocols.fid import measure as measure_fid
from anonbench.protocols.fid import random_sampling
from anonbench.protocols.generation import Sampling
from anonbench.protocols.reid import measure
from anonbench.protocols.reid_labels import latent_tokens
from anonbench.protocols.scoring import Context, features_of
from anonbench.records import Record, read_record
from tests.protocols.conftest import context
from tests.protocols.toys import LatentPainter, ToyDataset, market_like

Arrays = dict[str, Any]


def save(folder: Path, arrays: Arrays, name: str = "My-Net.npz") -> Path:
    path = folder / name
    np.savez(path, **arrays)
    return path


def score(path: Path, protocol: str = "reid", name: str = "") -> Record:
    return score_file(FeatureRequest(protocol, path, name, preset="smoke", command="typed"))[0]


def refusal(path: Path, protocol: str = "reid", name: str = "") -> str:
    with pytest.raises(AnonbenchError) as refused:
        score(path, protocol, name)
    assert isinstance(refused.value, DataError | UsageError)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def good(people: int = 8, cameras: int = 3) -> Arrays:
    """Features of people who are told apart, as a user would save them."""
    rng = np.random.default_rng(0)
    ids, seen = np.repeat(np.arange(1, people + 1), cameras), np.tile(np.arange(cameras), people)
    return {
        "features": rng.normal(size=(people + 1, 4))[ids] + 0.1 * rng.normal(size=(len(ids), 4)),
        "ids": ids,
        "cameras": seen,
        "keys": np.array([f"{i}_{c}" for i, c in zip(ids, seen, strict=True)]),
        "roles": np.where(seen == 0, "query", "gallery"),
    }


def of_run(found: Context) -> Arrays:
    """What a run of toys measures with, as a file."""
    (extractor,) = found.extractors
    samples = found.crops.samples

    def anonymized(tokens: list[str]) -> NDArray[np.float32]:
        sets = [found.generation.anonymized(Sampling("x", seed, tuple(tokens))) for seed in found.seeds]
        return np.stack([features_of(images, extractor) for images in sets])

    return {
        "features": features_of(found.generation.original(), extractor),
        "same_latent": anonymized(latent_tokens(samples)),
        "fresh_latent": anonymized(sample_tokens(samples["key"].tolist())),
        "ids": samples["person_id"].to_numpy(),
        "cameras": samples["camera_id"].to_numpy(),
        "keys": samples["key"].to_numpy(np.str_),
        "roles": samples["role"].to_numpy(np.str_),
    }


def test_a_file_scores_as_the_run_whose_features_it_holds(tmp_path: Path) -> None:
    found = context(LatentPainter(), ToyDataset(market_like()))
    record = score(save(tmp_path, of_run(found)), name="person_colour")
    measured = measure(found).metrics
    assert {key for key in measured if "permuted" not in key} == set(record.metrics)
    for key, metric in record.metrics.items():
        assert metric.value == measured[key].value
        assert metric.seeds == measured[key].seeds
        assert (metric.chance, metric.ceiling, metric.n) == (
            measured[key].chance,
            measured[key].ceiling,
            measured[key].n,
        )


def test_distribution_distances_of_a_file_are_those_of_the_run(tmp_path: Path) -> None:
    found = context(LatentPainter(), ToyDataset(market_like()), kind="distribution")
    (extractor,) = found.extractors
    fakes = [
        features_of(found.generation.anonymized(random_sampling(found, seed)), extractor)
        for seed in found.seeds
    ]
    real = features_of(found.generation.original(), extractor)
    record = score(save(tmp_path, {"real": real, "fake": np.stack(fakes)}), "fid", "person_colour")
    measured = measure_fid(found).metrics
    for key, metric in record.metrics.items():
        assert metric.value == pytest.approx(measured[key].value, rel=1e-9)


def test_the_record_says_where_the_numbers_come_from(tmp_path: Path) -> None:
    path = save(tmp_path, good())
    record, folder = score_file(FeatureRequest("reid", path, preset="smoke", command="typed"))
    assert set(record.extractors) == {"my_net"}
    assert record.extractors["my_net"] == record.model.card_digest
    assert record.data.size is None
    assert record.detection is None
    assert record.data.counts == {"samples": 24, "identities": 8, "query": 8, "gallery": 16}
    assert "My-Net.npz" in record.data.notes[0]
    assert record.command == "typed"
    assert (folder / str(record.samples)).exists()
    assert read_record(folder / "record.json") == record
    assert "reid.original.map.my_net" in record.metrics


def test_names_in_the_file_name_what_was_measured_and_the_command_has_the_last_word(tmp_path: Path) -> None:
    names = {
        "extractor": np.array("ibn"),
        "model": np.array("someones"),
        "data": np.array("market1501"),
    }
    path = save(tmp_path, good() | names)
    record = score(path)
    assert (record.model.name, record.data.name, set(record.extractors)) == (
        "someones",
        "market1501",
        {"ibn"},
    )
    assert set(score(path, name="other").extractors) == {"other"}


def test_two_models_on_the_same_images_can_stand_side_by_side(tmp_path: Path) -> None:
    first = good()
    second = first | {"features": first["features"][::-1]}
    a, b = score(save(tmp_path, first, "a.npz")), score(save(tmp_path, second, "b.npz"))
    assert a.data.digest == b.data.digest
    other = first | {"cameras": first["cameras"] + 1}
    assert score(save(tmp_path, other, "c.npz")).data.digest != a.data.digest


def test_without_roles_every_image_is_searched_for_among_the_others(tmp_path: Path) -> None:
    arrays = good()
    del arrays["roles"]
    record = score(save(tmp_path, arrays))
    assert record.metrics["reid.original.map.my_net"].n == 24
    assert record.metrics["reid.original.rank1.my_net"].value == 100
    unknown = arrays | {"cameras": np.full(24, -1)}
    assert "would find itself" in refusal(save(tmp_path, unknown, "unknown.npz"))


def test_outcomes_in_a_file_give_shares_and_pairs(tmp_path: Path) -> None:
    outcomes = np.array(["surface", "mask_only"])[np.arange(24) // 12]
    record = score(save(tmp_path, good() | {"outcomes": outcomes}))
    assert record.detection is not None
    assert record.detection.surface == 0.5
    assert "reid.original.map_surface_to_surface.my_net" in record.metrics


WRONG: dict[str, tuple[Arrays, str]] = {
    "no labels": ({"ids": None}, "array 'ids' is missing"),
    "no features": ({"features": None}, "give at least one of features, same_latent, fresh_latent"),
    "NaN": ({"features": np.where(np.eye(24, 4) > 0, np.nan, 1.0)}, "NaN or infinity in 4 images, the first is row 0"),
    "integers": ({"features": np.zeros((24, 4), int)}, "must be floating point"),
    "flat": ({"features": np.zeros(24)}, "must be (N, D)"),
    "empty": ({"features": np.zeros((0, 4))}, "must be (N, D)"),
    "too many ids": ({"ids": np.arange(25)}, "one value for each of the 24 images, got (25,)"),
    "fewer anonymized": ({"same_latent": np.zeros((23, 4))}, "23 images of 4 numbers each, but expected are 24 of 4"),
    "other network": ({"same_latent": np.zeros((24, 5))}, "24 images of 5 numbers each"),
    "seeds of originals": ({"features": np.zeros((2, 24, 4))}, "no latent seeds"),
    "fractions": ({"ids": np.arange(24) / 2}, "'ids' must be integers, got float64"),
    "numbers as names": ({"keys": np.arange(24)}, "'keys' must be strings"),
    "twice": ({"keys": np.array(["a", "a", *map(str, range(22))])}, "names 1 images more than once, for example 'a'"),
    "role": ({"roles": np.array(["probe"] * 24)}, "holds 'probe'"),
    "outcome": ({"outcomes": np.array(["seen"] * 24)}, "holds 'seen'"),
    "typing error": ({"feature": np.zeros((24, 4))}, "unknown array 'feature'; reid reads: features, same_latent"),
    "one person": ({"ids": np.ones(24, int)}, "at least two people"),
    "one camera": ({"cameras": np.zeros(24, int)}, "from another camera"),
    "nobody asked": ({"roles": np.array(["gallery"] * 24)}, "found 0 and 24 images"),
    "strangers asked": ({"ids": np.zeros(24, int)}, "has id 0"),
    "objects": ({"ids": np.array([1, "2"] * 12, dtype=object)}, "'ids' holds Python objects, which are never loaded"),
    "list of names": ({"extractor": np.array(["a", "b"])}, "'extractor' must be one string"),
    "dotted name": ({"extractor": np.array("net.v2")}, "lower case letters, digits and _"),
    "borrowed name": ({"extractor": np.array("osnet_x1_0_market1501")}, "stands for a network of anonbench's own"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, case: str) -> None:
    change, reason = WRONG[case]
    arrays = {name: array for name, array in (good() | change).items() if array is not None}
    message = refusal(save(tmp_path, arrays))
    assert "My-Net.npz" in message
    assert reason in message


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_what_is_no_npz_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    assert "not an .npz file" in refusal(path)


def test_a_single_array_is_no_npz_file(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with path.open("wb") as handle:
        np.save(handle, np.zeros(3))
    assert "not an .npz file" in refusal(path)


def test_distributions_of_unequal_size_too_few_images_and_missing_sets_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(20, 4))
    assert "'fake' is missing" in refusal(save(tmp_path, {"real": real}, "a.npz"), "fid")
    unequal = {"real": real, "fake": real[:19]}
    assert "19 images" in refusal(save(tmp_path, unequal, "b.npz"), "fid")
    few = {"real": real[:5], "fake": real[:5]}
    assert "at least 16 images" in refusal(save(tmp_path, few, "c.npz"), "fid")


def test_protocols_that_need_images_say_so(tmp_path: Path) -> None:
    assert "lpips needs images" in refusal(save(tmp_path, good()), "lpips")


def test_the_example_in_the_docs_makes_a_file_that_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    for folder, camera in (("query", 1), ("bounding_box_test", 2)):
        (tmp_path / "market" / folder).mkdir(parents=True)
        for person in (-1, 0, 1, 2, 3):
            if person > 0 or folder != "query":
                name = f"{'-1' if person < 0 else f'{person:04d}'}_c{camera}s1_000001_00.jpg"
                (tmp_path / "market" / folder / name).touch()
    network = ModuleType("mynetwork")
    network.embed = lambda paths: np.array([[float(path.name.split("_")[0]), 1.0] for path in paths])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mynetwork", network)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    record = score(tmp_path / "mynetwork.npz")
    assert record.data.counts == {"samples": 8, "identities": 3, "query": 3, "gallery": 5}
    assert record.metrics["reid.linkage.map.mynetwork"].value > 0
