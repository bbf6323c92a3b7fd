"""A tour in eight scenes, each a screenful: ``python -m chalkgrad.demo``."""
