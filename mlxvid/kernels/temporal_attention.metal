// Attention along time, one tube (a batch item's position and head, T rows of D channels) at a time, on data that stays where the projection left it.
//
// Four lanes, a quad, own a query row and a quarter of its channels each; a SIMD-group owns 8 * R rows, SIMDS of them a tube. Normalised and
// rotated keys lie in threadgroup memory; values too where STAGE_V says that they fit and several SIMD-groups need them, else they are read
// from device memory as they are used. Softmax is the online one, a block of keys at a time, in base 2; sums and statistics are in float.

#include <metal_stdlib>
using namespace metal;

// Arrays live in registers only if every index into them is a constant once loops are unrolled.
#define UNROLL _Pragma("clang loop unroll(full)")

// W neighbouring elements, moved at once. It asks for no more alignment than one element has, so a slice with any base address will do.
template <typename T, int W>
struct Chunk {
  T v[W];
};

// Which channels of a row are a lane's: 16-byte chunks dealt round to the quad, then equal parts of what is left over. Where rotary pairs
// channels i and i + D/2, each half of the row is dealt like that, so that a lane holds both of a pair: elements j and j + D/8.
template <typename T, int D, int ROPE>
struct Deal {
  static constexpr constant int UNITS = ROPE == 2 ? 2 : 1;
  static constexpr constant int UNIT = D / UNITS;
  static constexpr constant int W = 16 / sizeof(T);
  static constexpr constant int ROUNDS = UNIT / (4 * W);
  static constexpr constant int REST = UNIT % (4 * W) / 4;
  static constexpr constant int LAST = REST > 0 ? REST : 1;
  static constexpr constant int N = D / 4;

  // The first channel of this lane's piece r (the left-over if r == ROUNDS) in unit u.
  static int start(int u, int r, int lane) {
    return u * UNIT + r * 4 * W + lane * (r < ROUNDS ? W : REST);
  }
  static int element(int u, int r) {
    return u * (UNIT / 4) + r * W;
  }
  // The channel of element j.
  static int channel(int j, int lane) {
    const int u = j / (UNIT / 4);
    const int i = j % (UNIT / 4);
    const int r = i / W < ROUNDS ? i / W : ROUNDS;
    return start(u, r, lane) + i - r * W;
  }
};

// A lane's part of a row. `step` is the distance of two channels in memory: chunks move whole where it is 1.
template <typename T, int D, int ROPE>
void read_row(const device T* row, long step, int lane, thread float* x) {
  typedef Deal<T, D, ROPE> deal;
  if (step != 1) {
    UNROLL
    for (int j = 0; j < deal::N; j++) {
      x[j] = float(row[deal::channel(j, lane) * step]);
    }
    return;
  }
  UNROLL
  for (int u = 0; u < deal::UNITS; u++) {
    UNROLL
    for (int r = 0; r < deal::ROUNDS; r++) {
      const Chunk<T, deal::W> c = *(const device Chunk<T, deal::W>*)(row + deal::start(u, r, lane));
      UNROLL
      for (int w = 0; w < deal::W; w++) {
        x[deal::element(u, r) + w] = float(c.v[w]);
      }
    }
    if (deal::REST > 0) {
      const Chunk<T, deal::LAST> c = *(const device Chunk<T, deal::LAST>*)(row + deal::start(u, deal::ROUNDS, lane));
      UNROLL
      for (int w = 0; w < deal::LAST; w++) {
        x[deal::element(u, deal::ROUNDS) + w] = float(c.v[w]);
      }
    }
  }
}

template <typename T, int D, int ROPE>
void read_staged(const threadgroup T* row, int lane, thread float* x) {
  typedef Deal<T, D, ROPE> deal;
  UNROLL
  for (int u = 0; u < deal::UNITS; u++) {
    UNROLL
    for (int r = 0; r < deal::ROUNDS; r++) {
      const Chunk<T, deal::W> c = *(const threadgroup Chunk<T, deal::W>*)(row + deal::start(u, r, lane));
      UNROLL
      for (int w = 0; w < deal::W; w++) {
        x[deal::element(u, r) + w] = float(c.v[w]);
      }
    }
    if (deal::REST > 0) {
      const Chunk<T, deal::LAST> c = *(const threadgroup Chunk<T, deal::LAST>*)(row + deal::start(u, deal::ROUNDS, lane));
      UNROLL
      for (int w = 0; w < deal::LAST; w++) {
        x[deal::element(u, deal::ROUNDS) + w] = float(c.v[w]);
      }
    }
  }
}

