"""The PyTorch modules of the recurrent heads: packed, so that no padding is seen."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Gru(nn.Module):
    """A GRU, or one in each direction, and its last states.

    width (int): of the rows; hidden_width (int): of the state; bidirectional (bool): whether there are two.
    """

    def __init__(self, width: int, hidden_width: int, bidirectional: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(width, hidden_width, batch_first=True, bidirectional=bidirectional)
        self.width = hidden_width * (1 + bidirectional)

    def forward(self, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Pool rows: (patients, most rows, width) and (patients,) to (patients, self.width)."""
        _, states = self.gru(_pack(rows, lengths))
        return torch.cat(list(states), dim=1)


class Retain(nn.Module):
    """The context vector of RETAIN: the sum of visits, weighed as wholes and by each of their dimensions.

    Choi et al. 2016 (NeurIPS, arXiv:1608.05745), section 2.2, steps 2 to 4: two GRUs read the visits in reversed time;
    of the one, a softmax over visits (alpha), of the other, tanh for each dimension (beta).

    width (int): of the rows of visits; hidden_width (int): of both states.
    """

    def __init__(self, width: int, hidden_width: int) -> None:
        super().__init__()
        self.visits = nn.GRU(width, hidden_width, batch_first=True)
        self.dimensions = nn.GRU(width, hidden_width, batch_first=True)
        self.alpha = nn.Linear(hidden_width, 1)
        self.beta = nn.Linear(hidden_width, width)
        self.width = width

    def forward(self, rows: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Pool rows: (patients, most visits, width) and (patients,) to (patients, width)."""
        alpha, beta = self.weigh(rows, lengths)
        return (alpha * beta * rows).sum(dim=1)

    def weigh(self, rows: torch.Tensor, lengths: torch.Tensor) -> "tuple[torch.Tensor, torch.Tensor]":
        """The weights of visits, (patients, most visits, 1), and of their dimensions, (…, width)."""
        places = torch.arange(rows.shape[1], device=rows.device)
        ends = lengths.to(rows.device)[:, None]
        inside = places < ends
        # Its own inverse; what is behind a patient's last visit stays there.
        turned = torch.where(inside, ends - 1 - places, places)
        packed = _pack(_reorder(rows, turned), lengths)
        of_visits, of_dimensions = (
            _reorder(_unpack(gru(packed)[0], rows.shape[1]), turned) for gru in (self.visits, self.dimensions)
        )
        scores = self.alpha(of_visits).masked_fill(~inside[..., None], -torch.inf)
        return scores.softmax(dim=1), torch.tanh(self.beta(of_dimensions))


def _pack(rows: torch.Tensor, lengths: torch.Tensor) -> Any:
    return pack_padded_sequence(rows, lengths, batch_first=True, enforce_sorted=False)


def _unpack(packed: Any, longest: int) -> torch.Tensor:
    return pad_packed_sequence(packed, batch_first=True, total_length=longest)[0]


def _reorder(rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    return rows.gather(1, places[..., None].expand(-1, -1, rows.shape[2]))
