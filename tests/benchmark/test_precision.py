"""``precision: auto`` picks what pays, by the processor's own word, without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.plan import precision

INTEL = "processor : 0\nflags\t\t: fpu avx512f avx512_bf16 amx_tile amx_bf16\nbugs\t\t: none\n"
OLD = "processor : 0\nflags\t\t: fpu avx2 fma f16c\nmodel name\t: amx_bf16 in name only\n"
ARM = "processor : 0\nFeatures\t: fp asimd i8mm bf16\n"


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    def set_flags(text: str) -> None:
        path = tmp_path / "cpuinfo"
        path.write_text(text)
        monkeypatch.setattr(precision, "_flags", lambda: precision.cpuinfo_flags(path))
        precision.low_precision_units.cache_clear()

    yield set_flags
    precision.low_precision_units.cache_clear()


@pytest.mark.parametrize(
    ("text", "units"), [(INTEL, ["amx_bf16", "avx512_bf16"]), (OLD, []), (ARM, ["arm_bf16"]), ("", [])]
)
def test_the_processor_says_which_units_it_has(processor: object, text: str, units: list[str]) -> None:
    processor(text)  # type: ignore[operator]
    assert precision.low_precision_units() == units
    assert precision.resolve("auto", True, "cpu") == (("bf16-mixed", True) if units else ("32-true", False))


def test_a_method_that_loses_by_it_keeps_to_float32(processor: object) -> None:
    processor(INTEL)  # type: ignore[operator]
    assert precision.resolve("auto", False, "cpu") == ("32-true", False)


def test_what_is_asked_for_by_name_is_taken(processor: object) -> None:
    processor(OLD)  # type: ignore[operator]
    for name in ("32-true", "bf16-mixed", "16-mixed"):
        assert precision.resolve(name, True, "cpu") == (name, False)
    processor(INTEL)  # type: ignore[operator]
    assert precision.resolve("32-true", True, "cpu") == ("32-true", False)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UserError, match="unknown precision 'bf16': did you mean"):
        precision.resolve("bf16", True, "cpu")
    with pytest.raises(UserError, match="precision 16: one of auto, 32-true"):
        precision.check(16)
    assert precision.check("auto") == "auto"


def test_a_gpu_pays_where_it_has_bfloat16(processor: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    processor(OLD)  # type: ignore[operator]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for capability, expected in (((9, 0), ("bf16-mixed", True)), ((7, 5), ("32-true", False))):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda capability=capability: capability)
        assert precision.resolve("auto", True, "gpu") == expected
        assert precision.resolve("auto", True, "auto") == expected
        assert precision.resolve("auto", False, "gpu") == ("32-true", False)
    assert precision.resolve("auto", True, "mps") == ("32-true", False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    processor(INTEL)  # type: ignore[operator]
    assert precision.resolve("auto", True, "auto") == ("bf16-mixed", True)


def test_this_processor_agrees_with_torch_and_needs_no_torch() -> None:
    program = "import sys; from benchmark.plan.precision import resolve, low_precision_units as u; "
    program += "resolve('auto', True, 'cpu'); assert 'torch' not in sys.modules; print('avx512_bf16' in u())"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    import torch

    known = torch.backends.cpu.get_cpu_capability()
    if known.startswith("AVX"):
        # torch, too, asks the processor, by its instruction CPUID.
        assert (told[0] == "True") == torch.cpu._is_avx512_bf16_supported()
