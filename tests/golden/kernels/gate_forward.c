struct call {
  const int64_t *n; void *const *p; const int64_t *s; R *const *w; R *room; int64_t each;
  const struct runtime *run;
};

// h
static void part_0(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t *const n = z->n; (void)n;
  const R *const restrict p0 = z->p[0];  // h₀
  const int64_t s0_0 = z->s[0];
  const int64_t s0_1 = z->s[1];
  R *const t1 = z->p[5];  // h
  for (int64_t i1 = -1 + 1 * me / threads; i1 < -1 + 1 * (me + 1) / threads; i1++) for (int64_t i0 = 0; i0 < n[0]; i0++) _Pragma("omp simd") for (int64_t i2 = 0; i2 < n[1]; i2++) t1[i0 * (n[1]) + (i1 + 1) * (n[0] * n[1]) + i2] = p0[i0 * s0_0 + (i1 + 1) * s0_1 + i2];
}
// a·1
static void part_1(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t *const n = z->n; (void)n;
  const R *const restrict p1 = z->p[1];  // x
  const int64_t s1_0 = z->s[2];
  const int64_t s1_1 = z->s[3];
  const R *const restrict p2 = z->p[2];  // W
  const int64_t s2_0 = z->s[4];
  R *const t2 = z->w[0];  // a·1
  { const struct matrix q = {&p1[0 * s1_0 + 0 * s1_1 + 0], n[2] * n[0], n[0], s1_1, s1_0, n[1], n[1], 0, 1};
    const struct factor of[] = {
      {&p2[0 * s2_0 + 0], 0, s2_0, 1, &t2[0 * (n[1]) + 0 * (n[0] * n[1]) + 0], (n[1]), n[1], 0},
    };
    z->run->matrix(&q, of, 1, z->room + me * z->each, me, threads); }
}
// a·2, a, z, h
static void part_2(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t *const n = z->n; (void)n;
  const R *const restrict p1 = z->p[1];  // x
  const int64_t s1_0 = z->s[2];
  const int64_t s1_1 = z->s[3];
  const R *const restrict p3 = z->p[3];  // U
  const int64_t s3_0 = z->s[5];
  R *const t0 = z->p[4];  // z
  R *const t1 = z->p[5];  // h
  R *const t2 = z->w[0];  // a·1
  R *const w0 = z->w[1];  // a·2, one step
  R *const packed2 = z->w[2];
  const int thin = n[0] <= THIN && n[2] <= SHORT;
  if (!thin) {
  { const int64_t from = cut(n[1], me, threads), to = cut(n[1], me + 1, threads);
    z->run->pack(packed2 + from * n[1], &p3[0 * s3_0 + 0] + from * (1), s3_0, 1, n[1], to - from); }
  if (threads > 1) z->run->barrier();
  }
  int64_t first = 0, last = n[0], part = 0, parts = 1;
  const int way = sharing(n[0], n[1] * n[1], 1, 1, threads);
  if (way == ROWS) { first = 0 + n[0] * me / threads; last = 0 + n[0] * (me + 1) / threads; }
  else if (way == COLUMNS) { part = me; parts = threads; }
  else if (me) return;
  for (int64_t i1 = 0; i1 < n[2]; i1++) {
    if (parts > 1) z->run->barrier();
    { const int64_t i0 = first; R *const to = &w0[i0 * (n[1]) + 0] + cut(n[1], part, parts); const R *const left = &t1[i0 * (n[1]) + i1 * (n[0] * n[1]) + 0];
      if (thin) z->run->thin(to, (n[1]), left, (n[1]), &p3[0 * s3_0 + 0] + cut(n[1], part, parts) * (1), s3_0, 1, last - first, n[1], cut(n[1], part + 1, parts) - cut(n[1], part, parts), 0);
      else z->run->product(to, (n[1]), left, (n[1]), packed2 + cut(n[1], part, parts) * n[1], last - first, n[1], cut(n[1], part + 1, parts) - cut(n[1], part, parts), 0); }
    {
      for (int64_t i0 = first; i0 < last; i0++)
      _Pragma("omp simd") for (int64_t i3 = 0 + cut(n[1], part, parts); i3 < 0 + cut(n[1], part + 1, parts); i3++) {
        const R v4 = (t2[i0 * (n[1]) + i1 * (n[0] * n[1]) + i3] + w0[i0 * (n[1]) + i3]); 
        const R v5 = c_sigmoid(v4); t0[i0 * (n[1]) + i1 * (n[0] * n[1]) + i3] = v5;
        const R v6 = ((v5 * t1[i0 * (n[1]) + i1 * (n[0] * n[1]) + i3]) + (((R)1.0 + (((R)-1.0) * v5)) * p1[i0 * s1_0 + i1 * s1_1 + i3])); t1[i0 * (n[1]) + (i1 + 1) * (n[0] * n[1]) + i3] = v6;
      }
    }
  }
}
static void all(const struct call *z, int64_t me, int64_t threads) {
  part_0(z, me, threads);
  part_1(z, me, threads);
  if (threads > 1) z->run->barrier();
  part_2(z, me, threads);
}
static void share(void *data) {
  struct call *z = data;
  all(z, z->run->number(), z->run->count());
}
int chalkgrad_kernel(const int64_t *n, void *const *p, const int64_t *s, int threads,
    const struct runtime *run) {
  const int64_t rooms[] = {(n[0] * n[2] * n[1]), (n[0] * n[1]), (n[1] * AROUND_PANEL(n[1])), 0};
  const int64_t each = AROUND(matrix_room(n[1], AROUND_PANEL(n[1])));
  R *w[4];
  void *memory = run->reserve(w, rooms, 3, each * threads);
  if (!memory) return 1;
  struct call z = {n, p, s, w, w[3], each, run};
  if (threads > 1) run->parallel(share, &z, (unsigned)threads, 0);
  else all(&z, 0, 1);
  run->release(memory);
  return 0;
}
