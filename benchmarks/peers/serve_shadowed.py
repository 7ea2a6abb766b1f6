"""A gateway worker and the process beside it that answers unseen, as `fairlead up` has them, on one core."""

from __future__ import annotations

import os
import subprocess
import sys

from fairlead.core.route import SHADOWER


def main() -> None:
    """`serve_shadowed HOME PORT`. The worker takes this process over: with it, the pipe's other end is gone."""
    home, port = sys.argv[1:]
    read, write = os.pipe()
    os.set_inheritable(write, True)
    command = [sys.executable, "-m", "fairlead.app.shadower", "--home", home, "--worker", str(SHADOWER)]
    subprocess.Popen([*command, "--parent", str(read)], pass_fds=[read])
    os.execv(sys.executable, [sys.executable, "-m", "fairlead.app.worker", "--home", home, "--port", port])


if __name__ == "__main__":
    main()
