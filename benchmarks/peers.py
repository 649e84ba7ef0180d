"""What other Python packages for subspace identification do, tried on each of them.

Run ``python benchmarks/peers.py``; peers (the ``bench`` extra) that are not installed are skipped
with a line. Every answer is that of a call: nothing is taken from documentation.

- order found: a call without an order (sippy's asks for BIC) finds the order 2 from 3000 samples
- noise model: the call returns a gain or noise covariances, finite and not zero
- data under feedback: a plant of order 2 with coloured noise, a controller with a state of its own
  and a coloured reference; the first twelve Markov parameters, averaged over four records of 6000
  samples, are off by no more than three standard errors
- several experiments: two records of different lengths, handed over as a list
- missing samples: one output in a hundred is NaN, and the model is finite
- all models, reversal: public functions whose name speaks of a family of models or of backward time

Tried are the methods that need no starting values and return a state-space model (and a long ARX
model, where there is one, in the second table only). Where not all methods of a package give the
same answer, those that do are named.

Below the table: for every method the error of the averaged Markov parameters, relative, without
feedback and with it; beside it what chance explains. Last, what stood in the way where one did.
"""

import contextlib
import importlib
import importlib.metadata
import inspect
import io
import json
import pkgutil
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

HORIZON, ORDER, COUNT = 20, 2, 12
RECORDS, SAMPLES, SHORT = 4, 6000, 3000
WORDS = re.compile(r"(reverse|backward)_|_(reverse|backward)|realization_family|minimal_covariance")


# --- the packages, each in a process of its own -------------------------------------------------


def response(A, B, C, D):
    """Return the first Markov parameters of a model with one input and output."""
    A, B, C, D = (np.atleast_2d(np.asarray(matrix, dtype=float)) for matrix in (A, B, C, D))
    found = [D.item()]
    state = B
    for _ in range(COUNT - 1):
        found.append((C @ state).item())
        state = A @ state
    return found


def answer(model, noise=None):
    """Return order, Markov parameters and whether there is a noise model."""
    noise = [np.asarray(part, dtype=float) for part in noise or () if part is not None]
    return {
        "order": int(np.atleast_2d(model[0]).shape[0]),
        "markov": response(*model),
        "noise": bool(noise) and all(np.isfinite(part).all() and part.any() for part in noise),
    }


def each(make):
    """Return a function that makes the record of a package, or a list of them from lists."""

    def pack(y, u):
        return [make(*pair) for pair in zip(y, u, strict=True)] if type(y) is list else make(y, u)

    return pack


def nfoursid(record, order, method):
    from nfoursid.nfoursid import NFourSID

    found = NFourSID(record, ["y"], ["u"], num_block_rows=HORIZON)
    found.subspace_identification()
    model, covariance = found.system_identification(rank=order)
    return answer((model.a, model.b, model.c, model.d), [covariance])


def frame(y, u):
    import pandas as pd

    return pd.DataFrame({"y": y, "u": u})


def sippy(record, order, method):
    from sippy_unipi import system_identification

    if method == "ARX":
        model = system_identification(*record, "ARX", ARX_orders=[HORIZON, HORIZON, 0]).G
        poles, zeros = model.den[0][0], model.num[0][0]
        return {"order": None, "markov": division(zeros, poles), "noise": True}
    given = {"IC": "BIC"} if order is None else {"SS_fixed_order": order}
    found = system_identification(*record, method, **given)
    return answer((found.A, found.B, found.C, found.D), [found.K])


def division(numerator, denominator):
    """Return the impulse response of a ratio of polynomials in z, highest power first."""
    import scipy

    impulse = np.eye(1, COUNT)[0]
    numerator = np.pad(numerator, (len(denominator) - len(numerator), 0))
    return scipy.signal.lfilter(numerator, denominator, impulse).tolist()


def llsi(record, order, method):
    import llsi

    if method == "arx":
        found = llsi.sysid(record, "y", "u", (HORIZON, HORIZON + 1, 0), method="arx")
        markov = np.ravel(found.impulse_response(2 * HORIZON)[1])[:COUNT]
        return {"order": None, "markov": markov.tolist(), "noise": False}
    given = {} if order is None else {"order": order}
    found = llsi.sysid(record, "y", "u", method=method, **given)
    noise = [getattr(found, name, None) for name in "KQR"]
    return answer((found.A, found.B, found.C, found.D), noise)


def llsi_record(y, u):
    import llsi

    return llsi.SysIdData(y=y, u=u, Ts=1.0)


def psid(record, order, method):
    from PSID import IPSID

    y, u = record
    given = {} if order is None else {"nx": order, "n1": 0}
    found = IPSID(y, U=u, i=HORIZON, **given)
    return answer((found.A, found.B, found.C, found.D), [found.K])


