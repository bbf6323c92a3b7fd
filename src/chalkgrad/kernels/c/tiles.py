"""The library that kernels call, in C: products of matrices in tiles held in registers, and memory for them.

Vectors are the compiler's own, so that one source serves every width. A panel is as wide as two vectors, a
tile as tall as the registers allow.
"""

from __future__ import annotations

SHAPES = r"""
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
#define AROUND(x) (((x) + 15) / 16 * 16)
#define AROUND_PANEL(x) (((x) + PANEL - 1) / PANEL * PANEL)

// where the part number `part` of an axis begins: whole panels for everybody
static inline int64_t cut(int64_t size, int64_t part, int64_t parts) {
  return least(size, (size + PANEL - 1) / PANEL * part / parts * PANEL);
}
// how a loop is shared out: rows to each thread, columns of every stage, or all of it to one thread
enum { ROWS, COLUMNS, ALONE };
static int sharing(int64_t rows, int64_t work, int has_rows, int may_cut, int64_t threads) {
  if (threads == 1) return has_rows ? ROWS : ALONE;
  const int large = work * (int64_t)sizeof(R) > 1 << 20;  // weights that one core's cache cannot hold
  if (has_rows && rows >= threads * TALL && !large) return ROWS;
  if (may_cut && rows * work >= 30000 * threads) return COLUMNS;
  return has_rows && rows >= threads ? ROWS : ALONE;
}
// The left operand a[m, k], m and k of two axes each: an inner one of m1 (k1) values, strides outer, inner.
struct matrix { const R *a; int64_t M, m1, am0, am1, K, k1, ak0, ak1; };
// A right operand b[k, n], and where the product goes: o[m, n] at o + m·so + n; added to it where `more`.
struct factor { const R *b; int64_t bk0, bk1, bn; R *o; int64_t so, N, more; };

// What a kernel calls. Of the team: run something on every thread, which one am I, how many, wait for all.
struct runtime {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
  int (*number)(void), (*count)(void);
  void (*barrier)(void);
  void *(*reserve)(R **w, const int64_t *rooms, int count, int64_t room);
  void (*release)(void *);
  void (*pack)(R *out, const R *w, int64_t sk, int64_t sn, int64_t K, int64_t N);
  void (*product)(R *out, int64_t so, const R *a, int64_t sa, const R *w, int64_t M, int64_t K, int64_t N,
                  int more);
  void (*matrix)(const struct matrix *z, const struct factor *of, int count, R *room, int64_t me,
                 int64_t threads);
  void (*thin)(R *out, int64_t so, const R *a, int64_t sa, const R *w, int64_t sk, int64_t sn, int64_t M,
               int64_t K, int64_t N, int more);
};
#define THIN 3     // up to so many rows
#define SHORT 16   // of up to so many steps are multiplied with weights as they lie
#define DEEP ((int64_t)256)   // of k at a time: a panel of w stays in the first cache
// Of k in one sum, where k goes over steps and rows: about twice the root of their number, as sums of sums
// round less than one of all. (A sum over features is no longer than a library's, and stores cost.)
#define FEW(K) ((int64_t)((K) <= 512 ? 32 : (K) <= 1024 ? 64 : (K) <= 2048 ? 128 : 256))
#define LONG ((int64_t)1024)  // columns at a time: what is packed stays in the second
#define HIGH ((int64_t)96)    // rows at a time: what is packed of a stays beside the panel
static inline int64_t matrix_room(int64_t K, int64_t columns) {
  const int64_t deep = least(DEEP, K);
  return deep * least(LONG, columns) + AROUND(HIGH * deep);
}
"""
"""How wide a vector is and how tall a tile, and what the functions of the library look like."""

