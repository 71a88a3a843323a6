"""Metrics with everything that `evaluate` may write, computed from ranks that are drawn here; no results of a study."""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

ITEMS = 500
CUTOFFS = (5, 10, 20)
SEEDS = {"official": ("1", "2", "3"), "gru4rec": ("1", "2", "3")}
STRENGTH = {"oracle": 4.0, "official": 8.0, "gru4rec": 8.0, "knn": 8.6, "markov": 14.0, "popularity": 60.0}
NEGATIVES = 100


def ranks(sessions: int = 250, seed: int = 0) -> tuple[npt.NDArray[np.int64], dict[tuple[str, str], FloatArray]]:
    """The session of every event, and the rank of its target by model and seed."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 8, sessions)
    session = np.repeat(np.arange(sessions), lengths)
    luck = rng.exponential(1.0, len(session))  # an easy event is easy for every model
    found = {}
    for model, strength in STRENGTH.items():
        for name in SEEDS.get(model, ("1",)):
            noise = rng.exponential(1.0, len(session))
            found[model, name] = np.clip(np.ceil(strength * (0.6 * luck + 0.4 * noise) ** 2), 1, ITEMS)
    return session, found


def metric(rank: FloatArray, name: str, k: int) -> FloatArray:
    value = {"recall": np.ones_like(rank), "mrr": 1 / rank, "ndcg": 1 / np.log2(rank + 1)}[name]
    return np.where(rank <= k, value, 0.0)


def bootstrap(values: FloatArray, session: npt.NDArray[np.int64], resamples: int = 60) -> tuple[float, float]:
    """A 95 % interval of the mean over events, sessions resampled."""
    rng = np.random.default_rng(1)
    sums, counts = np.bincount(session, values), np.bincount(session)
    drawn = rng.integers(0, len(counts), (resamples, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def metrics_json(**renamed: str) -> dict[str, Any]:
    """The whole document; `renamed` gives models other names."""
    session, by_fit = ranks()
    names = {model: renamed.get(model, model) for model in STRENGTH}
    rows: list[dict[str, Any]] = []
    values: dict[tuple[str, str, int], FloatArray] = {}
    for model, name in names.items():
        fits = {seed: rank for (fitted, seed), rank in by_fit.items() if fitted == model}
        for measure in ("recall", "mrr", "ndcg"):
            for k in CUTOFFS:
                by_seed = {seed: metric(rank, measure, k) for seed, rank in fits.items()}
                by_seed["all"] = values[model, measure, k] = np.mean([*by_seed.values()], axis=0)
                for seed, value in by_seed.items():
                    rows += _rows(name, seed, measure, k, value, session)
        rows += _beyond(name, fits)
    rows += _slices(names, values, session)
    pairs = _pairs(values)
    return {
        "protocol": PROTOCOL | {"events": len(session), "sessions": int(session.max()) + 1},
        "models": {names[model]: _about(model) for model in STRENGTH},
        "not_applicable": {},
        "metrics": rows,
        "differences": _differences(names, values, session, pairs),
        "sensitivity": _sensitivity(names, by_fit, values, pairs),
    }


PROTOCOL: dict[str, Any] = {
    "task": "next item: every click of a test session but its first, from the clicks before it",
    "candidates": "all training items",
    "unit": "events",
    "ties": "conservative",
    "cutoffs": list(CUTOFFS),
    "unseen": "drop",
    "interval": "session-cluster bootstrap, percentiles",
    "confidence": 0.95,
    "resamples": 60,
    "permutations": 1000,
    "seed": 1,
    "seeds": [1, 2, 3],
    "items": ITEMS,
    "slices": {"target": {part: {"items": n, "events_share": 1 / 3} for part, n in (("head", 20), ("torso", 80))}},
}


def _about(model: str) -> dict[str, Any]:
    stage = "oracle" if model == "oracle" else "train" if model in SEEDS else "baseline"
    seeds = [int(seed) for seed in SEEDS.get(model, ("1",))]
    settings = {"layers": [100], "learning_rate": 0.05} if stage == "train" else {}
    about = {"kind": model, "stage": stage, "description": f"What {model} does.", "settings": settings}
    return {**about, "seeds": seeds, "random": model in SEEDS}


def _row(
    model: str, seed: str, measure: str, k: int, ties: str, part: str, value: float, **more: Any
) -> dict[str, Any]:
    row = {"model": model, "seed": seed, "metric": measure, "k": k, "ties": ties, "slice": part, "value": value}
    return {**row, "low": None, "high": None, "events": None, **more}


def _rows(
    model: str, seed: str, measure: str, k: int, value: FloatArray, session: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    low, high = bootstrap(value, session)
    told = {"low": low, "high": high, "events": len(value)}
    mean = float(value.mean())
    return [
        _row(model, seed, measure, k, ties, "all", mean, **told) for ties in ("conservative", "median", "optimistic")
    ]


def _beyond(model: str, fits: dict[str, FloatArray]) -> list[dict[str, Any]]:
    rows = []
    for seed in (*fits, "all"):
        rank = np.mean([*fits.values()], axis=0) if seed == "all" else fits[seed]
        shares = {
            "coverage": len(np.unique(rank)) / ITEMS,
            "popularity_rank": float(rank.mean()) / ITEMS,
            "repeats": float((rank == 1).mean()),
        }
        rows += [
            _row(model, seed, name, k, "any", "all", v, events=len(rank)) for name, v in shares.items() for k in CUTOFFS
        ]
    return rows


def _slices(
    names: dict[str, str], values: dict[tuple[str, str, int], FloatArray], session: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    position = np.arange(len(session)) - np.searchsorted(session, session) + 1
    length = np.bincount(session)[session] + 1
    place = np.arange(len(session)) % 3
    parts = {
        "position=1": position == 1,
        "position=2": position == 2,
        "position=3-5": (position >= 3) & (position <= 5),
        "position=6+": position >= 6,
        "length=2": length == 2,
        "length=3-5": (length >= 3) & (length <= 5),
        "length=6-10": (length >= 6) & (length <= 10),
        "target=head": place == 0,
        "target=torso": place == 1,
        "target=tail": place == 2,
    }
    rows = []
    for part, chosen in parts.items():
        for (model, measure, k), value in values.items():
            low, high = bootstrap(value[chosen], session[chosen] - session[chosen].min()) if k == 20 else (None, None)
            told = {"low": low, "high": high, "events": int(chosen.sum())}
            mean = float(value[chosen].mean())
            rows.append(_row(names[model], "all", measure, k, "conservative", part, mean, **told))
    return rows


def _pairs(values: dict[tuple[str, str, int], FloatArray]) -> list[tuple[str, str]]:
    order = sorted(STRENGTH, key=lambda model: -values[model, "recall", 20].mean())
    return [(first, second) for place, first in enumerate(order) for second in order[place + 1 :]]


def _differences(
    names: dict[str, str],
    values: dict[tuple[str, str, int], FloatArray],
    session: npt.NDArray[np.int64],
    pairs: list[tuple[str, str]],
) -> list[dict[str, Any]]:
    entries = []
    for first, second in pairs:
        for measure in ("recall", "mrr", "ndcg"):
            gap = values[first, measure, 20] - values[second, measure, 20]
            low, high = bootstrap(gap, session)
            sums = np.bincount(session, gap)
            signs = np.random.default_rng(2).choice([-1, 1], (1000, len(sums)))
            p = float((np.abs(signs @ sums) >= abs(sums.sum())).mean() * 1000 + 1) / 1001
            p_holm = min(1.0, p * len(pairs))
            value, base = float(gap.mean()), float(values[second, measure, 20].mean())
            entry: dict[str, Any] = {
                "first": names[first],
                "second": names[second],
                "metric": measure,
                "k": 20,
                "ties": "conservative",
            }
            entry |= {"value": value, "relative": value / base, "low": low, "high": high, "p": p, "p_holm": p_holm}
            entries.append({**entry, "distinguishable": p_holm < 0.05})
    return entries


def _sensitivity(
    names: dict[str, str],
    by_fit: dict[tuple[str, str], FloatArray],
    values: dict[tuple[str, str, int], FloatArray],
    pairs: list[tuple[str, str]],
) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    rows, shown = [], {}
    for model, name in names.items():
        rank = next(rank for (fitted, _), rank in by_fit.items() if fitted == model)
        sampled = 1 + rng.hypergeometric(rank.astype(int) - 1, ITEMS - rank.astype(int), NEGATIVES)
        popular = np.clip(np.round(rank * rng.uniform(0.3, 0.9)), 1, ITEMS)
        for protocol, negatives, ties, there in (
            ("ties", None, "conservative", rank),
            ("ties", None, "optimistic", rank),
            ("uniform", NEGATIVES, "conservative", sampled.astype(float)),
            ("popularity", NEGATIVES, "conservative", popular),
        ):
            for measure in ("recall", "mrr", "ndcg"):
                full, value = float(values[model, measure, 20].mean()), float(metric(there, measure, 20).mean())
                value = full if protocol == "ties" else value
                row = {"model": name, "protocol": protocol, "negatives": negatives, "ties": ties, "metric": measure}
                rows.append({**row, "k": 20, "value": value, "full": full, "factor": value / full})
                shown[model, protocol, measure] = value, full
    flips = [
        {"first": names[a], "second": names[b], "metric": measure, "k": 20, "protocol": protocol,
         "negatives": NEGATIVES, "ties": "conservative",
         "full": [shown[m, protocol, measure][1] for m in (a, b)],
         "shown": [shown[m, protocol, measure][0] for m in (a, b)]}
        for a, b in pairs for protocol in ("uniform", "popularity") for measure in ("recall", "mrr", "ndcg")
        if shown[a, protocol, measure][1] > shown[b, protocol, measure][1]
        and shown[a, protocol, measure][0] <= shown[b, protocol, measure][0]
    ]  # fmt: skip
    return {"ties": "conservative", "rows": rows, "flips": flips}