def psid_record(y, u):
    if type(y) is list:
        return [run[:, np.newaxis] for run in y], [run[:, np.newaxis] for run in u]
    return y[:, np.newaxis], u[:, np.newaxis]


def control(record, order, method):
    import control

    given = {} if order is None else {"r": order}
    markov = control.markov(record, 3 * HORIZON)
    found, _ = control.eigensys_realization(markov, **given)
    return answer((found.A, found.B, found.C, found.D))


def control_record(y, u):
    import control

    return control.TimeResponseData(np.arange(len(y)), y, inputs=u, issiso=True)


def ours(record, order, method):
    from identification import em, subspace_id

    y, u = record
    if method == "em":  # from what the longest stretch without a gap gives
        start = subspace_id(y[1:100], u[1:100], order)
        model = em(start, y, u, max_iterations=20).model
    else:
        given = {} if method == "auto" else {"past": HORIZON, "future": HORIZON}
        model = subspace_id(y, u, order or "auto", method=method, **given).model
    return answer((model.A, model.B, model.C, model.D), [model.K])


# distribution, package, record, call, methods that return a state-space model, others
TOOLS = {
    "nfoursid": ("nfoursid", ["nfoursid"], each(frame), nfoursid, ["n4sid"], []),
    "sippy-unipi": (
        "sippy-unipi",
        ["sippy_unipi"],
        lambda y, u: (y, u),
        sippy,
        ["N4SID", "MOESP", "CVA", "PARSIM-K", "PARSIM-S", "PARSIM-P"],
        ["ARX"],
    ),
    "llsi": ("llsi", ["llsi"], each(llsi_record), llsi, ["n4sid", "po-moesp"], ["arx"]),
    "PSID": ("PSID", ["PSID"], psid_record, psid, ["ipsid"], []),
    "python-control": ("control", ["control"], each(control_record), control, ["era"], []),
    "this package": (
        "stochastic-realization",
        ["realization", "identification", "canonical_forms", "diffusion"],
        lambda y, u: (y, u),
        ours,
        ["auto", "n4sid", "moesp", "cva", "ivm", "ssarx", "pbsid", "parsim", "regularized_arx"],
        ["em"],
    ),
}


