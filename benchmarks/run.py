"""Run the benchmarks one after the other and keep what they print for the page in the docs.

``python benchmarks/run.py`` runs all of them, ``python benchmarks/run.py scans kalman`` these two.
Each is its own process on one thread; its output goes to the screen and to
``docs/benchmarks/<name>.txt`` below a line that names the machine. A script that fails leaves the
old file as it was.
"""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGES = HERE.parent / "docs" / "benchmarks"
LIBRARIES = ("numpy", "scipy", "numba")


def scripts():
    """Return {name: path} of the scripts that can be run."""
    found = {path.stem: path for path in sorted(HERE.glob("*.py"))}
    return {
        name: path
        for name, path in found.items()
        if name != "run" and "__main__" in path.read_text()
    }


def machine():
    """Return one line: processor, interpreter and libraries."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.open() if "model name" in line]
        processor = f"{names[0]}, {len(names)} cores" if names else processor
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{processor}; Python {platform.python_version()}, {libraries}; one thread"


def run(name, path):
    """Run one script; return whether it succeeded."""
    print(f"\n== {name}", flush=True)
    command = [sys.executable, "-u", str(path)]
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip() + "\n")
    if process.returncode:
        print(f"{name} failed with exit code {process.returncode}", file=sys.stderr)
        return False
    PAGES.mkdir(exist_ok=True)
    (PAGES / f"{name}.txt").write_text(f"{machine()}\n\n{''.join(lines).strip()}\n")
    return True


def main():
    """Run the scripts named on the command line, or all."""
    known = scripts()
    wanted = sys.argv[1:] or list(known)
    if unknown := sorted(set(wanted) - set(known)):
        sys.exit(f"no benchmark called {', '.join(unknown)}; there are {', '.join(known)}")
    failed = [name for name in wanted if not run(name, known[name])]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
