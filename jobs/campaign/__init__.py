"""A campaign: rounds of train, acquire, label."""
