"""Claims about plain folders of crops."""

import pytest

from anonbench.crops import Outcome
from anonbench.datasets.files import DEFAULT_SIZE
from anonbench.datasets.folder import ImageFolder
from anonbench.errors import DataError
from tests.datasets.crop_folders import write_image, write_mask


def test_images_are_found_at_any_depth_and_keyed_by_relative_path(tmp_path):
    write_image(tmp_path / "b.png")
    write_image(tmp_path / "a" / "deep" / "x.JPG")
    data = ImageFolder(tmp_path)
    assert data.samples.key.tolist() == ["a/deep/x.JPG", "b.png"]
    assert set(data.samples.person_id) == {-1}
    assert data.size == (128, 64)


@pytest.mark.parametrize("place", ["inside", "beside"])
def test_masks_match_by_relative_path(tmp_path, place):
    root = tmp_path / "crops"
    write_image(root / "a" / "x.jpg")
    write_image(root / "b" / "x.jpg")
    masks = (root if place == "inside" else tmp_path) / "masks"
    write_mask(masks / "b" / "x.png")
    data = ImageFolder(root)
    crops = data.load([0, 1])
    assert crops.key == ("a/x.jpg", "b/x.jpg")
    assert crops.outcome.tolist() == [Outcome.NONE, Outcome.MASK_ONLY]


def test_images_of_several_sizes_get_the_default_size_or_the_asked_one_with_a_note(tmp_path):
    write_image(tmp_path / "a.png", size=(50, 30))
    write_image(tmp_path / "b.png", size=(60, 30))
    data = ImageFolder(tmp_path)
    assert data.load([0, 1]).size == DEFAULT_SIZE
    assert any("50x30" in note and "resized" in note for note in data.notes)
    asked = ImageFolder(tmp_path, size=(72, 40))
    assert asked.load([1]).size == (72, 40)
    assert asked.digest != data.digest


def test_a_folder_without_images_says_how_many_files_it_saw_and_which_endings_count(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"0 images among 1 files; names must end in .*\.jpg") as caught:
        ImageFolder(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(DataError, match="gone: no such folder"):
        ImageFolder(tmp_path / "gone")


def test_names_that_differ_only_in_their_ending_are_an_error(tmp_path):
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="2 images are called 'a'"):
        ImageFolder(tmp_path)


def test_a_text_file_named_jpg_is_named(tmp_path):
    write_image(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("hello")
    with pytest.raises(DataError, match=r"b\.jpg: not an image"):
        ImageFolder(tmp_path)
