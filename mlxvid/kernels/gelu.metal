  // The body: MLX writes the signature. grid: x = chunks of W channels of a row of the output, y = rows. A row is A channels of x as they
  // are, then B of `inner` after GELU.
  constexpr int W = 4;
  const int first = thread_position_in_grid.x * W;
  const long row = thread_position_in_grid.y;
  device T* target = out + row * (A + B) + first;
  UNROLL
  for (int w = 0; w < W; w++) {
    if (first < A) {
      target[w] = x[row * A + first + w];
    } else {
      const float u = float(inner[row * B + first - A + w]);
      const float y = 0.7978845608f * (u + 0.044715f * u * u * u);
      target[w] = T(0.5f * u * (1.0f + metal::precise::tanh(y)));
    }
  }
