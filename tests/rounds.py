"""How often the tests do what they do many times over: `ROUNDS=4 make test ARGS="..."`."""

from __future__ import annotations

import os

ROUNDS = int(os.environ.get("ROUNDS", "1"))
"""What a test multiplies the number of its trials by."""
