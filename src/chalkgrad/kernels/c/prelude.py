"""What every kernel begins with, in C: functions that vectorise, and the product of a tile of a matrix.

exp is Cody and Waite's reduction with a polynomial; tanh goes through expm1, since 2σ(2x) - 1 loses all its
digits near zero. No branch stands in either, so that a compiler turns a loop over them into vector code.
"""

from __future__ import annotations

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
static inline R c_elu(R x) { return x > 0 ? x : c_expm1(x < 0 ? x : 0); }
static inline R c_leaky_relu(R x) { return x > 0 ? x : (R)0.01 * x; }
static inline R c_maximum(R a, R b) { return a != a ? a : b != b ? b : a > b ? a : b; }
static inline R c_minimum(R a, R b) { return a != a ? a : b != b ? b : a < b ? a : b; }
static inline R c_equal(R a, R b) { return a == b ? 1 : 0; }
static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
"""

PRODUCT = r"""
#ifdef __AVX512F__
#define BYTES 64
#define TALL 8
#elif defined(__AVX__)
#define BYTES 32
#define TALL 6
#else
#define BYTES 16
#define TALL 4
#endif
#define WIDE ((int64_t)(BYTES / sizeof(R)))
#define PANEL (2 * WIDE)
typedef R V __attribute__((vector_size(BYTES)));
typedef R U __attribute__((vector_size(BYTES), aligned(sizeof(R))));

// weight[k, n] at w + k·sk + n·sn → panels of PANEL columns, the last one filled up with zeros
static void pack(R *out, const R *w, int64_t sk, int64_t sn, int64_t K, int64_t N) {
  for (int64_t n = 0; n < N; n += PANEL)
    for (int64_t k = 0; k < K; k++)
      for (int64_t c = 0; c < PANEL; c++) *out++ = n + c < N ? w[k * sk + (n + c) * sn] : 0;
}
// ROWS rows of a by one panel of w; a[m, k] at a + m·sa + k·sk; added to what is there where `more`
#define TILE(ROWS)                                                                                  \
  static inline void tile_##ROWS(R *out, int64_t so, const R *a, int64_t sa, int64_t sk, const R *w,\
                                 int64_t K, int64_t N, int more) {                                  \
    V c[ROWS][2];                                                                                   \
    for (int m = 0; m < ROWS; m++) c[m][0] = c[m][1] = (V){0};                                      \
    for (int64_t k = 0; k < K; k++, w += PANEL, a += sk) {                                          \
      V u = *(const V *)w, v = *(const V *)(w + WIDE);                                              \
      for (int m = 0; m < ROWS; m++) { R x = a[m * sa]; c[m][0] += x * u; c[m][1] += x * v; }       \
    }                                                                                               \
    for (int m = 0; m < ROWS; m++) {                                                                \
      R *o = out + m * so;                                                                          \
      if (N >= PANEL && !more) { *(U *)o = c[m][0]; *(U *)(o + WIDE) = c[m][1]; }                   \
      else if (N >= PANEL) { *(U *)o += c[m][0]; *(U *)(o + WIDE) += c[m][1]; }                     \
      else for (int64_t n = 0; n < N; n++) o[n] = (more ? o[n] : 0) + c[m][n / WIDE][n % WIDE];     \
    }                                                                                               \
  }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)

// rows of a by one panel
static inline void column(R *out, int64_t so, const R *a, int64_t sa, int64_t sk, const R *w, int64_t M,
                          int64_t K, int64_t N, int more) {
  for (; M >= TALL; M -= TALL, out += TALL * so, a += TALL * sa) {
#if TALL == 8
    tile_8(out, so, a, sa, sk, w, K, N, more);
#elif TALL == 6
    tile_6(out, so, a, sa, sk, w, K, N, more);
#else
    tile_4(out, so, a, sa, sk, w, K, N, more);
#endif
  }
  switch (M) {
    case 1: tile_1(out, so, a, sa, sk, w, K, N, more); break;
    case 2: tile_2(out, so, a, sa, sk, w, K, N, more); break;
    case 3: tile_3(out, so, a, sa, sk, w, K, N, more); break;
    case 4: tile_4(out, so, a, sa, sk, w, K, N, more); break;
    case 5: tile_5(out, so, a, sa, sk, w, K, N, more); break;
    case 6: tile_6(out, so, a, sa, sk, w, K, N, more); break;
    case 7: tile_7(out, so, a, sa, sk, w, K, N, more); break;
  }
}