template <typename T, int D, int ROPE>
void stage_row(threadgroup T* row, int lane, const thread float* x) {
  typedef Deal<T, D, ROPE> deal;
  UNROLL
  for (int u = 0; u < deal::UNITS; u++) {
    UNROLL
    for (int r = 0; r < deal::ROUNDS; r++) {
      Chunk<T, deal::W> c;
      UNROLL
      for (int w = 0; w < deal::W; w++) {
        c.v[w] = T(x[deal::element(u, r) + w]);
      }
      *(threadgroup Chunk<T, deal::W>*)(row + deal::start(u, r, lane)) = c;
    }
    if (deal::REST > 0) {
      Chunk<T, deal::LAST> c;
      UNROLL
      for (int w = 0; w < deal::LAST; w++) {
        c.v[w] = T(x[deal::element(u, deal::ROUNDS) + w]);
      }
      *(threadgroup Chunk<T, deal::LAST>*)(row + deal::start(u, deal::ROUNDS, lane)) = c;
    }
  }
}

template <typename T, int D, int ROPE>
void write_row(device T* row, int lane, const thread float* x, float factor) {
  typedef Deal<T, D, ROPE> deal;
  UNROLL
  for (int u = 0; u < deal::UNITS; u++) {
    UNROLL
    for (int r = 0; r < deal::ROUNDS; r++) {
      Chunk<T, deal::W> c;
      UNROLL
      for (int w = 0; w < deal::W; w++) {
        c.v[w] = T(x[deal::element(u, r) + w] * factor);
      }
      *(device Chunk<T, deal::W>*)(row + deal::start(u, r, lane)) = c;
    }
    if (deal::REST > 0) {
      Chunk<T, deal::LAST> c;
      UNROLL
      for (int w = 0; w < deal::LAST; w++) {
        c.v[w] = T(x[deal::element(u, deal::ROUNDS) + w] * factor);
      }
      *(device Chunk<T, deal::LAST>*)(row + deal::start(u, deal::ROUNDS, lane)) = c;
    }
  }
}

// RMS norm of the row that the quad holds: every lane of the quad must come here.
template <typename T, int D, int ROPE, typename Weight>
void normalise(thread float* x, const device Weight* weight, float eps, int lane) {
  typedef Deal<T, D, ROPE> deal;
  float squares = 0.0f;
  UNROLL
  for (int j = 0; j < deal::N; j++) {
    squares += x[j] * x[j];
  }
  const float factor = metal::precise::rsqrt(quad_sum(squares) / float(D) + eps);
  UNROLL
  for (int j = 0; j < deal::N; j++) {
    x[j] *= factor * float(weight[deal::channel(j, lane)]);
  }
}

// Turns the pairs of two rows of the same time; cos and sin point to that time's D/2 angles.
template <typename T, int D, int ROPE>
void rotate_both(thread float* x, thread float* y, const device float* cos, const device float* sin, int lane) {
  typedef Deal<T, D, ROPE> deal;
  UNROLL
  for (int i = 0; i < deal::N / 2; i++) {
    const int a = ROPE == 1 ? 2 * i : i;
    const int b = ROPE == 1 ? 2 * i + 1 : i + deal::N / 2;
    const int angle = ROPE == 1 ? deal::channel(a, lane) / 2 : deal::channel(a, lane);
    const float c = cos[angle];
    const float s = sin[angle];
    const float xa = x[a];
    const float ya = y[a];
    x[a] = xa * c - x[b] * s;
    x[b] = xa * s + x[b] * c;
    y[a] = ya * c - y[b] * s;
    y[b] = ya * s + y[b] * c;
  }
}

// What stands between writing keys (and values) to threadgroup memory and reading them: only SIMD-groups that share a tube wait for each other.
template <int SIMDS>
void wait_for_rows() {
  if (SIMDS > 1) {
    threadgroup_barrier(mem_flags::mem_threadgroup);
  } else {
    simdgroup_barrier(mem_flags::mem_threadgroup);
  }
}
