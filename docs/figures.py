"""Write the figures of the docs from campaigns that were run here.

    make run                                   # the contact sheet comes from its last batch
    python docs/figures.py sheet
    python docs/figures.py curves FILE TITLE CAMPAIGN [CAMPAIGN ...]

`curves` draws test accuracy against labels paid for, of campaigns in the ledger.
"""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")

from mlflow.artifacts import download_artifacts  # noqa: E402 -- the packages are run from the root

from jobs.environment import ledger_url  # noqa: E402
from jobs.ledger import Ledger  # noqa: E402
from models import report  # noqa: E402

FIGURES = ROOT / "docs" / "figures"


def sheet(campaign: str = "synthetic-bald-0") -> None:
    """Copy the contact sheet of the campaign's last batch."""
    ledger = Ledger(ledger_url())
    asked_by = ledger.rounds(campaign)[-2]
    ledger.close()
    found = download_artifacts(run_id=asked_by.run_id, artifact_path="contact_sheet.png")
    shutil.copyfile(found, FIGURES / "contact_sheet.png")


def curves(name: str, title: str, *campaigns: str) -> None:
    """Draw the learning curves of campaigns in one figure."""
    ledger = Ledger(ledger_url())
    drawn = {
        campaign: [(t.labels_total, t.metrics["test/accuracy"]) for t in ledger.rounds(campaign)]
        for campaign in campaigns
    }
    ledger.close()
    figure = report.learning_curves(drawn, "test accuracy", title)
    (FIGURES / name).write_bytes(report.png(figure))


def main() -> None:
    """Do what the arguments say."""
    FIGURES.mkdir(exist_ok=True)
    match sys.argv[1:]:
        case ["sheet", *rest]:
            sheet(*rest)
        case ["curves", name, title, *campaigns] if campaigns:
            curves(name, title, *campaigns)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
