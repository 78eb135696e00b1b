// What the kernels over rows of channels share.

#include <metal_stdlib>
using namespace metal;

// Arrays live in registers only if every index into them is a constant once loops are unrolled.
#define UNROLL _Pragma("clang loop unroll(full)")

// The sum over a threadgroup's lanes, in every lane. `sums` is for this call alone.
template <int SIMDS>
float sum_of_all(float value, threadgroup float* sums, int group, int lane) {
  const float part = simd_sum(value);
  if (lane == 0) {
    sums[group] = part;
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float total = 0.0f;
  for (int s = 0; s < SIMDS; s++) {
    total += sums[s];
  }
  return total;
}
