"""The search for settings in words: what was searched for, with which budget, and what its values are not."""

from gru4rec_cli.reporting.findings.run import METRICS_SOURCE, Findings
from gru4rec_cli.reporting.findings.search import TUNE_SOURCE, Search
from gru4rec_cli.reporting.text.words import Sentence, Words


def tuned_sentence(search: Search, words: Words) -> Sentence:
    """Return in one sentence for which models settings were searched for, with which budget, and on what."""
    told = {"models": words.listed([*search.models]), "metric": search.label, "budget": budget_text(search, words)}
    return words.say("tuned", TUNE_SOURCE, **told)


def tuning_sentences(search: Search, findings: Findings, words: Words) -> list[Sentence]:
    """Return what was searched for and how, whether all models had the same budget, and what to beware of."""
    how = search.document["search"]  # random or tpe
    said = [
        tuned_sentence(search, words),
        words.say(f"tuning_search_{how}", f"{TUNE_SOURCE} › search"),
        budget_sentence(search, words),
    ]
    untuned = search.untuned(findings)
    if untuned:
        said.append(words.say("tuning_untuned", f"{METRICS_SOURCE} › models", models=words.listed(untuned)))
    return [*said, words.say("tuning_too_high")]


def budget_text(search: Search, words: Words) -> str:
    """Return the budget of every model, such as `30 trials` or `600 s`."""
    budget = search.document["budget"]
    trials = budget.get("trials")
    if trials is None:
        return f"{words.rounded(budget['seconds'])} s"
    return words("trials_one") if trials == 1 else words("trials_many", count=words.count(trials))


def budget_sentence(search: Search, words: Words) -> Sentence:
    """Return whether all models had the same budget, and which of them had too few points to use it."""
    source, budget = f"{TUNE_SOURCE} › budget", budget_text(search, words)
    if search.used_up:
        spaces = [
            words("space_points", model=model, count=words.count(search.models[model]["trials"]))
            for model in search.used_up
        ]
        return words.say("budget_used_up", source, models=words.enumerated(spaces), budget=budget)
    if len(search.models) == 1:
        return words.say("budget_one", source, model=next(iter(search.models)), budget=budget)
    return words.say("budget_same", source, budget=budget)
