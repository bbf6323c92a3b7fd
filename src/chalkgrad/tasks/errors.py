"""The one kind of error that tasks raise."""


class TaskError(ValueError):
    """What the user can put right: a text, a picture, a setting, a directory. Its message is one line."""


__all__ = ["TaskError"]
