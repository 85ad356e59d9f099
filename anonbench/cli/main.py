"""The `anonbench` command: subcommands are imported when they are called, so that --help is instant."""

import sys
from importlib import import_module

import click

import anonbench
from anonbench.errors import AnonbenchError

COMMANDS = {
    "run": "Run protocols for one model and print or store the records.",
    "compare": "Compare models: run what is missing, then tables, plots, galleries and a report.",
    "check": "Compare records with a baseline and fail if a model has become worse.",
    "validate": "Judge the measures themselves: plant faults of known strength and see what they resolve.",
    "gallery": "Draw what models do to the same people.",
    "detect": "Find the people in photos and video, and write them to files.",
    "anonymize": "Replace the people in photos and video.",
    "audit": "Find people whom anonymized photos or videos still show.",
    "train": "Train a generator from its card, or go on with a run.",
    "models": "List the anonymizers; find centres for their truncation.",
    "protocols": "List the protocols, what they measure and their presets.",
    "data": "List, render and check data.",
    "weights": "Get, verify and list official weights; convert checkpoints.",
    "doctor": "Show versions, folders and what is missing.",
}
INTERRUPTED = 4
INTERNAL_ERROR = 70


class LazyGroup(click.Group):
    """A group that knows its commands' names and help, and imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in reading order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of the same name and take its `command`."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"anonbench.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command list without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(anonbench.__version__, prog_name="anonbench")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Benchmark for consistent full-body anonymization.

    \b
    anonbench compare baseline final
    anonbench run reid --model final
    anonbench run reid --model final --data market1501=PATH --json
    """
    ctx.obj = debug


def main() -> None:
    """Run the command line. Exit 0 done, 1 regression, 2 usage, 3 data or weights, 4 interrupted, 70 a bug."""
    sys.exit(run_cli(sys.argv[1:]))


def run_cli(arguments: list[str]) -> int:
    """Run one command line and return its exit code; errors a user can mend become one line on stderr."""
    debug = "--debug" in arguments
    try:
        result = cli.main(arguments, prog_name="anonbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the same command resumes", err=True)
        return INTERRUPTED
    except AnonbenchError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.filename:
            click.echo(f"error: {error.filename}: {error.strerror}; choose another path", err=True)
            return AnonbenchError.exit_code
        click.echo(f"internal error: {type(error).__name__}: {error}; --debug shows where", err=True)
        return INTERNAL_ERROR
