"""The desk that follows a deployment: champion and challenger, brought to life by opening them and asking them something."""

from __future__ import annotations

from pathlib import Path

from rung.core.answer import answer_many
from rung.core.errors import BackendError
from rung.core.model import Encoder
from rung.core.task import Example
from rung.serving.backend import Backend
from rung.serving.hosting import ROOM, Hosted, Room, host
from rung.serving.router import Handling, Router
from rung.serving.service import Picked
from rung.store.deployment import Deployment, Pointer
from rung.store.runs import RunFolder

_DEAD = frozenset({"error", "refused", "server", "garbage", "timeout"})
"""Failures of a first question that say something about the candidate, and not about the question."""


class RoutedDesk:
    """Who answers, as the deployment's pointers say; a change of them is followed while requests go on."""

    def __init__(self, deployment: Deployment, *, backend: Backend | None = None, room: Room = ROOM) -> None:
        """Opens the champion. Raises what that raises."""
        encoders: list[Encoder] = []

        def bring(pointer: Pointer) -> Hosted:
            # An encoder that is there already is shared; only a name decides, so one of another candidate's folder is not.
            shared = encoders[0] if encoders else None
            hosted = host(pointer.run, pointer.candidate, backend=backend, room=room, encoder=shared)
            if hosted.encoder is not None and not encoders:
                encoders.append(hosted.encoder)
            return hosted

        handling = Handling(open=bring, warm=warm_up, idle=_idle, close=Hosted.close)
        self.router: Router[Hosted] = Router(deployment, handling)

    @property
    def champion(self) -> Hosted:
        return self.router.champion

    def pick(self, request: str, session: str = "") -> Picked:
        served = self.router.pick(request, session)
        return Picked(served.opened, served.role)

    def shadow(self, request: str, session: str = "") -> Hosted | None:
        served = self.router.shadow(request, session)
        return served.opened if served is not None else None

    def close(self, seconds: float) -> bool:
        return self.router.close(seconds)


def warm_up(hosted: Hosted, pointer: Pointer) -> None:
    """Ask a question of the run before anybody else does. Raises BackendError E7007 where nothing can answer.

    An endpoint is not asked: it costs, and it may come back by itself.
    """
    question = _first_question(pointer.run)
    if question is None or hosted.opened.model.ref.kind == "openai":
        return
    (answer,) = answer_many(hosted.opened, [question])
    if answer.failure is not None and answer.failure.kind in _DEAD:
        raise BackendError("E7007", candidate=pointer.name, kind=answer.failure.kind, message=answer.failure.message)


def _first_question(run: Path) -> Example | None:
    folder = RunFolder(run)
    if not (folder.path / "examples.jsonl").is_file():
        return None
    return next(iter(folder.read_examples()), None)


def _idle(hosted: Hosted) -> bool:
    return not hosted.engine.waiting and not hosted.engine.running
