"""`rung promote`, `rollback`, `canary`, `shadow` and `rounds`: who is served, who is on trial, and how it came about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, harmless, in_language, own_language, say, spoken
from rung.cli.traffic import StateFolder, open_traffic

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.experiment.next_round.promote import Promoted
    from rung.store.deployment import Challenger, Deployment, Pointer
    from rung.store.rounds import Contest, Proposal, Trial

ServedRun = Annotated[Path, typer.Argument(help="the run that is served: its folder", metavar="RUN")]
_NewRun = Annotated[
    Path | None, typer.Argument(help="the new run; RUN's champion's own run when absent", metavar="NEW_RUN")
]
_NewCandidate = Annotated[str | None, typer.Option("--candidate", help="another candidate than that run's winner")]
_Because = Annotated[str, typer.Option("--because", help="why; kept in the history")]
_Stop = Annotated[bool, typer.Option("--stop", help="end the trial")]


@dataclass(frozen=True)
class Rounds:
    """A deployment at a glance."""

    champion: Pointer
    challenger: Challenger | None
    trial: Trial | None
    """How the challenger stands; None without one, and where no traffic is kept."""
    proposals: tuple[Proposal, ...]
    history: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "champion": asdict(self.champion),
            "challenger": asdict(self.challenger) if self.challenger else None,
            "trial": self.trial.model_dump(mode="json") if self.trial else None,
            "proposals": [proposal.model_dump(mode="json") for proposal in self.proposals],
            "history": list(self.history),
        }


def promote(
    run: Path,
    new_run: Path | None = None,
    *,
    candidate: str | None = None,
    force: bool = False,
    because: str = "",
    state: Path | None = None,
) -> Promoted:
    """Serve a new run's winner, or another candidate, in place of the champion; a running server changes over by itself.

    It must pass the contest on the champion's test questions: see `experiment.next_round.contest`. `force` serves it all the same, for
    a reason that is kept. Raises TargetNotMet E7124, UsageError E7111, E7123, E7125, DataError E7121, E7122.
    """
    from rung.experiment.next_round.promote import find_new
    from rung.experiment.next_round.promote import promote as promoted

    deployment = _deployment(run, state)
    return promoted(deployment, find_new(deployment, new_run, candidate), force=force, because=because)


def rollback(run: Path, *, because: str = "", state: Path | None = None) -> Pointer:
    """Serve what was served before. Raises UsageError E7110 where there was nothing."""
    return _deployment(run, state).rollback(reason=because)


def canary(
    run: Path,
    new_run: Path | None = None,
    *,
    share: float = 0.1,
    candidate: str | None = None,
    because: str = "",
    state: Path | None = None,
) -> Challenger:
    """Have a new candidate answer a share of the requests. Raises UsageError E7111, E7112, E7123."""
    return _try(run, new_run, "canary", share, candidate, because, state)


def shadow(
    run: Path,
    new_run: Path | None = None,
    *,
    share: float = 1.0,
    candidate: str | None = None,
    because: str = "",
    state: Path | None = None,
) -> Challenger:
    """Have a new candidate answer a share of the requests unseen, beside the champion. Raises UsageError E7111, E7112, E7123."""
    return _try(run, new_run, "shadow", share, candidate, because, state)


def stop_trial(run: Path, *, because: str = "", state: Path | None = None) -> Challenger | None:
    """End a canary or shadow; None where there was none."""
    return _deployment(run, state).stop_challenger(reason=because)


def rounds(run: Path, *, state: Path | None = None) -> Rounds:
    """Champion, challenger with its test so far, proposals and history."""
    from rung.core.errors import UsageError
    from rung.store.rounds import read_proposals

    deployment = _deployment(run, state)
    champion, challenger, trial = deployment.champion, deployment.challenger, None
    if challenger is not None:
        try:
            trial = _trial(deployment, champion, challenger)
        except UsageError as error:
            if error.code != "E7061":
                raise
    proposals = tuple(read_proposals(deployment.folder))
    return Rounds(champion, challenger, trial, proposals, tuple(deployment.history()))


def _trial(deployment: Deployment, champion: Pointer, challenger: Challenger) -> Trial:
    from rung.experiment.kept_run import KeptRun
    from rung.experiment.next_round.online import judge_trial
    from rung.store.runs import RunFolder

    kept = KeptRun(RunFolder(champion.run))
    with open_traffic(deployment.folder) as traffic:
        return judge_trial(traffic, champion, challenger, kept.metric, margin=kept.task.margin)


def _try(
    run: Path,
    new_run: Path | None,
    mode: Literal["canary", "shadow"],
    share: float,
    candidate: str | None,
    because: str,
    state: Path | None,
) -> Challenger:
    from rung.experiment.next_round.promote import find_new

    deployment = _deployment(run, state)
    new = find_new(deployment, new_run, candidate)
    return deployment.start_challenger(new.kept.run.path, new.candidate, mode, share=share, reason=because)


def _deployment(run: Path, state: Path | None) -> Deployment:
    from rung.store.deployment import Deployment

    return Deployment.at(run, state)


def promote_command(
    run: ServedRun,
    new_run: _NewRun = None,
    candidate: _NewCandidate = None,
    force: Annotated[bool, typer.Option("--force", help="serve it whatever the contest says; needs --because")] = False,
    because: _Because = "",
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Serve a new winner in place of the champion, if it holds against it on the same test questions.

    A running server opens it, asks it a question, and changes over between two requests. **rung rollback** goes back.

    Example: **rung promote runs/desk-1a2b3c4d runs/desk-5e6f7a8b**
    """
    language = asked_language(lang) or own_language()
    done = promote(run, new_run, candidate=candidate, force=force, because=because, state=state)
    if json:
        held = done.contest.model_dump(mode="json") if done.contest else None
        print(commands.to_json({"champion": asdict(done.pointer), "contest": held, "forced": done.forced}))
        return
    if done.contest is not None:
        show_contest(done.contest, language)
    say(spoken("deploy.forced" if done.forced else "deploy.promoted", language, name=done.pointer.name))


