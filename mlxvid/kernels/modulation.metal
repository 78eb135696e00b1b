  // The body: MLX writes the signature. grid: x = 32 * SIMDS lanes, y = rows of C channels. A lane owns every SIMDS * 32nd chunk of W
  // channels, which stay in registers. CHANGED: `change`, times `gate` where GATED, is added first, and the sum written too. CENTRED: a
  // layer norm, else an RMS norm. Of the vectors [K, C] each stands for `rows` rows, in turn; where KINDS is 2, each two, the second of
  // them for the first `front` of those rows.
  constexpr int W = 4;
  constexpr int THREADS = 32 * SIMDS;
  constexpr int ROUNDS = (C + W * THREADS - 1) / (W * THREADS);
  threadgroup float sums[2 * SIMDS];

  const int row = thread_position_in_grid.y;
  const int place = thread_position_in_threadgroup.x;
  const int group = place / 32;
  const int lane = place % 32;
  const long start = long(row) * C;
  const int kind = KINDS == 2 && row % rows < front ? 1 : 0;
  const long vector = long(row / rows % (vectors / KINDS) * KINDS + kind) * C;

  float value[ROUNDS][W];
  float total = 0.0f;
  UNROLL
  for (int r = 0; r < ROUNDS; r++) {
    const int first = (place + r * THREADS) * W;
    UNROLL
    for (int w = 0; w < W; w++) {
      value[r][w] = 0.0f;
      if (first < C) {
        value[r][w] = float(x[start + first + w]);
#if CHANGED
        const float factor = GATED ? float(gate[vector + first + w]) : 1.0f;
        const T changed = T(value[r][w] + factor * float(change[start + first + w]));
        sum[start + first + w] = changed;
        value[r][w] = float(changed);
#endif
      }
      total += value[r][w];
    }
  }
  float mean = 0.0f;
  if (CENTRED) {
    mean = sum_of_all<SIMDS>(total, sums, group, lane) / float(C);
  }
  float squares = 0.0f;
  UNROLL
  for (int r = 0; r < ROUNDS; r++) {
    UNROLL
    for (int w = 0; w < W; w++) {
      if ((place + r * THREADS) * W < C) {
        squares += (value[r][w] - mean) * (value[r][w] - mean);
      }
    }
  }
  squares = sum_of_all<SIMDS>(squares, sums + SIMDS, group, lane);
  const float factor = metal::precise::rsqrt(squares / float(C) + eps);
  UNROLL
  for (int r = 0; r < ROUNDS; r++) {
    const int first = (place + r * THREADS) * W;
    UNROLL
    for (int w = 0; w < W; w++) {
      if (first < C) {
        const float scaled = (value[r][w] - mean) * factor * (float(OFFSET) + float(scale[vector + first + w]));
        out[start + first + w] = T(scaled + (SHIFTED ? float(shift[vector + first + w]) : 0.0f));
      }
    }
  }
