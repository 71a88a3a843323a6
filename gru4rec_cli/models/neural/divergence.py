"""Advice on a training that diverged: the settings that are the likely cause come first."""

from pydantic import BaseModel

# Somewhat above the largest values in the author's published settings (2023) and in our defaults.
USUAL = {
    "momentum": 0.7,
    "logq": 1.0,
    "bpreg": 2.0,
    "elu_param": 1.0,
    "dropout_p_embed": 0.6,
    "dropout_p_hidden": 0.6,
    "dropout": 0.6,
    "learning_rate": 0.3,
}


def advice_on(settings: BaseModel) -> str:
    """Return what to change in the settings of a training whose loss or weights are no longer finite.

    A setting above its usual range is named first, the one that is farthest above it before the others.
    """
    values = {name: getattr(settings, name, None) for name in USUAL}
    above = {name: value / USUAL[name] for name, value in values.items() if value is not None and value > USUAL[name]}
    fields = type(settings).model_fields
    general = [f"lower {name} (now {values[name]:g})" for name in ("learning_rate", "momentum") if values[name]]
    general += [f"raise batch_size (now {settings.batch_size})"] if "batch_size" in fields else []  # type: ignore[attr-defined]
    if not above:
        return ", or ".join(general)
    first = sorted(above, key=lambda name: -above[name])
    named = " and ".join(f"{name} ({values[name]:g}, usually at most {USUAL[name]:g})" for name in first)
    others = [text for text in general if not any(f"lower {name} " in text for name in first)]
    return f"lower {named}" + (f"; only then {', or '.join(others)}" if others else "")
