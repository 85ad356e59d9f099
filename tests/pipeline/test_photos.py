"""Photos come out as the kind of file they were, everybody in them with a z of their own; runs can be killed."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from anonbench.anonymizers.base import Anonymizer
from anonbench.anonymizers.registry import load_anonymizer
from anonbench.crops import Outcome
from anonbench.detection.people import PersonDetections
from anonbench.errors import DataError, UsageError
from anonbench.pipeline.areas import Margins
from anonbench.pipeline.jobs import folder_jobs, photo_job
from anonbench.pipeline.journal import NAME, Journal
from anonbench.pipeline.photos import (
    PhotoAnonymizer,
    Report,
    Settings,
    anonymize_photos,
    appearance_of,
)
from tests.pipeline.finder import SIZE, TWO, Finder
from tests.pipeline.people import anonymizer_of


def write_photos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(name)).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Anonymizer:
    return anonymizer_of("generator", tmp_path_factory.mktemp("generator"))


def worker(anonymizer: Anonymizer | None = None, **settings: object) -> PhotoAnonymizer:
    return PhotoAnonymizer(
        Finder(), anonymizer or load_anonymizer("blackout"), replace(Settings(), **settings)
    )


def run(source: Path, out: Path, photos: PhotoAnonymizer, **options: bool) -> Report:
    jobs, _ = folder_jobs(source, out)
    overwrite = options.pop("overwrite", False)
    return anonymize_photos(jobs, photos, Journal(out, photos.described(), overwrite), **options)


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def test_a_folder_keeps_its_names_and_the_report_counts_people(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", "a.png", "deep/er/b.png", "empty.png")
    (source / "notes.txt").write_text("")
    jobs, others = folder_jobs(source, tmp_path / "out")
    report = anonymize_photos(jobs, worker())
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")) == [
        "a.png", "deep/er/b.png", "empty.png",
    ]  # fmt: skip
    assert others == 1
    assert report.outcomes == Counter({Outcome.SURFACE: 4})
    assert report.without_people == ["empty.png"]
    done = read(tmp_path / "out" / "a.png")
    assert (done[5:50, 5:25] == 0).all()
    assert np.array_equal(read(tmp_path / "out" / "empty.png"), read(source / "empty.png"))


def test_everybody_has_a_z_of_their_own_that_seed_and_name_decide(generator: Anonymizer) -> None:
    seen: list[Tensor] = []

    class Spy:
        card = generator.card

        def anonymize(self, crops, latents=None, truncation=1.0):  # type: ignore[no-untyped-def]
            seen.append(latents)
            return crops.image

    image = torch.zeros((3, *SIZE), dtype=torch.uint8)
    for seed, name in ((0, "a.png"), (0, "a.png"), (0, "b.png"), (1, "a.png")):
        worker(Spy(), seed=seed).anonymize(image, name)
    assert torch.equal(seen[0], seen[1])
    assert len({tuple(row.tolist()) for latents in seen for row in latents}) == 6


def test_a_given_appearance_is_everybodys(tmp_path: Path, generator: Anonymizer) -> None:
    path = write_photos(tmp_path, "model.png") / "model.png"
    large = TWO.people[1]
    appearance, people = appearance_of(path, Finder(), generator)
    alone, one = appearance_of(path, Finder(TWO.with_people([large])), generator)
    assert (people, one) == (2, 1)
    assert torch.equal(appearance, alone)
    photos = PhotoAnonymizer(Finder(), generator, Settings(), appearance)
    assert photos.described()["appearance"] != worker(generator).described()["appearance"]
    done, _ = photos.anonymize(torch.zeros((3, *SIZE), dtype=torch.uint8), "a.png")
    assert done.any()


def test_an_appearance_needs_a_mapper_and_a_person(tmp_path: Path, generator: Anonymizer) -> None:
    path = write_photos(tmp_path, "empty.png") / "empty.png"
    with pytest.raises(UsageError, match="model 'blackout' has no appearance mapper"):
        appearance_of(path, Finder(), load_anonymizer("blackout"))
    with pytest.raises(DataError, match=r"empty\.png: nobody with a surface"):
        appearance_of(path, Finder(), generator)


def test_people_would_stay_as_they_are_with_the_original() -> None:
    with pytest.raises(UsageError, match="would leave people as they are"):
        worker(load_anonymizer("original"))


def test_a_killed_run_goes_on_and_equals_one_that_was_not(
    tmp_path: Path, generator: Anonymizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_photos(tmp_path / "in", "a.png", "b.png", "c.png")
    run(source, tmp_path / "whole", worker(generator))
    photos = worker(generator)

    def killed(image: Tensor, name: str) -> tuple[Tensor, PersonDetections]:
        if name == "b.png":
            raise KeyboardInterrupt
        return PhotoAnonymizer.anonymize(photos, image, name)

    monkeypatch.setattr(photos, "anonymize", killed)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out", photos)
    with (tmp_path / "out" / NAME).open("a") as file:
        file.write('{"name": "b.p')  # torn in the middle of a line
    again = worker(generator)
    report = run(source, tmp_path / "out", again)
    assert report.resumed == 1
    assert again.detector.names == ["b.png", "c.png"]
    assert report.outcomes.total() == 6
    for name in ("a.png", "b.png", "c.png"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert run(source, tmp_path / "out", worker(generator)).resumed == 3


def test_a_photo_that_changed_is_made_again(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", "a.png", "b.png")
    run(source, tmp_path / "out", worker())
    Image.fromarray(np.full((*SIZE, 3), 77, np.uint8)).save(source / "a.png")
    assert run(source, tmp_path / "out", worker()).resumed == 1
    assert read(tmp_path / "out" / "a.png")[0, 0, 0] == 77


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"truncation": 0.5}, {"margins": Margins(0.1, 0)}, {"keep_metadata": True}]
)
def test_results_of_other_settings_are_not_mixed(tmp_path: Path, change: dict[str, object]) -> None:
    source = write_photos(tmp_path / "in", "a.png")
    run(source, tmp_path / "out", worker())
    with pytest.raises(UsageError, match=f"was made with another {next(iter(change))}"):
        run(source, tmp_path / "out", worker(**change))
    assert run(source, tmp_path / "out", worker(**change), overwrite=True).resumed == 0


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", "a.png")
    out = write_photos(tmp_path / "out", "mine.png")
    with pytest.raises(UsageError, match="is not empty"):
        run(source, out, worker())
    assert [p.name for p in out.iterdir()] == ["mine.png"]


def test_an_output_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="out: cannot write there; choose another output"):
        run(source, tmp_path / "file" / "out", worker())


def test_a_journal_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("[1]\n")
    with pytest.raises(DataError, match="not a journal"):
        Journal(tmp_path, {})


def test_unreadable_photos_stop_before_anything_is_written(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", "a.png", "b.png", "z.png")
    (source / "b.png").write_text("not an image")
    Image.fromarray(np.zeros(SIZE, np.uint16)).save(source / "z.png")
    with pytest.raises(DataError, match=r"2 of 3 images cannot be used: b\.png, z\.png .*--skip-bad"):
        run(source, tmp_path / "out", worker())
    assert not (tmp_path / "out" / "a.png").exists()
    report = run(source, tmp_path / "out", worker(), skip_bad=True)
    assert set(report.bad) == {"b.png", "z.png"}
    assert set(report.people) == {"a.png"}


def test_a_full_disk_leaves_no_half_photo_and_the_run_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_photos(tmp_path / "in", "a.png")
    save = Image.Image.save

    def fill(self: Image.Image, target: Path, **options: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fill)
    with pytest.raises(DataError, match=r"a\.png: cannot write the file \(No space left"):
        run(source, tmp_path / "out", worker())
    assert [p.name for p in (tmp_path / "out").iterdir()] == [NAME]
    monkeypatch.setattr(Image.Image, "save", save)
    assert run(source, tmp_path / "out", worker()).resumed == 0
    assert (tmp_path / "out" / "a.png").exists()


def test_one_photo_goes_to_a_file_or_into_a_folder(tmp_path: Path) -> None:
    source = write_photos(tmp_path, "a.png") / "a.png"
    (tmp_path / "out").mkdir()
    assert photo_job(source, tmp_path / "out").out == tmp_path / "out" / "a.png"
    assert photo_job(source, tmp_path / "new.png").out == tmp_path / "new.png"


def test_outputs_that_would_do_harm_are_refused(tmp_path: Path) -> None:
    source = write_photos(tmp_path, "a.png", "b.png") / "a.png"
    (tmp_path / "link.png").symlink_to(source)
    for out in (source, tmp_path, tmp_path / "link.png"):
        with pytest.raises(UsageError, match="is the input itself"):
            photo_job(source, out, overwrite=True)
    with pytest.raises(UsageError, match=r"end the name in \.png"):
        photo_job(source, tmp_path / "new.jpg")
    with pytest.raises(UsageError, match="--overwrite"):
        photo_job(source, tmp_path / "b.png")
    assert photo_job(source, tmp_path / "b.png", overwrite=True).out == tmp_path / "b.png"


@pytest.mark.parametrize("out", [".", "out", "..", "../in"])
def test_folders_that_lie_in_each_other_are_refused(tmp_path: Path, out: str) -> None:
    source = write_photos(tmp_path / "in", "a.png")
    with pytest.raises(UsageError, match="must not lie in each other"):
        folder_jobs(source, source / out)
