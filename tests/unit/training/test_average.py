"""Averaged weights."""

from __future__ import annotations

import copy

import torch
from torch import nn

from gannotate.training.average import follow


def test_remembers_no_more_steps_than_there_were_and_copies_counters() -> None:
    network = nn.BatchNorm1d(1)
    average = copy.deepcopy(network)
    weights = []
    for index, value in enumerate((5.0, 7.0)):
        with torch.no_grad():
            network.weight.fill_(value)
        network.num_batches_tracked += 1
        follow(average, network, 0.999, index)
        weights.append(average.weight.item())
    # decays 1 / 10, then 2 / 11
    assert abs(weights[0] - (0.1 * 1 + 0.9 * 5)) < 1e-6
    assert abs(weights[1] - (2 / 11 * weights[0] + 9 / 11 * 7)) < 1e-5
    assert average.num_batches_tracked is not None
    assert int(average.num_batches_tracked) == 2


def test_decay_zero_is_the_network_itself() -> None:
    network, average = nn.Linear(2, 2), nn.Linear(2, 2)
    follow(average, network, 0.0, 1000)
    torch.testing.assert_close(average.weight, network.weight)
