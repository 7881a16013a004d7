"""The optimiser over float32 copies of what is trained, and the learning rate's schedule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rung.training.group import Alone
from rung.training.settings import TrainSettings

if TYPE_CHECKING:
    import torch

_FLOOR = 0.02
"""The learning rate never falls below this share of its highest value, or the end of a run would teach nothing."""


def rate_at(share: float, settings: TrainSettings) -> float:
    """The learning rate when `share` of the run is over: a straight rise over the warm-up, then the schedule."""
    warmup = settings.warmup
    if share < warmup:
        return settings.rate * max(share / warmup, _FLOOR)
    left = (1.0 - share) / max(1e-9, 1.0 - warmup)
    match settings.schedule:
        case "constant":
            scale = 1.0
        case "cosine":
            scale = 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))
        case "inverse_sqrt":
            scale = math.sqrt(max(warmup, 0.01) / max(share, warmup, 0.01))
        case _:
            scale = left
    return settings.rate * min(1.0, max(scale, _FLOOR))


class Masters:
    """Float32 copies of the trained parameters, which the optimiser moves; the model's own follow in their own precision.

    Mixed precision: Micikevicius et al. 2018, arXiv 1710.03740, section 3.1. A parameter that is float32 already is its own copy.
    """

    def __init__(self, module: Any, settings: TrainSettings, group: Alone | None = None) -> None:
        import torch

        self.settings, self.group = settings, group or Alone()
        self.parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.weights = {
            name: p if p.dtype == torch.float32 else p.detach().float().requires_grad_(True)
            for name, p in self.parameters.items()
        }
        self.optimiser = _optimiser(list(self.weights.values()), settings)

    def step(self, share: float) -> float:
        """One step by the gradients that have been gathered, which are then gone. Returns their norm before clipping."""
        import torch

        self.group.sum_gradients(self.parameters.values())
        for name, parameter in self.parameters.items():
            master = self.weights[name]
            if master is not parameter:
                master.grad = None if parameter.grad is None else parameter.grad.float()
                parameter.grad = None
        limit = self.settings.max_grad_norm or math.inf
        norm = float(self.group.whole(torch.nn.utils.clip_grad_norm_(self.weights.values(), limit)))
        if not math.isfinite(norm):
            return norm
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(share, self.settings)
        self.optimiser.step()
        self.forget_gradients()
        self._follow()
        return norm

    def forget_gradients(self) -> None:
        for name, parameter in self.parameters.items():
            parameter.grad = None
            self.weights[name].grad = None

    def _follow(self) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if self.weights[name] is not parameter:
                    parameter.copy_(self.weights[name])

    def copy(self) -> dict[str, torch.Tensor]:
        return {name: weight.detach().clone() for name, weight in self.weights.items()}

    def load(self, weights: dict[str, torch.Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, master in self.weights.items():
                master.copy_(weights[name])
        self._follow()

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights and the optimiser's state, by names that `load_tensors` knows."""
        found = {f"weights/{name}": self.group.whole(weight.detach()) for name, weight in self.weights.items()}
        states = self.optimiser.state_dict()["state"]
        for number, name in enumerate(self.weights):
            for key, value in states.get(number, {}).items():
                if value is not None:
                    found[f"optimiser/{key}/{name}"] = self.group.whole(_tensor(value))
        return found

    def load_tensors(self, found: dict[str, torch.Tensor]) -> None:
        numbers = {name: number for number, name in enumerate(self.weights)}
        states: dict[int, dict[str, Any]] = {}
        for name, value in found.items():
            if name.startswith("optimiser/"):
                _, key, parameter = name.split("/", 2)
                like = self.weights[parameter]
                states.setdefault(numbers[parameter], {})[key] = (
                    self.group.cut(value, like) if value.shape == like.shape else value
                )
        saved = self.optimiser.state_dict()
        self.optimiser.load_state_dict({**saved, "state": states})
        self.load({name: self.group.cut(found[f"weights/{name}"], weight) for name, weight in self.weights.items()})


def _tensor(value: Any) -> torch.Tensor:
    import torch

    return value.detach() if isinstance(value, torch.Tensor) else torch.tensor(value)


def _optimiser(weights: list[Any], settings: TrainSettings) -> Any:
    import torch

    rate, decay = settings.rate, settings.weight_decay
    betas = (settings.beta1, settings.beta2)
    match settings.optimiser:
        case "adamw":
            return torch.optim.AdamW(weights, lr=rate, betas=betas, weight_decay=decay, fused=True)
        case "adam":
            return torch.optim.Adam(weights, lr=rate, betas=betas, weight_decay=decay, fused=True)
        case "nadam":
            return torch.optim.NAdam(weights, lr=rate, betas=betas, weight_decay=decay)
        case "adafactor":
            return torch.optim.Adafactor(weights, lr=rate, weight_decay=decay)
        case "rmsprop":
            return torch.optim.RMSprop(weights, lr=rate, alpha=settings.beta2, weight_decay=decay)
        case "adagrad":
            return torch.optim.Adagrad(weights, lr=rate, weight_decay=decay)
        case _:
            return torch.optim.SGD(weights, lr=rate, momentum=settings.beta1, weight_decay=decay)
