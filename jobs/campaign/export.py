"""A version of the registered model as a folder, to be served where there is no MLflow."""

from pathlib import Path

from jobs.campaign.ports import Context
from models.errors import VersionNotFound
from models.registry.version import ALIAS, Version


def export(context: Context, name: str, number: str, folder: Path) -> Version:
    """Write a version to a folder that does not exist yet; `auto` is the current one.

    Raises:
        VersionNotFound: there is none of that number, or none is current.
        VersionError: the folder exists, or the version fails its self-check.
    """
    version = (
        context.tracker.current(name) if number == "auto" else context.tracker.find(name, number)
    )
    if version is None:
        raise VersionNotFound(
            f"{name} has no version with the alias {ALIAS}; `promote` sets it, "
            f"`--version N` names another"
        )
    context.tracker.export(version, folder)
    return version
