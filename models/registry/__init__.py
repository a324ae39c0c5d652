"""Model versions: on disk, and in MLflow's registry."""