// Few rows leave too little to do while a product waits for the one before: several whole panels at once.
#define SEVERAL(ROWS, MANY)                                                                         \
  static inline void several_##ROWS(R *out, int64_t so, const R *a, int64_t sa, const R *w, int64_t K) { \
    V c[ROWS][2 * MANY];                                                                            \
    for (int m = 0; m < ROWS; m++) for (int p = 0; p < 2 * MANY; p++) c[m][p] = (V){0};             \
    for (int64_t k = 0; k < K; k++, w += PANEL)                                                     \
      for (int p = 0; p < MANY; p++) {                                                              \
        V u = *(const V *)(w + p * K * PANEL), v = *(const V *)(w + p * K * PANEL + WIDE);          \
        for (int m = 0; m < ROWS; m++) {                                                            \
          R x = a[m * sa + k];                                                                      \
          c[m][2 * p] += x * u; c[m][2 * p + 1] += x * v;                                           \
        }                                                                                           \
      }                                                                                             \
    for (int m = 0; m < ROWS; m++)                                                                  \
      for (int p = 0; p < 2 * MANY; p++) *(U *)(out + m * so + p * WIDE) = c[m][p];                 \
  }
SEVERAL(1, 4) SEVERAL(2, 3) SEVERAL(3, 2)

// out[m, n] = Σ[k] a[m, k] w[k, n] for rows m of strides so and sa, w packed
static void product(R *out, int64_t so, const R *a, int64_t sa, const R *w, int64_t M, int64_t K, int64_t N) {
  if (M == 1) for (; N >= 4 * PANEL; N -= 4 * PANEL, out += 4 * PANEL, w += 4 * K * PANEL)
    several_1(out, so, a, sa, w, K);
  if (M == 2) for (; N >= 3 * PANEL; N -= 3 * PANEL, out += 3 * PANEL, w += 3 * K * PANEL)
    several_2(out, so, a, sa, w, K);
  if (M == 3) for (; N >= 2 * PANEL; N -= 2 * PANEL, out += 2 * PANEL, w += 2 * K * PANEL)
    several_3(out, so, a, sa, w, K);
  for (int64_t n = 0; n < N; n += PANEL, w += K * PANEL) column(out + n, so, a, sa, 1, w, M, K, N - n, 0);
}
"""


MATRIX = r"""
#define DEEP ((int64_t)256)   // of k at a time: a panel of w stays in the first cache
#define LONG ((int64_t)1024)  // columns at a time: what is packed stays in the second
#define HIGH ((int64_t)96)    // rows at a time: what is packed of a stays beside the panel

struct matrix {
  R *o; const R *a, *b;
  int64_t so, am, ak, bk, bn, M, K, N;
  int threads, failed, (*number)(void);
};

static void rows(struct matrix *z, int64_t first, int64_t last) {
  int64_t M = last - first;
  if (M <= 0) return;
  int64_t deep = least(DEEP, z->K), wide = (least(LONG, z->N) + PANEL - 1) / PANEL * PANEL;
  char *memory = malloc((deep * wide + HIGH * deep) * sizeof(R) + 128);
  if (!memory) { z->failed = 1; return; }
  R *w = (R *)(((uintptr_t)memory + 63) / 64 * 64), *rest = w + deep * wide;
  for (int64_t n = 0; n < z->N; n += LONG) {
    int64_t N = least(LONG, z->N - n);
    for (int64_t k = 0; k < z->K; k += DEEP) {
      int64_t K = least(DEEP, z->K - k);
      pack(w, z->b + k * z->bk + n * z->bn, z->bk, z->bn, K, N);
      for (int64_t m = 0; m < M; m += HIGH) {
        int64_t H = least(HIGH, M - m);
        const R *a = z->a + (first + m) * z->am + k * z->ak;
        // rows one after the other, TALL of them side by side for every k
        R *q = rest;
        for (int64_t i = 0; i < H; i += TALL) {
          int64_t T = least(TALL, H - i);
          for (int64_t j = 0; j < K; j++)
            for (int64_t r = 0; r < T; r++) *q++ = a[(i + r) * z->am + j * z->ak];
        }
        for (int64_t c = 0; c < N; c += PANEL)
          for (int64_t i = 0; i < H; i += TALL)
            column(z->o + (first + m + i) * z->so + n + c, z->so, rest + i * K, 1, least(TALL, H - i),
                   w + c * K, least(TALL, H - i), K, N - c, k > 0);
      }
    }
  }
  free(memory);
}
static void share(void *data) {
  struct matrix *z = data;
  int64_t me = z->number(), blocks = (z->M + TALL - 1) / TALL;
  rows(z, least(z->M, blocks * me / z->threads * TALL), least(z->M, blocks * (me + 1) / z->threads * TALL));
}
int chalkgrad_matrix(R *o, const R *a, const R *b, const int64_t *s, int threads,
    void (*parallel)(void (*)(void *), void *, unsigned, unsigned), int (*number)(void)) {
  struct matrix z = {o, a, b, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], threads, 0, number};
  if (threads > 1 && parallel) parallel(share, &z, (unsigned)threads, 0);
  else rows(&z, 0, z.M);
  return z.failed;
}
"""
"""The product of two matrices of any strides: ``s`` holds the strides of o (rows), a and b, then M, K, N."""


def prelude(double: bool) -> str:
    """The beginning of a kernel in float64 or float32."""
    return HEAD + (DOUBLE if double else FLOAT) + FUNCTIONS + PRODUCT


def matrix_source(double: bool) -> str:
    """The product of two matrices as a source of its own."""
    return prelude(double) + MATRIX
