"""The network: a backbone that is run once per casting, and a linear head behind dropout."""
