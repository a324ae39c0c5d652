"""What a campaign was asked to be."""

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from models.errors import CampaignError, DataError

SYNTHETIC = "synthetic"
TRAIN = ("head", "all", "auto")  # what a round trains
CHANNELS = ("auto", "grey", "colour")
FIT = ("stretch", "pad")  # a photograph to the network's square
AUGMENT = ("auto", "rotate", "mirror", "none")  # what is done to castings in a training
_BEFORE_THERE_WERE = {"weights": "scratch", "train": "all"}  # options that say so
_NOT_OF_THE_CAMPAIGN = (
    "rounds",
    "service_url",
    "campaign",
    "pictures",
)  # may differ from call to call


@dataclass(frozen=True)
class RunOptions:
    """The options of `run`, by their command-line names; INTERFACE of a campaign.

    `auto` stands for what the program works out: class names, good class, campaign name, a
    service of its own.
    """

    data: str = SYNTHETIC
    strategy: str = "bald"
    rounds: int = 5
    batch: int = 20
    initial: int = 40
    seed: int = 0
    split: str = "given"
    split_seed: int = 0
    cold_start: str = "random"
    audit_share: float = 0.2
    passes: int = 50
    steps: int = 0
    image_size: int = 128
    channels: str = "auto"
    fit: str = "stretch"
    augment: str = "auto"
    backbone: str = "resnet18"
    weights: str = "surface"
    train: str = "head"
    refit_every: int = 0
    pictures: bool = True
    good: str = "auto"
    classes: str = "auto"
    model_name: str = "casting-defects"
    service_url: str = "auto"
    campaign: str = "auto"

    def __post_init__(self) -> None:
        if any("\ud800" <= character <= "\udfff" for character in self.data + self.classes):
            raise DataError(f"--data {self.data!a}, --classes {self.classes!a}: not UTF-8; rename")
        if not 0 <= self.audit_share < 1:
            raise DataError(f"--audit-share {self.audit_share}: a share from 0 to below 1")
        trained_on = self.initial - self.audited(self.initial)
        if trained_on < 2:  # noqa: PLR2004 -- batch norm needs two castings
            raise DataError(
                f"--initial {self.initial} with --audit-share {self.audit_share} leaves "
                f"{trained_on} labels to train on; a training needs at least 2"
            )
        if self.train == "head" and self.weights == "scratch":
            raise DataError(
                "--weights scratch with --train head: weights that were taught nothing see "
                "nothing; give --train all, or other --weights"
            )
        if self.refit_every and self.train != "head":
            raise DataError(
                f"--refit-every {self.refit_every} with --train {self.train}: only a head is "
                f"fitted between two batches; give --train head"
            )
        if set(self.model_name) & set("/:@"):
            raise DataError(f"--model-name {self.model_name}: a name without / : @")
        _check_url(self.service_url)
        if set(self.name) & set("'\"`"):
            raise DataError(
                f"--campaign {self.name}: a name without quotes, for MLflow's searches"
            )

    @property
    def name(self) -> str:
        """The campaign's name: the one given, or made of data, strategy and seed."""
        if self.campaign != "auto":
            return self.campaign
        return f"{self.stem}-{self.suffix}"

    @property
    def stem(self) -> str:
        """The data set in a name."""
        return stem_of(self.source)

    @property
    def suffix(self) -> str:
        """Strategy and seed in a name."""
        return f"{self.strategy.replace(':', '.')}-{self.seed}"

    @property
    def class_list(self) -> tuple[str, ...]:
        """The classes given, none for `auto`."""
        return class_names_in(self.classes)

    def audited(self, labels: int) -> int:
        """How many of so many labels measure instead of being trained on."""
        return round(labels * self.audit_share)

    def identity(self) -> dict[str, Any]:
        """What must be the same each time the campaign is continued."""
        values = {k: v for k, v in asdict(self).items() if k not in _NOT_OF_THE_CAMPAIGN}
        return values | {"data": self.source}

    @property
    def source(self) -> str:
        """The data set: `synthetic`, or its absolute path."""
        return self.data if self.data == SYNTHETIC else str(Path(self.data).expanduser().resolve())

    def check_same(self, recorded: Mapping[str, Any]) -> None:
        """Refuse to continue a campaign as another one; its classes may grow.

        Raises:
            CampaignError: an option has another value than the campaign was begun with, or the
                campaign has an option that this program does not know.
        """
        begun = _complete(self.name, recorded)
        changed = [
            f"{_flag(key)} is {value}, it was begun with {begun[key]}"
            + (", and classes may grow only" if key == "classes" else "")
            for key, value in self.identity().items()
            if value != begun[key] and not (key == "classes" and self.grows(begun[key]))
        ]
        if changed:
            raise CampaignError(
                f"campaign {self.name} exists with other options: {'; '.join(changed)}. "
                f"Give the old values to continue it, or --campaign NAME to begin another"
            )

    def grows(self, classes: str) -> bool:
        """Whether all the classes of an option `--classes` are among these."""
        return bool(self.class_list) and set(class_names_in(classes)) <= set(self.class_list)

    @classmethod
    def recorded(
        cls, name: str, identity: Mapping[str, Any], rounds: int, service_url: str = "auto"
    ) -> "RunOptions":
        """The options of a campaign in the ledger."""
        known = _complete(name, identity)
        return cls(**known, rounds=rounds, campaign=name, service_url=service_url)


def class_names_in(classes: str) -> tuple[str, ...]:
    """The names that an option `--classes` gives, none for `auto`."""
    if classes == "auto":
        return ()
    names = unicodedata.normalize("NFC", classes).split(",")
    return tuple(name.strip() for name in names if name.strip())


def stem_of(source: str) -> str:
    """A data set in the name of a campaign: its folder, or a manifest with the folder of that."""
    path = Path(source)
    return f"{path.parent.name}-{path.stem}" if path.suffix else path.name


def _complete(name: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """What a campaign was begun with; options that came later have their defaults."""
    defaults = RunOptions().identity() | _BEFORE_THERE_WERE
    unknown = [f"{_flag(key)} {recorded[key]}" for key in recorded if key not in defaults]
    if unknown:
        raise CampaignError(
            f"campaign {name} was begun with {', '.join(unknown)}, which this program does not "
            f"know. Continue it with the program that began it, or begin another with "
            f"--campaign NAME"
        )
    return {**defaults, **recorded}


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # the port is no number
        whole = False
    if url != "auto" and not whole:
        raise DataError(f"--service-url {url}: auto, or an address such as http://127.0.0.1:3000")
