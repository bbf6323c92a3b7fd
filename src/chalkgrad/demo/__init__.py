"""A tour in four scenes, each a screenful: ``python -m chalkgrad.demo``."""
