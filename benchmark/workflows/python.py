"""Five functions for Python: ``import benchmark`` has them, and nothing else, for everybody.

>>> import benchmark
>>> batch = benchmark.mixtures("Rain", n=2, size=32)
>>> tuple(batch.mixture.shape), tuple(batch.layers.shape)
((2, 3, 32, 32), (2, 2, 3, 32, 32))
>>> scores = benchmark.evaluate(lambda mixture: mixture, "Rain", size=32, evaluation_images=2)
>>> scores.protocols[0], scores.images, scores.mean("psnr") > 10
('y@1', 2, True)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, overload

import numpy
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from benchmark.errors import UserError, unknown
from benchmark.metrics import Scores
from benchmark.plan import catalogue
from benchmark.plan.execution import Options
from benchmark.reports import export
from benchmark.results import collection, weights
from benchmark.scoring import outputs
from benchmark.scoring.inference import separate_image
from benchmark.scoring.judge import judge
from benchmark.training import checkpoints
from datamodules.base import LayerDataModule
from datamodules.pictures.images import read_photo
from datamodules.sets.real import SETS
from datamodules.types import LayerBatch, LayerSpec

Layers = Mapping[str, Tensor]
"""Layer's name -> (C, H, W) in [0, 1]."""

Network = Callable[[Tensor], Tensor | Layers]
"""Of a mixture (C, h, w) in [0, 1] what gives its layers by their names, or the one that the task is for."""

Picture = str | Path | Image.Image | NDArray[Any] | Tensor
"""A file, a Pillow image, an array (H, W, 3) or (H, W), or a tensor (C, H, W); of floats in [0, 1], or of 8 bits."""


def evaluate(what: Network | str | Path, data: str, *, root: str | None = None, **options: Any) -> Scores:
    """Score a network, or a folder of its pictures, on test images, under every protocol of the task.

    Args:
        what: a function of a mixture (C, h, w) in [0, 1] that gives its layers by their names, or the task's own layer
            alone; or a folder with a PNG for each test image (see ``unblend score``).
        data: a real set, such as ``rain100l``, or a task, such as ``Rain``, whose pictures are embedded or generated.
        root: folder of the real data sets; default ``$UNBLEND_DATA``.
        **options: of the data set's class, such as ``size``.

    Returns:
        Of N images and L layers; ``mean("psnr")`` is that of the task's own protocol.

    Raises:
        UserError: unknown or missing data, or layers that cannot be scored.
    """
    module = _data(data, root, options)
    spec = module.spec
    if callable(what):

        def give(image: str, mixture: Tensor, shape: tuple[int, ...]) -> Tensor:
            with torch.no_grad():
                return _stacked(what(mixture), spec)

        judged = judge(module, give)
    else:
        module.open()
        ids = [name for batch in module.test_dataloader() for name in batch.ids]
        found = outputs.find(Path(what), ids, spec["scored"], spec["target"])
        found.refuse_gaps(spec["scored"], spec["ordered"])
        reader = outputs.Reader(found, spec["channels"])
        judged = judge(module, reader.layers)
        if judged is None:
            raise UserError(f"{what}: {'; '.join(reader.wrong(ids))}.")
    assert judged is not None  # a network gives layers of every image, or has raised
    return judged[0]


def load(name: str) -> Callable[[Picture], dict[str, Tensor]]:
    """Weights that ship, or that lie in a folder, ready to take pictures apart.

    Args:
        name: such as ``rain/nafnet`` (``unblend list weights``), or a path of weights.

    Returns:
        A function of a picture of any size that gives its layers by their names, each (C, H, W) in [0, 1].

    Raises:
        UserError: there are no such weights.
    """
    path = Path(name) if Path(name).is_file() else weights.folder_or_name(name)
    method = checkpoints.trained(path).eval()
    spec: LayerSpec = method.hparams["spec"]

    def apart(picture: Picture) -> dict[str, Tensor]:
        image = _tensor(picture)
        image = image.mean(0, keepdim=True) if spec["channels"] == 1 else image.expand(3, -1, -1)
        with torch.no_grad():
            layers = separate_image(method, image, ordered=spec["ordered"]).clamp(0, 1)
        return dict(zip(spec["layers"], layers, strict=False))

    return apart