TILES = r"""
#ifdef __linux__
#include <sys/mman.h>
#endif
typedef R V __attribute__((vector_size(BYTES)));
typedef R U __attribute__((vector_size(BYTES), aligned(sizeof(R))));
// The piece of the call before, which the next one gets: pages given back are zeroed when they come again.
struct piece { int64_t bytes, small; };  // at its beginning: its size, and how often a call wanted far less
static struct piece *idle;
static struct piece *exchange(struct piece *p) { return __atomic_exchange_n(&idle, p, __ATOMIC_ACQ_REL); }
static struct piece *allocate(int64_t bytes) {  // in pages of two megabytes where it is large
  const int64_t large = (int64_t)1 << 21, line = bytes >= 2 * large ? large : 64;
  bytes = (bytes + line - 1) / line * line;
  struct piece *piece = aligned_alloc((size_t)line, (size_t)bytes);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (piece && line == large) madvise(piece, (size_t)bytes, MADV_HUGEPAGE);
#endif
  if (piece) *piece = (struct piece){bytes, 0};
  return piece;
}
// One piece of memory, cut into rooms. Who calls while another call has the idle piece gets one of its own.
void *chalkgrad_reserve(R **w, const int64_t *rooms, int count, int64_t room) {
  int64_t total = AROUND(room) + 16;  // the first 16 are the piece's own
  for (int k = 0; k < count; k++) total += AROUND(rooms[k]);
  const int64_t bytes = total * (int64_t)sizeof(R);
  struct piece *piece = exchange(0);
  if (piece) piece->small = bytes < piece->bytes / 8 ? piece->small + 1 : 0;
  if (piece && (piece->bytes < bytes || piece->small > 100)) { free(piece); piece = 0; }
  if (!piece) piece = allocate(bytes);
  if (!piece) return 0;
  R *next = (R *)piece + 16;
  for (int k = 0; k < count; k++) { w[k] = next; next += AROUND(rooms[k]); }
  w[count] = next;
  return piece;
}
void chalkgrad_release(void *piece) {
#ifdef __SANITIZE_ADDRESS__
  free(piece);  // so that every call has its own bounds
#else
  free(exchange(piece));
#endif
}

// one panel of weight[k, n] at w + (k / k1)·s0 + (k % k1)·s1 + n·sn for k from k0 on; filled up with zeros
static void pack_panel(R *out, const R *w, int64_t k0, int64_t k1, int64_t s0, int64_t s1, int64_t sn,
                       int64_t K, int64_t N) {
  int64_t inner = k0 % k1;
  const R *row = w + k0 / k1 * s0 + inner * s1;
  if (N < PANEL) memset(out, 0, (size_t)(K * PANEL) * sizeof(R));
  for (int64_t k = 0; k < K; ) {
    const int64_t run = least(K - k, k1 - inner);
    if (sn == 1 && N >= PANEL)
      for (int64_t j = 0; j < run; j++, row += s1, out += PANEL) {
        *(U *)out = *(const U *)row; *(U *)(out + WIDE) = *(const U *)(row + WIDE);
      }
    else {
      for (int64_t j0 = 0; j0 < run; j0 += 16)  // a few lines of memory at a time, whichever way they run
        for (int64_t c = 0; c < least(N, PANEL); c++)
          for (int64_t j = j0; j < least(run, j0 + 16); j++) out[j * PANEL + c] = row[j * s1 + c * sn];
      out += run * PANEL;
      row += run * s1;
    }
    k += run; inner += run;
    if (inner == k1) { inner = 0; row += s0 - k1 * s1; }
  }
}
void chalkgrad_pack(R *out, const R *w, int64_t sk, int64_t sn, int64_t K, int64_t N) {
  for (int64_t n = 0; n < N; n += PANEL)
    pack_panel(out + n * K, w + n * sn, 0, most(1, K), 0, sk, sn, K, N - n);
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
__attribute__((noinline)) static void column(R *out, int64_t so, const R *a, int64_t sa, int64_t sk,
                                             const R *w, int64_t M, int64_t K, int64_t N, int more) {
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

// Few rows leave too little to do while a product waits for the one before: several whole panels at once,
// and sums over every second, or every fourth k.
#define SEVERAL(ROWS, MANY, CHAINS)                                                                 \
  static inline void several_##ROWS##_##MANY(R *out, int64_t so, const R *a, int64_t sa, const R *w,\
                                             int64_t K, int more) {                                 \
    V c[CHAINS][ROWS][2 * MANY];                                                                    \
    for (int h = 0; h < CHAINS; h++)                                                                \
      for (int m = 0; m < ROWS; m++) for (int p = 0; p < 2 * MANY; p++) c[h][m][p] = (V){0};        \
    int64_t k = 0;                                                                                  \
    for (; k + CHAINS <= K; k += CHAINS)                                                            \
      for (int h = 0; h < CHAINS; h++) for (int p = 0; p < MANY; p++) {                             \
        const R *q = w + (p * K + k + h) * PANEL;                                                   \
        V u = *(const V *)q, v = *(const V *)(q + WIDE);                                            \
        for (int m = 0; m < ROWS; m++) {                                                            \
          R x = a[m * sa + k + h];                                                                  \
          c[h][m][2 * p] += x * u; c[h][m][2 * p + 1] += x * v;                                     \
        }                                                                                           \
      }                                                                                             \
    for (; k < K; k++) for (int p = 0; p < MANY; p++) {                                             \
      const R *q = w + (p * K + k) * PANEL;                                                         \
      for (int m = 0; m < ROWS; m++) {                                                              \
        R x = a[m * sa + k];                                                                        \
        c[0][m][2 * p] += x * *(const V *)q; c[0][m][2 * p + 1] += x * *(const V *)(q + WIDE);      \
      }                                                                                             \
    }                                                                                               \
    for (int m = 0; m < ROWS; m++)                                                                  \
      for (int p = 0; p < 2 * MANY; p++) {                                                          \
        V s = c[0][m][p];                                                                           \
        for (int h = 1; h < CHAINS; h++) s += c[h][m][p];                                           \
        U *o = (U *)(out + m * so + p * WIDE);                                                      \
        if (more) *o += s; else *o = s;                                                             \
      }                                                                                             \
  }
SEVERAL(1, 4, 1) SEVERAL(1, 2, 2) SEVERAL(1, 1, 4) SEVERAL(2, 3, 1) SEVERAL(2, 1, 2) SEVERAL(3, 2, 1)
#define WHILE(ROWS, MANY)                                                                           \
  for (; N >= MANY * PANEL; N -= MANY * PANEL, out += MANY * PANEL, w += MANY * K * PANEL)          \
    several_##ROWS##_##MANY(out, so, a, sa, w, K, more);

// out[m, n] = Σ[k] a[m, k] w[k, n] for rows m of strides so and sa, w packed; added where `more`
void chalkgrad_product(R *out, int64_t so, const R *a, int64_t sa, const R *w, int64_t M, int64_t K,
                       int64_t N, int more) {
  if (M == 1) { WHILE(1, 4) WHILE(1, 2) WHILE(1, 1) }
  if (M == 2) { WHILE(2, 3) WHILE(2, 1) }
  if (M == 3) { WHILE(3, 2) }
  for (int64_t n = 0; n < N; n += PANEL, w += K * PANEL) column(out + n, so, a, sa, 1, w, M, K, N - n, more);
}
"""
"""Panels and tiles, and the product of a few rows with a packed weight: what a loop needs in each step."""

