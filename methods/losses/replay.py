"""A pool of a generator's older work, from which its discriminator learns."""

from __future__ import annotations

from random import Random
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class ReplayBuffer(nn.Module):
    """Gives back each image, or in half of the cases an older one, whose place it takes.

    All processes hold the same pool, of the images of all, and what is drawn depends on how many images came before:
    neither the number of processes nor an interruption changes what a discriminator learns from. A checkpoint holds
    the pool.

    Args:
        size: images in the pool; 0 for none.

    Source: Shrivastava et al., CVPR 2017, Sec. 2.3; CycleGAN, the authors' code (size 50).
    """

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        self.size, self.count = size, 0
        self.images: Tensor | None = None

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) new work -> as many images, new or old, float32."""
        if not self.size:
            return images.detach().float()
        new, rank, world = _of_all_processes(images.detach().float())
        if self.images is None:
            self.images = torch.zeros(self.size, *new.shape[1:], device=new.device)
        pool = self.images = self.images.to(new.device)
        given = []
        for image in new:
            place = self.count
            if self.count >= self.size:
                place = Random(self.count).randrange(2 * self.size)
            given.append(pool[place].clone() if self.count >= self.size > place else image)
            if place < self.size:
                pool[place] = image
            self.count += 1
        return torch.stack(given[rank::world])

    def get_extra_state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"count": self.count, "images": self.images}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on with what a checkpoint holds."""
        self.count, self.images = state["count"], state["images"]


def _of_all_processes(images: Tensor) -> tuple[Tensor, int, int]:
    """The images of all processes in the order of their samples, this process's rank, and the number of processes."""
    if not (dist.is_available() and dist.is_initialized()):
        return images, 0, 1
    rank, world = dist.get_rank(), dist.get_world_size()
    parts = [torch.empty_like(images) for _ in range(world)]
    dist.all_gather(parts, images.contiguous())
    return torch.stack(parts, 1).flatten(0, 1), rank, world  # sample k of a batch is process (k mod world)'s
