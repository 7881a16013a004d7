"""Chat templates: what they can reach, and what they may take."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2.exceptions import SecurityError
from tiny_llama import CHATML, write_model

from rung.core.errors import BackendError
from rung.core.model import Message, Request
from rung.models.template_check import check_template
from rung.models.transformers_local import TransformersModel

ASKED = Request(messages=(Message("user", "{{ 7 * 7 }} {% for x in y %} {0} {x}"),), max_tokens=2)
ESCAPES = (
    "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__class__.__base__.__subclasses__() }}",
    "{{ namespace.__init__.__globals__['__builtins__']['open']('CANARY', 'w') }}",
    "{{ messages.append({'role': 'user'}) }}",
)


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_template_cannot_reach_out_of_its_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, escape: str
) -> None:
    monkeypatch.chdir(tmp_path)
    model = TransformersModel(str(write_model(tmp_path / "model", template=escape)), precision="fp32", device="cpu")
    with pytest.raises(SecurityError):
        model.encode(ASKED)
    assert not (tmp_path / "CANARY").exists()


def test_a_users_braces_stay_as_they_are(tmp_path: Path) -> None:
    model = TransformersModel(str(write_model(tmp_path / "model")), precision="fp32", device="cpu")
    ids, _ = model.encode(ASKED)
    assert ASKED.messages[0].text in model._loaded.tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "ran for"),
        ("{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}", "wrote more"),
        ("{{ 'x' * 100000000000 }}", "MiB"),
        ("{{ 'x'|center(1000000000) }}", "MiB"),
        ("x" * 600_000 + "{{ 'x'|center(600000) }}", "wrote more"),
    ],
)
def test_a_template_that_runs_away_is_refused(template: str, why: str) -> None:
    with pytest.raises(BackendError, match=why) as caught:
        check_template(template, "somebody/model")
    assert caught.value.code == "E3047"


def test_a_runaway_template_is_refused_when_its_model_is_loaded(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", template="{{ 'x' * 100000000000 }}")
    with pytest.raises(BackendError) as caught:
        TransformersModel(str(folder), precision="fp32", device="cpu").generate([ASKED])
    assert caught.value.code == "E3047"


@pytest.mark.parametrize(
    "template",
    [
        CHATML,
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
        "{{ raise_exception('no system message') }}",
        "{{ strftime_now('%d %b %Y') }}{{ messages | tojson }}",
        "{% set ns = namespace(n=0) %}{% for i in range(3) %}{% if i == 1 %}{% continue %}{% endif %}{% endfor %}",
    ],
)
def test_usual_templates_pass(template: str) -> None:
    check_template(template, "somebody/model")
