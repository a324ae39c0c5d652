"""What the commands share: their options, what they are handed, what they print and tell.

A command imports what reaches torch or MLflow when it is called: help and label status cost
neither.
"""

import functools
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from jobs.adapters.context import real_context
from jobs.adapters.environment import in_clone, ledger_url
from jobs.campaign.state import recorded_options
from jobs.options import RunOptions
from jobs.processes.campaign_lock import hold_campaign
from models.errors import CastingError, first_line

if TYPE_CHECKING:
    from jobs.campaign.session import Session

_Params = ParamSpec("_Params")
_Command = TypeVar("_Command", bound=Callable[..., Any])
DEFAULTS = asdict(RunOptions())


def prints_json(command: Callable[_Params, dict[str, Any]]) -> Callable[_Params, None]:
    """Print a command's result, and turn errors that a user can mend into exit 1."""

    @functools.wraps(command)
    def wrapped(*args: _Params.args, **kwargs: _Params.kwargs) -> None:
        try:
            result = command(*args, **kwargs)
        except CastingError as error:
            raise click.ClickException(str(error)) from error
        except _outages() as error:
            raise click.ClickException(
                f"{type(error).__name__}: {first_line(error)}. What was recorded stays; mend it "
                f"and run the same command again"
            ) from error
        except KeyboardInterrupt:
            click.echo("Stopped. What is recorded stays: the same command goes on.", err=True)
            sys.exit(128 + signal.SIGINT)
        click.echo(json.dumps(result, indent=2))

    return wrapped


def _outages() -> tuple[type[Exception], ...]:
    """The errors of disk, ledger and MLflow; of MLflow there are none where it is not imported."""
    mlflow = sys.modules.get("mlflow.exceptions")
    return (OSError, SQLAlchemyError, *([mlflow.MlflowException] if mlflow else []))


def option(
    name: str, text: str, kind: click.ParamType[Any] | type | None = None
) -> Callable[[_Command], _Command]:
    """An option of `run` with the default of `RunOptions`."""
    flag = "--" + name.replace("_", "-")
    return click.option(flag, name, default=DEFAULTS[name], type=kind, help=text)


campaign_option = click.option(
    "--campaign", default="auto", help="Campaign; auto: the only unfinished one."
)
service_option = option("service_url", "Scoring service; auto: start one and stop it at the end.")


def _lasting(_: click.Context, __: click.Parameter, file: Path) -> Path:
    """A file that will be found again: not one in a clone that `mlflow run` works in."""
    if in_clone() and not file.is_absolute():
        raise click.BadParameter(f"`mlflow run` works in a temporary clone; give {file} absolute")
    return file


file_argument = click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False), callback=_lasting
)
model_option = option("model_name", "Registered model in MLflow.")


def holding(campaign: str) -> AbstractContextManager[None]:
    """A campaign or comparison, held by this job alone."""
    return hold_campaign(ledger_url(), campaign)


@contextmanager
def working_on_recorded(campaign: str, service_url: str = "auto") -> "Iterator[Session]":
    """A campaign of the ledger, held by this job alone."""
    from jobs.campaign.opening import working_on

    with real_context() as context:
        options = recorded_options(context.ledger, campaign, service_url)
        with holding(options.name), working_on(context, options) as session:
            yield session


@contextmanager
def consulting(campaign: str) -> "Iterator[Session]":
    """A campaign of the ledger, while another job may work on it."""
    from jobs.campaign.opening import look_up
    from jobs.campaign.session import Session

    with real_context() as context:
        options = recorded_options(context.ledger, campaign)
        yield Session.begin(context, look_up(context, options))
