"""What was published of rain and haze, for want of real pairs to measure: numbers, each with where it is from."""

from __future__ import annotations

from typing import Any

import numpy

Array = numpy.ndarray[Any, Any]

STREAKS = {
    "length": (3.9, 4.6, 5.2, 5.6, 5.9, 6.4, 6.7, 7.3, 7.8, 8.5, 9.4, 10.7, 12.2, 14.4, 17.4, 21.4, 26.3, 32.9, 46.2),
    "width": (
        1.0,
        1.0,
        1.0,
        1.0,
        1.18,
        1.29,
        1.37,
        1.43,
        1.5,
        1.57,
        1.63,
        1.69,
        1.75,
        1.81,
        1.87,
        1.94,
        2.03,
        2.37,
        3.2,
    ),
    "brightness": (
        *(0.09, 0.102, 0.114, 0.129, 0.137, 0.149, 0.169, 0.184, 0.2, 0.22),
        *(0.243, 0.271, 0.302, 0.341, 0.396, 0.475, 0.576, 0.702, 0.839),
    ),
    "sway": (
        1.9,
        2.35,
        2.92,
        3.25,
        3.42,
        3.58,
        3.68,
        3.73,
        3.84,
        3.92,
        3.96,
        4.05,
        4.14,
        4.22,
        4.31,
        4.42,
        4.49,
        4.62,
        4.91,
    ),
    "density": (
        11.7,
        12.8,
        13.5,
        14,
        14.4,
        15.2,
        15.8,
        16.4,
        16.9,
        17.5,
        18.1,
        18.7,
        19.1,
        19.9,
        20.6,
        22.3,
        22.7,
        23.3,
        24.3,
    ),
    "cover": (
        *(0.048, 0.051, 0.067, 0.097, 0.112, 0.124, 0.127, 0.13, 0.132, 0.134),
        *(0.136, 0.137, 0.138, 0.14, 0.142, 0.145, 0.15, 0.154, 0.221),
    ),
}
"""Quantiles from 5 to 95 % of ``measures.streaks``, over every third of 825 rain layers of some 570×320 pixels.

The layers are streaks rendered after Garg & Nayar, Photorealistic Rendering of Rain Streaks, SIGGRAPH 2006, as
published by the authors of Li, Cheong & Tan, CVPR 2019 (RainStreakGen). Yang et al. 2017 name the same renderer as one
of the two origins of their streaks. No image of Rain100L or Rain100H is among them.
"""

ANGLES = ((-10.0, 10.0), (-30.0, 30.0), (-10.0, 40.0), (-15.0, 15.0))
"""Ranges of the streaks' angle from the vertical, in degrees, in published sets.

Light and medium rain of Gu et al., NeurIPS 2023; Chen et al., HQ-RAIN, 2023; Li, Cheong & Tan, CVPR 2019: each counts
alike.
"""

AIRLIGHT, BETA = (0.7, 1.0), (0.6, 1.8)
"""Ends of the uniform airlight and β of RESIDE's indoor training set (Li et al., IEEE TIP 2019, Sec. II)."""


def uniform(*ranges: tuple[float, float]) -> Array:
    """199 evenly spaced values of each of some ranges."""
    steps = numpy.linspace(0.0025, 0.9975, 199)
    values: Array = numpy.concatenate([low + (high - low) * steps for low, high in ranges])
    return values
