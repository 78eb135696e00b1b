  // The body: MLX writes the signature. grid: x = 32 * SIMDS lanes, y = tokens (of each batch item in turn). A SIMD-group owns every
  // SIMDS-th head of its token, a lane every 32nd pair of channels, which stay in registers between the norm and the rotation.
  // NORM: 1 RMS norm of each head, 2 RMS norm over all heads, 3 layer norm of each head. HALF: channels i and i + D/2 are a pair, else
  // 2i and 2i + 1. OWN: each head has angles of its own. MORE: the tokens of `more`, with weights of their own, come after those of x.
  constexpr int PAIRS = D / 2;
  constexpr int ROUNDS = (PAIRS + 31) / 32;
  constexpr int HEADS = (H + SIMDS - 1) / SIMDS;
  constexpr int ANGLES = OWN ? H * PAIRS : PAIRS;
  threadgroup float sums[SIMDS];

  const int row = thread_position_in_grid.y;
#if MORE
  const int tokens = x_shape[1] + more_shape[1];
  const int token = row % tokens;
  const bool later = token >= x_shape[1];
  const constant int64_t* strides = later ? more_strides : x_strides;
  const device T* source = later ? more : x;
  source += row / tokens * strides[0] + (later ? token - x_shape[1] : token) * strides[1];
  const auto gains = later ? more_weight : weight;
#else
  const int tokens = x_shape[1];
  const int token = row % tokens;
  const constant int64_t* strides = x_strides;
  const device T* source = x + row / tokens * strides[0] + token * strides[1];
  const auto gains = weight;
#endif
  const int group = thread_position_in_threadgroup.x / 32;
  const int lane = thread_position_in_threadgroup.x % 32;
  device T* target = out + long(row) * (H * D);

  float a[HEADS][ROUNDS];
  float b[HEADS][ROUNDS];
  float all = 0.0f;
  UNROLL
  for (int i = 0; i < HEADS; i++) {
    const int head = group + i * SIMDS;
    UNROLL
    for (int r = 0; r < ROUNDS; r++) {
      const int pair = lane + 32 * r;
      a[i][r] = 0.0f;
      b[i][r] = 0.0f;
      if (head < H && pair < PAIRS) {
        const device T* values = source + head * strides[2];
        a[i][r] = float(values[(HALF ? pair : 2 * pair) * strides[3]]);
        b[i][r] = float(values[(HALF ? pair + PAIRS : 2 * pair + 1) * strides[3]]);
      }
      all += a[i][r] * a[i][r] + b[i][r] * b[i][r];
    }
  }
  if (NORM == 2) {
    all = sum_of_all<SIMDS>(all, sums, group, lane);
  }

  UNROLL
  for (int i = 0; i < HEADS; i++) {
    const int head = group + i * SIMDS;
    float squares = all / float(H);
    float mean = 0.0f;
    if (NORM == 3) {
      float sum = 0.0f;
      UNROLL
      for (int r = 0; r < ROUNDS; r++) {
        sum += a[i][r] + b[i][r];
      }
      mean = simd_sum(sum) / float(D);
    }
    if (NORM != 2) {
      float part = 0.0f;
      UNROLL
      for (int r = 0; r < ROUNDS; r++) {
        if (lane + 32 * r < PAIRS) {
          part += (a[i][r] - mean) * (a[i][r] - mean) + (b[i][r] - mean) * (b[i][r] - mean);
        }
      }
      squares = simd_sum(part);
    }
    const float factor = metal::precise::rsqrt(squares / float(D) + eps);
    UNROLL
    for (int r = 0; r < ROUNDS; r++) {
      const int pair = lane + 32 * r;
      if (head < H && pair < PAIRS) {
        const int first = HALF ? pair : 2 * pair;
        const int second = HALF ? pair + PAIRS : 2 * pair + 1;
        const int offset = NORM == 2 ? head * D : 0;
        float u = (a[i][r] - mean) * factor * float(gains[offset + first]);
        float v = (b[i][r] - mean) * factor * float(gains[offset + second]);
        if (NORM == 3) {
          u += float(bias[first]);
          v += float(bias[second]);
        }
        const long angle = long(token) * ANGLES + (OWN ? head * PAIRS : 0) + pair;
        const float c = cos_table[angle];
        const float s = sin_table[angle];
        target[head * D + first] = T(u * c - v * s);
        target[head * D + second] = T(u * s + v * c);
      }
    }
  }
