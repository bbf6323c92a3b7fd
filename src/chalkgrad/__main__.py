"""``python -m chalkgrad``: the command line, also for ``torchrun -m chalkgrad lm train``."""

from chalkgrad.cli import main

if __name__ == "__main__":
    main()