def tried(call, record, order, method):
    """Return what a call found, or the error as text; printing of the package is not kept."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = call(record, order, method)
        if not np.isfinite(found["markov"]).all():
            return "the model is not finite"
        return found
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:110]


def public_names(packages):
    """Return the public functions, methods and classes whose names speak of these."""
    found = set()
    for package in packages:
        top = importlib.import_module(package)
        modules = [top]
        for info in pkgutil.walk_packages(top.__path__, f"{package}."):
            if not any(part.startswith("_") or part == "tests" for part in info.name.split(".")):
                with contextlib.suppress(ImportError):
                    modules.append(importlib.import_module(info.name))
        for module in modules:
            for name, value in vars(module).items():
                of_package = str(getattr(value, "__module__", "")).split(".")[0] == package
                if name.startswith("_") or not of_package or not callable(value):
                    continue
                names = [name, *vars(value)] if inspect.isclass(value) else [name]
                found |= {n for n in names if WORDS.search(n) and not n.startswith("_")}
    return sorted(found)


def probe(tool, folder):
    """Return every answer of one tool."""
    distribution, packages, pack, call, methods, others = TOOLS[tool]
    with np.load(Path(folder) / "records.npz") as stored:
        records = dict(stored)
    y, u = records["open"][:, 0, :SHORT]
    holes = y.copy()
    holes[::100] = np.nan
    parts = [y[:2000], y[2000:]], [u[:2000], u[2000:]]
    all_methods = [*methods, *others]
    answers = {
        "version": importlib.metadata.version(distribution),
        "order": {m: tried(call, pack(y, u), None, m) for m in methods},
        "noise": {m: tried(call, pack(y, u), ORDER, m) for m in methods},
        "several": {m: tried(call, pack(*parts), ORDER, m) for m in methods},
        "missing": {m: tried(call, pack(holes, u), ORDER, m) for m in all_methods},
        "public": public_names(packages),
    }
    for kind in ("open", "closed"):
        answers[kind] = {
            m: [tried(call, pack(y, u), ORDER, m) for y, u in records[kind].transpose(1, 0, 2)]
            for m in all_methods
            if m != "em"
        }
    return answers


# --- the table ----------------------------------------------------------------------------------


def plant():
    """Return a plant of order 2 without feedthrough, whose noise is coloured."""
    from realization import InnovationSSM

    return InnovationSSM(
        [[0.9, 0.3], [-0.3, 0.8]], [[1.0, 0.0]], [[0.6], [0.2]], [[1.0]], B=[[0.5], [1.0]]
    )


def store_records(folder):
    """Store outputs and inputs (2, RECORDS, SAMPLES) without and with feedback."""
    found = {
        kind: [record(gain, np.random.default_rng(k)) for k in range(RECORDS)]
        for kind, gain in (("open", 0.0), ("closed", 0.5))
    }
    np.savez(
        Path(folder) / "records.npz",
        **{kind: np.array(pairs).transpose(1, 0, 2) for kind, pairs in found.items()},
    )


def record(gain, rng):
    """Return y and u of u(t) = reference - gain w(t), w(t + 1) = y(t) - 0.8 w(t)."""
    import scipy

    model = plant()
    reference, e = rng.standard_normal((2, SAMPLES))
    reference = scipy.signal.lfilter([0.6], [1.0, -0.8], reference)
    x, w = np.zeros(2), 0.0
    y, u = np.empty((2, SAMPLES))
    for t in range(SAMPLES):
        y[t], u[t] = model.C[0] @ x + e[t], reference[t] - gain * w
        x, w = model.A @ x + model.B[:, 0] * u[t] + model.K[:, 0] * e[t], y[t] - 0.8 * w
    return y, u


def ask(tool, folder):
    """Return the answers of one tool, None where it is not installed."""
    command = [sys.executable, __file__, tool, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{tool}: skipped: {(done.stderr.strip().splitlines() or ['stopped'])[-1]}")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def bias(found):
    """Return relative error of the mean of the Markov parameters and what chance explains."""
    from realization import markov_parameters

    if any(type(one) is str for one in found):
        return np.nan, np.nan
    expected = markov_parameters(plant(), COUNT).ravel()
    values = np.array([one["markov"] for one in found])
    error = np.linalg.norm(values.mean(axis=0) - expected)
    chance = np.linalg.norm(values.std(axis=0, ddof=1)) / np.sqrt(len(found))
    return error / np.linalg.norm(expected), chance / np.linalg.norm(expected)


def unbiased(found):
    """Tell whether chance explains the error."""
    error, chance = bias(found)
    return bool(error <= 3 * chance)


def works(answers):
    """Return the methods whose call was answered with a model."""
    return [method for method, found in answers.items() if type(found) is not str]


def named(right, tried):
    """Return yes, no, or which of those that were tried."""
    return "yes" if right and right == list(tried) else ", ".join(right) or "no"


def cells(answers):
    """Return the row of a tool."""
    orders, noise = answers["order"], answers["noise"]
    subspace = [m for m, found in answers["closed"].items() if m in orders and unbiased(found)]
    return [
        named([m for m in works(orders) if orders[m]["order"] == ORDER], orders),
        "yes" if any(noise[m]["noise"] for m in works(noise)) else "no",
        named(subspace, orders),
        "yes" if works(answers["several"]) else "no",
        named(works(answers["missing"]), answers["missing"]),
        "yes" if answers["public"] else "no",
    ]


def refusals(answers):
    """Return one line for every answer other than the one asked for, with its methods."""
    lines = {}
    for kind in ("order", "several", "missing"):
        for method, one in answers[kind].items():
            if kind == "order" and type(one) is not str and one["order"] != ORDER:
                one = f"found {one['order']}, true {ORDER}"
            if type(one) is str:
                lines.setdefault((kind, one), []).append(method)
    return [f"{kind}, {', '.join(methods)}: {text}" for (kind, text), methods in lines.items()]


def main():
    """Print the table, then the numbers and errors behind it."""
    with tempfile.TemporaryDirectory() as folder:
        store_records(folder)
        found = {tool: ask(tool, folder) for tool in TOOLS}
    found = {tool: answers for tool, answers in found.items() if answers}
    columns = ("order found", "noise model", "data under feedback", "several experiments",
               "missing samples", "all models, reversal")  # fmt: skip
    print("| | " + " | ".join(columns) + " |\n|" + " --- |" * 7)
    for tool, answers in found.items():
        name = tool if tool == "this package" else f"{tool} ({answers['version']})"
        print(f"| {name} | " + " | ".join(cells(answers)) + " |")
    print("\nerror of the averaged Markov parameters, % (chance)\n"
          f"{'':32}{'open loop':>16}{'under feedback':>18}")  # fmt: skip
    for tool, answers in found.items():
        for method in answers["closed"]:
            pairs = [bias(answers[kind][method]) for kind in ("open", "closed")]
            text = "".join(f"{100 * e:10.2f} ({100 * c:4.2f})" for e, c in pairs)
            print(f"{tool:16}{method:16}{text}")
    print("\nwhat was answered otherwise, and the public names")
    for tool, answers in found.items():
        for line in refusals(answers):
            print(f"{tool}: {line}")
        if answers["public"]:
            print(f"{tool}: {', '.join(answers['public'])}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(probe(*sys.argv[1:])))
    else:
        main()
