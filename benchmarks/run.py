"""Run the benchmarks one after the other and keep what they print for the page in the docs.

``python benchmarks/run.py`` runs all of them, ``python benchmarks/run.py scans kalman`` these two.
Each is its own process on one thread. Its output goes to the screen and, below a line that names
the machine, to ``docs/benchmarks/<name>.txt``; from these files ``docs/benchmarks.md`` is written.
A script that fails leaves the old file as it was.
"""

import ast
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PRINTED = HERE.parent / "docs" / "benchmarks"
PAGE = HERE.parent / "docs" / "benchmarks.md"
LIBRARIES = ("numpy", "scipy", "numba")
HEAD = """# Benchmarks and accuracy

<!-- Written by benchmarks/run.py: edit the scripts, not this page. -->

Every table on this page is what a script in `benchmarks/` printed; `make bench` runs them all and
writes the page anew. Peers run side by side with this package in the same run, on one thread, and
the error stands beside the time: a goal met by cutting accuracy would show. Ratios depend on the
machine less than times do; treat anything under 1.3 as a tie.
"""


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
    PRINTED.mkdir(exist_ok=True)
    (PRINTED / f"{name}.txt").write_text(f"{machine()}\n\n{''.join(lines).strip(chr(10))}\n")
    return True


def write_page(known):
    """Write the page: of each script its title, what it says of itself, and what it printed."""
    parts = [HEAD]
    for name, path in known.items():
        printed = PRINTED / f"{name}.txt"
        if printed.exists():
            about = ast.get_docstring(ast.parse(path.read_text())) or name
            title, _, rest = about.partition("\n")
            text = f"## {title.rstrip('.')}\n\n{rest.strip().replace('``', '`')}\n\n"
            parts.append(f"{text}```text\n{printed.read_text().rstrip()}\n```\n")
    PAGE.write_text("\n".join(parts))


def main():
    """Run the scripts named on the command line, or all."""
    known = scripts()
    wanted = sys.argv[1:] or list(known)
    if unknown := sorted(set(wanted) - set(known)):
        sys.exit(f"no benchmark called {', '.join(unknown)}; there are {', '.join(known)}")
    failed = [name for name in wanted if not run(name, known[name])]
    write_page(known)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
