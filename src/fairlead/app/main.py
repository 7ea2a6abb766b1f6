"""The console script."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from fairlead.app import demo, up
from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and leaves with its exit code."""
    # Several of our processes share one machine: a thread that spins while it waits takes time from one that works.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app = build(open_context, version("fairlead"))
    app.command("up")(up.up)
    app.command("demo")(demo.demo)
    sys.exit(run(app, sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    main()
