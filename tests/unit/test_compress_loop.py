"""The one training loop, on a line that is fitted to points."""

import math

import pytest
import torch
from torch import nn

from sqhw.compress import TrainSettings, train
from sqhw.compress.training.learner import Learner, Score, Stage
from sqhw.compress.training.loop import run_stages
from sqhw.compress.training.optimizer import Optimizer
from sqhw.compress.training.samples import silent
from sqhw.data import load_dataset
from sqhw.errors import SqhwError

X = torch.linspace(-1, 1, 20).view(-1, 1)
Y = 3 * X - 1


def falling(step, per_epoch):
    """Return a rate of a step."""
    return 0.1 / (1 + step / per_epoch)


class Line(Learner):
    """Fits a line; the score is given, epoch by epoch."""

    subject = "line"

    def __init__(self, epochs=(3, 2), scores=None, progress=silent):
        torch.manual_seed(0)
        super().__init__(nn.Linear(1, 1), 20, torch.Generator().manual_seed(1), progress)
        self.epochs, self.scores = epochs, scores
        self.events = []
        self.seen = 0

    def stages(self):
        return [Stage(f"s{i}", n, 8, falling, i == 1) for i, n in enumerate(self.epochs)]

    def begin(self, stage):
        self.events.append(f"begin {stage}")

    def resume(self, stage):
        self.events.append(f"resume {stage}")

    def optimizer(self, stage):
        return Optimizer(torch.optim.Adam(self.model.parameters(), 1.0))

    def loss(self, stage, chosen):
        noise = 0.01 * torch.randn(len(chosen), 1, generator=self.generator)
        return ((self.model(X[chosen]) - Y[chosen] + noise) ** 2).mean()

    @torch.no_grad()
    def score(self, result):
        margin, accuracy = 0.0, -float(((self.model(X) - Y) ** 2).mean())
        if self.scores is not None:
            margin, accuracy = self.scores[self.seen]
            self.seen += 1
        return Score(margin, accuracy, 0.0)

    def facts(self):
        return {"slope": self.model.weight.item()}


def stopping(stage, epoch):
    def progress(*event):
        if event[:2] == (stage, epoch):
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("stop", [("s0", 1), ("s0", 3), ("s1", 1), ("s1", 2)])
def test_a_resumed_training_ends_as_a_whole_one(tmp_path, stop):
    whole = run_stages(line := Line())
    assert [(row["stage"], row["epoch"]) for row in line.history] == [
        *(("s0", n) for n in (1, 2, 3)),
        *(("s1", n) for n in (1, 2)),
    ]
    assert line.events == ["begin 0", "begin 1"]
    path = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run_stages(Line(progress=stopping(*stop)), key="k", checkpoint=path)
    seen = []
    again = Line(progress=lambda *event: seen.append(event))
    found = run_stages(again, key="k", checkpoint=path)
    assert seen[0][:2] == ("resumed", stop[1])
    assert seen[0][3] == f"of stage {stop[0]!r}, from {path}"
    assert again.events == (["resume 0", "begin 1"] if stop[0] == "s0" else ["resume 1"])
    assert again.history == line.history
    assert found.score == whole.score
    for name, tensor in whole.result.items():
        assert torch.equal(found.result[name], tensor)


def test_the_best_network_of_the_last_stage_is_kept():
    # One score before the first step of the last stage, then one an epoch.
    scores = [(0.0, 0.5), (0.0, 0.8), (0.0, 0.8), (-0.1, 0.9)]
    line = Line(epochs=(1, 3), scores=scores)
    kept = []
    line.after_epoch = lambda epoch: kept.append(line.result()) or {"seen": epoch}
    done = run_stages(line)
    assert done.score == (0.0, 0.8, 0.0)
    for name, tensor in done.result.items():  # the first of equal ones
        assert torch.equal(tensor, kept[1][name])
        assert not torch.equal(tensor, kept[2][name])
    assert [row.get("validation_accuracy") for row in line.history] == [None, 0.8, 0.8, 0.9]
    assert [row["seen"] for row in line.history] == [0, 0, 1, 2]
    assert line.notes == []


def test_a_budget_that_no_epoch_met_is_noted():
    line = Line(epochs=(0, 2), scores=[(-0.3, 0.5), (-0.125, 0.1), (-0.2, 0.9)])
    assert run_stages(line).score == (-0.125, 0.1, 0.0)
    assert line.notes == ["no epoch met the budget; the smallest network is 12.5% above it"]


def test_a_last_stage_without_epochs_gives_the_network_as_it_is():
    line = Line(epochs=(2, 0))
    done = run_stages(line)
    assert all(torch.equal(done.result[name], t) for name, t in line.model.state_dict().items())


def test_weights_that_are_not_finite_after_the_last_step_of_an_epoch_stop_it(tmp_path):
    path = tmp_path / "run.safetensors"
    line = Line()

    def spoil(step, rate):
        if step == 5:  # the last of the second epoch
            line.model.weight.data.fill_(math.inf)

    line.after_step = spoil
    with pytest.raises(SqhwError) as error:
        run_stages(line, key="k", checkpoint=path)
    assert str(error.value) == (
        "line: the loss is not finite in stage 's0', epoch 2, step 6; take a lower learning rate; "
        f"the checkpoint in {path} is that of the last good epoch"
    )


def test_a_penalty_is_trained_but_not_reported():
    plain, pulled = Line(epochs=(0, 1)), Line(epochs=(0, 1))
    pulled.penalty = lambda: 1e3 * (pulled.model.weight**2).sum()
    results = [run_stages(line).result["weight"] for line in (plain, pulled)]
    assert not torch.equal(*results)
    assert plain.history[0]["loss"] < 100 > pulled.history[0]["loss"]


def test_a_float_training_that_diverges_stops_in_a_sentence():
    with pytest.raises(SqhwError) as error:
        train("digits-cnn", load_dataset("digits"), settings=TrainSettings(epochs=2, rate=1e38))
    assert str(error.value).startswith(
        "network 'digits-cnn': the loss is not finite in stage 'train', epoch 1, step "
    )
    assert str(error.value).endswith("; take a lower learning rate")
