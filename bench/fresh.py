"""A function called in a process of its own: nothing is loaded, compiled or kept from before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_CALL = """
import json, sys
from importlib import import_module
module, name, arguments = json.loads(sys.argv[1])
print("\\n" + json.dumps(getattr(import_module(module), name)(*arguments)))
"""


def fresh(function: Callable[..., Any], *arguments: Any, env: Mapping[str, str] | None = None) -> Any:
    """What ``function`` returns in a new interpreter; arguments and result go as JSON.

    ``env`` is added to the environment. Raises RuntimeError with the last words of a process that failed.
    """
    what = json.dumps([function.__module__, function.__name__, arguments])
    done = subprocess.run(
        [sys.executable, "-c", _CALL, what],
        cwd=Path(__file__).parent.parent, env={**os.environ, **(env or {})},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{function.__name__}{arguments} failed:\n{done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.rstrip().rsplit("\n", 1)[-1])
