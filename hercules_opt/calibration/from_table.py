"""Measured efficiency tables as observations."""

from __future__ import annotations

from hercules_opt.calibration.rates import Observation
from hercules_opt.errors import InputError, Words, nearest_name
from hercules_opt.hardware.efficiency import DeviceClass
from hercules_opt.problem.instance import Instance
from hercules_opt.problem.table import EfficiencyTable

#: Where a rate of a table comes from if a cost model made it: a fit to it would state an error of nothing.
_PREDICTED = ("calibrated", "analytic")


def table_observations(instance: Instance, table: EfficiencyTable, subject: DeviceClass) -> list[Observation]:
    """Return the pairs of a table that have a rate, on servers of the device class; a server type is a group.

    A calibration of the host leaves out servers with an accelerator, whose rate may not be the host's.

    Raises
    ------
    InputError
        If a pair names a server type or model that the instance does not have or describe, a rate is a
        prediction, or none is left.
    """
    observations = []
    for pair in table:
        place = f"{pair.server_type} x {pair.model}"
        for name, known in ((pair.server_type, instance.servers), (pair.model, instance.models)):
            if name not in known:
                hint = nearest_name(name, known)
                raise InputError("is not in the instance", where="measurements", found=name, hint=hint)
        server, model = instance.servers[pair.server_type], instance.models[pair.model]
        if pair.qps is None or (server.accelerator is not None) != (subject == "accelerator"):
            continue
        if pair.origin("qps").kind in _PREDICTED:
            rule = "must be measured, and not what the cost model predicts"
            raise InputError(rule, where="measurements", key=f"{place}, kind", found=pair.origin("qps").kind)
        if server.cpu is None or model.architecture is None:
            rule = "the server type needs its parts, and the model its architecture"
            raise InputError(rule, where="measurements", key=place)
        observations.append(
            Observation(place, pair.server_type, pair.model, server, model, pair.qps, pair.schedule)
        )
    if not observations:
        kind = "with an accelerator" if subject == "accelerator" else "without an accelerator"
        rule = f"must hold a rate of a server type {kind}"
        raise InputError(rule, where="measurements", found=Words("none"))
    return observations
