"""The architecture of the embedded weights, `videoinr-fast`: VideoINR made small enough for a CPU.

Everything that sees a neighbourhood runs at LR; a query only gathers and decodes. The files follow the data:
`layers`, `still`, `encoder`, `fields` (eq. 2 and 3 of the paper), `decoder` (eq. 4), `network`, which joins
them.
"""

from videoinr_cli.model.fast.network import FastVideoInr, telling_still

__all__ = ["FastVideoInr", "telling_still"]
