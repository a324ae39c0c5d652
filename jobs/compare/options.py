"""What a comparison was asked to be, and the campaigns that follow from it."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jobs.options import RunOptions
from models.errors import DataError

PRODUCTION = RunOptions().model_name
BY_PART = "by-part"
_NOT_OF_THE_COMPARISON = ("jobs", "service_url", "pictures")  # may differ from call to call


@dataclass(frozen=True)
class CompareOptions:
    """The options of `compare`, by their command-line names (`jobs.commands.compare` has help).

    `campaign` holds the options of every campaign; strategy and seed in it are not used,
    `campaign` in it is what their names begin with, and a seed's own number is added to its
    `split_seed` where the split is by part.
    """

    strategies: str = "random,bald"
    seeds: str = "0-9"
    measure: str = "test/balanced_accuracy"
    target: str = "auto"
    jobs: int = 0
    campaign: RunOptions = field(
        default_factory=lambda: RunOptions(
            split=BY_PART, audit_share=0.0, pictures=False, model_name="casting-comparisons"
        )
    )

    def __post_init__(self) -> None:
        if self.campaign.model_name == PRODUCTION:
            raise DataError(
                f"--model-name {PRODUCTION} is what production serves; a comparison registers "
                f"its models elsewhere, by default under {CompareOptions().campaign.model_name}"
            )
        if self.target != "auto" and not _is_number(self.target):
            raise DataError(f"--target {self.target}: a number, or auto")
        self.seed_list()
        if len(set(self.strategy_list)) != len(self.strategy_list) or not self.strategy_list:
            raise DataError(f"--strategies {self.strategies}: different names, comma-separated")

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> "CompareOptions":
        """Sort the command line's options into those of the comparison and of its campaigns.

        A measure without a prefix is one of the test side: `balanced-accuracy`, `auroc`.
        """
        own = {k: options[k] for k in ("strategies", "seeds", "measure", "target", "jobs")}
        if "/" not in own["measure"]:
            own["measure"] = f"test/{own['measure'].replace('-', '_')}"
        rest = {k: v for k, v in options.items() if k not in own}
        return cls(**own, campaign=RunOptions(**rest))

    @property
    def name(self) -> str:
        """What the comparison is called, and its campaigns' names begin with."""
        given = self.campaign.campaign
        return f"compare-{self.campaign.stem}" if given == "auto" else given

    @property
    def strategy_list(self) -> list[str]:
        """The strategies in the order given."""
        return [name.strip() for name in self.strategies.split(",") if name.strip()]

    @property
    def reference(self) -> str:
        """What every other strategy is held against: random, or the first one named."""
        names = self.strategy_list
        return "random" if "random" in names else names[0]

    def seed_list(self) -> list[int]:
        """The seeds, each once, in order; DataError where they are not numbers and ranges."""
        found: set[int] = set()
        for part in self.seeds.replace(" ", "").split(","):
            match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
            if match is None or int(match[2] or match[1]) < int(match[1]):
                raise DataError(f"--seeds {self.seeds}: numbers and ranges, as in 0-9 or 0,3,5-7")
            found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
        return sorted(found)

    def campaigns(self) -> list[RunOptions]:
        """Every campaign, a seed of all strategies after the other, so that pairs end together."""
        options = [
            replace(self.campaign, strategy=name, seed=seed, split_seed=self.split_seed(seed))
            for seed in self.seed_list()
            for name in self.strategy_list
        ]
        return [replace(one, campaign=f"{self.name}-{one.suffix}") for one in options]

    def split_seed(self, seed: int) -> int:
        """Of the campaigns of a seed: a split by part is another with every seed."""
        return self.campaign.split_seed + (seed if self.campaign.split == BY_PART else 0)

    def parameters(self) -> dict[str, Any]:
        """Every option by its command-line name."""
        own = {k: v for k, v in asdict(self).items() if k != "campaign"}
        rest = {k: v for k, v in asdict(self.campaign).items() if k not in {"strategy", "seed"}}
        return own | rest

    def command(self) -> str:
        """The command line that asks for this comparison; defaults are left out."""
        defaults = CompareOptions().parameters()
        changed = {k: v for k, v in self.parameters().items() if v != defaults[k]}
        shown = {"strategies": self.strategies, "seeds": self.seeds} | changed
        flags = [f"--{k.replace('_', '-')} {shlex.quote(str(v))}" for k, v in shown.items()]
        return " ".join(["python -m jobs compare", *flags])

    def digest(self) -> str:
        """The same for the same comparison, wherever and however often it is run."""
        kept = {k: v for k, v in self.parameters().items() if k not in _NOT_OF_THE_COMPARISON}
        text = json.dumps(kept | {"data": self.campaign.source, "campaign": self.name})
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False
