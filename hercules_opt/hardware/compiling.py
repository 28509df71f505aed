"""How programs of the cost model are compiled."""

from __future__ import annotations

from typing import Any, Final

#: For programs that run very often. Without fusion emitters these programs, which consist of very many small
#: operations, compile in half the time.
OPTIMIZED: Final[dict[str, Any]] = {"xla_cpu_use_fusion_emitters": False}
#: For programs whose compilation takes longer than their use.
QUICKLY: Final[dict[str, Any]] = {
    **OPTIMIZED,
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
}
