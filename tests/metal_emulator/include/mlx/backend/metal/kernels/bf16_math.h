// Stands before MLX's header of this name: emu_math.h and emu_simd.h take bfloat as they are.
#pragma once
#include <metal_stdlib>
