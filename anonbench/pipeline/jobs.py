"""Which photos are read and where results go: checked before any work is done."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anonbench.datasets.files import listed
from anonbench.errors import AnonbenchError, DataError, UsageError
from anonbench.pipeline.inputs import images_below, read_photo
from anonbench.progress import track


@dataclass(frozen=True)
class Job:
    """One photo: where it lies, where the result goes, and its name, to which the z of its people are tied."""

    name: str
    source: Path
    out: Path


def photo_job(source: Path, out: Path, overwrite: bool = False) -> Job:
    """The job of one photo; into a folder `out` it goes under its own name.

    Raises UsageError when `out` is the photo itself, another kind of file, or exists and may not be replaced.
    """
    target = out / source.name if out.is_dir() else out
    if target.exists() and target.samefile(source):
        raise UsageError(f"{target}: is the input itself; choose another output")
    if target.suffix.lower() != source.suffix.lower():
        raise UsageError(
            f"{target}: the photo stays the kind of file that it is; end the name in {source.suffix}"
        )
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: exists; choose another output, or give --overwrite")
    return Job(source.name, source, target)


def folder_jobs(source: Path, out: Path) -> tuple[list[Job], int]:
    """The jobs of all photos below a folder, which keep their relative paths, and how many other files there are.

    Raises UsageError when one of the folders lies in the other, DataError for a folder without images.
    """
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UsageError(f"{out}: input and output must not lie in each other; choose another output")
    names, others = images_below(source)
    return [Job(name, source / name, out / name) for name in names], others


def require_readable(jobs: Sequence[Job]) -> None:
    """Raise DataError, listing files, unless all can be read."""
    problems = list(_problems(jobs))
    if len(problems) == 1:
        raise DataError(problems[0][1])
    if problems:
        names = listed([name for name, _ in problems], 10)
        raise DataError(
            f"{len(problems)} of {len(jobs)} images cannot be used: {names} (the first: {problems[0][1]}); "
            "mend them, or give --skip-bad"
        )


def _problems(jobs: Sequence[Job]) -> Iterator[tuple[str, str]]:
    for job in track(jobs, "checking images", len(jobs)):
        try:
            read_photo(job.source)
        except AnonbenchError as error:
            yield job.name, str(error)
