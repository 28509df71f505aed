"""How programs of the cost model are compiled."""

from __future__ import annotations

from typing import Final

#: Halves the compile time of these programs, which consist of very many small operations.
COMPILER_OPTIONS: Final = {"xla_cpu_use_fusion_emitters": False}
