"""`audit run` notices whatever changes a number that a reader would see, also where all hashes are written anew."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gru4rec_cli.audit.check import Choice, Result
from gru4rec_cli.audit.finished_run import FinishedRun
from gru4rec_cli.audit.run import RUN, audit_run
from gru4rec_cli.base.files import hash_file, hash_json
from gru4rec_cli.base.names import GREATER, SESSION
from gru4rec_cli.study.ledger import LEDGER
from tests.audit.faulty import by_id, wrong
from tests.small import SMALL, study, write_config

CONFIG = SMALL | {
    "name": "audited",
    "split": {"valid": 0.1},
    "baseline": {"models": {"popularity": {}, "vsknn": {}}},
    "train": {
        "models": {
            "gru4rec": {"layers": [8], "epochs": 1, "batch_size": 32, "n_sample": 16, "validate_on": "mrr@5"},
        }
    },
    "seeds": [1, 2],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    done = study("run", "--config", write_config(folder, CONFIG), "--run-dir", folder / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def results(run: Path) -> dict[str, Result]:
    return by_id(audit_run(run).results)


def rehash(run: Path) -> None:
    """Write all hashes anew, as somebody does who wants to hide what was changed."""
    for stage in ("split", "baseline", "train", "evaluate", "report"):
        for path in sorted((run / stage).rglob("manifest.json"), key=lambda path: -len(path.parts)):
            manifest = json.loads(path.read_text())
            manifest["outputs"] = {name: hash_file(path.parent / name) for name in manifest["outputs"]}
            for name in manifest.get("manifests", {}):
                manifest["manifests"][name] = (
                    hash_file(path.parent / name) if (path.parent / name).is_file() else manifest["manifests"][name]
                )
            for need in manifest.get("inputs", {}):
                other = run / need / "manifest.json"
                if other.is_file():
                    manifest["inputs"][need] = hash_json(json.loads(other.read_text())["outputs"])
            path.write_text(json.dumps(manifest))


def test_a_run_as_it_was_made_has_no_fault(made: Path):
    found = results(made)
    assert set(found) == set(RUN.all)
    assert not [name for name, result in found.items() if result.verdict == "FAIL"]
    assert (found["R14-test-uses"].verdict, found["R14-test-uses"].figure) == ("PASS", 1)
    assert {"R01-artifacts", "R02-metrics-from-ranks", "R03-ranks-of-test", "R04-ranks-from-models"}.isdisjoint(
        wrong(found)
    )


def edit_csv(run: Path) -> None:
    path = run / "evaluate" / "metrics.csv"
    lines = path.read_text().splitlines()
    fields = lines[3].split(",")
    fields[6] = str(float(fields[6]) + 0.01)
    path.write_text("\n".join([*lines[:3], ",".join(fields), *lines[4:], ""]))


def edit_json(run: Path) -> None:
    path = run / "evaluate" / "metrics.json"
    document = json.loads(path.read_text())
    row = next(row for row in document["metrics"] if row["model"] == "gru4rec" and row["seed"] == "all")
    row["value"] += 0.001
    path.write_text(json.dumps(document))


def change_a_rank(run: Path) -> None:
    path = run / "evaluate" / "ranks" / "gru4rec.seed-1.parquet"
    ranks = pl.read_parquet(path)
    ranks.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(0).otherwise(pl.col(GREATER)).alias(GREATER)
    ).write_parquet(path)


def swap_models(run: Path) -> None:
    one, other = run / "train" / "gru4rec.seed-1", run / "train" / "gru4rec.seed-2"
    one.rename(run / "kept")
    other.rename(one)
    (run / "kept").rename(other)


def drop_an_event(run: Path) -> None:
    path = run / "split" / "test.parquet"
    test = pl.read_parquet(path)
    last = pl.int_range(pl.len()) == test.with_row_index().filter(pl.col(SESSION).is_duplicated())["index"].max()
    test.filter(~last).write_parquet(path)


TAMPERING: list[tuple[Callable[[Path], None], str]] = [
    (edit_csv, "R02-metrics-from-ranks"),
    (edit_json, "R02-metrics-from-ranks"),
    (change_a_rank, "R04-ranks-from-models"),
    (swap_models, "R04-ranks-from-models"),
    (drop_an_event, "R03-ranks-of-test"),
]


@pytest.mark.parametrize(("change", "check"), TAMPERING, ids=lambda value: getattr(value, "__name__", ""))
def test_a_change_is_found_by_the_hashes(change: Callable[[Path], None], check: str, run: Path):
    change(run)
    assert results(run)["R01-artifacts"].verdict == "FAIL"


@pytest.mark.parametrize(("change", "check"), TAMPERING, ids=lambda value: getattr(value, "__name__", ""))
def test_a_change_is_found_where_the_hashes_are_written_anew(change: Callable[[Path], None], check: str, run: Path):
    change(run)
    rehash(run)
    assert results(run)[check].verdict == "FAIL"


def with_metrics(run: Path, change: Callable[[dict], None]) -> dict[str, Result]:  # type: ignore[type-arg]
    path = run / "evaluate" / "metrics.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return results(run)


def rows_of(document: dict, model: str, metric: str, k: int) -> list[dict]:  # type: ignore[type-arg]
    return [row for row in document["metrics"] if (row["model"], row["metric"], row["k"]) == (model, metric, k)]


def test_values_that_no_ranking_has_are_found(run: Path):
    def change(document: dict) -> None:  # type: ignore[type-arg]
        for row in rows_of(document, "vsknn", "mrr", 20):
            row["value"] = 0.99

    assert with_metrics(run, change)["R05-impossible-values"].verdict == "FAIL"


def test_a_model_above_the_oracle_is_found(run: Path):
    def change(document: dict) -> None:  # type: ignore[type-arg]
        for row in rows_of(document, "vsknn", "recall", 20):
            row["value"] = 1.0

    found = with_metrics(run, change)
    assert found["R13-oracle"].verdict == "FAIL"
    assert "vsknn" in found["R13-oracle"].evidence


def test_ties_that_decide_are_found(run: Path):
    def change(document: dict) -> None:  # type: ignore[type-arg]
        for row in rows_of(document, "vsknn", "recall", 20):
            row["value"] = {"conservative": 0.3, "median": 0.4, "optimistic": 0.5}[row["ties"]]

    assert with_metrics(run, change)["R06-ties"].figure == pytest.approx(0.25)


def test_constant_scores_are_found(run: Path):
    path = run / "evaluate" / "ranks" / "vsknn.parquet"
    pl.read_parquet(path).with_columns(pl.lit(49, dtype=pl.Int64).alias("equal")).write_parquet(path)
    assert results(run)["R07-constant-scores"].figure == 1.0


def test_weak_baselines_single_seeds_orders_and_short_trainings_are_found(run: Path):
    def change(document: dict) -> None:  # type: ignore[type-arg]
        models = document["models"]
        models["sasrec"] = models["gru4rec"] | {"training_order": "shuffled"}
        models["gru4rec"]["improving"] = {"gru4rec": "the loss"}
        del models["vsknn"]
        document["metrics"] = [row for row in document["metrics"] if row["seed"] != 2]

    found = with_metrics(run, change)
    assert found["R08-strong-baseline"].verdict == "WARN"
    assert found["R09-seeds"].verdict == "WARN"
    assert found["R10-training-order"].figure == 2
    assert found["R11-epochs"].verdict == "WARN"


def test_a_lead_below_five_percent_is_no_win(run: Path):
    def change(document: dict) -> None:  # type: ignore[type-arg]
        for model, value in (("vsknn", 0.40), ("gru4rec", 0.41), ("popularity", 0.1)):
            for row in rows_of(document, model, "recall", 20):
                row["value"] = value

    found = with_metrics(run, change)["R12-clear-winner"]
    assert found.verdict == "WARN"
    assert "the lead is 2.5 %" in found.evidence


@pytest.mark.parametrize(("settings", "verdict"), [(4, "PASS"), (5, "WARN")])
def test_settings_that_were_changed_again_and_again_on_one_test_are_found(settings: int, verdict: str, run: Path):
    use = json.loads((run / LEDGER).read_text())
    uses = []
    for number in range(settings):
        use["models"]["gru4rec"]["settings"] = str(number)
        uses += 2 * [json.dumps(use)]
    (run / LEDGER).write_text("\n".join(uses) + "\n")
    found = results(run)["R14-test-uses"]
    assert (found.verdict, found.figure) == (verdict, settings)
    assert found.evidence == (
        f"the test was ranked {2 * settings} times; settings of gru4rec that were new to it: {settings} times"
    )


def test_without_its_ledger_no_run_is_said_to_have_used_its_test_once(run: Path):
    (run / LEDGER).unlink()
    found = results(run)["R14-test-uses"]
    assert found.verdict == "NOT CHECKED"
    assert "test_uses.jsonl does not name the evaluation of all models" in found.evidence


@pytest.mark.parametrize(
    ("searched", "budget", "figure", "evidence"),
    [
        ([], {}, 0, "no model was tuned by this run: all have the settings of the configuration"),
        (["gru4rec"], {"trials": 9}, 1, "all that were tuned had 9 trials; not tuned: vsknn"),
        (["gru4rec", "vsknn"], {"seconds": 60.0}, 0, "all that were tuned had 60 seconds; not tuned: none"),
    ],
)
def test_models_that_were_left_out_of_a_search_are_found(
    searched: list[str], budget: dict[str, Any], figure: int, evidence: str, run: Path
):
    finished = FinishedRun(run)
    finished.searched = run / "tune" if searched else None
    (run / "tune").mkdir()
    ledger = {"budget": budget, "models": {name: {} for name in searched}}
    (run / "tune" / "tune.json").write_text(json.dumps(ledger))
    found = by_id(RUN.run(finished, Choice(only=("R15-tuning-budgets",))))["R15-tuning-budgets"]
    assert (found.figure, found.evidence) == (figure, evidence)
    assert found.verdict == ("WARN" if figure else "PASS")


def test_what_is_no_run_is_said(tmp_path: Path):
    done = study("audit", "run", tmp_path)
    assert done.returncode == 4
    assert "holds no run" in done.stderr


def test_damaged_ranks_are_a_finding_and_no_crash(run: Path):
    (run / "evaluate" / "ranks" / "vsknn.parquet").write_text("no table")
    found = results(run)
    assert found["R01-artifacts"].verdict == "FAIL"
    assert found["R02-metrics-from-ranks"].verdict == "NOT CHECKED"
    assert "the ranks cannot be read" in found["R03-ranks-of-test"].evidence


def test_a_lost_split_is_a_finding_and_no_crash(run: Path):
    shutil.rmtree(run / "split")
    found = results(run)
    assert "the test cannot be read" in found["R03-ranks-of-test"].evidence


def test_targets_that_training_lacks_are_events_of_the_test(tmp_path: Path):
    for name, rows in {"train": "1,1,1 1,2,2 2,2,3 2,1,4", "test": "3,1,5 3,9,6 3,2,7"}.items():
        lines = ["SessionId,ItemId,Time", *rows.split()]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    config = {
        "name": "miss",
        "data": {"train": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")},
        "split": {"unseen": "miss"},
        "baseline": {"models": {"popularity": {}}},
    }
    done = study("run", "--config", write_config(tmp_path, config), "--run-dir", tmp_path / "run", "--quiet")
    assert done.returncode == 0, done.stderr
    found = results(tmp_path / "run")
    assert found["R03-ranks-of-test"].verdict == "PASS"
    assert found["R04-ranks-from-models"].verdict == "PASS"


def test_rows_that_were_taken_out_are_found(run: Path):
    def change(document: dict) -> None:  # type: ignore[type-arg]
        document["metrics"] = [row for row in document["metrics"] if (row["model"], row["metric"]) != ("vsknn", "ndcg")]

    found = with_metrics(run, change)
    assert found["R02-metrics-from-ranks"].verdict == "FAIL"
    assert found["R05-impossible-values"].verdict == "FAIL"
