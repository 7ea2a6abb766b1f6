"""Builds the environments of the systems that fairlead is compared with: `python -m benchmarks.peers.install [PEER …]`.
Without a name those of the statistics; `serving` stands for the servers'.

One virtual environment each, `dp_<peer>`, in the folder named by `--folder`, else by the variable FAIRLEAD_PEERS, else
in the checkout's cache; from `requirements/<peer>.txt`. One whose requirements have not changed is left alone. They are
several GiB together, and no part of fairlead depends on them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.systems import FOLDER, PEERS, SERVING, peers_folder

REQUIREMENTS = Path(__file__).parent / "requirements"


def build(peer: str, folder: Path) -> str:
    """Builds one, and says what happened."""
    home, wanted = folder / f"dp_{peer}", REQUIREMENTS / f"{peer}.txt"
    stamp, text = home / "requirements.txt", wanted.read_text(encoding="utf-8")
    if stamp.exists() and stamp.read_text(encoding="utf-8") == text:
        return "there"
    shutil.rmtree(home, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        run([str(uv), "venv", "--quiet", "--python", sys.executable, str(home)])
        install = [str(uv), "pip", "install", "--quiet", "--compile-bytecode", "--python", str(home / "bin" / "python")]
    else:
        run([sys.executable, "-m", "venv", str(home)])
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    run([*install, "-r", str(wanted)])
    stamp.write_text(text, encoding="utf-8")
    return "built"


def run(command: list[str]) -> None:
    """Runs a command, or ends with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr.strip()}")


def main() -> None:
    """Builds those named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "peers",
        nargs="*",
        metavar="PEER",
        help=f"of {', '.join((*PEERS, *SERVING))}; default: {PEERS[0]} to {PEERS[-1]}; serving: the servers",
    )
    parser.add_argument("--folder", help=f"where; default: ${FOLDER}")
    chosen = parser.parse_args()
    wanted = SERVING if chosen.peers == ["serving"] else chosen.peers or PEERS
    unknown = sorted(set(wanted) - {*PEERS, *SERVING})
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join((*PEERS, *SERVING))}")
    folder = peers_folder(chosen.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for peer in wanted:
        print(f"{peer}: {build(peer, folder)}", flush=True)


if __name__ == "__main__":
    main()
