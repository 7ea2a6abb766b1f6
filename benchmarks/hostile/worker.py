"""A gateway worker whose limits on one connection are short: `python -m benchmarks.hostile.worker READ IDLE BODY …`."""

from __future__ import annotations

import sys

from fairlead.app import worker
from fairlead.faces.gateway.protocol import LimitedProtocol


def main() -> None:
    """The process."""
    LimitedProtocol.read_seconds = float(sys.argv[1])
    worker.IDLE_SECONDS = int(sys.argv[2])
    worker.main(sys.argv[4:])


if __name__ == "__main__":
    main()
