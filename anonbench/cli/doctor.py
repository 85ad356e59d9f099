"""`anonbench doctor`: is everything there?"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from anonbench.errors import AnonbenchError

if TYPE_CHECKING:
    from anonbench.anonymizers.base import Anonymizer


@click.command("doctor")
def command() -> None:
    """Show versions, folders, packaged checkpoints, detectors and official weights."""
    import platform

    import anonbench
    from anonbench.cache import cache_dir
    from anonbench.protocols.environment import PACKAGES, installed_versions

    click.echo(
        f"anonbench {anonbench.__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    versions = installed_versions(PACKAGES)
    for package in PACKAGES:
        click.echo(f"  {package:18} {versions.get(package, 'missing: pip install ' + package)}")
    click.echo(f"cache    {_told(cache_dir)}")
    _report_models()
    _report_detectors()
    _report_weights()


def _report_models() -> None:
    from anonbench.anonymizers.registry import anonymizer_names, load_anonymizer

    for name in anonymizer_names():
        click.echo(f"model    {name:24} {_told(partial(_card_digest, load_anonymizer, name))}")


def _report_detectors() -> None:
    from anonbench.detection.detectors import BACKENDS

    for name in BACKENDS:
        click.echo(f"detector {name:24} {_told(partial(_usable, name), 'not ready')}")


def _report_weights() -> None:
    from anonbench.weights import list_weights

    for status in list_weights():
        click.echo(f"weights  {status.card.name:24} {status.state}")


def _card_digest(load: Callable[[str], "Anonymizer"], name: str) -> str:
    return f"ready, card {load(name).card.digest[:12]}"


def _usable(detector: str) -> str:
    from anonbench.detection.detectors import load_detector

    load_detector(detector).require()
    return "ready"


def _told(ask: Callable[[], object], otherwise: str = "PROBLEM") -> str:
    """The answer, or `otherwise` and the error in its place: the doctor reports and does not stop."""
    try:
        return str(ask())
    except AnonbenchError as error:
        return f"{otherwise}: {error}"
