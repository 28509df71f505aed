"""How hard to try: the gap to reach and the time left."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Requested relative gap, and the moment to stop at (``time.monotonic``, one clock for all processes)."""

    gap: float
    deadline_s: float | None = None

    @classmethod
    def within(cls, gap: float, seconds: float | None) -> Effort:
        """Return an effort that ends after so many seconds."""
        return cls(gap, None if seconds is None else time.monotonic() + seconds)

    @property
    def remaining_s(self) -> float | None:
        """Seconds left, never negative; ``None`` without a limit."""
        return None if self.deadline_s is None else max(0.0, self.deadline_s - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the time is up."""
        return self.remaining_s == 0.0
