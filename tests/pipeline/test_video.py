"""A clip is anonymized: one appearance per track, nothing else changed, and killed runs go on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anonbench.anonymizers.base import Anonymizer
from anonbench.anonymizers.generator import load_generator
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.crops import PersonCrops
from anonbench.detection.detectors import load_detector
from anonbench.detection.files import write_detections
from anonbench.detection.people import Person, PersonDetections
from anonbench.errors import DataError, UsageError
from anonbench.latents import latents_for
from anonbench.pipeline.areas import Margins
from anonbench.pipeline.clips import open_clip
from anonbench.pipeline.track import TrackSettings
from anonbench.pipeline.tracks import track_clip
from anonbench.pipeline.video import VideoSettings, anonymize_video
from tests.anonymizers.random_generators import ARCHITECTURE, NATIVE, publish_random
from tests.anonymizers.random_generators import people as random_people
from tests.pipeline.clip_files import Scripted, pictures, write_frames, write_video
from tests.pipeline.people import block

SIZE = (96, 160)
COUNT = 24
SMALL = VideoSettings(size=(32, 16), chunk=10, margins=Margins(0.02, 0.02))


def two_people(count: int = COUNT) -> list[PersonDetections]:
    """One walks to the right, one to the left in front of the first, who is hidden for some frames."""

    def people(frame: int) -> list[Person]:
        far, near = (
            block(SIZE, 20, 10 + 4 * frame, 70, 28 + 4 * frame),
            block(SIZE, 24, 130 - 4 * frame, 90, 150 - 4 * frame),
        )
        return [near] if 13 <= frame <= 16 else [far, near]

    return [PersonDetections(SIZE, tuple(people(i))) for i in range(count)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "frames", pictures(COUNT, SIZE))


class Watched:
    """Remembers the latents that it is given; stops with Ctrl-C after some batches."""

    def __init__(self, anonymizer: Anonymizer, batches: int | None = None) -> None:
        self.card = anonymizer.card
        self.latents: list[Tensor] = []
        self._anonymizer = anonymizer
        self._batches = batches

    def anonymize(self, crops: PersonCrops, latents: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        if self._batches is not None and len(self.latents) == self._batches:
            raise KeyboardInterrupt
        assert latents is not None
        self.latents.append(latents)
        return self._anonymizer.anonymize(crops, latents, truncation)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Anonymizer:
    folder = tmp_path_factory.mktemp("generator")
    return load_generator(publish_random(folder, ARCHITECTURE), folder)


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory: pytest.TempPathFactory) -> Anonymizer:
    """With the styles of some people as centres, so that not everybody falls to the same one."""
    folder = tmp_path_factory.mktemp("multimodal")
    plain = load_generator(publish_random(folder, ARCHITECTURE), folder)
    styles = plain._generator.styles_of(latents_for(3, ["track/0", "track/1", "track/2"], 6))
    card = publish_random(folder, ARCHITECTURE, truncation__centres=styles[:, 0].contiguous())
    return load_generator(card.model_copy(update={"options": {"truncation": "multimodal"}}), folder)


@pytest.mark.parametrize(("model", "truncation"), [
    ("generator", 1.0), ("generator", 0.5), ("multimodal", 1.0), ("multimodal", 0.5), ("multimodal", 0.0),
])  # fmt: skip
def test_two_people_who_cross_keep_two_looks_under_every_truncation(
    clip: Path, tmp_path: Path, model: str, truncation: float, request: pytest.FixtureRequest
) -> None:
    anonymizer = Watched(request.getfixturevalue(model))
    report = anonymize_video(
        clip,
        tmp_path / "out",
        Scripted(two_people()),
        anonymizer,
        replace(SMALL, truncation=truncation, seed=3),
    )
    assert report.tracks == 2
    drawn = torch.cat(anonymizer.latents).unique(dim=0)
    assert len(drawn) == 2
    assert len(torch.cat(anonymizer.latents)) == 2 * COUNT
    looks = looks_of(anonymizer, drawn, truncation)
    assert (looks[0].int() - looks[1].int()).abs().max() > 0


def looks_of(anonymizer: Anonymizer, latents: Tensor, truncation: float) -> Tensor:
    """The same crop, anonymized with each latent."""
    crop = random_people(1, NATIVE)
    one = [anonymizer.anonymize(crop, latent[None], truncation) for latent in latents]
    return torch.cat(one)


def test_a_person_keeps_the_latent_of_the_track_in_every_frame(
    clip: Path, tmp_path: Path, generator: Anonymizer
) -> None:
    watched = Watched(generator)
    anonymize_video(clip, tmp_path / "out", Scripted(two_people()), watched, SMALL)
    latents = torch.cat(watched.latents).reshape(COUNT, 2, -1)  # the far one is pasted first in every frame
    assert (latents == latents[0]).all()
    assert not torch.equal(latents[0, 0], latents[0, 1])


def test_nothing_changes_beyond_masks_and_seams_and_everybody_changes(clip: Path, tmp_path: Path) -> None:
    people = two_people()
    anonymize_video(clip, tmp_path / "out", Scripted(people), load_anonymizer("blackout"), SMALL)
    tracks = track_clip(open_clip(clip).frames(), Scripted(people))
    pairs = zip(open_clip(clip).frames(), open_clip(tmp_path / "out").frames(), strict=True)
    for i, (before, after) in enumerate(pairs):
        mask = tracks.frame(i)[0].mask()[None].float()
        around = torch.nn.functional.max_pool2d(mask, 9, 1, 4)[0] > 0
        assert torch.equal(after.image[:, ~around], before.image[:, ~around])
        person = mask[0] > 0
        assert (after.image[:, person] != before.image[:, person]).float().mean() > 0.95
        assert before.name == after.name


@pytest.mark.parametrize("name", ["out", "out.mp4", "out.mkv"])
def test_an_interrupted_run_goes_on_and_gives_the_same_frames(
    clip: Path, tmp_path: Path, generator: Anonymizer, name: str
) -> None:
    whole, torn = tmp_path / "whole" / name, tmp_path / "torn" / name
    detector = Scripted(two_people())
    anonymize_video(clip, whole, detector, generator, SMALL)
    with pytest.raises(KeyboardInterrupt):
        anonymize_video(clip, torn, detector, Watched(generator, batches=3), SMALL)  # in the second chunk
    assert not torn.exists()
    second = Watched(generator)
    anonymize_video(clip, torn, detector, second, SMALL)
    assert len(torch.cat(second.latents)) == 2 * (COUNT - 10)
    assert_same_frames(torn, whole)
    assert [path.name for path in torn.parent.iterdir()] == [name]


def assert_same_frames(a: Path, b: Path) -> None:
    """Bit-exact as images. x264 now and then codes a corner of the same frame in another way."""
    for before, after in zip(open_clip(a).frames(), open_clip(b).frames(), strict=True):
        difference = (before.image.int() - after.image.int()).abs().float().mean()
        assert difference == 0 if a.is_dir() else difference < 1
        assert (before.name, before.time) == (after.name, after.time)


def test_runs_are_not_mixed(clip: Path, tmp_path: Path, generator: Anonymizer) -> None:
    detector = Scripted(two_people())
    with pytest.raises(KeyboardInterrupt):
        anonymize_video(clip, tmp_path / "out", detector, Watched(generator, batches=3), SMALL)
    with pytest.raises(UsageError, match=r"out\.part: .* another seed, truncation"):
        anonymize_video(clip, tmp_path / "out", detector, generator, replace(SMALL, seed=1, truncation=0.5))
    with pytest.raises(UsageError, match="another model"):
        anonymize_video(clip, tmp_path / "out", detector, load_anonymizer("blackout"), SMALL)


def test_several_processes_find_what_one_finds(clip: Path, tmp_path: Path) -> None:
    frames, found = list(open_clip(clip).frames()), two_people()
    for frame, people in zip(frames, found, strict=True):
        write_detections(tmp_path / "found" / f"{frame.name}.json", people, frame.image)
    detector = load_detector(f"file={tmp_path / 'found'}")
    together = track_clip(frames, detector, TrackSettings(workers=2, every=2))
    alone = track_clip(frames, Scripted(found), TrackSettings(every=2))
    assert together.tracks == alone.tracks
    for i in range(COUNT):
        (a, ids), (b, others) = alone.frame(i), together.frame(i)
        assert ids == others
        assert torch.equal(a.mask(), b.mask())


def test_the_report_counts_what_was_done(clip: Path, tmp_path: Path) -> None:
    people = two_people()
    people[5] = people[5].with_people([])
    report = anonymize_video(
        clip, tmp_path / "out", Scripted(people), load_anonymizer("blackout"), SMALL, tmp_path / "sheet.png"
    )
    assert (report.frames, report.size, report.tracks, report.lone) == (COUNT, SIZE, 2, 0)
    assert report.person_frames == 2 * COUNT == sum(report.outcomes.values())
    assert report.filled == 4 + 2
    assert report.longest_gap == pytest.approx(4 / 25)
    assert report.warnings == ()
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_settings_that_make_tracking_pointless_are_told(
    clip: Path, tmp_path: Path, generator: Anonymizer
) -> None:
    report = anonymize_video(
        clip, tmp_path / "out", Scripted(two_people()), generator, replace(SMALL, truncation=0)
    )
    assert report.warnings == ("at truncation 0 everybody looks alike; more than 0 tells people apart",)


def test_a_clip_without_people_is_copied_and_said_so(clip: Path, tmp_path: Path) -> None:
    nobody = Scripted([PersonDetections(SIZE, ())] * COUNT)
    report = anonymize_video(
        clip, tmp_path / "out", nobody, load_anonymizer("blackout"), SMALL, tmp_path / "sheet.png"
    )
    assert report.warnings == ("nobody was found, and nothing was changed",)
    assert not (tmp_path / "sheet.png").exists()
    for before, after in zip(open_clip(clip).frames(), open_clip(tmp_path / "out").frames(), strict=True):
        assert torch.equal(before.image, after.image)


def test_a_broken_video_stops_the_run_before_anything_is_written_unless_its_rest_may_be_lost(
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / "clip.mkv", pictures(COUNT, SIZE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    detector, blackout = Scripted(two_people()), load_anonymizer("blackout")
    with pytest.raises(DataError, match="frame .* cannot be read"):
        anonymize_video(path, tmp_path / "out.mkv", detector, blackout, SMALL)
    assert not (tmp_path / "out.mkv").exists()
    report = anonymize_video(path, tmp_path / "out2.mkv", detector, blackout, replace(SMALL, skip_bad=True))
    assert 0 < report.frames < COUNT
    assert len(list(open_clip(tmp_path / "out2.mkv").frames())) == report.frames
    assert "the rest of the clip is missing" in report.warnings[0]


def test_the_input_is_never_overwritten(clip: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", pictures(3))
    for source, out in (
        (video, video),
        (clip, clip),
        (clip, clip / "out"),
        (video, tmp_path / "x" / ".." / "clip.mp4"),
    ):
        with pytest.raises(UsageError, match="choose an"):
            anonymize_video(source, out, Scripted([]), load_anonymizer("blackout"))


def test_a_folder_of_frames_has_no_sound(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keep-audio"):
        anonymize_video(
            clip, tmp_path / "out", Scripted([]), load_anonymizer("blackout"), VideoSettings(keep_audio=True)
        )
