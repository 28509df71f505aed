"""``python -m hercules_opt.cli``."""

from __future__ import annotations

from hercules_opt.cli import main

main()
