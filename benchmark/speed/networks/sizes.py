"""How large each method's networks are, at its paper's size: ``python -m benchmark.speed.networks.sizes``.

Networks are built of fake tensors, so nothing is computed: their parameters are counted, and the multiply-adds of one
picture of 256×256. With ``--latency`` each also separates such a picture on one core, some minutes in all; else what
was measured before is kept. All goes into ``docs/sizes.json``, and from there into the table of
``docs/methods/index.md``; with ``--table`` only the table is made anew, after a suite or a card has changed.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from benchmark.files import read_json, write_json
from benchmark.plan import catalogue
from benchmark.plan.catalogue import Entry
from benchmark.plan.execution import Options
from benchmark.reports.documents import overview
from benchmark.results.provenance import processor
from datamodules.types import LayerSpec
from methods.base import SeparationMethod

SIDE = 256

AUTHORS = {
    "DDN": 57_369, "PReNet": 168_963, "RESCAN": 149_823, "JORDER": 4_169_024, "DIDMDN": 372_839,
    "AttentiveGAN": 6_244_362, "AODNet": 1_761, "DehazeNet": 8_305, "GFN": 517_295, "GCANet": 702_818,
    "DCPDN": 12_400_000, "DM2FNet": 92_140_000, "PLNet": 390_296, "BDN": 75_160_000, "RmNet": 65_430_000,
    "ERRNet": 18_950_000, "IBCLN": 21_610_000, "NES": 5_513_859, "ZouDAD": 41_830_000, "BIDeN": 35_060_000,
    "DirectIntrinsics": 3_064_934, "BigTime": 69_500_000, "FY18": 2_907_000, "NAFNet": 17_110_000,
    "Restormer": 26_130_000, "DSRNet": 124_600_000,
}  # fmt: skip
"""Parameters of what separates, as counted from the authors' layers; BIDeN's with two heads, DCPDN's without what its
code never calls."""


@dataclass(frozen=True)
class Size:
    """A method's size.

    Attributes:
        name: of its class.
        parameters: of what separates: those that no operation touches, such as critics', do not count.
        macs: multiply-adds for one picture of 256×256; None where the method takes no such picture.
    """

    name: str
    parameters: int
    macs: int | None


def spec_for(entry: Entry, method: type[SeparationMethod]) -> LayerSpec | None:
    """Data that a method takes: two coloured layers with an order if it can, else without one, or grey."""
    pairing = "unpaired" if method.card.supervision == "unpaired" else "paired"
    for channels, scale, ordered in ((3, 1, True), (3, 1, False), (1, 2, False)):
        names = ["background", "other"]
        spec = LayerSpec(
            layers=names, scored=names, target=names[:1], derived=[], ordered=ordered, channels=channels, scale=scale,
            mixing="sum", gain=1.0, fusion="sum", gamma=1.0, pairing=pairing, protocol="rgb", citation="", licence="",
        )  # fmt: skip
        if method.card.accepts(spec) is None:
            return spec
    return None


def build(entry: Entry) -> SeparationMethod | None:
    """A method at its paper's size, with random features where it has VGG's; None where nothing here fits it."""
    method: type[SeparationMethod] = entry.load()
    spec = spec_for(entry, method)
    if spec is None or not method.card.trains:
        return None
    options: Options = {"spec": dict(spec)}
    if "features" in inspect.signature(method).parameters:
        options["features"] = "random"
    return method(**options).eval()


def size(entry: Entry) -> Size | None:
    """Count a method's parameters and multiply-adds; None where it does not train."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        method = build(entry)
        if method is None:
            return None
        channels = method.hparams["spec"]["channels"]
        picture = torch.zeros(1, channels, SIDE, SIDE)
        used: set[int] = set()
        hooks = [
            part.register_forward_pre_hook(lambda own, _: used.update(id(one) for one in own.parameters(recurse=False)))
            for part in method.modules()
        ]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            method(picture)
        for hook in hooks:
            hook.remove()
    parameters = sum(one.numel() for one in method.parameters() if id(one) in used)
    return Size(entry.name, parameters, counter.get_total_flops() // 2)


def latency(entry: Entry) -> float:
    """Seconds of one core for one picture of 256×256, after one that warms up."""
    method = build(entry)
    assert method is not None
    picture = torch.rand(1, method.hparams["spec"]["channels"], SIDE, SIDE)
    with torch.no_grad():
        method(picture[..., : SIDE // 2, : SIDE // 2])
        begin = time.process_time()
        method(picture)
    return time.process_time() - begin


def main(arguments: Sequence[str] = ()) -> None:
    """Write the sizes, and the table of all methods."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--latency", action="store_true", help="also measure; some minutes")
    parser.add_argument("--table", action="store_true", help="only make the table anew, of what is known")
    given = parser.parse_args(list(arguments))
    if not given.table:
        torch.set_num_threads(1)
        before = read_json(overview.SIZES) or {"processor": processor(), "methods": {}}
        held = {}
        for entry in catalogue.methods().values():
            found = size(entry)
            if found is None:
                continue
            seconds = before["methods"].get(entry.name, {}).get("seconds")
            if given.latency:
                seconds = float(f"{latency(entry):.2g}")
            held[entry.name] = {
                "parameters": found.parameters,
                "authors": AUTHORS.get(entry.name),
                "macs": found.macs,
                "seconds": seconds,
            }
            print(entry.name, held[entry.name], flush=True)
        measured_on = processor() if given.latency else before["processor"]
        write_json(overview.SIZES, {"processor": measured_on, "methods": held})
    overview.write()


if __name__ == "__main__":
    main(sys.argv[1:])
