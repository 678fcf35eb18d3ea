"""What renders the videos of a batch in this process: one network for all, or one for each kind of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from videoinr_cli.model import AnyVideoInr
from videoinr_cli.options import NetworkOptions
from videoinr_cli.render.pipeline import Engine
from videoinr_cli.render.plan import Plan
from videoinr_cli.weights import load_network


class Engines:
    """Engines by the network that a plan names."""

    def __init__(self, model: AnyVideoInr | None = None) -> None:
        """Load nothing yet.

        Args:
            model: a network for all plans; None: the one that each names.
        """
        self._common = None if model is None else Engine(model)
        self._loaded: dict[NetworkOptions, Engine] = {}

    def load(self, plans: Iterable[Plan]) -> None:
        """Load the networks of plans, on the first of their devices.

        Raises:
            OptionError: there is no such device.
            WeightsError: the weights cannot be used.
        """
        for network in dict.fromkeys(map(_network, plans)):
            if self._common is None and network not in self._loaded:
                self._loaded[network] = Engine(load_network(network))

    def of(self, plan: Plan) -> Engine | None:
        """Return the engine of a plan; None where its network is not loaded."""
        return self._common or self._loaded.get(_network(plan))


def _network(plan: Plan) -> NetworkOptions:
    options = plan.options
    return dataclasses.replace(options.network, device=options.device.split(",")[0])
