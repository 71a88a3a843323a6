"""GRU4Rec: a recurrent network over the clicks of a session.

Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016 (arXiv 1511.06939);
Hidasi & Karatzoglou, Recurrent Neural Networks with Top-k Gains, CIKM 2018 (arXiv 1706.03847).
`Model` loads torch, so it is looked up when it is asked for: reading a configuration stays fast.
"""

from typing import Any

from gru4rec_cli.models.gru4rec.settings import Settings

__all__ = ["Model", "Settings"]


def __getattr__(name: str) -> Any:
    if name == "Model":
        from gru4rec_cli.models.gru4rec.model import Model

        return Model
    raise AttributeError(name)
