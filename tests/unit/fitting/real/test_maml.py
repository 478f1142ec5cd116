"""MAML: one inner step equals a hand-unrolled one, and two are one after the other."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from gannotate.errors import UsageError
from gannotate.fitting.alternation import Labelled, Softly, Student
from gannotate.fitting.maml import MAMLConfig, Unrolled

RATE = 0.5


def linear_student() -> Student:
    torch.manual_seed(0)
    return Student(nn.Conv2d(2, 3, 1), MAMLConfig(), torch.ones(3))


def batches(count: int) -> tuple[Labelled, list[Softly], list[torch.Tensor]]:
    torch.manual_seed(1)
    labelled = (torch.randn(2, 2, 4, 4), torch.randint(3, (2, 4, 4)))
    logits = [torch.randn(2, 3, 4, 4, requires_grad=True) for _ in range(count)]
    return labelled, [(torch.randn(2, 2, 4, 4), one.softmax(1)) for one in logits], logits


def test_one_inner_step_equals_one_by_hand() -> None:
    # softmax regression: the gradient of the soft cross-entropy is features times (probabilities - labels)
    student, (labelled, [softly], [logits]) = linear_student(), batches(1)
    loss = Unrolled(MAMLConfig(inner_rate=RATE))(student, labelled, [softly])
    pictures, soft = softly
    weight, bias = student.weights["weight"][..., 0, 0], student.weights["bias"]
    answer = (torch.einsum("kf,nfhw->nkhw", weight, pictures) + bias[:, None, None]).softmax(1)
    error = (answer - soft) / (2 * 4 * 4)
    weight = weight - RATE * torch.einsum("nkhw,nfhw->kf", error, pictures)
    bias = bias - RATE * error.sum((0, 2, 3))
    after = torch.einsum("kf,nfhw->nkhw", weight, labelled[0]) + bias[:, None, None]
    by_hand = nn.functional.cross_entropy(after, labelled[1])
    torch.testing.assert_close(loss, by_hand)
    ours, theirs = (torch.autograd.grad(one, logits, retain_graph=True)[0] for one in (loss, by_hand))
    torch.testing.assert_close(ours, theirs)
    assert float(ours.abs().max()) > 0


def test_two_inner_steps_follow_each_other_and_leave_the_segmenter_as_it_was() -> None:
    student, (labelled, softly, logits) = linear_student(), batches(2)
    before = copy.deepcopy(student.network.state_dict())
    loss = Unrolled(MAMLConfig(inner_rate=RATE, inner_steps=2))(student, labelled, softly)
    stepped = copy.deepcopy(student)
    optimizer = torch.optim.SGD(stepped.network.parameters(), RATE)
    for pictures, soft in softly:
        optimizer.zero_grad()
        stepped.soft_loss((pictures, soft.detach())).backward()
        optimizer.step()
    assert float(loss.detach()) == pytest.approx(float(stepped.loss(labelled).detach()), rel=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in student.network.state_dict().items())
    assert all(float(one.abs().max()) > 0 for one in torch.autograd.grad(loss, logits))


def test_wrong_settings() -> None:
    with pytest.raises(UsageError, match="inner steps is 0; use 1 or more"):
        MAMLConfig(inner_steps=0)
    with pytest.raises(UsageError, match="inner rate is -1"):
        MAMLConfig(inner_rate=-1)
    with pytest.raises(UsageError, match="the inner rate is inf"):
        MAMLConfig(inner_rate=math.inf)
