"""``unblend fit | validate | predict | test``: LightningCLI with the suite's names."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch.cli import LightningArgumentParser

import datamodules
import methods
from benchmark.errors import UserError
from benchmark.metrics import METRICS
from benchmark.plan import catalogue, suite
from benchmark.plan.contents import of_file, of_value, write_data_digest
from benchmark.plan.execution import UNTRAINED, Training
from benchmark.results import records, samples
from benchmark.scoring import latent
from benchmark.scoring.score import score_images
from benchmark.training import checkpoints
from benchmark.training.fit import resolved
from benchmark.training.lightning_cli import UnblendCLI


class ScoringCLI(UnblendCLI):
    """``unblend test``: a checkpoint, or a method that needs none, becomes one record."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_argument("--checkpoint", type=str | None, default=None, help="weights, as `fit` or `publish` wrote")
        parser.add_argument("--out", type=str, default="runs/test", help="folder of the record")


def fit(arguments: list[str]) -> None:
    """Train one method: --model M --data D, and Lightning's own options."""
    _lightning("fit", arguments)


def validate(arguments: list[str]) -> None:
    """Score a --ckpt_path on the select role."""
    _lightning("validate", arguments)


def predict(arguments: list[str]) -> None:
    """Write the layers of the test images, by a --ckpt_path, as PNG."""
    _lightning("predict", arguments)


def _lightning(command: str, arguments: list[str]) -> None:
    """One of Lightning's commands.

    Raises:
        UserError: an unknown method or data set, a method that cannot run on the data, missing data.
    """
    UnblendCLI(args=_weights_only([command, *_prepared(arguments)]))


def _prepared(arguments: list[str]) -> list[str]:
    """The arguments with full names of classes; where they name none, all classes are imported."""
    found = full_names(arguments)
    if "--model" not in found or "--data" not in found:
        _import_all()  # so that short names in a configuration file, and lists of names, resolve
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")  # meant: names are resolved first
    return found


def _weights_only(arguments: list[str]) -> list[str]:
    """The arguments, with ``--ckpt_path`` looked at before Lightning loads it, which is told to take weights only."""
    if set(arguments) & {"-h", "--help", "--print_config"}:
        return arguments
    for place, argument in enumerate(arguments):
        option, given, value = argument.partition("=")
        if option == "--ckpt_path" and (given or place + 1 < len(arguments)):
            checkpoints.read(Path(value if given else arguments[place + 1]))
    return [*arguments, "--weights_only=true"]


def full_names(arguments: list[str]) -> list[str]:
    """The arguments with ``--model LiGT`` as ``--model methods.ligt.LiGT``, and data likewise.

    Raises:
        UserError: an unknown name; the nearest ones are in the message.
    """
    found: list[str] = []
    for argument in arguments:
        option, given, value = argument.partition("=")
        if given and option in ("--model", "--data"):
            found += [option, value]
        else:
            found.append(argument)
    for i in range(1, len(found)):
        if found[i - 1] in ("--model", "--data") and not found[i].endswith((".yaml", ".yml")):
            lookup = catalogue.method if found[i - 1] == "--model" else catalogue.dataset
            found[i] = lookup(found[i]).class_path
    return found


def test(arguments: list[str]) -> None:
    """Score one method on the test role: one record, from a --checkpoint where it is trained.

    Raises:
        UserError: a trained method without a checkpoint, or a checkpoint that does not fit.
    """
    cli = ScoringCLI(args=_prepared(arguments), run=False)
    method, data, config = cli.model, cli.datamodule, cli.config
    checkpoint = Path(config["checkpoint"]) if config["checkpoint"] else None
    if method.card.trains and checkpoint is None:
        raise UserError(f"{method.card.title} is trained: give --checkpoint, for example runs/fit/best.ckpt.")
    if checkpoint is not None:
        _load(method, checkpoint)
    folder = Path(config["out"])
    complete = resolved(cli)
    data_class, method_class = (complete[part]["class_path"] for part in ("data", "model"))
    names = [
        suite.folder({"name": data_class}, catalogue.dataset(data_class)),
        suite.folder({"name": method_class}, catalogue.method(method_class)),
    ]
    path = folder / "records" / names[0] / names[1] / f"seed{config['seed_everything']}.json"
    scored = score_images(
        method,
        data,
        seed=int(config["seed_everything"]),
        folder=folder / "scoring",
        accelerator=config["trainer"]["accelerator"],
        devices=1 if config["trainer"]["devices"] == "auto" else config["trainer"]["devices"],
        used_precision=config["trainer"]["precision"] or "32-true",
        shown=samples.folder(path),
    )
    if scored is None:
        return
    weights = of_file(checkpoint) if checkpoint else None
    data_digest = write_data_digest(folder / "data.json", data.files())
    cell = suite.Cell("test", names[0], names[1], int(config["seed_everything"]), "", "", complete)
    identities = cell.identities()
    key = of_value([cell.key(), weights])
    record = records.Record(
        suite="test",
        dataset=names[0],
        method=names[1],
        seed=int(config["seed_everything"]),
        title=method.card.title,
        variant="",
        data_variant="",
        window=scored.window,
        identities=identities,
        key=key,
        score_key=of_value([key, data_digest, identities["metrics"]]),
        data_digest=data_digest,
        checkpoint_sha256=weights,
        spec=dict(data.spec),
        config=complete,
        training=_training(checkpoint),
        cost=scored.cost,
        provenance=scored.provenance,
        latent=latent.report(method, data, folder / "latent.png"),
        ids=scored.ids,
        scores=scored.scores,
    )
    records.write(path, record)
    print(f"{record.protocol}, mean over {', '.join(record.targets)}:")
    for metric in METRICS:
        print(f"{metric} {record.mean(metric):.4f}")
    print(f"record: {path}")


def _load(method: Any, checkpoint: Path) -> None:
    held = checkpoints.read(checkpoint)
    try:
        checkpoints.fill(method, held["state_dict"], held.get("left_out", []))
    except (UserError, RuntimeError, TypeError, AttributeError) as error:
        what = " ".join(str(error).split())[:300]
        raise UserError(
            f"checkpoint {checkpoint} does not fit {type(method).__name__}: {what}; "
            "give the options it was trained with (--config of its folder)."
        ) from error


def _training(checkpoint: Path | None) -> Training:
    """What a checkpoint says of its training; the time it took is not in it."""
    training = Training({**UNTRAINED, "curve": []})
    if checkpoint is not None:
        held = checkpoints.read(checkpoint)
        training["optimizer_steps"] = held.get("global_step", 0)
        for value in held.values():
            if isinstance(value, dict) and "images_seen" in value:
                training["images_seen"] = value["images_seen"]
    return training


def _import_all() -> None:
    broken = methods.discover()
    for module in pkgutil.iter_modules(datamodules.__path__, "datamodules."):
        importlib.import_module(module.name)
    for name, error in broken.items():
        print(f"unblend: warning: {name} cannot be imported: {error}", file=sys.stderr)
