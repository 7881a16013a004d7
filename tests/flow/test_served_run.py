"""From a finished run on the embedded model to answers over HTTP: the same prompts, the same answers, by the command line too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import openai
import pytest
from small_desk import small_project

from rung.cli import commands
from rung.serving.proof import agreement
from rung.store.runs import RunFolder

TASK = """
name: served
instruction: You answer tenants' questions for the advice desk of Harrow Vale.
inputs: [question]
output: {kind: text, column: answer, max_tokens: 8, abstain: Not in the guidance.}
data: {examples: questions.csv, id: id, group: group, document: document}
documents: documents
metrics: [token_f1]
methods: [baseline, rag]
settings:
  rag: {chunk_words: 70, k: 1, query: as_asked, fusion: rrf}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return commands.run(small_project(tmp_path_factory.mktemp("served"), TASK))


def test_what_is_served_is_what_was_evaluated(finished: RunFolder) -> None:
    for outcome in finished.outcomes():
        found = agreement(finished.path, 6, candidate=outcome.candidate)
        assert found.n == 6
        assert found.same_prompts == found.same_passages == found.alone_same_answers == 6, found
        assert found.holds, found


def test_the_command_serves_the_winner_with_citations_and_ends_in_order(finished: RunFolder) -> None:
    rag = next(o.candidate for o in finished.outcomes() if o.cell.method == "rag")
    command = [sys.executable, "-c", "from rung.cli.main import main; main()"]
    made = subprocess.run(
        [*command, "keys", "new", str(finished.path), "test"], capture_output=True, text=True, check=True
    )
    secret = made.stdout.strip()
    child = subprocess.Popen(
        [*command, "serve", str(finished.path), "--port", "0", "--candidate", rag],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RUNG_LANG": "en"},
    )
    try:
        assert child.stderr is not None
        said = next(line for line in child.stderr if "http://" in line)
        url = re.search(r"http://\S+/v1", said)
        assert url is not None
        with openai.OpenAI(base_url=url[0], api_key=secret, max_retries=0) as client:
            question = finished.read_examples("test")[0].inputs["question"]
            reply = client.chat.completions.create(model="rung", messages=[{"role": "user", "content": question}])
            assert reply.choices[0].message.content
            block = (reply.model_extra or {})["rung"]
            assert block["candidate"] == rag
            assert block["passages"]
            assert len(client.embeddings.create(model="rung", input="rent").data[0].embedding) == 384
        with (
            openai.OpenAI(base_url=url[0], api_key="rung-no", max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError),
        ):
            stranger.models.list()
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    finally:
        child.kill()
        child.communicate()
    from rung.store.traffic.database import Traffic

    with Traffic.open(finished.path / "serving" / "traffic.sqlite") as traffic:
        (trace,) = traffic.traces()
        assert (trace.id, trace.candidate) == (reply.id, rag)


def test_serving_to_the_world_without_keys_is_refused(finished: RunFolder) -> None:
    command = [sys.executable, "-c", "from rung.cli.main import main; main()", "serve", str(finished.path)]
    refused = subprocess.run([*command, "--no-keys", "--host", "0.0.0.0"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "E7001" in refused.stderr
    half = subprocess.run([*command, "--backend", "http://127.0.0.1:1"], capture_output=True, text=True)
    assert "E7005" in half.stderr


@pytest.mark.slow
def test_the_check_prints_its_counts_for_programs(finished: RunFolder) -> None:
    baseline = next(o.candidate for o in finished.outcomes() if o.cell.method == "baseline")
    command = [sys.executable, "-c", "from rung.cli.main import main; main()", "serve", str(finished.path)]
    said = subprocess.run(
        [*command, "--check", "3", "--candidate", baseline, "--json"], capture_output=True, text=True, check=True
    )
    found = json.loads(said.stdout)
    assert found["holds"] is True
    assert found["n"] == found["same_answers"] == 3
