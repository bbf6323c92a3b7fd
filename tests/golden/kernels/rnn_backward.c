struct call {
  const int64_t *n; void *const *p; const int64_t *s; R *const *w; R *room; int64_t each;
  const struct runtime *run;
};

// ∂h·1, ∂h, ∂a
static void part_0(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t *const n = z->n; (void)n;
  const R *const restrict p0 = z->p[0];  // W_h
  const int64_t s0_0 = z->s[0];
  const R *const restrict p1 = z->p[1];  // h̄
  const int64_t s1_0 = z->s[1];
  const int64_t s1_1 = z->s[2];
  const R *const restrict p2 = z->p[2];  // ∂h·own
  const int64_t s2_0 = z->s[3];
  const int64_t s2_1 = z->s[4];
  const R *const restrict p3 = z->p[3];  // h
  const int64_t s3_0 = z->s[5];
  const int64_t s3_1 = z->s[6];
  R *const t3 = z->w[0];  // ∂a
  R *const w0 = z->w[1];  // ∂h·1, one step
  R *const packed2 = z->w[2];
  const int thin = n[1] <= THIN && n[4] + n[2] <= SHORT;
  if (!thin) {
  { const int64_t from = cut(n[0], me, threads), to = cut(n[0], me + 1, threads);
    z->run->pack(packed2 + from * n[0], &p0[0 * s0_0 + 0] + from * (s0_0), 1, s0_0, n[0], to - from); }
  if (threads > 1) z->run->barrier();
  }
  int64_t first = 0, last = n[1], part = 0, parts = 1;
  const int way = sharing(n[1], n[0] * n[0], 1, 1, threads);
  if (way == ROWS) { first = 0 + n[1] * me / threads; last = 0 + n[1] * (me + 1) / threads; }
  else if (way == COLUMNS) { part = me; parts = threads; }
  else if (me) return;
  for (int64_t i1 = n[2] - 1; i1 >= least(-1, 0); i1--) {
    const int g0 = ((-1 * i1 + n[3]) >= 0);
    const int g1 = ((i1 + 1) >= 0);
    const int g2 = (i1 >= 0);
    if (parts > 1) z->run->barrier();
    if (g1) {
    if (g0)
    { const int64_t i0 = first; R *const to = &w0[i0 * (n[0]) + 0] + cut(n[0], part, parts); const R *const left = &t3[i0 * (n[0]) + (i1 + 1) * (n[1] * n[0]) + 0];
      if (thin) z->run->thin(to, (n[0]), left, (n[0]), &p0[0 * s0_0 + 0] + cut(n[0], part, parts) * (s0_0), 1, s0_0, last - first, n[0], cut(n[0], part + 1, parts) - cut(n[0], part, parts), 0);
      else z->run->product(to, (n[0]), left, (n[0]), packed2 + cut(n[0], part, parts) * n[0], last - first, n[0], cut(n[0], part + 1, parts) - cut(n[0], part, parts), 0); }
    else { for (int64_t i0 = first; i0 < last; i0++) for (int64_t i2 = 0 + cut(n[0], part, parts); i2 < 0 + cut(n[0], part + 1, parts); i2++) w0[i0 * (n[0]) + i2] = 0; }
    }
    if (g1 && g2) {
      for (int64_t i0 = first; i0 < last; i0++)
      _Pragma("omp simd") for (int64_t i2 = 0 + cut(n[0], part, parts); i2 < 0 + cut(n[0], part + 1, parts); i2++) {
        const R v4 = (p1[i0 * s1_0 + (i1 + 1) * s1_1 + i2] + w0[i0 * (n[0]) + i2] + p2[i0 * s2_0 + i1 * s2_1 + i2]); 
        const R v6 = (v4 * ((R)1.0 + (((R)-1.0) * ({ R x5 = p3[i0 * s3_0 + (i1 + 1) * s3_1 + i2]; (x5 * x5); })))); t3[i0 * (n[0]) + i1 * (n[1] * n[0]) + i2] = v6;
      }
    } else {
      for (int64_t i0 = first; i0 < last; i0++)
      _Pragma("omp simd") for (int64_t i2 = 0 + cut(n[0], part, parts); i2 < 0 + cut(n[0], part + 1, parts); i2++) {
        R v1 = 0; if (g1) { v1 = (p1[i0 * s1_0 + (i1 + 1) * s1_1 + i2] + w0[i0 * (n[0]) + i2] + (g2 ? p2[i0 * s2_0 + i1 * s2_1 + i2] : 0));  }
        R v3 = 0; if (g2) { v3 = (v1 * ((R)1.0 + (((R)-1.0) * ({ R x2 = p3[i0 * s3_0 + (i1 + 1) * s3_1 + i2]; (x2 * x2); })))); t3[i0 * (n[0]) + i1 * (n[1] * n[0]) + i2] = v3; }
      }
    }
  }
}
// ∂W_x
static void part_1(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t *const n = z->n; (void)n;
  const R *const restrict p4 = z->p[4];  // x
  const int64_t s4_0 = z->s[7];
  const int64_t s4_1 = z->s[8];
  R *const t0 = z->p[5];  // ∂W_x
  R *const t3 = z->w[0];  // ∂a
  { const struct matrix q = {&p4[0 * s4_0 + 0 * s4_1 + 0], n[5], n[5], 0, 1, n[2] * n[1], n[1], s4_1, s4_0};
    const struct factor of[] = {
      {&t3[0 * (n[0]) + 0 * (n[1] * n[0]) + 0], (n[1] * n[0]), (n[0]), 1, &t0[0 * (n[0]) + 0], (n[0]), n[0], 0},
    };
    z->run->matrix(&q, of, 1, z->room + me * z->each, me, threads); }
}
// ∂W_h
static void part_2(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t *const n = z->n; (void)n;
  const R *const restrict p3 = z->p[3];  // h
  const int64_t s3_0 = z->s[5];
  const int64_t s3_1 = z->s[6];
  R *const t1 = z->p[6];  // ∂W_h
  R *const t3 = z->w[0];  // ∂a
  { const struct matrix q = {&p3[0 * s3_0 + 0 * s3_1 + 0], n[0], n[0], 0, 1, n[2] * n[1], n[1], s3_1, s3_0};
    const struct factor of[] = {
      {&t3[0 * (n[0]) + 0 * (n[1] * n[0]) + 0], (n[1] * n[0]), (n[0]), 1, &t1[0 * (n[0]) + 0], (n[0]), n[0], 0},
    };
    z->run->matrix(&q, of, 1, z->room + me * z->each, me, threads); }
}
// ∂b
static void part_3(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t *const n = z->n; (void)n;
  R *const t2 = z->p[7];  // ∂b
  R *const t3 = z->w[0];  // ∂a
  
  for (int64_t from = 0 + cut(n[0], me, threads); from < 0 + cut(n[0], me + 1, threads); from += 256) {
    const int64_t to = least(from + 256, 0 + cut(n[0], me + 1, threads));
    double sum[256], total[256];  // sums of sums, in double, round less than one of all
    memset(total, 0, sizeof total);
    for (int64_t i0 = 0; i0 < n[1]; i0++) {
      memset(sum, 0, sizeof sum);
      for (int64_t i1 = 0; i1 < n[2]; i1++) _Pragma("omp simd") for (int64_t i3 = from; i3 < to; i3++) sum[i3 - from] += t3[i0 * (n[0]) + i1 * (n[1] * n[0]) + i3];
      _Pragma("omp simd") for (int64_t i3 = from; i3 < to; i3++) total[i3 - from] += sum[i3 - from];
    }
    _Pragma("omp simd") for (int64_t i3 = from; i3 < to; i3++) t2[i3] = (R)total[i3 - from];
  }
}
static void all(const struct call *z, int64_t me, int64_t threads) {
  part_0(z, me, threads);
  if (threads > 1) z->run->barrier();
  part_1(z, me, threads);
  part_2(z, me, threads);
  part_3(z, me, threads);
}
static void share(void *data) {
  struct call *z = data;
  all(z, z->run->number(), z->run->count());
}
int chalkgrad_kernel(const int64_t *n, void *const *p, const int64_t *s, int threads,
    const struct runtime *run) {
  const int64_t rooms[] = {(n[1] * n[2] * n[0]), (n[1] * n[0]), (n[0] * AROUND_PANEL(n[0])), 0};
  const int64_t each = AROUND(most(matrix_room(n[1] * n[2], AROUND_PANEL(n[0])), matrix_room(n[1] * n[2], AROUND_PANEL(n[0]))));
  R *w[4];
  void *memory = run->reserve(w, rooms, 3, each * threads);
  if (!memory) return 1;
  struct call z = {n, p, s, w, w[3], each, run};
  if (threads > 1) run->parallel(share, &z, (unsigned)threads, 0);
  else all(&z, 0, 1);
  run->release(memory);
  return 0;
}
