"""A neural model as a recommender: fit, score, recommend, save, load."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec_cli.base.arrays import Float32Array, Int64Array
from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.progress import Progress
from gru4rec_cli.base.threads import one_torch_thread
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.few_rows import FewRows
from gru4rec_cli.evaluation.metrics import metric_at_k, metric_values
from gru4rec_cli.evaluation.ranking import event_ranks, rank_targets
from gru4rec_cli.evaluation.scores import ProductBlock
from gru4rec_cli.models.base import FitContext, FitReport, check_training, check_vocabulary, recommend_by_score
from gru4rec_cli.models.neural.devices import describe_device, ranking_device
from gru4rec_cli.models.neural.scoring import score_states
from gru4rec_cli.models.neural.settings import NeuralSettings
from gru4rec_cli.models.neural.trainer import Learner, Trainer, Validate

_WEIGHTS = "weights.safetensors"

AnyNeural = TypeVar("AnyNeural", bound=NeuralSettings)


class NeuralModel(ABC, Generic[AnyNeural]):
    """A network that turns a history into a state; score_j = state · item_j (+ bias_j).

    A kind says how it is trained (`learner`), what a history comes to (`states`), and which of its parameters the
    states are multiplied with.
    """

    item_matrix: ClassVar[str]  # name of the parameter (V, D)
    bias: ClassVar[str | None] = None  # name of the parameter (V,)

    def __init__(self, settings: AnyNeural) -> None:
        self.settings = settings
        self.parameters: dict[str, Tensor] = {}  # on the device that ranks
        self.few: FewRows | None = None  # see `prepare_for_requests`

    @abstractmethod
    def learner(self, train: Sessions, seed: int) -> Learner:
        """Return a training that has not begun."""

    @abstractmethod
    def states(self, sessions: Sessions) -> Tensor:
        """Return a state (D,) for the history of every event, (n_targets, D), in event order; skip UNSEEN clicks."""

    def fit(self, train: Sessions, context: FitContext = FitContext()) -> FitReport:
        """Train, with the best epoch kept where the settings ask for validation.

        Raises:
            UsageError: there are no validation sessions, no such device, or too little memory.
            CheckError: the training diverged.
            ValueError: there are no training sessions, or they hold UNSEEN clicks.
        """
        check_training(train)
        self.settings.check_memory(train.n_items)
        learner = self.learner(train, context.seed)
        validate = self._validate_on(context.valid, context.progress)
        trainer = Trainer(learner, self.settings, context.seed, validate, context.watch)
        self._place(trainer.run(progress=context.progress, checkpoints=context.checkpoints))
        n_parameters = sum(value.numel() for value in self.parameters.values())
        facts = {"parameters": n_parameters, "kept_epoch": trainer.kept_epoch}
        return FitReport(trainer.curve, facts | {"device": describe_device(learner.device)})

    def small(self, train: Sessions) -> Self:
        """Return a model that is quickly fitted on a few sessions; see `warming.Warming`."""
        return type(self)(self.settings.model_copy(update={"epochs": 1}))

    def _validate_on(self, valid: Sessions | None, progress: Progress) -> Validate | None:
        """Return the function that measures an epoch, if the settings ask for it."""
        if self.settings.validate_on is None:
            return None
        if valid is None:
            raise UsageError(
                f"validate_on: {self.settings.validate_on} needs validation sessions, and there are none",
                "set split.valid, or leave validate_on out",
            )
        metric, k = metric_at_k(self.settings.validate_on)

        def validate(parameters: dict[str, Tensor]) -> float:
            model = type(self)(self.settings)
            model._place(parameters)
            counts = rank_targets(model.score(valid), valid, progress=progress, description=f"validating {metric}@{k}")
            return float(metric_values(event_ranks(counts, valid, "conservative"), metric, k).mean())

        return validate

    def _place(self, parameters: dict[str, Tensor]) -> None:
        device = ranking_device(self.settings.device)
        self.parameters = {name: value.to(device) for name, value in parameters.items()}

    def score(self, sessions: Sessions) -> Iterator[ProductBlock]:
        """Yield the scores of every event of `sessions` in blocks; see `Recommender`."""
        check_vocabulary(sessions, len(self.parameters[self.item_matrix]))
        items, bias = self.parameters[self.item_matrix], self.parameters[self.bias] if self.bias else None
        yield from score_states(self.states, sessions, items, bias, self.few)

    def prepare_for_requests(self) -> None:
        """Make scoring a few events at a time fast; see `FewRows`. It keeps a second copy of the item matrix."""
        items, bias = self.parameters[self.item_matrix], self.parameters[self.bias] if self.bias else None
        if items.device.type == "cpu":
            few = FewRows(items, bias)
            self.few = few if few.exact else None

    def recommend(self, history: Sequence[int], k: int) -> tuple[Int64Array, Float32Array]:
        """Return the `k` best items after a history, and their scores; see `Recommender`."""
        with one_torch_thread():
            return recommend_by_score(self, history, k, len(self.parameters[self.item_matrix]))

    def save(self, folder: Path) -> None:
        """Write the parameters into `folder`."""
        save_file({name: value.cpu() for name, value in self.parameters.items()}, folder / _WEIGHTS)

    @classmethod
    def load(cls, folder: Path, settings: AnyNeural) -> Self:
        """Return the model that `save` wrote."""
        model = cls(settings)
        model._place(load_file(folder / _WEIGHTS))
        return model
