"""The command line: results on stdout, progress on stderr, exit 0 done, 1 no, 2 wrong usage.

The only place where files are written (by `record.write_files`). Whatever costs time to import is
imported inside the commands: `dualc catalog` loads neither sympy nor jax.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from dualc import __version__
from dualc.cli.catalog import catalog_command
from dualc.cli.compile import compile_command
from dualc.cli.plot import plot_command
from dualc.cli.site import site_command
from dualc.cli.verify import verify_command
from dualc.errors import DualcError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="dualc")
def cli() -> None:
    """A compiler from activation functions to certified JAX dual kernels."""


cli.add_command(catalog_command)
cli.add_command(compile_command)
cli.add_command(plot_command)
cli.add_command(site_command)
cli.add_command(verify_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command line; every error a person can act on is one line on stderr."""
    try:
        code = cli.main(args=arguments, prog_name="dualc", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except DualcError as error:
        print(_one_line(str(error)), file=sys.stderr)
    except click.ClickException as error:
        command = (
            error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        )
        print(
            f"{_one_line(error.format_message())}  Run: {command or 'dualc'} --help",
            file=sys.stderr,
        )
    except (click.Abort, KeyboardInterrupt):
        print("interrupted; nothing was half written", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in _OUTPUT:
            raise
        # What is still in the buffer would fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # `dualc catalog | head`: it has seen enough
            return 1  # as click has it
        where = error.filename or "the output"
        print(f"{where}: cannot be written ({error.strerror})", file=sys.stderr)
    return 2


_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO)  # files say which they are


def _one_line(message: str) -> str:
    return " ".join(message.split("\n"))


def main() -> NoReturn:
    """The entry point of the `dualc` command."""
    # Records and expressions live until the end: looking through them at every 700th object costs
    # a tenth of the time of `dualc catalog`.
    gc.set_threshold(100_000, 20, 20)
    sys.exit(run())
