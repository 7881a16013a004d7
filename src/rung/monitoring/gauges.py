"""A look at the traffic as Prometheus metrics, in their text format: for a node's textfile collector, or beside others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rung.store.watch import Watch

_GAUGES = (
    ("rung_drift_size", "size", "How many times the smallest change that rings, were it sure."),
    ("rung_drift_p_value", "p", "Smallest p value of a measure, after correction."),
)


def drift_gauges(found: Watch) -> Iterator[str]:
    """Lines without ends; labels are names of our own, never a text of a person's or a model's."""
    yield "# HELP rung_drift Whether a measure rings: 1, or 0; absent where too little was seen to say."
    yield "# TYPE rung_drift gauge"
    for measure in found.measures:
        if measure.status in {"alarm", "slight", "steady"}:
            rings = int(measure.status == "alarm")
            yield f'rung_drift{{candidate="{found.candidate}",measure="{measure.name}"}} {rings}'
    for name, value, about in _GAUGES:
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} gauge"
        for measure in found.measures:
            if (number := getattr(measure, value)) is not None:
                yield f'{name}{{candidate="{found.candidate}",measure="{measure.name}"}} {number:.6g}'
    yield "# HELP rung_drift_alarms Causes that ring, by their name."
    yield "# TYPE rung_drift_alarms gauge"
    causes = [alarm.cause for alarm in found.alarms]
    for cause in dict.fromkeys(causes):
        yield f'rung_drift_alarms{{candidate="{found.candidate}",cause="{cause}"}} {causes.count(cause)}'
    yield "# HELP rung_drift_looked_at_seconds When the traffic was looked at, in seconds since 1970."
    yield "# TYPE rung_drift_looked_at_seconds gauge"
    looked = datetime.fromisoformat(found.until).timestamp()
    yield f'rung_drift_looked_at_seconds{{candidate="{found.candidate}"}} {looked:.0f}'
    yield "# HELP rung_drift_answers Served answers that were looked at."
    yield "# TYPE rung_drift_answers gauge"
    yield f'rung_drift_answers{{candidate="{found.candidate}"}} {found.answers}'
