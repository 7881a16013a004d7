"""`rung serve`: a run's winner behind an OpenAI-compatible API on this machine."""

from __future__ import annotations

import ipaddress
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import AsJson, OwnLang, RunPath
from rung.cli.serve_processes import Talk, serve_alone, serve_together
from rung.cli.serving_process import Serving
from rung.cli.spoken import asked_language, own_language, say, spoken
from rung.cli.traffic import Keep, StateFolder, open_traffic, span_of
from rung.core.errors import TargetNotMet, UsageError

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.serving.backend import Backend
    from rung.serving.proof import Agreement


def serve(
    run: Path = Path("runs"),
    *,
    candidate: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    keys: bool = True,
    backend: Backend | None = None,
    state: Path | None = None,
    keep: Keep = Keep.texts,
    seconds: float = 120.0,
    processes: int = 1,
    drift_every: timedelta | None = timedelta(hours=1),
    language: Language | None = None,
) -> None:
    """Serve until a signal comes. `state`: folder of the traffic database; `serving/` in the run when absent. `keep`: what of
    people's and models' words is written there. `drift_every`: how often /metrics learns of drift; None for never.

    `keys=False` lets everybody in and is for loopback only. Raises UsageError E7001, E7003, E1302, E1307; BackendError E7002,
    E7008; InterruptedRun E7004 where answers under way had to be cut at the end.
    """
    from rung.serving.server import listen
    from rung.store.deployment import Deployment

    language = language or own_language()
    if not keys and not on_loopback(host):
        raise UsageError("E7001", host=host)
    deployment = Deployment.at(run, state)
    with open_traffic(deployment.folder, make=True, keep=keep) as traffic:
        nobody = keys and not traffic.keys()
    with closing(listen(host, port)) as door:
        place = f"http://{f'[{host}]' if ':' in host else host}:{door.getsockname()[1]}/v1"

        def begun(name: str, other_engine: str) -> None:
            notes = [spoken("serve.serving", language, candidate=name, place=place)]
            if other_engine:
                notes.append(spoken("serve.other_engine", language, words=other_engine))
            if processes > 1:
                notes.append(spoken("serve.processes", language, n=processes))
            if not keys:
                notes.append(spoken("serve.no_keys", language))
            elif nobody:
                notes.append(spoken("serve.first_key", language, run=deployment.run))
            say("\n".join(notes))

        serving = Serving(run, candidate, keys, backend, state, keep, seconds)

        def told(key: str, **values: Any) -> None:
            say(spoken(f"serve.{key}", language, **values))

        talk = Talk(begun, told)
        # What is held against the proof is the champion; another candidate has no proof to be held against here.
        every = 0.0 if candidate or drift_every is None else drift_every.total_seconds()
        if processes > 1:
            serve_together(serving, door, talk, size=processes, drift_every=every)
        else:
            serve_alone(serving, door, talk, drift_every=every)


def on_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to this address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def show_agreement(found: Agreement, language: Language) -> None:
    """The proof, line by line."""
    counts = asdict(found)
    for name in ("prompts", "passages", "answers", "alone"):
        print(spoken(f"serve.check.{name}", language, **counts))
    print(spoken("serve.check.holds" if found.holds else "serve.check.broken", language))


def serve_command(
    run: RunPath = Path("runs"),
    host: Annotated[
        str, typer.Option(help="address to listen on; 0.0.0.0 for every network of this machine")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on; 0 for a free one", min=0, max=65535)] = 8000,
    keys: Annotated[
        bool, typer.Option("--keys/--no-keys", help="ask for a key of 'rung keys'; without, on loopback only")
    ] = True,
    candidate: Annotated[str | None, typer.Option(help="another candidate than the winner")] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="address of an OpenAI-compatible endpoint (vLLM, SGLang, Ollama) that answers instead"),
    ] = None,
    backend_model: Annotated[str | None, typer.Option(help="name of the model at that endpoint")] = None,
    backend_key: Annotated[str, typer.Option(help="environment variable that holds that endpoint's key")] = "",
    state: StateFolder = None,
    keep: Annotated[
        Keep, typer.Option(help="what is kept of questions and answers: all, with personal data masked, or no texts")
    ] = Keep.texts,
    seconds: Annotated[float, typer.Option(help="longest time for one answer, waiting included", min=0.1)] = 120.0,
    processes: Annotated[
        int,
        typer.Option(help="processes that answer at one address; each opens the candidate for itself", min=1, max=64),
    ] = 1,
    drift_every: Annotated[
        str, typer.Option(help="how often traffic is held against the proof for /metrics: 1h, 30m; 0 for never")
    ] = "1h",
    check: Annotated[
        int,
        typer.Option(
            help="instead of serving, ask so many test questions over HTTP and compare with the evaluation", min=0
        ),
    ] = 0,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Serve a run's winner to any program that speaks OpenAI's API: chat completions, completions, responses, embeddings.

    What the model is shown is, byte for byte, what it was shown in the evaluation; **--check 20** proves it.

    Example: **rung serve runs/my-run**, then in a client: base_url="http://127.0.0.1:8000/v1"
    """
    from rung.serving.backend import Backend

    language = asked_language(lang) or own_language()
    if (backend is None) != (backend_model is None):
        raise UsageError("E7005")
    if check:
        _check(run, check, candidate or "", language, json=json)
        return
    other = Backend(backend, backend_model, backend_key) if backend and backend_model else None
    serve(
        run,
        candidate=candidate,
        host=host,
        port=port,
        keys=keys,
        backend=other,
        state=state,
        keep=keep,
        seconds=seconds,
        processes=processes,
        drift_every=None if drift_every.strip() == "0" else span_of(drift_every),
        language=language,
    )


def _check(run: Path, n: int, candidate: str, language: Language, *, json: bool) -> None:
    from rung.cli.commands import to_json
    from rung.serving.proof import agreement

    found = agreement(run, n, candidate=candidate)
    if json:
        print(to_json({**asdict(found), "holds": found.holds}))
    else:
        show_agreement(found, language)
    if not found.holds:
        raise typer.Exit(TargetNotMet.exit_code)
