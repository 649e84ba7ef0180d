"""What a sentence says of a benchmark is what that benchmark printed.

Tables are included from ``docs/benchmarks`` as they are. Here are the sentences that speak of them:
the page, its words, the benchmark, where the numbers stand in what it printed, and what must hold
of them.
"""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
LONG_SEQUENCE = r"B=1 L=16384 N=64\n(?:.*\n){2} +blocked +forward +\S+ +(\S+)x loop +forward\+back"
CLAIMS = [
    (
        "theory/bmojo.md",
        "over ten times faster than the loop forward, with gradients over five times, and over "
        "twenty times faster than autograd",
        "bmojo_scan",
        LONG_SEQUENCE + r"ward +\S+ +(\S+)x loop +(\S+)x autograd",
        lambda forward, both, autograd: forward > 10 and both > 5 and autograd > 20,
    ),
    (
        "../CHANGELOG.md",
        "on long sequences are ten times as fast as a loop",
        "bmojo_scan",
        LONG_SEQUENCE,
        lambda forward: forward > 10,
    ),
    (
        "theory/bmojo.md",
        "No layer was above `tol`",
        "bmojo_export",
        r"^float\d+ .* (\d+) +\d+$",
        lambda *warned: max(warned) == 0,
    ),
    (
        "accuracy.md",
        "Three goals are missed",
        "measured_plants",
        r"\| ([+-][\d.]+) \| [\d.]+ \| \w+,",
        lambda *margins: sum(margin < 0 for margin in margins) == 3,
    ),
    (
        "accuracy.md",
        "the tanks' simulation by an eighth of a point",
        "measured_plants",
        r"tanks \| simulation .* ([+-][\d.]+) \|",
        lambda margin: abs(margin + 0.125) < 0.03,
    ),
    (
        "accuracy.md",
        "predicts 83 % of held-out blocks of the first predicts 26 % of the second",
        "measured_plants",
        r"pH \| prediction \| \S+ \| \S+ \| (\S+) .*: (\S+) %",
        lambda second, first: (round(first), round(second)) == (83, 26),
    ),
    (
        "theory/subspace.md",
        "hold the truth in 92 to 98 of 100 records",
        "identification_statistics",
        r"found (\S+) to (\S+)\)",
        lambda low, high: low >= 92 and high <= 98,
    ),
    (
        "theory/subspace.md",
        "with 300 samples as few as 65 of 100",
        "identification_statistics",
        r"nearly cancelled.*\n +poles +(\S+) +(\S+)",
        lambda *share: abs(min(share) - 65) <= 0.5,
    ),
    (
        "theory/subspace.md",
        "at most three records in a thousand, and up to two in a hundred",
        "feedback_warning",
        r"^(?:white|slow.*|binary.*|integrated|differenced)  +(\S+) .*?\) +(\S+) .*?\) +(\S+)",
        lambda *percent: sorted(percent)[-3] <= 0.3 and max(percent) < 2,
    ),
    (
        "theory/scaling.md",
        "memory with neither the samples (beyond a piece) nor the horizon",
        "growth",
        r"(?:1e\+06|1e\+07|^ +(?:5|10|20|40|80)) +\S+ +\S+ +(\d+) +\d+ +\S+$",
        lambda *megabytes: len(megabytes) == 7 and max(megabytes) < 1.25 * min(megabytes),
    ),
    (
        "theory/scaling.md",
        "from $10^5$ samples on they come over a hundred times faster than from the other packages",
        "subspace",
        r"^(?:PSID|llsi n4sid) +\S+ +\S+ +\S+ +(\S+)x",
        lambda short, *ratios: len(ratios) == 4 and min(ratios) > 100,
    ),
    (
        "theory/scaling.md",
        "over fifteen times with all that `subspace_id` checks on the data",
        "subspace",
        r"data and fits +(\S+) .*\n(?:PSID.*\n)?(?:PSID|llsi n4sid) +(\S+) ",
        lambda *seconds: min(p / o for o, p in zip(seconds[2::2], seconds[3::2], strict=True)) > 15,
    ),
    (
        "theory/diffusion.md",
        "a grid ten times coarser costs a tenth",
        "reverse_sampling",
        r"coarser grid: (\S+)x cheaper",
        lambda *times: min(times) > 8,
    ),
    (
        "theory/dynamic_textures.md",
        "(1.004 for 45 frames of a brook, 1.005 for 125 frames of a fountain)",
        "dynamic_textures",
        r"^ +\d+ .*\| +([\d.]+) +0\.9[89]\d\d ",
        lambda *radius: {1.004, 1.005} <= {round(value, 3) for value in radius},
    ),
    (
        "theory/dynamic_textures.md",
        "it costs 0.7 % at most",
        "dynamic_textures",
        r"([\d.]+)%",
        lambda *percent: 0.65 < max(percent) <= 0.7,
    ),
    (
        "theory/dynamic_textures.md",
        "$2 \\cdot 10^{-7}$ rad from that of an SVD in double precision",
        "dynamic_textures",
        r"SVD in double precision, angle (\S+)",
        lambda angle: 1.5e-7 < angle < 2.5e-7,
    ),
]


@pytest.mark.parametrize(
    ("page", "words", "benchmark", "where", "holds"), CLAIMS, ids=[claim[1] for claim in CLAIMS]
)
def test_what_is_said_was_printed(page, words, benchmark, where, holds):
    text = " ".join((DOCS / page).read_text().split())
    assert words in text, "the sentence has changed: change its line here too"
    printed = (DOCS / "benchmarks" / f"{benchmark}.txt").read_text()
    found = re.findall(where, printed, re.MULTILINE)
    assert found
    numbers = [float(n) for match in found for n in ([match] if isinstance(match, str) else match)]
    assert holds(*numbers), numbers


@pytest.mark.parametrize(
    ("clip", "row"),
    [("stream", "brook, hand-held"), ("fountain", "fountain"), ("fire", "fire")],
)
def test_table_of_predictions_was_printed(clip, row):
    printed = (DOCS / "benchmarks" / "dynamic_textures.txt").read_text()
    number = r" +([\d.]+)"
    line = re.search(rf"^{clip}, \d+ training(?:.*\n)*? +20 .*? \|{5 * number}", printed, re.M)
    assert line
    plain, carried, ours, carry, persistence = line.groups()
    cells = " | ".join([persistence, plain, carried, ours, carry])
    page = (DOCS / "theory" / "dynamic_textures.md").read_text()
    assert re.search(rf"^\| {row}, .*? \| {re.escape(cells)} \|$", page, re.MULTILINE)


def test_table_of_other_tools_was_printed():
    printed = (DOCS / "benchmarks" / "peers.txt").read_text()
    readme = (DOCS.parent / "README.md").read_text()
    shown = readme[readme.index("## Beside other tools") : readme.index("## Honest limits")]
    rows = re.findall(r"^\|.*\|$", printed, re.MULTILINE)
    assert re.findall(r"^\|.*\|$", shown, re.MULTILINE) == rows
    errors = r"^{} +(\S+) +\S+ \(.*?\) +(\S+) \("
    for tool, *_, under_feedback, _, _, _ in (row.strip("| ").split(" | ") for row in rows[2:]):
        name = re.escape(tool.split(" (")[0])
        for method, percent in re.findall(errors.format(name), printed, re.MULTILINE):
            if method.lower() != "arx":
                consistent = method in under_feedback.split(", ")
                low, high = (0.7, 1.2) if consistent else (4, 53)
                assert low < float(percent) < high, (tool, method)
    assert "is chance (0.8 to 1.1 %; others 4 to 53 %)" in shown
