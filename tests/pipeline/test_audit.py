"""The second look finds whoever was left as they are, through compression, and whatever files give away."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from anonbench.anonymizers.registry import load_anonymizer
from anonbench.detection.people import Person, PersonDetections
from anonbench.errors import DataError
from anonbench.pipeline.audit import audit
from anonbench.pipeline.compositing import anonymize_people
from anonbench.pipeline.metadata import photo_metadata, video_metadata
from anonbench.pipeline.remains import head_of, remains_of
from tests.detection.scenes import scene
from tests.pipeline.finder import Finder
from tests.pipeline.people import Painter, block
from tests.pipeline.test_inputs import phone_photo

SIZE = (120, 160)


class SecondLook(Finder):
    """Finds people in the original, which is asked for by name, and others in the result, which is not."""

    def __init__(self, before: PersonDetections, after: PersonDetections) -> None:
        super().__init__(before)
        self.after = after

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        return super().detect(image, name) if name else self.after


def textured(people: int = 2, seed: int = 0) -> tuple[Tensor, PersonDetections]:
    """A scene whose people wear something with a pattern."""
    image, found = scene(people, SIZE, seed)
    rng = np.random.default_rng(seed)
    pattern = torch.from_numpy(rng.integers(-40, 40, (1, 30, 40)).repeat(4, 1).repeat(4, 2))
    dressed = (image.int() + pattern).clamp(0, 255).to(torch.uint8)
    return torch.where(found.mask(), dressed, image), found


def jpeg(image: Tensor, quality: int) -> Tensor:
    buffer = BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1)


def write(path: Path, image: Tensor) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(path)
    return path


def write_clip(path: Path, images: list[Tensor], **metadata: str) -> Path:
    with av.open(path, "w") as container:
        container.metadata.update(metadata)
        stream = container.add_stream("libx264", rate=10, options={"crf": "18"})
        stream.height, stream.width = images[0].shape[1:]
        for image in images:
            frame = av.VideoFrame.from_ndarray(image.permute(1, 2, 0).contiguous().numpy(), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_people_left_as_they_are_are_visible_whatever_the_compression(quality: int) -> None:
    image, found = textured()
    for person in found.people:
        assert remains_of(person, image, jpeg(image, quality)).visible


@pytest.mark.parametrize("model", ["blackout", "noise"])
def test_replaced_people_are_not_visible(model: str) -> None:
    image, found = textured()
    done = anonymize_people(image, found, load_anonymizer(model))
    for person in found.people:
        assert not remains_of(person, image, done).visible


def test_black_clothes_behind_a_black_bar_are_unchanged_and_not_visible() -> None:
    image, found = textured()
    image = torch.where(found.mask(), image // 20, image)
    done = anonymize_people(image, found, load_anonymizer("blackout"))
    for person in found.people:
        remains = remains_of(person, image, done)
        assert remains.unchanged > 0.9
        assert not remains.visible


@settings(max_examples=20)
@given(share=st.floats(0, 1))
def test_the_unchanged_share_is_what_was_left_out(share: float) -> None:
    image, found = textured(1)
    person = found.people[0]
    rows = round(share * person.window.size[0])
    done = image.clone()
    done[:, person.window.top + rows : person.window.bottom] += 128
    remains = remains_of(person, image, done)
    assert remains.unchanged == pytest.approx(float(person.mask[:rows].sum() / person.mask.sum()))
    assert remains.visible == (remains.unchanged >= 0.25)


def test_a_person_of_one_colour_that_is_kept_is_visible() -> None:
    size = (20, 20)
    image = torch.full((3, *size), 50, dtype=torch.uint8)
    assert remains_of(block(size, 2, 2, 18, 10), image, image.clone()).visible


def test_a_folder_tells_who_was_left_and_where(tmp_path: Path) -> None:
    image, found = textured()
    done = anonymize_people(image, found, load_anonymizer("noise"))
    half = found.with_people(found.people[:1])
    for name, result in (("a/good.png", done), ("b.png", anonymize_people(image, half, Painter()))):
        write(tmp_path / "in" / name, image)
        write(tmp_path / "out" / name, result)
    report = audit(tmp_path / "in", tmp_path / "out", Finder(found))
    assert report.images == 2
    assert len(report.people) == 4
    [left] = report.visible
    assert (left.name, left.place) == ("b.png", found.people[1].box)
    assert [tuple(picture.shape) for picture in report.pictures] == [(3, 288, 320)]
    assert report.content()["visible"] == 1


def test_a_head_that_the_mask_lacks_is_found_by_its_keypoints(tmp_path: Path) -> None:
    image, found = textured(1)
    person = found.people[0]
    head = head_of(person, SIZE)
    assert head is not None
    body = found.mask()
    body[: head.window.bottom + 1] = False
    beheaded = Person.of_mask(body, 0.9, person.keypoints)
    assert beheaded is not None
    cut = found.with_people([beheaded])
    original = write(tmp_path / "in.png", image)
    result = write(tmp_path / "out.png", anonymize_people(image, cut, load_anonymizer("noise")))
    [left] = audit(original, result, Finder(cut)).visible
    assert not left.body.visible
    assert left.head is not None
    assert left.head.visible


def test_heads_that_are_not_seen_or_tiny_are_not_judged() -> None:
    person = textured(1)[1].people[0]
    assert head_of(replace(person, keypoints=torch.zeros(17, 3)), SIZE) is None
    scale = torch.tensor([0.1, 0.1, 1])
    assert head_of(replace(person, keypoints=person.keypoints * scale), SIZE) is None


def test_whoever_the_first_look_missed_is_found_by_the_second(tmp_path: Path) -> None:
    image, found = textured()
    first, second = (found.with_people([person]) for person in found.people)
    original = write(tmp_path / "in.png", image)
    result = write(tmp_path / "out.png", anonymize_people(image, first, load_anonymizer("noise")))
    report = audit(original, result, SecondLook(first, second))
    [left] = report.visible
    assert (left.seen_in, left.place) == ("result", found.people[1].box)


def test_the_new_person_in_an_old_place_is_nobody_new(tmp_path: Path) -> None:
    image, found = textured(1)
    upper = found.mask()
    upper[60:] = False
    torso = Person.of_mask(upper, 0.9)
    assert torso is not None
    original = write(tmp_path / "in.png", image)
    result = write(tmp_path / "out.png", anonymize_people(image, found, load_anonymizer("noise")))
    assert len(audit(original, result, SecondLook(found, found.with_people([torso]))).people) == 1


def test_clips_are_compared_frame_by_frame(tmp_path: Path) -> None:
    image, found = textured()
    frames = [image] * 3
    done = anonymize_people(image, found, load_anonymizer("noise"))
    original = write_clip(tmp_path / "in.mp4", frames)
    finder = Finder(found)
    report = audit(original, write_clip(tmp_path / "out.mp4", [done, image, done]), finder)
    assert {person.name for person in report.visible} == {"000001"}
    assert report.images == 3
    assert audit(original, tmp_path / "out.mp4", finder, every=2).visible == []
    with pytest.raises(DataError, match=r"short\.mp4: ends after 2 frames"):
        audit(original, write_clip(tmp_path / "short.mp4", frames[:2]), finder)


def test_files_must_correspond(tmp_path: Path) -> None:
    image, found = textured()
    for name in ("in/a.png", "in/b.png", "out/a.png"):
        write(tmp_path / name, image)
    with pytest.raises(DataError, match=r"out: lacks 1 of the images: b\.png"):
        audit(tmp_path / "in", tmp_path / "out", Finder(found))
    write(tmp_path / "out/b.png", image[:, :-2])
    with pytest.raises(DataError, match=r"b\.png: the result is 118x160 and the original 120x160"):
        audit(tmp_path / "in", tmp_path / "out", Finder(found))


def test_what_a_photo_says_beside_its_pixels_is_reported(tmp_path: Path) -> None:
    found = photo_metadata(phone_photo(tmp_path / "phone.jpg"))
    assert set(found.telling) == {"thumbnail", "XMP", "comment", "ImageDescription", "MakerNote"}
    assert set(found.harmless) == {"Model", "DateTimeOriginal", "GPSLatitudeRef", "GPSLatitude"}


def test_a_photo_that_we_wrote_says_nothing(tmp_path: Path) -> None:
    from anonbench.pipeline.inputs import read_photo

    photo = read_photo(phone_photo(tmp_path / "phone.jpg"))
    photo.write(photo.image, tmp_path / "out.jpg")
    photo.write(photo.image, tmp_path / "kept.jpg", keep_metadata=True)
    assert photo_metadata(tmp_path / "out.jpg").harmless == ()
    assert photo_metadata(tmp_path / "out.jpg").telling == ()
    assert photo_metadata(tmp_path / "kept.jpg").telling == ()
    assert "GPSLatitude" in photo_metadata(tmp_path / "kept.jpg").harmless


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".bmp"])
def test_plain_files_of_every_kind_say_nothing(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"plain{suffix}", textured()[0])
    assert photo_metadata(path).telling == ()


def test_what_a_video_says_is_reported(tmp_path: Path) -> None:
    image, _ = textured()
    assert video_metadata(write_clip(tmp_path / "plain.mp4", [image])).telling == ()
    assert video_metadata(write_clip(tmp_path / "named.mp4", [image], title="Jane")).telling == ("title",)
