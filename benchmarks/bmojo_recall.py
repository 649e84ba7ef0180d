"""Associative recall against the number of eidetic slots, chosen by innovation or at random.

Run ``python benchmarks/bmojo_recall.py [seed]``. A sequence is a periodic filler into which pairs
(key, value) are set at random places; the last tokens repeat the keys in another order and the
model must name the values. All pairs are farther back than the window and the fading outputs reach.
The same network, equal in parameters, data and steps, is trained with different numbers of slots: a
linear layer that adds to each token the one before it, and a layer with attention. What the
innovation test chooses is compared with a random choice of as many tokens. The predictor learns
from its own innovations only; S is calibrated on the training sequences. A pair is two surprises,
so that 16 slots hold all of the 8 pairs and nothing else.
"""

import sys

import torch
from torch import nn

from canonical_forms.bmojo import BMojoLayer, BMojoStack

LENGTH, PAIRS, WINDOW, CHUNK = 128, 8, 8, 8
KEYS, VALUES, FILLER, WIDTH = 32, 16, 4, 32
BATCH, STEPS = 32, 400


def sequences(count, generator):
    """Return tokens (count, LENGTH) and the values that the last PAIRS tokens ask for."""
    phase = torch.randint(FILLER, (count, 1), generator=generator)
    x = KEYS + VALUES + (phase + torch.arange(LENGTH)) % FILLER
    last = LENGTH - PAIRS - 2 * WINDOW
    places = 2 * torch.rand(count, last // 2, generator=generator).argsort(1)[:, :PAIRS]
    keys = torch.rand(count, KEYS, generator=generator).argsort(1)[:, :PAIRS]
    values = torch.randint(VALUES, (count, PAIRS), generator=generator)
    x.scatter_(1, places, keys).scatter_(1, places + 1, KEYS + values)
    order = torch.rand(count, PAIRS, generator=generator).argsort(1)
    x[:, -PAIRS:] = keys.gather(1, order)
    return x, values.gather(1, order)


class RandomChoice(BMojoLayer):
    """The same layer with another rule: every token has a random score."""

    def surprise(self, innovation):
        """Return scores that do not depend on anything."""
        return torch.rand(innovation.shape[:-1], dtype=innovation.dtype)


class Recall(nn.Module):
    """Embedding, two layers, and a read-out of values."""

    def __init__(self, slots, rule):
        super().__init__()
        self.embedding = nn.Embedding(KEYS + VALUES + FILLER, WIDTH)
        first = BMojoLayer(WIDTH, WIDTH, (0, 4), delay_taps=1, target="input", window=0, eidetic=0)
        second = rule(
            WIDTH, WIDTH, (2, 7), delay_taps=1, target="input", window=WINDOW, eidetic=slots,
            chunk=CHUNK, threshold=0.0,
        )  # fmt: skip
        first.memory.taps.data.copy_(torch.eye(WIDTH))
        for layer in (first, second):
            layer.memory.C.data.mul_(0.1)
            layer.memory.D.data.zero_()
        second.gate.data.fill_(1.0)
        second.attention.q_proj.weight.data.mul_(2.0)
        second.attention.k_proj.weight.data.copy_(second.attention.q_proj.weight)
        self.stack = BMojoStack([first, second], normalize=True)
        self.readout = nn.Sequential(nn.RMSNorm(WIDTH), nn.Linear(WIDTH, VALUES))

    def forward(self, x):
        """Return logits of the last tokens and the innovations of both layers."""
        out = self.stack(self.embedding(x))
        return self.readout(out.y[:, -PAIRS:]), out.innovations


def train(slots, rule, seed):
    """Return the accuracy, and the share of values in memory when they are asked for."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = Recall(slots, rule)
    own = [p for v in model.stack.layers for p in v.predictor.parameters() if p.numel()]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 5e-3, total_steps=STEPS, pct_start=0.1
    )
    for step in range(STEPS):
        x, answers = sequences(BATCH, generator)
        if step % 25 == 0:
            calibrate(model, x)
        logits, innovations = model(x)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten())
        auxiliary = sum(e.square().mean() for e in innovations)
        optimizer.zero_grad()
        # The predictors must follow the stream, and the stream must not flatter the predictors.
        for p, g in zip(own, torch.autograd.grad(auxiliary, own, retain_graph=True), strict=True):
            p.grad = g
        loss.backward()
        optimizer.step()
        schedule.step()
    return test(model, seed)


@torch.no_grad()
def calibrate(model, x):
    """Set S of every layer to the covariance of its innovations."""
    r = model.embedding(x)
    for layer, norm in zip(model.stack.layers, model.stack.norms, strict=True):
        layer.calibrate(norm(r))
        r = r + layer(norm(r)).y


@torch.no_grad()
def test(model, seed):
    """Return the share of right answers on new sequences, and of values in memory."""
    x, answers = sequences(500, torch.Generator().manual_seed(10_000 + seed))
    right = (model(x)[0].argmax(-1) == answers).double().mean()
    before = x[:, :-CHUNK]
    stored = model.stack(model.embedding(before)).state[1].eidetic.position
    held = torch.zeros(len(x), before.shape[1] + 1, dtype=torch.bool)
    held.scatter_(1, stored + 1, True)  # empty slots have position -1
    values = (before >= KEYS) & (before < KEYS + VALUES)
    return float(right), float(held[:, 1:][values].double().mean())


if __name__ == "__main__":
    torch.set_num_threads(1)
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    print(f"{PAIRS} pairs in {LENGTH} tokens, window {WINDOW}, chunks of {CHUNK}, {STEPS} steps")
    print(
        f"chance is {1 / VALUES:.3f}; a value is in memory by chance with slots / {LENGTH - CHUNK}"
    )
    print(f"{'slots':>6} {'innovation':>11} {'in memory':>10} {'random':>8} {'in memory':>10}")
    for slots in (0, 4, 8, 16, 32, LENGTH):
        found = train(slots, BMojoLayer, seed)
        if 0 < slots < LENGTH:
            found += train(slots, RandomChoice, seed)
        print(f"{slots:6d} {found[0]:11.3f} {found[1]:10.3f}", end="")
        print("".join(f"{v:{w}.3f}" for v, w in zip(found[2:], (9, 11), strict=False)), flush=True)
