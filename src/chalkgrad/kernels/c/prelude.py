"""What every kernel begins with, in C: functions that vectorise.

exp is Cody and Waite's reduction with a polynomial; tanh goes through expm1, since 2σ(2x) - 1 loses all its
digits near zero. No branch stands in either, so that a compiler turns a loop over them into vector code.
"""

from __future__ import annotations

from chalkgrad.kernels.c.thin import THIN
from chalkgrad.kernels.c.tiles import MATRIX, SHAPES, TILES

FLOAT = r"""
typedef float R;
typedef int32_t I;
#define EXP_LOW -103.9f
#define EXP_HIGH 88.72283f
#define LOG2E 1.44269504088896341f
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define ROUND 12582912.0f
static inline R two_to(R n) { union { I i; R r; } u; u.i = ((I)n + 127) << 23; return u.r; }
// (exp(r) - 1 - r) / r² for |r| ≤ ln(2)/2
static inline R tail(R r) {
  R p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  return p * r + 5.0000001201e-1f;
}
static inline R c_log(R x) { return logf(x); }
static inline R c_pow(R x, R y) { return powf(x, y); }
static inline R c_sqrt(R x) { return sqrtf(x); }
static inline R c_abs(R x) { return fabsf(x); }
static inline R c_erf(R x) { return erff(x); }
static inline R c_log1p(R x) { return log1pf(x); }
#define LARGEST INFINITY
"""

DOUBLE = r"""
typedef double R;
typedef int64_t I;
#define EXP_LOW -745.1
#define EXP_HIGH 709.782712893384
#define LOG2E 1.44269504088896340736
#define LN2_HIGH 6.93145751953125e-1
#define LN2_LOW 1.42860682030941723212e-6
#define ROUND 6755399441055744.0
static inline R two_to(R n) { union { I i; R r; } u; u.i = ((I)n + 1023) << 52; return u.r; }
// (exp(r) - 1 - r) / r² for |r| ≤ ln(2)/2: Taylor's coefficients, which leave less than one ulp
static inline R tail(R r) {
  R p = 1.0 / 6227020800.0 / 14.0;
  p = p * r + 1.0 / 6227020800.0;
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  return p * r + 0.5;
}
static inline R c_log(R x) { return log(x); }
static inline R c_pow(R x, R y) { return pow(x, y); }
static inline R c_sqrt(R x) { return sqrt(x); }
static inline R c_abs(R x) { return fabs(x); }
static inline R c_erf(R x) { return erf(x); }
static inline R c_log1p(R x) { return log1p(x); }
#define LARGEST INFINITY
"""

HEAD = r"""
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
"""

FUNCTIONS = r"""
// exp(x) - 1 = 2ⁿ (exp(r) - 1) + (2ⁿ - 1) with r = x - n ln 2; beyond ±64 as at ±64
static inline R c_expm1(R x) {
  R y = x < 64 ? x : 64;
  y = y > -64 ? y : -64;
  R n = (y * LOG2E + ROUND) - ROUND;
  R r = (y - n * LN2_HIGH) - n * LN2_LOW;
  R p = r + r * r * tail(r), t = two_to(n);
  R e = t * p + (t - 1);
  return x != x ? x : e;
}
static inline R c_exp(R x) {
  R y = x < EXP_HIGH ? x : EXP_HIGH;
  y = y > EXP_LOW ? y : EXP_LOW;
  R n = (y * LOG2E + ROUND) - ROUND;
  R r = (y - n * LN2_HIGH) - n * LN2_LOW;
  R p = r + r * r * tail(r) + 1;
  R half = (n * (R)0.5 + ROUND) - ROUND;  // 2ⁿ itself overflows where exp is largest
  R e = p * two_to(half) * two_to(n - half);
  e = x < EXP_LOW ? 0 : e;
  e = x > EXP_HIGH ? LARGEST : e;
  return x != x ? x : e;
}
static inline R c_tanh(R x) {
  R a = c_abs(x);
  a = a < 20 ? a : 20;
  R e = c_expm1(2 * a);
  R y = e / (e + 2);
  y = x < 0 ? -y : y;
  return x != x ? x : y;
}
static inline R c_sigmoid(R x) { return 1 / (1 + c_exp(-x)); }
static inline R c_relu(R x) { return x > 0 ? x : (x != x ? x : 0); }
static inline R c_step(R x) { return x > 0 ? 1 : 0; }
static inline R c_sign(R x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
static inline R c_softplus(R x) { R a = c_abs(x); return (x > 0 ? x : 0) + c_log1p(c_exp(-a)); }
static inline R c_elu(R x) { return x > 0 ? x : c_expm1(x > 0 ? 0 : x); }
static inline R c_leaky_relu(R x) { return x > 0 ? x : (R)0.01 * x; }
static inline R c_maximum(R a, R b) { return a != a ? a : b != b ? b : a > b ? a : b; }
static inline R c_minimum(R a, R b) { return a != a ? a : b != b ? b : a < b ? a : b; }
static inline R c_equal(R a, R b) { return a == b ? 1 : 0; }
static inline R c_select(R m, R a, R b) { return m != 0 ? a : b; }
static inline R c_stop(R m, R x) { (void)m; return x; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
"""


def prelude(double: bool) -> str:
    """The beginning of a kernel in float64 or float32."""
    return HEAD + (DOUBLE if double else FLOAT) + FUNCTIONS + SHAPES


def library(double: bool) -> str:
    """The source of the functions that kernels call."""
    return prelude(double) + TILES + THIN + MATRIX
