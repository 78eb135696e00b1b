// Scalar functions. float goes to the C library (correctly rounded or within 1 ulp); half and bfloat compute in float and round once.
#pragma once

#define M_PI_F 3.14159265358979323846f
#define M_LN2_F 0.69314718055994530942f
#define M_LOG2E_F 1.44269504088896340736f
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")

namespace metal {

#define EMU_MATH1(name, builtin)                                                  \
    inline float name(float x) { return builtin(x); }                             \
    template <class F>                                                            \
    inline emu_small_float<F> name(emu_small_float<F> x) {                        \
        return static_cast<emu_small_float<F>>(builtin(static_cast<float>(x)));   \
    }                                                                             \
    template <int N>                                                              \
    inline vec<float, N> name(vec<float, N> x) {                                  \
        for (int i = 0; i < N; i++) x.v[i] = builtin(x.v[i]);                     \
        return x;                                                                 \
    }
inline float emu_rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); }

#define EMU_TRANSCENDENTAL                     \
    EMU_MATH1(exp, __builtin_expf)             \
    EMU_MATH1(exp2, __builtin_exp2f)           \
    EMU_MATH1(exp10, __builtin_exp10f)         \
    EMU_MATH1(log, __builtin_logf)             \
    EMU_MATH1(log2, __builtin_log2f)           \
    EMU_MATH1(log10, __builtin_log10f)         \
    EMU_MATH1(sqrt, __builtin_sqrtf)           \
    EMU_MATH1(rsqrt, emu_rsqrt)                \
    EMU_MATH1(sin, __builtin_sinf)             \
    EMU_MATH1(cos, __builtin_cosf)             \
    EMU_MATH1(tanh, __builtin_tanhf)           \
    inline float pow(float x, float y) { return __builtin_powf(x, y); } \
    inline float atan2(float y, float x) { return __builtin_atan2f(y, x); } \
    inline float divide(float x, float y) { return x / y; }
EMU_TRANSCENDENTAL
EMU_MATH1(floor, __builtin_floorf)
EMU_MATH1(ceil, __builtin_ceilf)
EMU_MATH1(round, __builtin_roundf)
EMU_MATH1(rint, __builtin_rintf)
EMU_MATH1(trunc, __builtin_truncf)
EMU_MATH1(fabs, __builtin_fabsf)

namespace fast {
EMU_TRANSCENDENTAL
}
namespace precise {
EMU_TRANSCENDENTAL
}

template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
constexpr T abs(T x) {
    return x < 0 ? -x : x;
}
inline float abs(float x) { return __builtin_fabsf(x); }
template <class F>
emu_small_float<F> abs(emu_small_float<F> x) {
    return emu_small_float<F>::from_bits(x.bits & 0x7fff);
}
template <class T>
constexpr T max(T a, T b) {
    return a < b ? b : a;
}
template <class T>
constexpr T min(T a, T b) {
    return b < a ? b : a;
}
template <class T>
constexpr T clamp(T x, T low, T high) {
    return min(max(x, low), high);
}
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
template <class F>
emu_small_float<F> fma(emu_small_float<F> a, emu_small_float<F> b, emu_small_float<F> c) {
    return static_cast<emu_small_float<F>>(__builtin_fmaf(a, b, c));
}
inline float fmax(float a, float b) { return __builtin_fmaxf(a, b); }
inline float fmin(float a, float b) { return __builtin_fminf(a, b); }
inline bool isnan(float x) { return __builtin_isnan(x); }
inline bool isinf(float x) { return __builtin_isinf(x); }
inline bool isfinite(float x) { return __builtin_isfinite(x); }
template <class T>
constexpr T select(T a, T b, bool c) {
    return c ? b : a;
}
inline float mix(float a, float b, float t) { return a + (b - a) * t; }
template <class T, int N>
T dot(vec<T, N> a, vec<T, N> b) {
    T sum = a.v[0] * b.v[0];
    for (int i = 1; i < N; i++) sum += a.v[i] * b.v[i];
    return sum;
}
inline int popcount(uint x) { return __builtin_popcount(x); }
inline int clz(uint x) { return x ? __builtin_clz(x) : 32; }
inline int ctz(uint x) { return x ? __builtin_ctz(x) : 32; }

}  // namespace metal
