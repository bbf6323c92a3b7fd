"""The classic experiments on gradients through time, each a minute on two cores: :data:`EXPERIMENTS`.

>>> from chalkgrad.tasks import experiments
>>> list(experiments.EXPERIMENTS)
['vanishing', 'counting', 'clipping', 'truncated', 'adding', 'gates', 'rmsprop']
>>> outcome = experiments.EXPERIMENTS["vanishing"]()
>>> outcome.seen
True
"""

from chalkgrad.tasks.experiments import adding, clipping, counting, gates, rmsprop, truncated, vanishing
from chalkgrad.tasks.experiments.outcome import Finding, Outcome

EXPERIMENTS = {
    "vanishing": vanishing.run,
    "counting": counting.run,
    "clipping": clipping.run,
    "truncated": truncated.run,
    "adding": adding.run,
    "gates": gates.run,
    "rmsprop": rmsprop.run,
}
"""By name, in the order in which they are best read; each takes its settings and a ``tick``."""

__all__ = ["EXPERIMENTS", "Finding", "Outcome"]
