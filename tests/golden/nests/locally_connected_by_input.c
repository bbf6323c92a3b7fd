typedef R V __attribute__((vector_size(BYTES)));
typedef R L __attribute__((vector_size(BYTES), aligned(sizeof(R))));  // as it lies in memory
struct call { const int64_t *n; R *const *p; R *const *w; R *room; int64_t each; const struct runtime *run; };
static inline int64_t below(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline int64_t above(int64_t a, int64_t b) { return a / b + (a % b > 0); }
static inline int64_t rest(int64_t a, int64_t b) { return (a % b + b) % b; }
static void all(const struct call *z, const int64_t me, const int64_t threads) {
  const int64_t rows_0_0 = z->n[0];
  const int64_t rows_0_1 = z->n[1];
  const int64_t rows_0_2 = z->n[2];
  const int64_t first_0 = z->n[3];
  const int64_t last_0 = z->n[4];
  const int64_t width_0 = z->n[5];
  const int64_t along_0 = z->n[6];
  const int64_t row_0_0 = z->n[7];
  const int64_t row_0_1 = z->n[8];
  const int64_t row_0_2 = z->n[9];
  const int64_t from_0 = z->n[10];
  const int64_t by_0_0 = z->n[11];
  const int64_t by_0_1 = z->n[12];
  const int64_t by_0_2 = z->n[13];
  const int64_t size_2 = z->n[14];
  const int64_t size_0 = z->n[15];
  const int64_t size_1 = z->n[16];
  const int64_t size_3 = z->n[17];
  const int64_t piece = z->n[18];
  const int64_t results = z->n[19];
  const int64_t size_4 = z->n[20];
  const int64_t size_5 = z->n[21];
  const int64_t bound_0 = z->n[22];
  const int64_t bound_1 = z->n[23];
  const int64_t size_6 = z->n[24];
  const int64_t bound_2 = z->n[25];
  const int64_t bound_3 = z->n[26];
  const int64_t base_0 = z->n[27];
  const int64_t step_0_2 = z->n[28];
  const int64_t step_0_3 = z->n[29];
  const int64_t step_0_4 = z->n[30];
  const int64_t step_0_5 = z->n[31];
  const int64_t step_0_6 = z->n[32];
  const int64_t base_1 = z->n[33];
  const int64_t step_1_1 = z->n[34];
  const int64_t step_1_2 = z->n[35];
  const int64_t step_1_3 = z->n[36];
  const int64_t step_1_4 = z->n[37];
  const int64_t step_1_5 = z->n[38];
  const int64_t step_1_6 = z->n[39];
  const int64_t to_0 = z->n[40];
  const int64_t to_1 = z->n[41];
  const int64_t to_2 = z->n[42];
  const int64_t to_3 = z->n[43];
  const int64_t room_0 = z->n[44];
  R *const restrict out = z->p[0];
  const R *const restrict a0 = z->w[0];
  const R *const restrict a1 = z->p[2];
  for (int64_t q = rows_0_0 * rows_0_1 * me / threads; q < rows_0_0 * rows_0_1 * (me + 1) / threads; q++) {
    const int64_t d0 = q / rows_0_1, d1 = q % rows_0_1;
    for (int64_t d2 = 0; d2 < rows_0_2; d2++) {
      const R *const from = z->p[1] + from_0 + d0 * by_0_0 + d1 * by_0_1 + d2 * by_0_2;
      R *const to = (R *)a0 + d0 * row_0_0 + d1 * row_0_1 + d2 * row_0_2;
      for (int64_t r = 0; r < first_0; r++) to[r] = 0;
      if (along_0 == 1) memcpy(to + first_0, from, (size_t)(last_0 - first_0) * sizeof(R));
      else for (int64_t r = first_0; r < last_0; r++) to[r] = from[(r - first_0) * along_0];
      for (int64_t r = last_0; r < width_0; r++) to[r] = 0;
    }
  }
  if (threads > 1) z->run->barrier();
  for (int64_t q = size_2 * me / threads; q < size_2 * (me + 1) / threads; q++) {
    const int64_t i2 = q;
    for (int64_t i0 = 0; i0 < size_0; i0 += WIDE) {
      const int64_t left = least(WIDE, size_0 - i0);
      for (int64_t b = 0; b < size_1; b += 8) {
        const int64_t i1 = least(b, size_1 - 8);
        for (int64_t c = 0; c < size_3; c += piece) {
          R *row = z->room + me * z->each;
          for (int64_t i3 = c; i3 < least(size_3, c + piece); i3++) {
            V s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0};
            for (int64_t i4 = 0, h4 = size_4; i4 < h4; i4++) {
              for (int64_t i5 = most(0, -(-i2 + bound_1)), h5 = least(size_5, (i2 + bound_0) + 1); i5 < h5; i5++) {
                for (int64_t i6 = most(0, -(-i3 + bound_3)), h6 = least(size_6, (i3 + bound_2) + 1); i6 < h6; i6++) {
                  const V x0 = *(const L *)&a0[base_0 + i2 * step_0_2 + i3 * step_0_3 + i4 * step_0_4 + i5 * step_0_5 + i6 * step_0_6 + i0];
                  s0 += x0 * a1[base_1 + i1 * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                  s1 += x0 * a1[base_1 + (i1 + 1) * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                  s2 += x0 * a1[base_1 + (i1 + 2) * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                  s3 += x0 * a1[base_1 + (i1 + 3) * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                  s4 += x0 * a1[base_1 + (i1 + 4) * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                  s5 += x0 * a1[base_1 + (i1 + 5) * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                  s6 += x0 * a1[base_1 + (i1 + 6) * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                  s7 += x0 * a1[base_1 + (i1 + 7) * step_1_1 + i2 * step_1_2 + i3 * step_1_3 + i4 * step_1_4 + i5 * step_1_5 + i6 * step_1_6];
                }
              }
            }
            *(V *)(row + 0 * results) = s0;
            *(V *)(row + 1 * results) = s1;
            *(V *)(row + 2 * results) = s2;
            *(V *)(row + 3 * results) = s3;
            *(V *)(row + 4 * results) = s4;
            *(V *)(row + 5 * results) = s5;
            *(V *)(row + 6 * results) = s6;
            *(V *)(row + 7 * results) = s7;
            row += WIDE;
          }
          const int64_t long_ = (row - (z->room + me * z->each)) / WIDE;
          for (int64_t r = 0; r < 8; r++) for (int64_t l = 0; l < left; l++) {
            R *to = out + i0 * to_0 + i1 * to_1 + i2 * to_2 + c * to_3 + l * to_0 + r * to_1;
            const R *from = z->room + me * z->each + r * results + l;
            for (int64_t m = 0; m < long_; m++) to[m] = from[m * WIDE];
          }
        }
      }
    }
  }
}
static void share(void *data) {
  const struct call *z = data;
  all(z, z->run->number(), z->run->count());
}
int chalkgrad_nest(const int64_t *n, void *const *p, int threads, const struct runtime *run) {
  const int64_t results = n[19];
  const int64_t room_0 = n[44];
  const int64_t rooms[] = {room_0};
  R *w[2];
  const int64_t each = 8 * results;
  void *memory = run->reserve(w, rooms, 1, each * threads);
  if (!memory) return 1;
  struct call z = {n, (R *const *)p, w, w[1], each, run};
  if (threads > 1) run->parallel(share, &z, (unsigned)threads, 0);
  else all(&z, 0, 1);
  free(memory);
  return 0;
}
