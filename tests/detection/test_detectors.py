"""Claims about detectors by name: what is kept, what is never detected twice, and what files are trusted."""

import pickle
from dataclasses import replace

import pytest
import torch

from anonbench.crops import Outcome
from anonbench.detection import detectors
from anonbench.detection.detectors import CachedDetector, FileDetector, load_detector, main_person
from anonbench.detection.files import write_detections
from anonbench.detection.people import PersonDetections
from anonbench.errors import DataError, UsageError
from tests.detection.scenes import scene
from tests.detection.test_files import assert_equal, hand_written


class CountingBackend:
    """Finds everybody of a scene, without surfaces, and counts how often it is asked."""

    name = "counting"

    def __init__(self, digest="d" * 64, people=2):
        self.digest = digest
        self.asked = 0
        self._found = scene(people)[1]

    def require(self):
        pass

    def detect(self, image):
        self.asked += 1
        bare = [replace(p, surface=torch.full_like(p.surface, -1)) for p in self._found.people]
        return self._found.with_people(bare)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("ANONBENCH_CACHE", str(cache))
    return cache


def test_people_get_their_surfaces_and_equal_images_are_detected_once():
    image, _ = scene(2)
    backend = CountingBackend()
    first = CachedDetector(backend).detect(image)
    assert [p.outcome for p in first.people] == [Outcome.SURFACE] * 2
    again = CachedDetector(backend).detect(image.clone(), name="a copy.png")
    assert backend.asked == 1
    assert_equal(again, first)


def test_another_image_and_another_detector_are_detected_anew():
    image, _ = scene(2)
    backend, other = CountingBackend(), CountingBackend(digest="e" * 64)
    for detector, shown in ((backend, image), (backend, 255 - image), (other, image)):
        CachedDetector(detector).detect(shown)
    assert (backend.asked, other.asked) == (2, 1)


def test_nobody_is_remembered_too():
    image, _ = scene(0)
    backend = CountingBackend(people=0)
    for _ in range(2):
        assert len(CachedDetector(backend).detect(image)) == 0
    assert backend.asked == 1


def test_a_score_is_asked_of_people_without_detecting_again():
    image, _ = scene(2)
    backend = CountingBackend()
    everybody = CachedDetector(backend)
    certain = CachedDetector(backend, min_score=0.985)
    assert len(everybody.detect(image)) == 2
    assert [p.score for p in certain.detect(image).people] == [0.99]
    assert backend.asked == 1
    assert everybody.digest != certain.digest


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 1}'])
def test_a_damaged_file_in_the_cache_is_made_again(own_cache, damage):
    image, _ = scene(1)
    backend = CountingBackend(people=1)
    first = CachedDetector(backend).detect(image)
    (path,) = own_cache.rglob("*.json")
    path.write_bytes(damage)
    assert_equal(CachedDetector(backend).detect(image), first)
    assert backend.asked == 2


def test_a_cache_without_its_surfaces_is_made_again(own_cache):
    image, _ = scene(1)
    backend = CountingBackend(people=1)
    CachedDetector(backend).detect(image)
    (surfaces,) = own_cache.rglob("*.npz")
    surfaces.unlink()
    assert CachedDetector(backend).detect(image).people[0].outcome == Outcome.SURFACE
    assert backend.asked == 2


def test_files_say_who_is_in_the_image_of_their_name(tmp_path):
    image, detections = scene(2)
    write_detections(tmp_path / "a" / "b.jpg.json", detections, image)
    assert_equal(load_detector(f"file={tmp_path}").detect(image, "a/b.jpg"), detections)


def test_people_in_files_get_surfaces_too_and_must_be_certain_enough(tmp_path):
    image, detections = scene(2)
    bare = [replace(p, surface=torch.full_like(p.surface, -1)) for p in detections.people]
    write_detections(tmp_path / "x.png.json", detections.with_people(bare), image)
    found = load_detector(f"file={tmp_path}", min_score=0.985).detect(image, "x.png")
    assert [p.outcome for p in found.people] == [Outcome.SURFACE]


def test_an_image_without_a_file_is_an_error_since_its_people_would_stay(tmp_path):
    image, _ = scene(1)
    with pytest.raises(DataError, match=r"no detections of x\.png"):
        FileDetector(tmp_path).detect(image, "x.png")
    with pytest.raises(UsageError, match="names"):
        FileDetector(tmp_path).detect(image)
    with pytest.raises(DataError, match="no such folder"):
        FileDetector(tmp_path / "none").require()


def test_a_file_of_another_image_is_refused(tmp_path):
    image, detections = scene(1)
    write_detections(tmp_path / "x.png.json", detections, image, name="x.png")
    with pytest.raises(DataError, match="detect it again"):
        FileDetector(tmp_path).detect(255 - image, "x.png")


def test_the_digest_of_files_changes_with_their_content(tmp_path):
    hand_written(tmp_path / "x.png.json", [])
    before = FileDetector(tmp_path).digest
    assert before == FileDetector(tmp_path).digest
    hand_written(tmp_path / "x.png.json", [{"box": [1, 1, 4, 4]}])
    assert FileDetector(tmp_path).digest != before


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UsageError, match="mediapipe, torchvision, detectron2, file=DIR"):
        load_detector("yolo")
    with pytest.raises(UsageError, match="unknown detector 'file='"):
        load_detector("file=")


@pytest.mark.parametrize("name", detectors.BACKENDS)
def test_every_backend_is_cheap_to_load_and_can_be_sent_to_another_process(name):
    detector = load_detector(name)
    sent = pickle.loads(pickle.dumps(detector))
    assert sent.name == detector.name == name
    assert sent.digest == detector.digest


def test_the_subject_of_a_crop_is_who_covers_most_of_it():
    _, detections = scene(3)
    areas = [int(p.mask.sum()) for p in detections.people]
    assert main_person(detections) is detections.people[areas.index(max(areas))]
    empty = replace(detections.people[0], mask=torch.zeros_like(detections.people[0].mask))
    assert main_person(detections.with_people([empty])) is None
    assert main_person(PersonDetections((4, 4), ())) is None
