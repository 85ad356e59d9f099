"""Tracked people of a clip become crops at moments that depend on time, and are kept for the next run."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from anonbench.crops import Outcome
from anonbench.detection.files import image_digest
from anonbench.detection.people import Person, PersonDetections
from anonbench.errors import CacheError, DataError
from anonbench.pipeline.clip_crops import ClipCrops, sampled
from anonbench.pipeline.clips import ClipFormat, Frame
from tests.detection.scenes import scene

SIZE = (48, 24)
STEP = 2


class Known:
    """A detector that knows some images by heart, and counts how often it is asked."""

    name = "known"
    digest = "known"

    def __init__(self, answers: dict[str, PersonDetections]) -> None:
        self.answers = answers
        self.asked = 0

    def detect(self, image: Tensor, name: str | None = None) -> PersonDetections:
        self.asked += 1
        return self.answers.get(image_digest(image), PersonDetections(tuple(image.shape[1:]), ()))  # type: ignore[arg-type]

    def require(self) -> None:
        pass


def shifted(person: Person, size: tuple[int, int], by: int) -> Person:
    """The person `by` pixels to the right."""
    mask, surface = torch.zeros(size, dtype=torch.bool), torch.full(size, -1, dtype=torch.int32)
    mask[person.window.slices], surface[person.window.slices] = person.mask, person.surface
    keypoints = person.keypoints + torch.tensor([by, 0.0, 0.0])
    moved = Person.of_mask(mask.roll(by, 1), person.score, keypoints, surface.roll(by, 1))
    assert moved is not None
    return moved


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def clip(tmp_path: Path) -> tuple[Path, Known]:
    """25 frames of two people who move to the right, one second in all, and who knows where they are."""
    folder = tmp_path / "walkers"
    folder.mkdir()
    image, found = scene(people=2)
    answers = {}
    for i in range(25):
        frame = image.roll(i * STEP // 4, 2)
        people = [shifted(person, found.size, i * STEP // 4) for person in found.people]
        answers[image_digest(frame)] = found.with_people(people)
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / f"{i:04d}.png")
    return folder, Known(answers)


def test_everybody_is_cut_out_at_ten_moments_a_second(clip: tuple[Path, Known]) -> None:
    folder, detector = clip
    crops = ClipCrops(folder, detector, SIZE)
    assert crops.frame_rate == 10
    assert crops.samples.groupby("clip").size().tolist() == [10, 10]
    assert sorted(set(crops.samples["frame"])) == list(range(10))
    assert detector.asked == 10
    loaded = crops.load(range(len(crops)))
    assert loaded.size == SIZE
    assert (loaded.outcome == int(Outcome.SURFACE)).all()
    assert loaded.person_mask.flatten(1).any(dim=1).all()
    assert loaded.key == tuple(crops.samples["key"])
    assert len(set(loaded.key)) == 20


def test_one_clip_is_one_person(clip: tuple[Path, Known]) -> None:
    crops = ClipCrops(clip[0], clip[1], SIZE)
    for number in crops.samples["clip"].unique():
        own = crops.load(crops.samples.index[crops.samples["clip"] == number].tolist())
        masked = [
            image[:, mask[0]].float().mean(1) for image, mask in zip(own.image, own.person_mask, strict=True)
        ]
        assert torch.stack(masked).std(dim=0).max() < 12


def test_a_second_run_reads_what_the_first_one_kept(clip: tuple[Path, Known]) -> None:
    folder, detector = clip
    first = ClipCrops(folder, detector, SIZE).load([3, 0])
    asked = detector.asked
    again = ClipCrops(folder, detector, SIZE)
    assert torch.equal(again.load([3, 0]).image, first.image)
    assert again.load([3, 0]).key == first.key
    assert detector.asked == asked


def test_the_digest_names_the_clip_the_detector_and_the_size(clip: tuple[Path, Known]) -> None:
    folder, detector = clip
    digest = ClipCrops(folder, detector, SIZE).digest
    assert ClipCrops(folder, detector, SIZE).digest == digest
    assert ClipCrops(folder, detector, (24, 16)).digest != digest
    other = Known({})
    other.digest = "other"
    assert ClipCrops(folder, other, SIZE).digest != digest
    (folder / "0024.png").unlink()
    assert ClipCrops(folder, detector, SIZE).digest != digest


def test_flow_leads_from_crop_to_crop_and_not_before_the_first(clip: tuple[Path, Known]) -> None:
    crops = ClipCrops(clip[0], clip[1], SIZE)
    chosen = crops.samples.index[crops.samples["clip"] == crops.samples["clip"].iloc[0]].tolist()
    flow, valid = crops.flow(chosen)
    assert flow.shape == (10, 2, *SIZE)
    assert not valid[0].any()
    assert valid[1:].float().mean() > 0.5
    # People and place move alike, and so does the crop: in it, nothing moves.
    assert flow[1:].movedim(1, -1)[valid[1:, 0]].abs().median() < 0.5


def test_notes_say_what_the_clip_was(clip: tuple[Path, Known]) -> None:
    (note,) = ClipCrops(clip[0], clip[1], SIZE).notes
    assert "160x120, 25 frames/s, sampled at 10 moments/s: 10 moments, 2 tracks" in note
    assert "known" in note


def test_a_clip_without_people_is_a_data_error(clip: tuple[Path, Known]) -> None:
    with pytest.raises(DataError, match="walkers: nobody is found"):
        ClipCrops(clip[0], Known({}), SIZE).prepare()


def test_what_is_no_clip_is_a_data_error(tmp_path: Path) -> None:
    text = tmp_path / "clip.mp4"
    text.write_text("no video")
    with pytest.raises(DataError, match=r"clip\.mp4"):
        ClipCrops(text, Known({}), SIZE)


def test_a_damaged_cache_names_its_folder(clip: tuple[Path, Known], tmp_path: Path) -> None:
    ClipCrops(clip[0], clip[1], SIZE).prepare()
    (file,) = (tmp_path / "cache" / "clips").rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CacheError, match="delete"):
        ClipCrops(clip[0], clip[1], SIZE).load([0])


class Timed:
    """A clip of empty frames at given times."""

    path = Path("timed")

    def __init__(self, times: list[Fraction]) -> None:
        self.format = ClipFormat((1, 1), Fraction(25), Fraction(1, 1000))
        self._times = times

    def frames(self) -> "list[Frame]":
        return [Frame(torch.zeros(3, 1, 1, dtype=torch.uint8), time) for time in self._times]


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 60])
def test_moments_are_equally_far_apart_at_every_frame_rate(fps: int) -> None:
    clip = Timed([Fraction(i, fps) for i in range(3 * fps)])
    found = list(sampled(clip, Fraction(10)))  # type: ignore[arg-type]
    assert [moment for moment, _ in found[:30]] == list(range(30))
    assert len(found) <= 31
    assert all(abs(frame.time - Fraction(moment, 10)) <= Fraction(3, 40) for moment, frame in found)


def test_times_that_are_rounded_lose_no_moment_and_a_gap_is_one() -> None:
    times = [Fraction(round(i * 100 - (i % 2)), 1000) for i in range(20) if i not in (7, 8)]
    found = [moment for moment, _ in sampled(Timed(times), Fraction(10))]  # type: ignore[arg-type]
    assert found == [i for i in range(20) if i not in (7, 8)]
