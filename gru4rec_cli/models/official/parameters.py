"""The author's parameter files and strings, read without running anything, and converted to our settings."""

import ast
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.models.gru4rec import Settings

_VARIABLE = "gru4rec_params"
# The defaults of the author's class. Ours has other defaults, so all are written out.
DEFAULTS: dict[str, Any] = {
    "loss": "cross-entropy",
    "constrained_embedding": True,
    "embedding": 0,
    "layers": [100],
    "n_epochs": 10,
    "batch_size": 64,
    "learning_rate": 0.05,
    "momentum": 0.0,
    "n_sample": 2048,
    "sample_alpha": 0.5,
    "dropout_p_embed": 0.0,
    "dropout_p_hidden": 0.0,
    "logq": 0.0,
    "bpreg": 1.0,
    "elu_param": 0.5,
}
_RENAMED = {"n_epochs": "epochs"}
_ONLY_FOR = {"logq": "cross-entropy", "bpreg": "bpr-max", "elu_param": "bpr-max"}
_HINT = "give a parameter file of the author's, or a string such as loss=cross-entropy,layers=100,n_epochs=10"


def read_parameters(given: str) -> dict[str, Any]:
    """Read the author's parameters from a file (`.py`, parsed, never executed) or a `-ps` string; fill in defaults.

    Raises `UsageError` where it is neither, or names a parameter that his PyTorch code does not have.
    """
    path = Path(given)
    found = _from_string(given) if "=" in given and not path.is_file() else _from_file(path)
    unknown = [str(name) for name in found if name not in DEFAULTS]
    if unknown:
        raise UsageError(f"{given}: unknown parameters: {', '.join(unknown)}; known: {', '.join(DEFAULTS)}", _HINT)
    return DEFAULTS | found


def settings_of(parameters: dict[str, Any]) -> Settings:
    """Convert the author's parameters to our settings. Raises `UsageError` where a value is not allowed."""
    given = {_RENAMED.get(name, name): value for name, value in parameters.items() if name != "constrained_embedding"}
    if parameters["constrained_embedding"]:
        given["embedding"] = "shared"
    elif parameters["embedding"] in (0, "0"):
        given["embedding"] = "none"
    given = {name: value for name, value in given.items() if _ONLY_FOR.get(name, given["loss"]) == given["loss"]}
    layers = given["layers"]
    try:
        return Settings.model_validate({**given, "layers": tuple(layers) if isinstance(layers, list) else layers})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UsageError(f"these parameters have no counterpart here: {problems}", _HINT) from error


def as_section(parameters: dict[str, Any]) -> str:
    """Return the parameters as YAML for a configuration, every setting written out."""
    plain = settings_of(parameters).model_dump(mode="json", exclude_none=True)
    section = {"train": {"models": {"gru4rec": plain}}}
    return yaml.safe_dump(section, sort_keys=False, default_flow_style=None, width=1000)


def _from_string(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator or not name:
            raise UsageError(f"{part!r} is not NAME=VALUE", _HINT)
        found[name] = _value(name, value)
    return found


def _value(name: str, text: str) -> Any:
    """A value of a string, read as the type that the author's default has."""
    default = DEFAULTS.get(name)
    try:
        if isinstance(default, bool):
            return {"True": True, "1": True, "False": False, "0": False}[text]
        if isinstance(default, list):
            return [int(part) for part in text.split("/")]
        if isinstance(default, float):
            return float(text)
        if isinstance(default, int) and text != "layersize":
            return int(text)
    except (ValueError, KeyError):
        raise UsageError(f"{name}: {text!r} is not of the type of {default!r}", _HINT) from None
    return text


def _from_file(path: Path) -> dict[str, Any]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", _HINT) from error
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{path} is not a parameter file: {error}", _HINT) from error
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and _VARIABLE in [getattr(one, "id", "") for one in statement.targets]:
            found = _literal(statement.value, path)
            break
    else:
        raise UsageError(f"{path} does not set {_VARIABLE}", _HINT)
    for name, value in found.items():
        default = DEFAULTS.get(name)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            found[name] = float(value)
    return found


def _literal(node: ast.expr, path: Path) -> dict[str, Any]:
    """A dictionary of constants: `OrderedDict([(…), …])`, `dict(…)` or `{…}`; nothing that would have to run."""
    try:
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("OrderedDict", "dict"):
            positional = dict(ast.literal_eval(node.args[0])) if node.args else {}
            return positional | {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
        return dict(ast.literal_eval(node))
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise UsageError(f"{path}: {_VARIABLE} is not made of plain Python values: {error}", _HINT) from error
