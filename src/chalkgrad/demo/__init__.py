"""A tour in six scenes, each a screenful: ``python -m chalkgrad.demo``."""
