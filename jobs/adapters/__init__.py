"""The outside world: environment, ledger, MLflow, scoring service."""
