"""The differentiable cost model of one server."""
