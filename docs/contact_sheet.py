"""Write the contact sheet of the README from the campaign of `make run`, which is run before."""

import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")

from mlflow.artifacts import download_artifacts  # noqa: E402 -- the packages are run from the root

from jobs.adapters.environment import ledger_url  # noqa: E402
from jobs.adapters.ledger import Ledger  # noqa: E402

CAMPAIGN = "synthetic-bald-0"


def main() -> None:
    """Copy the contact sheet of the campaign's last batch."""
    ledger = Ledger(ledger_url())
    last_batch = ledger.rounds(CAMPAIGN)[-2]
    ledger.close()
    picture = download_artifacts(run_id=last_batch.run_id, artifact_path="contact_sheet.png")
    shutil.copyfile(picture, ROOT / "docs" / "figures" / "contact_sheet.png")


if __name__ == "__main__":
    main()
