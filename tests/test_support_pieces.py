"""Moments of piecewise polynomials of a Gaussian pair against a quadrature: accuracy, gradients."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from dualc.emit import support_pieces as s
from dualc.emit.support import gap, in_tiles
from dualc.emit.support_pieces import Pieces

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
BOUND = {np.float32: 8.0, np.float64: 8.0}  # eps times the condition

PIECES: dict[str, Pieces] = {
    "hard_tanh": Pieces((-1.0, 1.0), ((-1.0,), (0.0, 1.0), (1.0,))),
    "relu6": Pieces((0.0, 6.0), ((0.0,), (0.0, 1.0), (6.0,))),
    "hard_swish": Pieces((-3.0, 3.0), ((0.0,), (0.0, 0.5, 1 / 6), (0.0, 1.0))),
    "softshrink": Pieces((-0.5, 0.5), ((0.5, 1.0), (0.0,), (-0.5, 1.0))),
    "hardshrink": Pieces((-0.5, 0.5), ((0.0, 1.0), (0.0,), (0.0, 1.0))),
    "threshold1": Pieces((1.0,), ((20.0,), (0.0, 1.0))),
    "ramp+1": Pieces((1.0,), ((0.0,), (-1.0, 1.0))),
    "absshift": Pieces((1.0,), ((1.0, -1.0), (-1.0, 1.0))),
    "box": Pieces((-1.0, 1.0), ((0.0,), (1.0,), (0.0,))),
    "xbox": Pieces((-1.0, 1.0), ((0.0,), (0.0, 1.0), (0.0,))),
}

# (q12, q11, q22, E[f(u) f(v)], condition), a prime for f': integral over u of the closed mean of
# f(v) given u, panels split at the places and where that mean bends, 54 digits; condition = sum of
# |x dk/dx| / |k| + 1 over the variances, at most 100, but 1 where rho is 0 or +-1.
# `direct_integral` recomputes one of each.
VALUES = {
    "hard_tanh": (
        (1.0, 1.0, 1.0, "0.5160585509617133004", 1),
        (-10000.0, 10000.0, 10000.0, "-0.99468082278638170555", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "0.0099999997764825820923",
            1,
        ),
        (-2.0, 1.0, 4.0, "-0.59921890392067981778", 1),
        (-8.999991416931152, 9.0, 9.0, "-0.8246369521254093682", 6.59),
        (9999.990234375, 10000.0, 10000.0, "0.994605801695401468", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.000039999953125291105331",
            2,
        ),
        (10.0, 10000.0, 10000.0, "0.00063659865829637537522", 3),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "0.0012499999720603227615",
            2,
        ),
        (-0.6000000238418579, 1.0, 1.0, "-0.28872677501846118905", 2.82),
        (-97.48379516601562, 100.0, 101.0, "-0.83543381641425617452", 6.75),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "-0.00077393514786581105569", 2.5),
        (95.0, 10000.0, 1.0, "0.59135437876440169395", 3.33),
        (1.0307661294937134, 1.0, 1.0625, "0.52194612102660037191", 3.26),
        (9995.0, 10000.0, 10000.0, "0.97920543714566871102", 40.8),
    ),
    "hard_tanh'": (
        (1.0, 1.0, 1.0, "0.68268949213708589717", 1),
        (-10000.0, 10000.0, 10000.0, "0.0079787126292632074036", 1),
        (0.009999999776482582, 0.009999999776482582, 0.009999999776482582, "1.0", 1),
        (-2.0, 1.0, 4.0, "0.38292492254802620728", 1),
        (-8.999991416931152, 9.0, 9.0, "0.26070146865774044606", 100),
        (9999.990234375, 10000.0, 10000.0, "0.0075338832454542054058", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.99999885339437357772",
            1,
        ),
        (10.0, 10000.0, 10000.0, "0.000063659887048193752061", 2),
        (0.0012499999720603228, 0.0024999999441206455, 0.0024999999441206455, "1.0", 1),
        (-0.6000000238418579, 1.0, 1.0, "0.51386849184352331454", 2.05),
        (-97.48379516601562, 100.0, 101.0, "0.02468536219704497783", 30.5),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "0.0079787126292632074036", 1.5),
        (95.0, 10000.0, 1.0, "0.007967826138722519852", 1.79),
        (1.0307661294937134, 1.0, 1.0625, "0.6680245329172594569", 1.36),
        (9995.0, 10000.0, 10000.0, "0.0019488811945717221392", 100),
    ),
    "relu6": (
        (1.0, 1.0, 1.0, "0.49999999807527047738", 1),
        (-10000.0, 10000.0, 10000.0, "0.0", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "0.0049999998882412910461",
            1,
        ),
        (-2.0, 1.0, 4.0, "0.0", 1),
        (-8.999991416931152, 9.0, 9.0, "1.2577274242707621551e-9", 100),
        (9999.990234375, 10000.0, 10000.0, "17.425499126656615874", 27.9),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.0063762007642266218941",
            2,
        ),
        (10.0, 10000.0, 10000.0, "8.5801477874634844275", 1.02),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "0.00076124720929008525629",
            2,
        ),
        (-0.6000000238418579, 1.0, 1.0, "0.038773780364588649873", 6.57),
        (-97.48379516601562, 100.0, 101.0, "0.078243635395993556676", 98.3),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "0.000029605419968569362539", 72.5),
        (95.0, 10000.0, 1.0, "2.3241631032320353712", 2.02),
        (1.0307661294937134, 1.0, 1.0625, "0.51538306566046258896", 2),
        (9995.0, 10000.0, 10000.0, "17.339326519364438112", 17.3),
    ),
    "relu6'": (
        (1.0, 1.0, 1.0, "0.49999999901341235496", 1),
        (-10000.0, 10000.0, 10000.0, "0.0", 1),
        (0.009999999776482582, 0.009999999776482582, 0.009999999776482582, "0.5", 1),
        (-2.0, 1.0, 4.0, "0.0", 1),
        (-8.999991416931152, 9.0, 9.0, "0.00021980380559273283758", 100),
        (9999.990234375, 10000.0, 10000.0, "0.023477731034683569732", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.25015915496915452903",
            1,
        ),
        (10.0, 10000.0, 10000.0, "0.00057227162312166064753", 2),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "0.33333333333333333333",
            1.55,
        ),
        (-0.6000000238418579, 1.0, 1.0, "0.14758361290724203446", 2.62),
        (-97.48379516601562, 100.0, 101.0, "0.038634645523967902497", 30.7),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "0.010824476464041087123", 4.07),
        (95.0, 10000.0, 1.0, "0.012829491351082073897", 2.91),
        (1.0307661294937134, 1.0, 1.0625, "0.49928929996649674196", 100),
        (9995.0, 10000.0, 10000.0, "0.014145703571907168734", 100),
    ),
    "softshrink": (
        (1.0, 1.0, 1.0, "0.41927852005066776313", 1),
        (-10000.0, 10000.0, 10000.0, "-9920.461211468228694", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "3.8686577560784347742e-10",
            1,
        ),
        (-2.0, 1.0, 4.0, "-1.0363535975026415559", 1),
        (-8.999991416931152, 9.0, 9.0, "-6.8452725039251583965", 2.14),
        (9999.990234375, 10000.0, 10000.0, "9920.4514876984065779", 2),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "6.1696410312032824927e-9",
            9.06,
        ),
        (10.0, 10000.0, 10000.0, "9.9203710300137007202", 2),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "4.6386087206648254246e-36",
            70.6,
        ),
        (-0.6000000238418579, 1.0, 1.0, "-0.23367555391424262513", 2.54),
        (-97.48379516601562, 100.0, 101.0, "-89.938623414989540117", 2.04),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "-2.3953039009206251851e-54291", 1),
        (95.0, 10000.0, 1.0, "58.425046237292638202", 2.29),
        (1.0307661294937134, 1.0, 1.0625, "0.43826353179130553135", 2.46),
        (9995.0, 10000.0, 10000.0, "9915.4966955151079298", 2),
    ),
    "softshrink'": (
        (1.0, 1.0, 1.0, "0.61707507745197379272", 1),
        (-10000.0, 10000.0, 10000.0, "0.9960105938185183554", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "5.7330297760455470619e-7",
            1,
        ),
        (-2.0, 1.0, 4.0, "0.61707507745197379272", 1),
        (-8.999991416931152, 9.0, 9.0, "0.86719879062442387758", 100),
        (9999.990234375, 10000.0, 10000.0, "0.99556574775329203355", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.00015424359002324549579",
            8.06,
        ),
        (10.0, 10000.0, 10000.0, "0.99203710300667510894", 1),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "8.8339431099291895859e-32",
            68.6,
        ),
        (-0.6000000238418579, 1.0, 1.0, "0.40987333193445464782", 1.48),
        (-97.48379516601562, 100.0, 101.0, "0.92686686893709102892", 1.18),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "2.4694108496712366136e-54290", 1),
        (95.0, 10000.0, 1.0, "0.61663892266079707545", 1.31),
        (1.0307661294937134, 1.0, 1.0625, "0.61707473683853550019", 1.67),
        (9995.0, 10000.0, 10000.0, "0.99252038858521400708", 1.99),
    ),
    "hardshrink": (
        (1.0, 1.0, 1.0, "0.9691404042162732705", 1),
        (-10000.0, 10000.0, 10000.0, "-9999.9996675505930436", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "1.5440493792133552473e-7",
            1,
        ),
        (-2.0, 1.0, 4.0, "-1.938280808432546541", 1),
        (-8.999991416931152, 9.0, 9.0, "-8.9888932052326603652", 14.6),
        (9999.990234375, 10000.0, 10000.0, "9999.9897936106069408", 2.01),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "4.0048875413040098286e-7",
            7.47,
        ),
        (10.0, 10000.0, 10000.0, "9.9999993351011971395", 2),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "2.2725571754694627603e-32",
            68.7,
        ),
        (-0.6000000238418579, 1.0, 1.0, "-0.56399903819746293652", 2.09),
        (-97.48379516601562, 100.0, 101.0, "-97.47737344792399391", 2),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "-5.9883694085781091428e-54286", 1),
        (95.0, 10000.0, 1.0, "92.068336935618567945", 2.05),
        (1.0307661294937134, 1.0, 1.0625, "0.99895701824290670202", 2.1),
        (9995.0, 10000.0, 10000.0, "9994.999335777912614", 2),
    ),
    "hard_swish": (
        (1.0, 1.0, 1.0, "0.33156737513790768634", 1),
        (-10000.0, 10000.0, 10000.0, "-0.0071795763206911837298", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "0.0025083332770814498298",
            1,
        ),
        (-2.0, 1.0, 4.0, "-0.25598200031086454631", 1),
        (-8.999991416931152, 9.0, 9.0, "-0.19450230698372984876", 3.29),
        (9999.990234375, 10000.0, 10000.0, "4999.9879189297249744", 2.01),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.000054444531093886118682",
            2.82,
        ),
        (10.0, 10000.0, 10000.0, "1593.572862354154731", 2),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "0.00031276040967010582497",
            2,
        ),
        (-0.6000000238418579, 1.0, 1.0, "-0.10299376958470613049", 2.58),
        (-97.48379516601562, 100.0, 101.0, "-0.048779287630902266717", 96.4),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "-0.024237095656225316127", 2),
        (95.0, 10000.0, 1.0, "36.323475625820013969", 2.16),
        (1.0307661294937134, 1.0, 1.0625, "0.34409334318217105548", 2.23),
        (9995.0, 10000.0, 10000.0, "4997.5006160238973527", 2),
    ),
    "hard_swish'": (
        (1.0, 1.0, 1.0, "0.35853151717860523172", 1),
        (-10000.0, 10000.0, 10000.0, "-0.0019934549588426810632", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "0.25111111108627584233",
            1,
        ),
        (-2.0, 1.0, 4.0, "0.10144473290739846333", 1),
        (-8.999991416931152, 9.0, 9.0, "-0.028008591148332495485", 100),
        (9999.990234375, 10000.0, 10000.0, "0.5018696255339735506", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.25000444444433216833",
            1,
        ),
        (10.0, 10000.0, 10000.0, "0.25015920270036873501", 1),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "0.25013888888578448029",
            1,
        ),
        (-0.6000000238418579, 1.0, 1.0, "0.18535450422938411444", 1.4),
        (-97.48379516601562, 100.0, 101.0, "0.023414694769996106198", 70.7),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "0.24987098931799924803", 1),
        (95.0, 10000.0, 1.0, "0.37554833042399330717", 1.52),
        (1.0307661294937134, 1.0, 1.0625, "0.36138890847950968816", 1.35),
        (9995.0, 10000.0, 10000.0, "0.49634748379916928861", 25.7),
    ),
    "ramp+1": (
        (1.0, 1.0, 1.0, "0.075339783343770753032", 1),
        (-10000.0, 10000.0, 10000.0, "0.0", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "1.4529259925430685531e-27",
            1,
        ),
        (-2.0, 1.0, 4.0, "0.0", 1),
        (-8.999991416931152, 9.0, 9.0, "1.4239373257341334869e-50647", 1),
        (9999.990234375, 10000.0, 10000.0, "4920.7053717128311468", 2.01),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "1.176572127481486796e-16",
            28.8,
        ),
        (10.0, 10000.0, 10000.0, "1554.5234270613782603", 2.01),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "2.1769591324204501521e-124",
            100,
        ),
        (-0.6000000238418579, 1.0, 1.0, "0.00012920674406812655375", 21.7),
        (-97.48379516601562, 100.0, 101.0, "0.014083184526617776846", 100),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "7.000717595906223383e-3674328", 1),
        (95.0, 10000.0, 1.0, "14.988950643887874197", 2.76),
        (1.0307661294937134, 1.0, 1.0625, "0.080220991431083939334", 3.08),
        (9995.0, 10000.0, 10000.0, "4918.2469368849507623", 2.01),
    ),
    "threshold1": (
        (1.0, 1.0, 1.0, "336.93852440586777984", 1),
        (-10000.0, 10000.0, 10000.0, "1598.8808201960338654", 1),
        (0.009999999776482582, 0.009999999776482582, 0.009999999776482582, "400.0", 1),
        (-2.0, 1.0, 4.0, "232.044910497977267", 1),
        (-8.999991416931152, 9.0, 9.0, "149.73291517774826906", 1.17),
        (9999.990234375, 10000.0, 10000.0, "5201.5100188336101178", 17.5),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "399.99978257259197144",
            1,
        ),
        (10.0, 10000.0, 10000.0, "2498.9694358534836059", 1.8),
        (0.0012499999720603228, 0.0024999999441206455, 0.0024999999441206455, "400.0", 1),
        (-0.6000000238418579, 1.0, 1.0, "283.3569140431102323", 1.3),
        (-97.48379516601562, 100.0, 101.0, "194.61737029750355514", 2.73),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "999.44041009801693271", 1.4),
        (95.0, 10000.0, 1.0, "577.7416583792180771", 2.43),
        (1.0307661294937134, 1.0, 1.0625, "334.16680321114926831", 1.14),
        (9995.0, 10000.0, 10000.0, "5197.6932104497673989", 2.33),
    ),
    "box": (
        (1.0, 1.0, 1.0, "0.68268949213708589717", 1),
        (-10000.0, 10000.0, 10000.0, "0.0079787126292632074036", 1),
        (0.009999999776482582, 0.009999999776482582, 0.009999999776482582, "1.0", 1),
        (-2.0, 1.0, 4.0, "0.38292492254802620728", 1),
        (-8.999991416931152, 9.0, 9.0, "0.26070146865774044606", 100),
        (9999.990234375, 10000.0, 10000.0, "0.0075338832454542054058", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.99999885339437357772",
            1,
        ),
        (10.0, 10000.0, 10000.0, "0.000063659887048193752061", 2),
        (0.0012499999720603228, 0.0024999999441206455, 0.0024999999441206455, "1.0", 1),
        (-0.6000000238418579, 1.0, 1.0, "0.51386849184352331454", 2.05),
        (-97.48379516601562, 100.0, 101.0, "0.02468536219704497783", 30.5),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "0.0079787126292632074036", 1.5),
        (95.0, 10000.0, 1.0, "0.007967826138722519852", 1.79),
        (1.0307661294937134, 1.0, 1.0625, "0.6680245329172594569", 1.36),
        (9995.0, 10000.0, 10000.0, "0.0019488811945717221392", 100),
    ),
    "xbox": (
        (1.0, 1.0, 1.0, "0.19874804309879919757", 1),
        (-10000.0, 10000.0, 10000.0, "-0.0026595354156449129556", 1),
        (
            0.009999999776482582,
            0.009999999776482582,
            0.009999999776482582,
            "0.0099999997764825820923",
            1,
        ),
        (-2.0, 1.0, 4.0, "-0.061719191567453459001", 1),
        (-8.999991416931152, 9.0, 9.0, "-0.08534058045169092371", 100),
        (9999.990234375, 10000.0, 10000.0, "0.0022175997487757498498", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.000039998763759552505996",
            2,
        ),
        (10.0, 10000.0, 10000.0, "7.0731392363513805418e-13", 5),
        (
            0.0012499999720603228,
            0.0024999999441206455,
            0.0024999999441206455,
            "0.0012499999720603227615",
            2,
        ),
        (-0.6000000238418579, 1.0, 1.0, "-0.035380389087793621232", 6.03),
        (-97.48379516601562, 100.0, 101.0, "-0.00042827989026261796239", 94.3),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "-2.5797494292654841511e-8", 3.5),
        (95.0, 10000.0, 1.0, "0.000024848146185823382248", 6.5),
        (1.0307661294937134, 1.0, 1.0625, "0.19019562553552861055", 3.23),
        (9995.0, 10000.0, 10000.0, "0.000021079056354739255043", 100),
    ),
    "absshift'": (
        (1.0, 1.0, 1.0, "1.0", 1),
        (-10000.0, 10000.0, 10000.0, "-0.98404257474147358519", 1),
        (0.009999999776482582, 0.009999999776482582, 0.009999999776482582, "1.0", 1),
        (-2.0, 1.0, 4.0, "0.065614414685112104446", 1),
        (-8.999991416931152, 9.0, 9.0, "-0.47776536072705455309", 1.53),
        (9999.990234375, 10000.0, 10000.0, "0.999110341232381996", 100),
        (
            3.9999998989515007e-05,
            0.03999999910593033,
            0.03999999910593033,
            "0.9999988533943824199",
            1,
        ),
        (10.0, 10000.0, 10000.0, "0.0007002161066930469402", 2.91),
        (0.0012499999720603228, 0.0024999999441206455, 0.0024999999441206455, "1.0", 1),
        (-0.6000000238418579, 1.0, 1.0, "0.37225450249794935948", 2.24),
        (-97.48379516601562, 100.0, 101.0, "-0.79507690411778259616", 5.53),
        (-0.09700000286102295, 9.999999974752427e-07, 10000.0, "0.0079787126292632074036", 1.5),
        (95.0, 10000.0, 1.0, "0.32518214695159908985", 1.79),
        (1.0307661294937134, 1.0, 1.0625, "0.98533504078016995885", 1.49),
        (9995.0, 10000.0, 10000.0, "0.97986848292854141291", 42.1),
    ),
}
FAST = ["hard_tanh", "hard_tanh'", "relu6", "ramp+1"]


def function(name: str) -> Pieces:
    """The function of that name, or its almost-everywhere derivative."""
    f = PIECES[name.rstrip("'")]
    if not name.endswith("'"):
        return f
    rates = tuple(tuple(n * c for n, c in enumerate(p) if n) or (0.0,) for p in f.polynomials)
    return Pieces(f.places, rates)


@cache
def compiled(name: str) -> Any:
    f = function(name)
    return jax.jit(lambda *q: s.pieces_moment(f, f, *q, gap(*q)))


def arrays(dtype: Any, *columns: Any) -> list[Any]:
    return [jnp.asarray(column, dtype) for column in columns]


def direct_integral(f: Pieces, q12: float, q11: float, q22: float) -> Any:
    """E[f(u) f(v)] at a moderate rho by mpmath's own quadrature in both variables' cells."""
    ends = [-mp.inf, *f.places, mp.inf]
    slope = mp.mpf(q12) / q11
    spread = mp.sqrt(q22 - slope * q12)

    def given(u: Any) -> Any:
        total = mp.mpf(0)
        for low, high, polynomial in zip(ends[:-1], ends[1:], f.polynomials, strict=True):
            a, b = ((x - slope * u) / spread for x in (low, high))
            raw = [mp.ncdf(b) - mp.ncdf(a), mp.npdf(a) - mp.npdf(b)]
            edge = [x * mp.npdf(x) if abs(x) < mp.inf else 0 for x in (a, b)]
            raw.append(raw[0] + edge[0] - edge[1])
            for n, c in enumerate(polynomial):
                powers = ((slope * u) ** (n - j) * spread**j * raw[j] for j in range(n + 1))
                total += c * sum(math.comb(n, j) * p for j, p in enumerate(powers))
        return total

    def integrand(u: Any) -> Any:
        piece = f.polynomials[sum(u > t for t in f.places)]
        return mp.polyval(list(piece)[::-1], u) * mp.npdf(u, 0, mp.sqrt(q11)) * given(u)

    reach = 14 * math.sqrt(q11)
    return mp.quad(integrand, sorted({-reach, *f.places, 0.0, reach}))


def test_reference_values_are_those_of_an_independent_quadrature() -> None:
    with mp.workdps(30):
        for name in ("hard_tanh", "hard_swish'"):
            rows = [row for row in VALUES[name] if row[1:3] == (1.0, 1.0) and abs(row[0]) < 0.9]
            value = direct_integral(function(name), *rows[0][:3])
            assert mp.almosteq(value, mp.mpf(rows[0][3]), rel_eps=mp.mpf("1e-19"))


def judge(name: str, dtype: Any) -> None:
    rows = VALUES[name]
    got = compiled(name)(*arrays(dtype, *zip(*(row[:3] for row in rows), strict=True)))
    tiny = float(jnp.finfo(dtype).tiny)
    for row, value in zip(rows, np.asarray(got, np.float64), strict=True):
        true = float(row[3])
        unit = float(jnp.finfo(dtype).eps) * row[4] * abs(true)
        assert abs(value - true) <= BOUND[dtype] * unit + tiny, (name, row, value)


@both_dtypes
@pytest.mark.parametrize("name", FAST)
def test_moments_are_right_to_a_few_units(name: str, dtype: Any) -> None:
    judge(name, dtype)


@pytest.mark.parametrize(
    ("name", "point", "want", "units"),
    [  # by `direct_integral`, 30 digits; units of eps
        ("hard_tanh'", (-14.5, 14.703125, 14.70313262939453125), 0.15458148606102220857, 8),
        ("hard_swish", (-32.75, 41.875, 41.87506103515625), 0.35579208899957513636, 40),
    ],
)
def test_variances_that_are_nearly_equal_leave_a_thin_layer_that_is_resolved(
    name: str, point: tuple[float, ...], want: float, units: int
) -> None:
    got = float(compiled(name)(*arrays(np.float64, *point)))
    assert abs(got - want) <= units * 2.0**-52 * want


@pytest.mark.slow
@both_dtypes
@pytest.mark.parametrize("name", [name for name in VALUES if name not in FAST])
def test_moments_of_all_shapes_are_right_to_a_few_units(name: str, dtype: Any) -> None:
    judge(name, dtype)


def test_odd_functions_at_rho_0_and_ramps_at_minus_1_have_moment_0() -> None:
    assert compiled("hard_tanh")(*arrays(np.float64, 0.0, 1.0, 4.0)) == 0
    assert compiled("relu6")(*arrays(np.float64, -4.0, 4.0, 4.0)) == 0
    assert compiled("ramp+1")(*arrays(np.float64, -4.0, 4.0, 4.0)) == 0


def test_a_variance_of_0_leaves_the_product_of_means() -> None:
    f = function("ramp+1")
    value = compiled("ramp+1")(*arrays(np.float64, [0.0, 0.0], [0.0, 1.0], [1.0, 0.0]))
    assert np.all(np.asarray(value) == 0)  # f(0) = 0
    g = Pieces((-1.0,), ((0.0,), (1.0, 1.0)))
    q = jnp.asarray(0.25)
    mean = s.pieces_mean(g, q)
    zero = jnp.zeros(())
    np.testing.assert_allclose(s.pieces_moment(g, g, zero, zero, q, zero), mean, rtol=1e-15)
    np.testing.assert_allclose(s.pieces_mean(f, zero), 0.0)


def test_means_are_sums_over_cells_that_do_not_cancel() -> None:
    q = jnp.asarray([1e4, 1.0, 1e-2])
    want = [math.erf(1 / math.sqrt(2 * x)) for x in (1e4, 1.0, 1e-2)]
    np.testing.assert_allclose(s.pieces_mean(function("box"), q), want, rtol=1e-15)
    np.testing.assert_array_equal(np.asarray(s.pieces_mean(function("hard_tanh"), q)), 0.0)


def test_traced_places_with_a_parity_give_what_numbers_give() -> None:
    q = arrays(np.float64, [0.3, -0.7, 1.0], [1.0, 1.0, 1.0], [1.0, 2.0, 1.0])

    @jax.jit
    def moment(cut: Any) -> Any:
        f = Pieces((-cut, cut), ((cut, 1.0), (0.0,), (-cut, 1.0)), ((1,), (1,)), -1)
        return s.pieces_moment(f, f, *q, gap(*q))

    want = compiled("softshrink")(*q)
    np.testing.assert_allclose(moment(jnp.asarray(0.5)), want, rtol=4e-15)


def test_rows_and_columns_broadcast() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4))
    q12, q = jnp.asarray(x @ x.T), jnp.asarray((x * x).sum(1))
    block = compiled("hard_tanh")(q12, q[:, None], q[None, :])
    for i in range(3):
        for j in range(3):
            one = compiled("hard_tanh")(q12[i, j], q[i], q[j])
            np.testing.assert_allclose(block[i, j], one, rtol=1e-14)


@pytest.mark.parametrize("shape", [(300, 320), (257, 263), (12, 10, 32, 32), (2, 70000)])
def test_tiles_put_together_are_the_whole(shape: tuple[int, ...]) -> None:
    whole = jnp.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    row, column = whole[:1], whole[:, :1]

    def value(x: Any, y: Any, z: Any) -> Any:
        return x + 2 * y + 3 * z

    tiled = jax.jit(lambda *q: in_tiles(value, q, 1 << 14))(whole, row, column)
    np.testing.assert_array_equal(tiled, value(whole, row, column))


@pytest.mark.slow
def test_gradients_are_finite_everywhere_and_follow_price() -> None:
    f, rate = function("hard_tanh"), function("hard_tanh'")

    def moment(*q: Any) -> Any:
        return s.pieces_moment(f, f, *q, gap(*q))

    points = [
        (1.0, 1.0, 1.0),
        (-1.0, 1.0, 1.0),
        (0.0, 0.0, 1.0),
        (0.0, 0.0, 0.0),
        (1e4, 1e4, 1e4),
        (0.999999, 1.0, 1.0),
        (0.5, 1.0, 1.0),
        (-0.5, 1.0, 2.0),
    ]
    q = arrays(np.float64, *zip(*points, strict=True))
    gradients = jax.jit(jax.vmap(jax.grad(moment, (0, 1, 2))))(*q)
    assert all(np.all(np.isfinite(g)) for g in gradients)
    inside = slice(5, None)
    dot = s.pieces_moment(rate, rate, *q, gap(*q))
    np.testing.assert_allclose(gradients[0][inside], dot[inside], rtol=1e-13)
    masses = [height * s.mass_pieces(t, f, *q, gap(*q)) for t, height in ((-1.0, 1), (1.0, -1))]
    np.testing.assert_allclose(gradients[1][inside], sum(masses)[inside] / 2, rtol=1e-13)


def joint_density(place: float, other: float, *q: Any) -> Any:
    return s.masses_moment(((place, 1.0),), ((other, 1.0),), *q)


@both_dtypes
def test_masses_beside_functions_are_densities_times_conditional_means(dtype: Any) -> None:
    q12, q11, q22 = 1e-3, 1.0, 4.0
    q = arrays(dtype, q12, q11, q22)
    exact = [float(x) for x in q]
    with mp.workdps(40):
        mean = mp.mpf(exact[0])
        spread = mp.sqrt(4 - mean**2)
        a, b = (-1 - mean) / spread, (1 - mean) / spread
        inner = mean * (mp.ncdf(b) - mp.ncdf(a)) + spread * (mp.npdf(a) - mp.npdf(b))
        want = mp.npdf(1) * (inner + mp.ncdf(-b) - mp.ncdf(a))
    got = s.mass_pieces(1.0, function("hard_tanh"), *q, gap(*q))
    assert abs(float(got) - want) <= 8 * jnp.finfo(dtype).eps * want  # rho small: no cancellation


def test_two_masses_have_the_joint_density_infinite_where_they_meet() -> None:
    q = arrays(np.float64, [0.5, 1.0, 1.0, -1.0, 0.0], [1.0] * 4 + [0.0], [1.0] * 5)
    d = gap(*q)
    same, other = joint_density(1.0, 1.0, *q, d), joint_density(1.0, -1.0, *q, d)
    np.testing.assert_allclose(same[0], math.exp(-2 / 3) / (2 * math.pi * math.sqrt(0.75)))
    np.testing.assert_array_equal(np.asarray(same[1:]), [np.inf, np.inf, 0.0, 0.0])
    np.testing.assert_array_equal(np.asarray(other[1:]), [0.0, 0.0, np.inf, 0.0])


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_two_masses_that_meet_are_infinite_however_rare_they_are(dtype: Any) -> None:
    small = 1e-6  # the density at 1/2 is exp(-125000)
    q12 = [small, -small, small / 2, 3 * small, 0.0, 0.0]
    q = arrays(dtype, q12, [small] * 4 + [0.0, 0.0], [small] * 3 + [9 * small, 0.0, 1.0])
    q = [q[0].at[3].set(3 * q[1][3]), q[1], q[2].at[3].set(9 * q[1][3])]
    inf = math.inf
    for t, want in (
        (0.5, [inf, 0.0, 0.0, 0.0, 0.0, 0.0]),
        (-0.5, [0.0, inf, 0.0, 0.0, 0.0, 0.0]),
        (1.5, [0.0, 0.0, 0.0, inf, 0.0, 0.0]),
    ):
        np.testing.assert_array_equal(np.asarray(joint_density(0.5, t, *q, gap(*q))), want)
    at_zero = np.asarray(joint_density(0.0, 0.0, *q, gap(*q)))
    np.testing.assert_array_equal(np.isinf(at_zero), [True, True, False, True, True, True])


def test_two_masses_at_0_are_finite_where_the_determinant_underflows() -> None:
    q = arrays(np.float32, 5e-23, 1e-22, 1e-22)
    want = 1e22 / (2 * math.pi * math.sqrt(0.75))
    np.testing.assert_allclose(joint_density(0.0, 0.0, *q, gap(*q)), want, rtol=1e-5)
    assert joint_density(0.5, 0.5, *q, gap(*q)) == 0
    slopes = jax.grad(lambda *q: joint_density(0.0, 0.0, *q, gap(*q)), (0, 1, 2))(*q)
    assert np.all(np.isfinite(slopes))


def test_legendre_rules_are_correctly_rounded_to_the_last_bit() -> None:
    with mp.workdps(30):
        for node, weight in s._legendre_rule(24):
            x = 1 - 2 * mp.mpf(node)
            rate = 24 * (mp.legendre(23, x) - x * mp.legendre(24, x)) / (1 - x * x)
            x -= mp.legendre(24, x) / rate
            assert abs((1 - x) / 2 - node) <= 1.2e-16 * node
            rate = 24 * mp.legendre(23, x) / (1 - x * x)
            assert abs(1 / ((1 - x * x) * rate**2) - weight) <= 1.2e-16 * weight


# ---- masses that nearly cancel

TENT = Pieces((-1.0, 0.0, 1.0), ((0.0,), (1.0, 1.0), (1.0, -1.0), (0.0,)), None, 1)
KINKS = ((-1.0, 0.5), (0.0, -1.0), (1.0, 0.5))  # half its second derivative
RAMP = Pieces((0.0, 1.0), ((0.0,), (0.0, 1.0), (1.0,)))
ENDS = ((0.0, 0.5), (1.0, -0.5))
WIDE = [  # q12, q11, q22: second differences of densities lose up to ten digits
    (6000.0, 1e4, 1e4),
    (-9000.0, 1e4, 1e4),
    (-0.0625, 1e4, 2.0**-20),
    (50.0, 1e4, 0.25),
    (0.0, 1e4, 2.0**-20),
    (0.5, 1.0, 1.0),
]


def mean_given(g: Pieces, mean: Any, spread: Any) -> Any:
    """E[g(mean + spread z)] in mpmath, piece by piece."""
    if spread == 0:
        row = g.polynomials[sum(t <= mean for t in g.places)]
        return mp.polyval([mp.mpf(c) for c in row[::-1]], mean)
    total = mp.mpf(0)
    for low, high, row in zip(
        (-mp.inf, *g.places), (*g.places, mp.inf), g.polynomials, strict=True
    ):
        a, b = (mp.mpf(low) - mean) / spread, (mp.mpf(high) - mean) / spread
        ends = [(x, spread * mp.npdf(z)) for x, z in ((low, a), (high, b)) if abs(x) < mp.inf]
        signs = [1 if x == low else -1 for x, _ in ends]
        last, this = mp.mpf(0), mp.erfc(-b / mp.sqrt(2)) / 2 - mp.erfc(-a / mp.sqrt(2)) / 2
        for n, c in enumerate(row):
            total += c * this
            edges = sum(sign * x**n * size for sign, (x, size) in zip(signs, ends, strict=True))
            last, this = this, mean * this + n * spread**2 * last + edges
    return total


@both_dtypes
@pytest.mark.parametrize(("masses", "g"), [(KINKS, TENT), (ENDS, RAMP)])
def test_masses_that_add_up_to_0_keep_their_digits(dtype: Any, masses: Any, g: Pieces) -> None:
    q = arrays(dtype, *zip(*WIDE, strict=True))
    if g is TENT:  # as the even function sees them
        folded = ((0.0, -1.0), (1.0, 1.0))
    else:
        folded = masses
    got = jax.jit(lambda *q: s.train_pieces(folded, g, *q, gap(*q)))(*q)
    with mp.workdps(60):
        for value, point in zip(got, WIDE, strict=True):
            q12, q11, q22 = map(mp.mpf, point)
            spread = mp.sqrt(max(q22 - q12 * q12 / q11, 0))
            want = sum(
                h * mp.npdf(t, 0, mp.sqrt(q11)) * mean_given(g, q12 / q11 * t, spread)
                for t, h in masses
            )
            assert abs(mp.mpf(float(value)) - want) <= 16 * jnp.finfo(dtype).eps * abs(want), point


@both_dtypes
@pytest.mark.parametrize("masses", [KINKS, ENDS, ((-1.0, 1.0), (1.0, -1.0)), ((-1.0, 2.0),)])
def test_joint_densities_that_cancel_keep_their_digits(dtype: Any, masses: Any) -> None:
    inside = [point for point in WIDE if point[0] ** 2 < point[1] * point[2]]
    q = arrays(dtype, *zip(*inside, strict=True))
    got = jax.jit(lambda *q: s.masses_moment(masses, masses, *q, gap(*q)))(*q)
    with mp.workdps(60):
        for value, point in zip(got, inside, strict=True):
            q12, q11, q22 = map(mp.mpf, point)
            d = q11 * q22 - q12 * q12
            want, size = mp.mpf(0), mp.mpf(0)
            for t, h in masses:
                for x, k in masses:
                    form = (q22 * t * t - 2 * q12 * t * x + q11 * x * x) / (2 * d)
                    term = h * k * mp.exp(-form) / (2 * mp.pi * mp.sqrt(d))
                    want, size = want + term, size + abs(term) * (1 + form)
            slack = 16 * jnp.finfo(dtype).eps
            if size < 1e3 * abs(want):  # exponents alone decide
                slack *= float(size / abs(want))
            assert abs(mp.mpf(float(value)) - want) <= slack * abs(want) + 1e-36, point


def test_opposite_masses_at_rho_0_have_moment_0_exactly() -> None:
    odd = ((-0.5, 1.0), (0.5, -1.0))
    q = arrays(np.float32, 0.0, [1.0, 1e-3, 1e4], [1.0, 1e4, 1e4])
    np.testing.assert_array_equal(np.asarray(s.masses_moment(odd, odd, *q, gap(*q))), 0.0)


@both_dtypes
@pytest.mark.parametrize("g", [TENT, pytest.param(RAMP, marks=pytest.mark.slow), PIECES["box"]])
@pytest.mark.parametrize("q", [pytest.param(1.5, marks=pytest.mark.slow), 1e4])
def test_coefficients_of_compact_functions_keep_their_digits(
    dtype: Any, g: Pieces, q: float
) -> None:
    got = np.asarray(s.pieces_coefficients(12, g, jnp.asarray([q], dtype)))[:, 0]
    with mp.workdps(25):
        scale = mp.sqrt(q)

        def integrand(n: int, x: Any) -> Any:
            row = g.polynomials[sum(t <= x for t in g.places)]
            value = mp.polyval([mp.mpf(c) for c in row[::-1]], x)
            wave = mp.hermite(n, x / scale / mp.sqrt(2)) / mp.mpf(2) ** (mp.mpf(n) / 2)
            return value * wave * mp.npdf(x, 0, scale) / mp.sqrt(mp.factorial(n))

        for n in (0, 1, 2, 3, 4, 9, 12):
            ends = [t for t in g.places if t >= 0] if g is RAMP else list(g.places)
            want = mp.quad(lambda x, n=n: integrand(n, x), ends)
            if g is RAMP:
                want += mp.quad(
                    lambda x, n=n: integrand(n, x), [1, scale, 2 * scale, 5 * scale, 15 * scale]
                )
            floor = 1e-2 * abs(mp.mpf(float(got[0])))
            assert abs(mp.mpf(float(got[n])) - want) <= 32 * jnp.finfo(dtype).eps * max(
                abs(want), floor
            ), n


def test_a_place_that_is_a_parameter_gives_what_a_number_gives() -> None:
    q = arrays(np.float32, -1e-4, 1e-6, 1e4)

    def moment(place: Any) -> Any:
        f = Pieces((0, place), ((0,), (1,), (0,)), ((0,), (0,)))
        return s.pieces_moment(f, f, *q, gap(*q))

    np.testing.assert_allclose(moment(jnp.float32(1.0)), moment(1.0), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mean_of_a_line_with_a_far_kink_is_what_lies_beyond_it(dtype: Any) -> None:
    """E[max(u, t)], t a parameter, is t or 0 with what the kink adds, down to nothing."""

    def hinge(t: Any, q: Any) -> Any:
        return s.pieces_mean(Pieces((t,), ((t,), (0.0, 1.0)), ((1,),)), q)

    mean = jax.jit(hinge)
    for t, q in ((-30.0, 100.0), (-0.05, 1e-6), (-0.5, 1.0), (0.5, 1.0), (3.0, 1e-2), (-2.0, 1e4)):
        place, spread = mp.mpf(float(dtype(t))), mp.sqrt(mp.mpf(float(dtype(q))))
        truth = spread * mp.npdf(place / spread) + place * mp.ncdf(place / spread)
        got = float(mean(jnp.asarray(t, dtype), jnp.asarray(q, dtype)))
        if truth < np.finfo(dtype).tiny:
            assert got == 0
        else:
            assert abs(got / truth - 1) < 8 * np.finfo(dtype).eps


# x^2 (2 - |x|) within [-1, 1], |x| beyond, and half its second derivative
BLUNT = Pieces((-1.0, 0.0, 1.0), ((0.0, -1.0), (0, 0, 2.0, 1.0), (0, 0, 2.0, -1.0), (0.0, 1.0)))
BENT = Pieces((-1.0, 0.0, 1.0), ((0.0,), (2.0, 3.0), (2.0, -3.0), (0.0,)))
# q12 at q11 = q22 = 1e4, E[BLUNT BLUNT] and E[BENT BLUNT] by verify's quadrature
FAR_WITHIN = (
    (6000.0, "7550.8664736179035", "0.25464552164619442"),
    (-9000.0, "9190.7217270442216", "0.13873820477015603"),
    (9999.0, "9999.0044562156054", "0.0041384862377607185"),
    (9999.990234375, "9999.9897695096715", "-0.00038579190855704039"),
)


@both_dtypes
@pytest.mark.parametrize("f", [BLUNT, BENT], ids=["outer parts", "layers"])
def test_places_far_within_a_deviation_cost_no_digits(dtype: Any, f: Pieces) -> None:
    q12 = jnp.asarray([row[0] for row in FAR_WITHIN], dtype)
    q = q12, jnp.full_like(q12, 1e4), jnp.full_like(q12, 1e4)
    got = jax.jit(lambda *q: s.pieces_moment(f, BLUNT, *q, gap(*q)))(*q)
    for value, (_, blunt, bent) in zip(got, FAR_WITHIN, strict=True):
        # next to rho = 1 the sum over the layers, p(0) times a number near 1, nearly cancels
        wanted, size = (float(bent), 0.004) if f is BENT else (float(blunt), float(blunt))
        error = abs(float(value) - wanted)
        assert error < 8 * float(np.finfo(dtype).eps) * max(size, abs(wanted))


SQUARE = Pieces((-2.0, 0.0, 2.0), ((-1.0,), (0, 1.0, 0.25), (0, 1.0, -0.25), (1.0,)))
SQUARE_BEND = Pieces((-2.0, 0.0, 2.0), ((0.0,), (0.25,), (-0.25,), (0.0,)))


@both_dtypes
def test_only_the_places_that_are_near_stand_beside_outer_parts(dtype: Any) -> None:
    """Places 2000 deviations out for u, a fiftieth of one for v; the value by verify."""
    point = tuple(jnp.asarray(np.float32(x), dtype) for x in (-0.07, 1e-6, 1e4))
    found = s.pieces_moment(SQUARE_BEND, SQUARE, *point, gap(*point))
    assert abs(float(found) / 0.12340314548074768 - 1) < 8 * float(np.finfo(dtype).eps)


@both_dtypes
def test_layers_serve_a_narrow_input_beside_a_wide_one(dtype: Any) -> None:
    """q12 = 50 (1 - 1e-6); the values by verify's quadrature."""
    q12, narrow, wide = (jnp.asarray(x, dtype) for x in (49.99995422363281, 0.25, 1e4))
    moment = jax.jit(lambda *q: s.pieces_moment(BENT, BLUNT, *q, gap(*q)))
    eps = float(np.finfo(dtype).eps)
    assert abs(float(moment(q12, narrow, wide)) / 27.198940418942762 - 1) < 8 * eps
    wanted = -2.9491408057158376e-08
    # its density at 0 times 1e-4, a power of the narrow one, is what cancels
    assert abs(float(moment(q12, wide, narrow)) - wanted) < 8 * eps * 4e-7
