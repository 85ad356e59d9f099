"""`anonbench doctor`: is everything there?"""

import click

from anonbench.errors import AnonbenchError


@click.command("doctor")
def command() -> None:
    """Show versions, folders, packaged checkpoints and official weights."""
    import platform

    import anonbench
    from anonbench.cache import cache_dir
    from anonbench.protocols.environment import PACKAGES, installed_versions

    click.echo(f"anonbench {anonbench.__version__}, Python {platform.python_version()}, {platform.platform()}")
    versions = installed_versions(PACKAGES)
    for package in PACKAGES:
        click.echo(f"  {package:18} {versions.get(package, 'missing: pip install ' + package)}")
    click.echo(f"cache    {_told(lambda: str(cache_dir()))}")
    _report_models()
    _report_weights()


def _report_models() -> None:
    from anonbench.anonymizers.registry import available_models, load_anonymizer

    for card in available_models():
        state = _told(lambda name=card.name: load_anonymizer(name).digest[:12])  # type: ignore[misc]
        click.echo(f"model    {card.name:18} {state}")


def _report_weights() -> None:
    from anonbench.weights import list_weights

    for status in list_weights():
        click.echo(f"weights  {status.name:24} {status.state}")


def _told(ask) -> str:  # type: ignore[no-untyped-def]
    """The answer, or the error in its place: the doctor reports and does not stop."""
    try:
        return str(ask())
    except AnonbenchError as error:
        return f"PROBLEM: {error}"