def rollback_command(
    run: ServedRun, because: _Because = "", state: StateFolder = None, json: AsJson = False, lang: OwnLang = None
) -> None:
    """Serve what was served before."""
    pointer = rollback(run, because=because, state=state)
    if json:
        print(commands.to_json(asdict(pointer)))
    else:
        say(spoken("deploy.back", asked_language(lang) or own_language(), name=pointer.name))


def canary_command(
    run: ServedRun,
    new_run: _NewRun = None,
    share: Annotated[float, typer.Option(help="share of the requests that it answers")] = 0.1,
    candidate: _NewCandidate = None,
    stop: _Stop = False,
    because: _Because = "",
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Have a new candidate answer a share of the requests; **rung rounds** says how it does.

    Example: **rung canary runs/desk-1a2b3c4d runs/desk-5e6f7a8b --share 0.1**
    """
    language = asked_language(lang) or own_language()
    if stop:
        _stopped(run, because, state, language, json=json)
        return
    _started(canary(run, new_run, share=share, candidate=candidate, because=because, state=state), language, json=json)


def shadow_command(
    run: ServedRun,
    new_run: _NewRun = None,
    share: Annotated[float, typer.Option(help="share of the requests that it answers unseen")] = 1.0,
    candidate: _NewCandidate = None,
    stop: _Stop = False,
    because: _Because = "",
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Have a new candidate answer too, where nobody sees it; **rung rounds** compares the two."""
    language = asked_language(lang) or own_language()
    if stop:
        _stopped(run, because, state, language, json=json)
        return
    _started(shadow(run, new_run, share=share, candidate=candidate, because=because, state=state), language, json=json)


def _started(trial: Challenger, language: Language, *, json: bool) -> None:
    if json:
        print(commands.to_json(asdict(trial)))
    else:
        say(spoken(f"deploy.{trial.mode}", language, name=trial.pointer.name, share=f"{100 * trial.share:g}"))


def _stopped(run: Path, because: str, state: Path | None, language: Language, *, json: bool) -> None:
    found = stop_trial(run, because=because, state=state)
    if json:
        print(commands.to_json(asdict(found) if found else None))
    else:
        say(spoken("deploy.stopped" if found else "deploy.none", language, name=found.pointer.name if found else ""))


def rounds_command(run: ServedRun, state: StateFolder = None, json: AsJson = False, lang: OwnLang = None) -> None:
    """Show who is served, how a trial stands, what retraining proposed, and every change so far."""
    found = rounds(run, state=state)
    if json:
        print(commands.to_json(found.to_json()))
        return
    language = asked_language(lang) or own_language()
    print(spoken("deploy.champion", language, name=found.champion.name, since=found.champion.since or "–"))
    if found.challenger is None:
        print(spoken("deploy.none", language))
    else:
        share = f"{100 * found.challenger.share:g}"
        print(spoken(f"deploy.on.{found.challenger.mode}", language, name=found.challenger.pointer.name, share=share))
    if found.trial is not None:
        counts = {"answered": found.trial.answered, "failed": found.trial.failed}
        others = {"other": found.trial.champion_answered, "other_failed": found.trial.champion_failed}
        print("  " + spoken("deploy.answered", language, **counts, **others))
        if found.trial.agreement is not None:
            print("  " + spoken("deploy.agreement", language, share=f"{100 * found.trial.agreement:.1f}"))
        print("  " + in_language(found.trial.said, language))
    for proposal in found.proposals:
        verdict = (
            "promoted" if proposal.promoted else "passed" if proposal.contest and proposal.contest.passed else "held"
        )
        added = sum(proposal.added.values())
        told = {
            "at": proposal.at,
            "run": proposal.run,
            "n": added,
            "verdict": spoken(f"deploy.{verdict}_word", language),
        }
        print(spoken("deploy.proposal", language, **told))
    for line in found.history:
        what = spoken(f"deploy.did.{line['what']}", language)
        why = harmless(str(line.get("why") or line.get("reason") or ""))
        print(f"{line['since']}  {what}  {line['candidate']}  {line.get('by', '')}  {why}".rstrip())


def show_contest(found: Contest, language: Language) -> None:
    """The contest in words, to stderr: both scores, every reason."""
    scores = [f"{side.score:.3f}" if side.score is not None else "–" for side in (found.champion, found.new)]
    say(spoken("deploy.scores", language, metric=found.metric, champion=scores[0], new=scores[1]))
    for reason in found.reasons:
        say(in_language(reason, language))
