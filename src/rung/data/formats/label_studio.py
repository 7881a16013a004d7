"""Label Studio: tasks with data, annotations of one or several people and predictions, as exported, and tasks to import."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rung.data.formats.codec import CannotCarry
from rung.data.formats.row import Given, Made, plain
from rung.data.privacy.redact import redact
from rung.data.record import Record, Span
from rung.data.rejects import BadRow

_TASK = "label_studio"
"""The key of `Record.extra` that keeps the annotations, without the texts that the record holds itself."""
_SPANS = {"labels", "hypertextlabels"}


class LabelStudio:
    """The JSON export (not JSON-MIN) and import tasks: [{"data": {...}, "annotations": [...], "predictions": [...]}]."""

    name = "label-studio"
    suffix = ".json"

    def fits(self, row: Mapping[str, Any]) -> bool:
        said = row.get("annotations", row.get("completions", row.get("predictions")))
        return isinstance(row.get("data"), dict) and (isinstance(said, list) or set(row) <= {"data", "id", "meta"})

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        data = given.left.pop("data", None)
        if not isinstance(data, dict):
            raise BadRow("E2230", "data", format=self.name, detail="data is no object")
        inputs = {key: plain(value, key) for key, value in data.items() if isinstance(value, str)}
        if not any(text.strip() for text in inputs.values()):
            raise BadRow("E2220", "data")
        other = {key: value for key, value in data.items() if not isinstance(value, str)}
        if other:
            given.form["data"] = other
        kept = {
            key: given.left.pop(key) for key in ("annotations", "predictions") if isinstance(given.left.get(key), list)
        }
        said = _meaning(kept.get("annotations", []), inputs)
        if kept:
            given.left[_TASK] = {key: [_without_texts(item, inputs) for item in items] for key, items in kept.items()}
        return given.record(inputs=inputs, **said)

    def encode(self, record: Record) -> dict[str, Any]:
        if not record.inputs:
            raise CannotCarry("no inputs")
        made = Made(record, self.name)
        made.row["data"] = {**record.inputs, **made.form.get("data", {})}
        kept = record.extra.get(_TASK)
        if isinstance(kept, dict):
            made.in_extra = frozenset({_TASK})
            tasks = {key: [_with_texts(item, record.inputs) for item in items] for key, items in kept.items()}
            restored = tasks.get("annotations", [])
            if None not in restored and _same(record, restored):
                made.row |= {key: [item for item in items if item is not None] for key, items in tasks.items()}
                return made.finish()
        annotations = list(_annotations(record))
        if annotations:
            made.row["annotations"] = annotations
        return made.finish()


def _same(record: Record, annotations: list[Any]) -> bool:
    """Whether kept annotations still say what the record says."""
    try:
        said = _meaning(annotations, record.inputs)
    except BadRow:
        return False
    return (said["answers"], said["spans"], said["labelled"]) == (record.answers, record.spans, record.labelled)


def _meaning(annotations: list[Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """Answers, spans and what each annotator said. Where annotators differ, the one marked as truth decides, or nobody."""
    labelled: dict[str, str] = {}
    spans: dict[str, tuple[Span, ...]] = {}
    truth = ""
    for number, annotation in enumerate(annotations, 1):
        if not isinstance(annotation, dict) or annotation.get("was_cancelled") or not annotation.get("result"):
            continue
        who = _annotator(annotation, number, labelled)
        results = [result for result in annotation["result"] if isinstance(result, dict)]
        labelled[who] = "; ".join(answer for result in results if (answer := _answer(result)) is not None)
        spans[who] = tuple(span for result in results if (span := _span(result, inputs)) is not None)
        if annotation.get("ground_truth"):
            truth = who
    who = truth or next(iter(labelled), "")
    agreed = truth or len(set(labelled.values())) == 1
    spans_agreed = truth or len(set(spans.values())) == 1
    answers = (labelled[who],) if who and agreed and labelled[who] else ()
    return {
        "answers": answers,
        "spans": spans[who] if who and spans_agreed else (),
        "labelled": {name: label for name, label in labelled.items() if label} if len(labelled) > 1 else {},
    }


def _annotator(annotation: Mapping[str, Any], number: int, taken: Mapping[str, str]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, dict):
        by = by.get("email") or by.get("id")
    name = str(by) if by is not None else f"annotator {number}"
    return name if name not in taken else f"{name} ({number})"


def _answer(result: Mapping[str, Any]) -> str | None:
    value = result.get("value")
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("choices"), list) and all(isinstance(choice, str) for choice in value["choices"]):
        return "; ".join(value["choices"])
    if result.get("type") == "textarea":
        text = value.get("text")
        return "\n".join(map(str, text)) if isinstance(text, list) else str(text or "")
    if result.get("type") in {"rating", "number"}:
        return str(value.get(str(result["type"]), ""))
    return None


def _span(result: Mapping[str, Any], inputs: Mapping[str, str]) -> Span | None:
    """A marked piece; offsets are put right where the browser counted UTF-16 units. Raises BadRow E2239."""
    value = result.get("value")
    if result.get("type") not in _SPANS or not isinstance(value, dict):
        return None
    labels = value.get(str(result["type"]))
    start, end = value.get("start"), value.get("end")
    if not isinstance(labels, list) or not labels or not isinstance(start, int) or not isinstance(end, int):
        return None
    field = _field(result, inputs)
    text, marked = inputs[field], value.get("text")
    if not isinstance(marked, str) or text[start:end] == marked:
        pass
    elif _of_units(text, start, end) == marked:
        start = len(text.encode("utf-16-le")[: start * 2].decode("utf-16-le", "ignore"))
        end = start + len(marked)
    else:
        raise BadRow("E2239", field, text=redact(marked)[:50], found=redact(text[start:end])[:50])
    if not 0 <= start <= end <= len(text):
        raise BadRow("E2239", field, text=f"{start}-{end}", found=f"{len(text)} characters")
    return Span(start=start, end=end, label="; ".join(map(str, labels)), field=field if len(inputs) > 1 else "")


def _of_units(text: str, start: int, end: int) -> str:
    return text.encode("utf-16-le")[start * 2 : end * 2].decode("utf-16-le", "replace")


def _field(result: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    return str(result.get("to_name")) if result.get("to_name") in inputs else next(iter(inputs))


def _without_texts(annotation: Any, inputs: Mapping[str, str]) -> Any:
    """An annotation whose copies of the text are taken out: masking a record must not leave them behind."""
    annotation = copy.deepcopy(annotation)
    for value, span in _marked(annotation, inputs):
        if isinstance(value.get("text"), str):
            value["text"] = {"units": value["text"] != inputs[span[0]][span[1] : span[2]]}
    return annotation


def _with_texts(annotation: Any, inputs: Mapping[str, str]) -> Any:
    """The annotation with the texts that it marks now; None where they lie outside."""
    annotation = copy.deepcopy(annotation)
    for value, (field, start, end) in _marked(annotation, inputs):
        if isinstance(value.get("text"), dict):
            text = inputs[field]
            value["text"] = _of_units(text, start, end) if value["text"]["units"] else text[start:end]
    return annotation


def _marked(annotation: Any, inputs: Mapping[str, str]) -> Iterator[tuple[dict[str, Any], tuple[str, int, int]]]:
    results = annotation.get("result") if isinstance(annotation, dict) else None
    for result in results if isinstance(results, list) else []:
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict) and isinstance(value.get("start"), int) and isinstance(value.get("end"), int):
            yield value, (_field(result, inputs), value["start"], value["end"])


def _annotations(record: Record) -> Iterator[dict[str, Any]]:
    """Fresh annotations: one for each person who labelled, else one that is the truth."""
    first = next(iter(record.inputs))
    marks = [
        {
            "from_name": "label",
            "to_name": span.field or first,
            "type": "labels",
            "value": {
                "start": span.start,
                "end": span.end,
                "text": record.inputs.get(span.field or first, "")[span.start : span.end],
                "labels": [span.label],
            },
        }
        for span in record.spans
    ]
    said: Mapping[str, str] = record.labelled or ({"": record.answer} if record.answer or marks else {})
    for who, label in said.items():
        choice = {"from_name": "choice", "to_name": first, "type": "choices", "value": {"choices": [label]}}
        about = {"completed_by": {"email": who}} if who else {"ground_truth": True}
        yield {**about, "result": [*([choice] if label else []), *marks]}
    if record.labelled and record.answer and Counter(record.labelled.values())[record.answer] < len(record.labelled):
        choice = {"from_name": "choice", "to_name": first, "type": "choices", "value": {"choices": [record.answer]}}
        yield {"ground_truth": True, "result": [choice, *marks]}
