"""Products of a row or three with a weight as it lies, in C: what one step of a stream needs.

To pack a weight is to read it and to write it; where each is then used once or twice, that takes longer than
the product. So few rows leave nothing to keep in registers but themselves, and memory sets the pace.
"""

from __future__ import annotations

THIN = r"""
// out[m, n] = Σ[k] a[m·sa + k] w[k·sk + n·sn] for M rows; added to what is there where `more`
void chalkgrad_thin(R *out, int64_t so, const R *a, int64_t sa, const R *w, int64_t sk, int64_t sn,
                    int64_t M, int64_t K, int64_t N, int more) {
  if (sk == 1) {  // each column lies in one piece
    for (int64_t n = 0; n < N; n++) for (int64_t m = 0; m < M; m++) {
      const R *x = a + m * sa, *c = w + n * sn;
      R s = 0;
      _Pragma("omp simd reduction(+:s)") for (int64_t k = 0; k < K; k++) s += x[k] * c[k];
      out[m * so + n] = more ? out[m * so + n] + s : s;
    }
    return;
  }
  if (!more) for (int64_t m = 0; m < M; m++) memset(out + m * so, 0, (size_t)most(0, N) * sizeof(R));
  int64_t k = 0;
  if (sn == 1) for (; k + 4 <= K; k += 4) for (int64_t m = 0; m < M; m++) {  // each row does: four at a time
    const R *c = w + k * sk, *d = c + sk, *e = d + sk, *f = e + sk, *x = a + m * sa + k;
    const R p = x[0], q = x[1], r = x[2], s = x[3];
    R *o = out + m * so;
    _Pragma("omp simd") for (int64_t n = 0; n < N; n++)
      o[n] += (p * c[n] + q * d[n]) + (r * e[n] + s * f[n]);
  }
  for (; k < K; k++) for (int64_t m = 0; m < M; m++) {
    const R p = a[m * sa + k];
    for (int64_t n = 0; n < N; n++) out[m * so + n] += p * w[k * sk + n * sn];
  }
}
// The same for whole tables, if they are so few rows: every thread has its columns. Whether they were.
static int thin_matrix(const struct matrix *z, const struct factor *of, int count, int64_t me,
                       int64_t threads) {
  if (z->M > THIN || z->k1 != z->K || z->ak1 != 1) return 0;
  for (int i = 0; i < count; i++) for (int64_t m = 0; m < z->M; m++) {
    const int64_t from = cut(of[i].N, me, threads), to = cut(of[i].N, me + 1, threads);
    chalkgrad_thin(of[i].o + m * of[i].so + from, 0, z->a + m / z->m1 * z->am0 + m % z->m1 * z->am1, 0,
                   of[i].b + from * of[i].bn, of[i].bk1, of[i].bn, 1, z->K, to - from, (int)of[i].more);
  }
  return 1;
}
"""
"""Goes between the tiles and the products of whole tables, which ask it first."""
