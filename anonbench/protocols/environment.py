"""What a number was made with: model, data, versions, commit, machine."""

import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import anonbench
from anonbench.cards import ModelCard
from anonbench.datasets.base import CropDataset
from anonbench.records import DataRun, Environment, ModelRun

PACKAGES = (
    "anny", "embreex", "lpips", "numpy", "open_clip_torch", "pandas", "pillow", "safetensors", "scipy",
    "torch", "torch-fidelity", "torchreid", "torchvision",
)  # fmt: skip


def model_run(card: ModelCard) -> ModelRun:
    """What is recorded of a model."""
    return ModelRun(
        name=card.name,
        kind=card.kind,
        card_digest=card.digest,
        checkpoint_sha256=card.checkpoint.sha256 if card.checkpoint else None,
    )


def data_run(dataset: CropDataset, notes: tuple[str, ...] = ()) -> DataRun:
    """What is recorded of data; notes: what is to be told beside the data's own."""
    samples = dataset.samples
    counts = {"samples": len(samples), "identities": int((samples["person_id"].drop_duplicates() > 0).sum())}
    for role in ("query", "gallery"):
        if (samples["role"] == role).any():
            counts[role] = int((samples["role"] == role).sum())
    return DataRun(
        name=dataset.name,
        digest=dataset.digest,
        size=dataset.size,
        counts=counts,
        notes=(*dataset.notes, *notes),
    )


def environment(device: str) -> Environment:
    """Versions of everything that can move a number, and the commit where this is a checkout."""
    commit, dirty = _git_state()
    return Environment(
        anonbench=anonbench.__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=device,
        packages=installed_versions(PACKAGES),
        git_commit=commit,
        git_dirty=dirty,
    )


def installed_versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Version of each package that is installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def peak_memory_mib() -> float:
    """Largest resident size of this process so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _git_state() -> tuple[str | None, bool | None]:
    root = Path(anonbench.__file__).parent.parent
    if not (root / ".git").exists():
        return None, None
    commit, status = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")
    return (commit or None), (bool(status) if commit and status is not None else None)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
