"""Several training processes that share every batch: what they must tell each other, and nothing more.

Each process takes its share of a batch's parts; gradients are summed before the step, so that the step is that of one process with the
whole batch. With `sharded`, weights, gradients and optimiser are cut over the processes as well (FSDP2: Zhao et al. 2023, arXiv
2304.11277). Processes find each other by the environment that torchrun and accelerate set: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Alone:
    """One process: everything is its own."""

    rank = 0
    size = 1
    sharded = False

    def prepare(self, module: Any, base: Any) -> None:
        """Make the module the group's, before the optimiser is built on its parameters."""

    def mine(self, parts: list[list[int]]) -> list[tuple[list[int], float]]:
        """This process's parts of a batch, and what each part's gradients are multiplied by: 0 for one that is computed only to keep
        step with the others."""
        return [(part, 1.0) for part in parts]

    def sum_gradients(self, parameters: Iterable[Any]) -> None:
        """Every process has the sum of all gradients."""

    def total(self, value: float) -> float:
        """The sum of every process's value."""
        return value

    def agreed(self, value: Any) -> Any:
        """What the first process says."""
        return value

    @contextmanager
    def assembled(self, module: Any) -> Iterator[Any]:
        """The module with all of its weights, in the first process; None in the others. All processes call it."""
        yield module if self.rank == 0 else None

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that is cut over the processes, put together."""
        return tensor

    def cut(self, tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """A whole tensor, cut as `like` is."""
        return tensor


class Group(Alone):
    """The processes that torch.distributed has joined."""

    def __init__(self, *, sharded: bool = False) -> None:
        import torch.distributed as dist
        from accelerate import PartialState

        # Joins by the environment, with gloo on a CPU and nccl on GPUs.
        state = PartialState(cpu=not _cuda())
        self.rank, self.size, self.sharded = state.process_index, state.num_processes, sharded
        self._dist = dist
        self._bare: Any = None

    def prepare(self, module: Any, base: Any) -> None:
        if not self.sharded:
            return
        from torch.distributed.fsdp import fully_shard

        if self.rank == 0:
            self._bare = _without_weights(module).eval()
        for layer in base.get_decoder().layers:
            fully_shard(layer)
        fully_shard(base)

    def mine(self, parts: list[list[int]]) -> list[tuple[list[int], float]]:
        # Sharded gradients are averaged where the others are summed, and the loss is divided by the whole batch already.
        own = [(part, float(self.size) if self.sharded else 1.0) for part in parts[self.rank :: self.size]]
        if self.sharded and len(own) < -(-len(parts) // self.size):
            # Sharded layers are gathered by all processes together, so each must go through them equally often.
            own.append((parts[0], 0.0))
        return own

    def sum_gradients(self, parameters: Iterable[Any]) -> None:
        import torch

        # What is cut over the processes has its mean already; a soft prompt is not, even where the model is.
        grown = [parameter for parameter in parameters if not hasattr(parameter, "full_tensor")]
        if not grown:
            return
        for parameter in grown:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([parameter.grad.float().flatten() for parameter in grown])
        self._dist.all_reduce(flat)
        if self.sharded:
            flat /= self.size
        start = 0
        for parameter in grown:
            parameter.grad.copy_(flat[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()

    @contextmanager
    def assembled(self, module: Any) -> Iterator[Any]:
        if not self.sharded:
            with super().assembled(module) as found:
                yield found
            return
        # Into a module that was never cut: its layers call no other process, so that it may answer alone and in any order.
        for name, parameter in module.named_parameters():
            tensor = self.whole(parameter.detach())
            if self._bare is not None:
                self._bare.get_parameter(name).data = tensor
        try:
            yield self._bare
        finally:
            for parameter in self._bare.parameters() if self._bare is not None else ():
                parameter.data = parameter.new_empty(0)

    def total(self, value: float) -> float:
        import torch

        held = torch.tensor([value], dtype=torch.float64, device="cpu" if not _cuda() else "cuda")
        self._dist.all_reduce(held)
        return float(held)

    def agreed(self, value: Any) -> Any:
        held = [value]
        self._dist.broadcast_object_list(held)
        return held[0]

    def whole(self, tensor: torch.Tensor) -> torch.Tensor:
        import torch
        from torch.distributed.tensor import DTensor

        if not isinstance(tensor, DTensor):
            return tensor
        if not all(placement.is_shard(0) for placement in tensor.placements):
            return tensor.full_tensor()
        # By the plain collective: under load, gloo's functional one behind `full_tensor` has ended a process by a double free.
        own, length = tensor.to_local(), tensor.shape[0]
        piece = own.new_zeros((-(-length // self.size), *own.shape[1:]))
        piece[: own.shape[0]] = own
        pieces = [torch.empty_like(piece) for _ in range(self.size)]
        self._dist.all_gather(pieces, piece)
        return torch.cat(pieces)[:length]

    def cut(self, tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        from torch.distributed.tensor import DTensor, distribute_tensor

        if not isinstance(like, DTensor):
            return tensor
        return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def gathered(module: Any, group: Alone) -> dict[str, Any] | None:
    """Every tensor of a module that is cut over the processes, put together; None where it is whole. All processes call it."""
    if not group.sharded:
        return None
    return {name: group.whole(tensor).detach().cpu() for name, tensor in module.state_dict().items()}


def _without_weights(module: Any) -> Any:
    """A copy of a module whose parameters are empty."""
    import torch

    empty = {id(p): torch.nn.Parameter(p.detach().new_empty(0), requires_grad=False) for p in module.parameters()}
    return copy.deepcopy(module, empty)


def join(*, sharded: bool = False) -> Alone:
    """The group that the environment says this process belongs to."""
    return Group(sharded=sharded) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Alone()


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """What a process of a group on this machine is started with."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def free_port() -> int:
    import socket

    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        found: Sequence[Any] = asked.getsockname()
        return int(found[1])


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()
