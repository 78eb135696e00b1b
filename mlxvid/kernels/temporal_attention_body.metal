  // The body: MLX writes the signature. grid: x = 32 * SIMDS lanes of a tube, y = tubes (heads fastest, then positions, then batch).
  typedef Deal<T, D, ROPE> deal;
  constexpr int ROWS = 8 * R * SIMDS;
  constexpr int KEYS = 4;
  threadgroup T staged[(TUBES + (STAGE_V ? 1 : 0)) * ROWS * D];  // each tube's keys, then values

  const int frames = q_shape[1];
  const int positions = q_shape[2];
  const int heads = q_shape[3];
  const int tube = thread_position_in_grid.y;
  const int head = tube % heads;
  const int position = tube / heads % positions;
  const int batch = tube / heads / positions;
  const int group = SIMDS > 1 ? thread_position_in_threadgroup.x / 32 : 0;
  const int quad = thread_position_in_threadgroup.x % 32 / 4;
  const int lane = thread_position_in_threadgroup.x % 4;

  const device T* q_tube = q + batch * q_strides[0] + position * q_strides[2] + head * q_strides[3];
  const device T* k_tube = k + batch * k_strides[0] + position * k_strides[2] + head * k_strides[3];
  const device T* v_tube = v + batch * v_strides[0] + position * v_strides[2] + head * v_strides[3];
  threadgroup T* keys = staged + thread_position_in_threadgroup.y * (ROWS * D);
  threadgroup T* values = staged + TUBES * ROWS * D;

  // Each quad brings in its rows of q, which stay in registers, and of k (and v), which go where every quad can read them.
  float query[R][deal::N];
  UNROLL
  for (int i = 0; i < R; i++) {
    const int row = (group * R + i) * 8 + quad;
    const bool real = row < frames;
    float key[deal::N];
    UNROLL
    for (int j = 0; j < deal::N; j++) {
      query[i][j] = 0.0f;
      key[j] = 0.0f;
    }
    if (real) {
      read_row<T, D, ROPE>(q_tube + row * q_strides[1], q_strides[4], lane, query[i]);
      read_row<T, D, ROPE>(k_tube + row * k_strides[1], k_strides[4], lane, key);
    }
    if (NORM_Q) {
      normalise<T, D, ROPE>(query[i], q_weight, eps, lane);
    }
    if (NORM_K) {
      normalise<T, D, ROPE>(key, k_weight, eps, lane);
    }
    if (real && ROPE != 0) {
      rotate_both<T, D, ROPE>(query[i], key, cos_table + row * (D / 2), sin_table + row * (D / 2), lane);
    }
    if (real) {
      stage_row<T, D, ROPE>(keys + row * D, lane, key);
      if (STAGE_V) {
        float value[deal::N];
        read_row<T, D, ROPE>(v_tube + row * v_strides[1], v_strides[4], lane, value);
        stage_row<T, D, ROPE>(values + row * D, lane, value);
      }
    }
    UNROLL
    for (int j = 0; j < deal::N; j++) {
      query[i][j] *= scale * M_LOG2E_F;
    }
  }
  wait_for_rows<SIMDS>();

  float result[R][deal::N];
  float highest[R];
  float total[R];
  UNROLL
  for (int i = 0; i < R; i++) {
    highest[i] = numeric_limits<float>::lowest();
    total[i] = 0.0f;
    UNROLL
    for (int j = 0; j < deal::N; j++) {
      result[i][j] = 0.0f;
    }
  }
  for (int first = 0; first < frames; first += KEYS) {
    float weight[R][KEYS];
    UNROLL
    for (int n = 0; n < KEYS; n++) {
      if (first + n < frames) {
        float key[deal::N];
        read_staged<T, D, ROPE>(keys + (first + n) * D, lane, key);
        UNROLL
        for (int i = 0; i < R; i++) {
          float score = 0.0f;
          UNROLL
          for (int j = 0; j < deal::N; j++) {
            score += query[i][j] * key[j];
          }
          weight[i][n] = quad_sum(score);
        }
      } else {
        UNROLL
        for (int i = 0; i < R; i++) {
          weight[i][n] = numeric_limits<float>::lowest();
        }
      }
    }
    UNROLL
    for (int i = 0; i < R; i++) {
      float top = highest[i];
      UNROLL
      for (int n = 0; n < KEYS; n++) {
        top = max(top, weight[i][n]);
      }
      const float fade = metal::fast::exp2(highest[i] - top);
      highest[i] = top;
      total[i] *= fade;
      UNROLL
      for (int n = 0; n < KEYS; n++) {
        weight[i][n] = metal::fast::exp2(weight[i][n] - top);
        total[i] += weight[i][n];
      }
      UNROLL
      for (int j = 0; j < deal::N; j++) {
        result[i][j] *= fade;
      }
    }
    UNROLL
    for (int n = 0; n < KEYS; n++) {
      if (first + n < frames) {
        float value[deal::N];
        if (STAGE_V) {
          read_staged<T, D, ROPE>(values + (first + n) * D, lane, value);
        } else {
          read_row<T, D, ROPE>(v_tube + (first + n) * v_strides[1], v_strides[4], lane, value);
        }
        UNROLL
        for (int i = 0; i < R; i++) {
          UNROLL
          for (int j = 0; j < deal::N; j++) {
            result[i][j] += weight[i][n] * value[j];
          }
        }
      }
    }
  }
  UNROLL
  for (int i = 0; i < R; i++) {
    const int row = (group * R + i) * 8 + quad;
    if (row < frames) {
      device T* to = out + (((long(batch) * frames + row) * positions + position) * heads + head) * D;
      write_row<T, D, ROPE>(to, lane, result[i], 1.0f / total[i]);
    }
  }
