"""Mixtures beside their layers, as one picture, and what a method has learnt of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.functional import to_pil_image

from benchmark.scoring.latent import report
from benchmark.training.checkpoints import trained
from benchmark.training.lightning_cli import shown
from datamodules.base import LayerDataModule
from datamodules.types import LayerBatch, LayerSpec, UserError

GAP, LINE = 6, 18
"""Pixels between pictures, and of a line of text."""


def show_latent(data: LayerDataModule, checkpoint: Path, picture: Path) -> None:
    """Write where a trained method puts mixtures and layers in its latent spaces.

    Raises:
        UserError: no checkpoint, a method without latent spaces, or one that cannot take such data.
    """
    method = trained(checkpoint).eval()
    spec = LayerSpec(**{**data.spec, "pairing": method.card.supervision})
    reason = method.card.accepts(spec)
    learnt = method.hparams["spec"]["layers"]
    if reason is None and spec["layers"] != learnt:
        reason = f"{checkpoint} separates {', '.join(learnt)}, not {', '.join(spec['layers'])}"
    if reason is not None:
        raise UserError(f"{reason}.")
    data.setup()
    found = report(method, data, picture)
    if not found:
        raise UserError(f"{method.card.title} has no latent spaces to show: give a checkpoint of SILS.")
    print(f"{found.pop('images'):.0f} images: {picture}")
    print("level: spread over images, mean, and dB that are lost where its mean stands in its place")
    rows: dict[str, list[str]] = {}
    for name, value in found.items():
        rows.setdefault(name.rpartition(".")[0], []).append(f"{value:.3g}")
    for name, values in rows.items():
        print(f"  {name}: {', '.join(values)}")


def sheet(data: LayerDataModule, role: str, rows: int, height: int = 192) -> Image.Image:
    """A contact sheet: a row for each mixture, with its layers and its id.

    Args:
        data: whose images are shown.
        role: train, select or test.
        rows: how many mixtures, at most.
        height: of a picture, in pixels.

    Raises:
        UserError: missing or broken data.
    """
    data.setup()
    loaders = {"train": data.train_dataloader, "select": data.val_dataloader, "test": data.test_dataloader}
    pictures: list[tuple[str, list[Image.Image]]] = []
    loader: DataLoader[Any] = loaders[role]()
    for batch in loader:
        mixed: LayerBatch = data.on_after_batch_transfer(batch, 0)
        for i, name in enumerate(mixed.ids):
            images = [mixed.mixture[i], *mixed.layers[i]]
            pictures.append((name, [thumbnail(image, height) for image in images]))
        if len(pictures) >= rows:
            break
    return paste(_title(data.spec, role), pictures[:rows], height)


def _title(spec: LayerSpec, role: str) -> list[str]:
    names = spec["scored"] if role == "test" else spec["layers"]
    return ["mixture", *names]


def thumbnail(image: Tensor, height: int) -> Image.Image:
    """(C, H, W) as a picture of a height in pixels."""
    picture = to_pil_image(shown(image.float()))
    width = max(1, round(picture.width * height / picture.height))
    enlarge = picture.height < height / 2
    resized: Image.Image = picture.resize(
        (width, height), Image.Resampling.NEAREST if enlarge else Image.Resampling.BICUBIC
    )
    return resized


def paste(titles: list[str], pictures: list[tuple[str, list[Image.Image]]], height: int) -> Image.Image:
    """Rows of pictures, each with its name below, and a line of titles.

    Args:
        titles: of the columns.
        pictures: name and pictures of each row.
        height: of the pictures, in pixels.
    """
    columns = max(len(images) for _, images in pictures)
    widths = [max(images[c].width for _, images in pictures if c < len(images)) for c in range(columns)]
    step = height + LINE + GAP
    page = Image.new("RGB", (sum(widths) + GAP * (columns + 1), LINE + 2 * GAP + step * len(pictures)), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    left = GAP
    for c, width in enumerate(widths):
        draw.text((left, GAP), titles[c] if c < len(titles) else "", "black", font)
        for row, (_, images) in enumerate(pictures):
            if c < len(images):
                page.paste(images[c], (left, LINE + GAP + row * step))
        left += width + GAP
    for row, (name, _) in enumerate(pictures):
        draw.text((GAP, LINE + GAP + row * step + height + 2), name, "dimgray", font)
    return page
