"""Claims about images that were anonymized elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from anonbench.anonymizers.base import CheckedAnonymizer
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.errors import DataError
from tests.anonymizers.crop_batches import random_crops


def store(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


def crops_named(*keys, size=(16, 8)):
    return replace(random_crops(len(keys), size), key=keys)


def test_images_match_by_relative_path_whatever_the_ending(tmp_path):
    crops = crops_named("a/x.jpg", "b/x.jpg")
    other = random_crops(2, (16, 8), seed=5).image
    store(tmp_path / "a" / "x.png", other[0])
    store(tmp_path / "b" / "x.bmp", other[1])
    model = load_anonymizer(f"folder={tmp_path}")
    model.check(crops.key)
    assert torch.equal(model.anonymize(crops), other)
    assert torch.equal(model.anonymize(crops.select([1, 0])), other.flip(0))


def test_a_market_key_is_found_in_any_subfolder(tmp_path):
    crops = crops_named("0001_c1s1_000001_01.jpg")
    store(tmp_path / "query" / "0001_c1s1_000001_01.png", crops.image[0])
    assert torch.equal(load_anonymizer(f"folder={tmp_path}").anonymize(crops), crops.image)


def test_a_synthetic_key_without_ending_matches(tmp_path):
    crops = crops_named("reid/000012")
    store(tmp_path / "reid" / "000012.png", crops.image[0])
    assert torch.equal(load_anonymizer(f"folder={tmp_path}").anonymize(crops), crops.image)


def test_images_of_another_size_are_resized(tmp_path):
    crops = crops_named("x.png")
    store(tmp_path / "x.png", torch.full((3, 64, 32), 9, dtype=torch.uint8))
    assert (load_anonymizer(f"folder={tmp_path}").anonymize(crops) == 9).all()


def test_left_over_names_on_either_side_are_listed(tmp_path):
    image = random_crops(1, (16, 8)).image[0]
    store(tmp_path / "x.png", image)
    store(tmp_path / "spare.png", image)
    model = load_anonymizer(f"folder={tmp_path}")
    assert isinstance(model, CheckedAnonymizer)
    with pytest.raises(
        DataError, match=r"1 samples without an image \(y\.jpg\); 1 images without a sample \(spare"
    ):
        model.check(["x.jpg", "y.jpg"])
    with pytest.raises(DataError, match=r"no image for sample y\.jpg"):
        model.anonymize(crops_named("y.jpg"))


def test_a_name_in_two_subfolders_is_not_guessed(tmp_path):
    image = random_crops(1, (16, 8)).image[0]
    store(tmp_path / "a" / "x.png", image)
    store(tmp_path / "b" / "x.png", image)
    with pytest.raises(DataError, match="several images are called 'x'"):
        load_anonymizer(f"folder={tmp_path}").anonymize(crops_named("x.jpg"))


def test_the_card_tells_folders_and_their_contents_apart(tmp_path):
    image = random_crops(1, (16, 8)).image[0]
    store(tmp_path / "Method A" / "x.png", image)
    first = load_anonymizer(f"folder={tmp_path / 'Method A'}").card
    assert first.name == "folder_method_a"
    assert load_anonymizer(f"folder={tmp_path / 'Method A'}").card.digest == first.digest
    Image.fromarray(np.zeros((16, 8, 3), dtype=np.uint8)).save(tmp_path / "Method A" / "x.png")
    assert load_anonymizer(f"folder={tmp_path / 'Method A'}").card.digest != first.digest


def test_a_card_finds_its_folder_beside_it_and_refuses_other_images(tmp_path):
    image = random_crops(1, (16, 8)).image[0]
    store(tmp_path / "out" / "x.png", image)
    card = tmp_path / "mine.yaml"
    text = "name: mine\nkind: folder\ndescription: d\noptions:\n  path: out\n"
    card.write_text(text)
    digest = load_anonymizer(str(card)).card.options["sha256"]
    card.write_text(f"{text}  sha256: {digest}\n")
    assert load_anonymizer(str(card)).card.name == "mine"
    store(tmp_path / "out" / "x.png", 255 - image)
    with pytest.raises(DataError, match="not those of card 'mine'"):
        load_anonymizer(str(card))


def test_an_absent_or_empty_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="gone: no such folder"):
        load_anonymizer(f"folder={tmp_path / 'gone'}")
    with pytest.raises(DataError, match="holds no images"):
        load_anonymizer(f"folder={tmp_path}")
