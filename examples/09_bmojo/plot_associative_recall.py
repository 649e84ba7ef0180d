"""
What is worth remembering?
==========================

Four pairs are hidden in a long, boring sequence; at its end the first halves are shown and the
second halves are asked for. Window and fading memory do not reach back that far. Does a memory for
surprises help, and does it keep the right things?
"""

# %%
# The task
# --------
# Twenty-four keys, eight values, and four filler tokens that repeat with period four. A window of
# four tokens, and 64 tokens in all: every pair is out of reach when it is asked for.

import matplotlib.pyplot as plt
import torch

from canonical_forms.bmojo import BMojoLayer, BMojoStack

torch.set_num_threads(1)
KEYS, VALUES, FILLER, PAIRS, LENGTH, WIDTH = 24, 8, 4, 4, 64, 32


def sequences(count):
    """Return tokens and the values that the last four of them ask for."""
    x = KEYS + VALUES + (torch.randint(FILLER, (count, 1)) + torch.arange(LENGTH)) % FILLER
    places = 2 * torch.rand(count, 26).argsort(1)[:, :PAIRS]
    keys = torch.rand(count, KEYS).argsort(1)[:, :PAIRS]
    values = torch.randint(VALUES, (count, PAIRS))
    x.scatter_(1, places, keys).scatter_(1, places + 1, KEYS + values)
    order = torch.rand(count, PAIRS).argsort(1)
    x[:, -PAIRS:] = keys.gather(1, order)
    return x, values.gather(1, order)


# %%
# The network
# -----------
# A linear layer adds to each token the one before it, so that a value carries its key. The second
# layer predicts what it reads, keeps what it could not predict, and attends to that. Decisions
# become readable after chunks of eight.


class Recall(torch.nn.Module):
    """Embedding, two layers, read-out."""

    def __init__(self, slots):
        super().__init__()
        self.embedding = torch.nn.Embedding(KEYS + VALUES + FILLER, WIDTH)
        tokens = {"delay_taps": 1, "target": "input"}
        first = BMojoLayer(WIDTH, WIDTH, (0, 4), **tokens, window=0, eidetic=0)
        second = BMojoLayer(
            WIDTH, WIDTH, (2, 7), **tokens, window=4, eidetic=slots, chunk=8, threshold=0.0
        )
        first.memory.taps.data.copy_(torch.eye(WIDTH))
        for layer in (first, second):
            layer.memory.C.data.mul_(0.1)
            layer.memory.D.data.zero_()
        second.gate.data.fill_(1.0)
        second.attention.q_proj.weight.data.mul_(2.0)
        second.attention.k_proj.weight.data.copy_(second.attention.q_proj.weight)
        self.stack = BMojoStack([first, second], normalize=True)
        self.readout = torch.nn.Linear(WIDTH, VALUES)

    def forward(self, x):
        """Return logits of the last tokens, and what the layers did."""
        out = self.stack(self.embedding(x))
        return self.readout(out.y[:, -PAIRS:]), out


def train(slots):
    """Return a trained network; its predictors learn from their own innovations."""
    torch.manual_seed(0)
    network = Recall(slots)
    own = [p for v in network.stack.layers for p in v.predictor.parameters() if p.numel()]
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    for _ in range(220):
        x, answers = sequences(32)
        logits, out = network(x)
        optimizer.zero_grad()
        missed = sum(e.square().mean() for e in out.innovations)
        for p, g in zip(own, torch.autograd.grad(missed, own, retain_graph=True), strict=True):
            p.grad = g
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten()).backward()
        optimizer.step()
    return network


# %%
# With and without
# ----------------

accuracy, networks = {}, {slots: train(slots) for slots in (0, 16)}
x, answers = sequences(500)
with torch.no_grad():
    for slots, network in networks.items():
        accuracy[slots] = float((network(x)[0].argmax(-1) == answers).double().mean())
print({f"{slots} slots": round(value, 3) for slots, value in accuracy.items()})

# %%
# The scores of one sequence: keys and values stand out of the filler, and they are what is kept.

with torch.no_grad():
    layer, out = networks[16].stack.layers[1], networks[16](x[:1])[1]
    score = layer.surprise(out.innovations[1][0])
figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
kinds = {"filler": x[0] >= KEYS + VALUES, "key": x[0] < KEYS}
kinds["value"] = ~(kinds["filler"] | kinds["key"])
for color, (name, mask) in zip(("0.7", "C0", "C3"), kinds.items(), strict=True):
    ax.vlines(torch.arange(LENGTH)[mask], 0, score[mask], color=color, linewidth=3, label=name)
ax.set(xlabel="token", ylabel="innovation squared", title="What the second layer did not expect")
ax.set_ylim(0, 1.2 * float(score.max()))
ax.legend(frameon=False, loc="upper center", ncols=3)
plt.show()
assert accuracy[16] > 0.9
assert accuracy[0] < 0.3
