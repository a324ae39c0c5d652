from jobs.adapters.environment import real_context  # noqa: F401 -- until the merge
