"""Power at the wall of a server with accelerators, from data sheets and from how fast it runs.

Three parts, in shares of rated power: the host (processors, memory, fans, losses of the supply), accelerators
that are busy at whatever clock, and what their clock adds. A share ``s`` of the best rate of a device that is
busy all the time is taken as its share of the clock; with it falls the voltage, so that power follows s^3.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hercules_opt.problem.provenance import Part

Floats = npt.NDArray[np.float64]

#: Power of a clock whose voltage follows it.
_CLOCK_EXPONENT = 3.0


class WallPower(Part):
    """Constants of the power at the wall, as shares of rated power."""

    host_share: float = Field(
        default=0.7,
        gt=0,
        le=5,
        description="Drawn by all but the accelerators, over the rated power of the processors.",
    )
    busy_share: float = Field(
        default=0.4,
        gt=0,
        le=2,
        description="Drawn by busy accelerators at any clock, over their rated power.",
    )
    clock_share: float = Field(
        default=0.5,
        gt=0,
        le=2,
        description="Added at the clock of the device's best rate; with the third power of the clock.",
    )

    def watts(self, host_tdp_w: Floats, accelerators_tdp_w: Floats, share: Floats) -> Floats:
        """Return the power of servers.

        Parameters
        ----------
        host_tdp_w, accelerators_tdp_w
            Rated power of all processors, and of all accelerators.
        share
            Rate over the best rate that is known of this device, 0 to 1.
        """
        clock = self.clock_share * np.clip(share, 0.0, 1.0) ** _CLOCK_EXPONENT
        return np.asarray(self.host_share * host_tdp_w + (self.busy_share + clock) * accelerators_tdp_w)