def separate(picture: Picture, by: str) -> dict[str, Tensor]:
    """Take one picture apart.

    Args:
        picture: of any size.
        by: weights, as ``load`` takes them.

    Returns:
        Layers by their names, each (C, H, W) in [0, 1].

    Raises:
        UserError: no such weights, or no picture.
    """
    return load(by)(picture)


@overload
def published(suite: str | None = None, *, as_frame: Literal[False] = False) -> list[dict[str, Any]]: ...
@overload
def published(suite: str | None = None, *, as_frame: Literal[True]) -> Any: ...
def published(suite: str | None = None, *, as_frame: bool = False) -> Any:
    """All published scores, image by image.

    Args:
        suite: only of this one.
        as_frame: as a pandas ``DataFrame``.

    Returns:
        A row for each record, protocol, image and layer, as ``unblend export`` writes them.

    Raises:
        UserError: an unknown suite, or pandas is not installed.
    """
    found = [one.record for one in collection.collect(collection.folders_of(collection.COMMITTED))]
    known = {record.suite for record in found}
    if suite is not None and suite not in known:
        raise unknown("suite with published results", suite, known)
    rows = export.scores([record for record in found if suite in (None, record.suite)])
    if not as_frame:
        return list(rows)
    try:
        import pandas  # its frame is asked for by few
    except ImportError:
        raise UserError("as_frame needs pandas: pip install 'unblend[frame]'.") from None
    return pandas.DataFrame.from_records(list(rows), columns=export.SCORES)


def mixtures(data: str, n: int = 8, *, seed: int = 0, root: str | None = None, **options: Any) -> LayerBatch:
    """The first mixtures of a training stream, with their layers.

    Args:
        data: as ``evaluate`` takes it.
        n: how many, at least 1.
        seed: of the stream.
        root: folder of the real data sets; default ``$UNBLEND_DATA``.
        **options: of the data set's class.

    Returns:
        ``mixture`` (n, C, h, w), ``layers`` (n, K, C, H, W), ``mask`` and ``ids``.

    Raises:
        UserError: unknown or missing data, or no mixture at all is asked for.
    """
    module = _data(data, root, {**options, "images": n, "batch_size": n, "selections": 1, "seed": seed})
    module.open()
    return module.on_after_batch_transfer(next(iter(module.train_dataloader())), 0)


def _data(name: str, root: str | None, options: Options) -> LayerDataModule:
    """Data by the name of a real set or of a task."""
    if name in SETS:
        options = {"source": name, **options}
        name = SETS[name].task
    elif name not in catalogue.datasets() and "." not in name:
        raise unknown("data", name, [*catalogue.datasets(), *SETS])
    found: LayerDataModule = catalogue.dataset(name).load()(**options, root=root)
    return found


def _stacked(given: Tensor | Layers, spec: LayerSpec) -> Tensor:
    """(K', C, H, W) of what a network gave."""
    if isinstance(given, Tensor):
        return given[None] if given.dim() == 3 else given
    strange = sorted(set(given) - {*spec["layers"]})
    if strange:
        raise UserError(f"layer {strange[0]!r}: these data have {', '.join(spec['layers'])}.")
    there = [name in given for name in spec["scored"]]
    if not any(there) or sorted(there, reverse=True) != there:
        raise UserError(f"layers {', '.join(given)}: give the first of {', '.join(spec['scored'])}, without a gap.")
    return torch.stack([given[name] for name in spec["scored"] if name in given])


def _tensor(picture: Picture) -> Tensor:
    """(C, H, W) float32 in [0, 1]."""
    if isinstance(picture, str | Path):
        return read_photo(Path(picture)).pixels
    if isinstance(picture, Image.Image):
        pixels: Tensor = pil_to_tensor(picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB"))
        return pixels.float() / 255
    if isinstance(picture, Tensor):
        tensor = picture
    else:
        array = numpy.asarray(picture)
        tensor = torch.from_numpy(array[..., None] if array.ndim == 2 else array).permute(2, 0, 1)
    if tensor.dim() != 3 or tensor.shape[0] not in (1, 3):
        raise UserError(
            f"a picture of shape {tuple(tensor.shape)}: give (H, W, 3) or (H, W) arrays, (C, H, W) tensors."
        )
    return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()