MATRIX = r"""
// rows m … m + T of the left operand side by side for every k from k0 on
static R *pack_rows(R *q, const struct matrix *z, int64_t m, int64_t T, int64_t k0, int64_t K) {
  const int64_t k1 = most(1, z->k1);
  int64_t at[TALL], inner = k0 % k1, k = k0 / k1 * z->ak0 + inner * z->ak1;
  for (int64_t r = 0; r < T; r++) at[r] = (m + r) / z->m1 * z->am0 + (m + r) % z->m1 * z->am1;
  const int side = T == TALL && at[TALL - 1] - at[0] == TALL - 1 && z->am1 == 1;
  for (int64_t j = 0; j < K; ) {
    const int64_t run = least(K - j, k1 - inner);
    const R *a = z->a + k;
    if (side) for (int64_t i = 0; i < run; i++, q += TALL)
      memcpy(q, a + at[0] + i * z->ak1, TALL * sizeof(R));
    else if (T == TALL) for (int64_t i = 0; i < run; i++, q += TALL)
      for (int64_t r = 0; r < TALL; r++) q[r] = a[at[r] + i * z->ak1];
    else for (int64_t i = 0; i < run; i++) for (int64_t r = 0; r < T; r++) *q++ = a[at[r] + i * z->ak1];
    j += run; inner += run; k += run * z->ak1;
    if (inner == k1) { inner = 0; k += z->ak0 - k1 * z->ak1; }
  }
  return q;
}
// Every thread calls it: the rows are shared out, or the panels.
void chalkgrad_matrix(const struct matrix *z, const struct factor *of, int count, R *room, int64_t me,
                   int64_t threads) {
  if (thin_matrix(z, of, count, me, threads)) return;
  int64_t panels = 0;
  for (int f = 0; f < count; f++) panels += (of[f].N + PANEL - 1) / PANEL;
  const int64_t blocks = (z->M + TALL - 1) / TALL;
  int64_t first = 0, last = z->M, low = 0, high = panels;
  // Everybody packs the whole of the other operand: let that be the smaller one.
  if (z->M >= panels * PANEL || panels < threads) {
    first = least(z->M, blocks * me / threads * TALL);
    last = least(z->M, blocks * (me + 1) / threads * TALL);
  } else { low = panels * me / threads; high = panels * (me + 1) / threads; }
  if (first >= last || low >= high) return;
  R *rest = room + least(DEEP, z->K) * least(LONG, panels * PANEL);
  const int64_t few = z->k1 < z->K ? FEW(z->K) : DEEP;
  const struct factor *f = of;
  int64_t n = low;  // the panel at hand, in the factor at hand
  while (n * PANEL >= f->N) { n -= (f->N + PANEL - 1) / PANEL; f++; }
  for (int64_t g = low; g < high; ) {
    const int64_t many = least(LONG / PANEL, high - g);
    const struct factor *own = f;
    int64_t mine = n;
    for (int64_t k = 0; k < z->K || k == 0; k += DEEP) {
      const int64_t K = least(DEEP, z->K - k);
      f = own; n = mine;
      for (int64_t c = 0; c < many; c++) {
        pack_panel(room + c * K * PANEL, f->b + n * PANEL * f->bn, k, most(1, z->k1), f->bk0, f->bk1, f->bn,
                   K, f->N - n * PANEL);
        if (++n * PANEL >= f->N) { f++; n = 0; while (f < of + count && !f->N) f++; }
      }
      for (int64_t m = first; m < last; m += HIGH) {
        const int64_t H = least(HIGH, last - m);
        R *q = rest;
        for (int64_t i = 0; i < H; i += TALL) q = pack_rows(q, z, m + i, least(TALL, H - i), k, K);
        f = own; n = mine;
        for (int64_t c = 0; c < many; c++) {
          for (int64_t i = 0; i < H; i += TALL) {
            const int64_t T = least(TALL, H - i);
            for (int64_t j = 0; j < K || j == 0; j += few)
              column(f->o + (m + i) * f->so + n * PANEL, f->so, rest + i * K + j * T, 1, T,
                     room + (c * K + j) * PANEL, T, least(few, K - j), f->N - n * PANEL,
                     k + j > 0 || f->more);
          }
          if (++n * PANEL >= f->N) { f++; n = 0; while (f < of + count && !f->N) f++; }
        }
      }
    }
    g += many;
  }
}
// the library's own functions; the team's are set before
void chalkgrad_fill(struct runtime *z) {
  z->reserve = chalkgrad_reserve;
  z->release = chalkgrad_release;
  z->pack = chalkgrad_pack;
  z->product = chalkgrad_product;
  z->matrix = chalkgrad_matrix;
  z->thin = chalkgrad_thin;
}
"""
"""Products of whole tables, any strides; every thread of a team takes its share."""
