"""Where the packaged cards and results lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource_dir(name: str) -> Path:
    """The folder `models`, `protocols` or `results` that travels with anonbench."""
    installed = _PACKAGE / "_packaged" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
