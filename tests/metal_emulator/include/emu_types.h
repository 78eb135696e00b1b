// half and bfloat that round at every operation, and the vector types.
#pragma once

struct emu_half_format {
    // To the nearest, ties to even. Below 2^-14 the sum with 0.5, whose last place is a subnormal half's, does the rounding.
    static constexpr uint16_t encode(float x) {
        const uint32_t bits = __builtin_bit_cast(uint32_t, x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
        if (size > 0x7f800000) return sign | 0x7e00 | (size >> 13 & 0x1ff);
        if (size >= 0x477ff000) return sign | 0x7c00;
        if (size < 0x38800000) return sign | (__builtin_bit_cast(uint32_t, __builtin_bit_cast(float, size) + 0.5f) - 0x3f000000);
        return sign | ((size - (112u << 23) + 0xfff + (size >> 13 & 1)) >> 13);
    }
    static constexpr float decode(uint16_t bits) {
        const uint32_t sign = uint32_t(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
        if (exponent == 0) return (sign ? -1.0f : 1.0f) * (fraction * 5.9604644775390625e-8f);
        return __builtin_bit_cast(float, sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13);
    }
};

struct emu_bfloat_format {
    static constexpr uint16_t encode(float x) {
        uint32_t bits = __builtin_bit_cast(uint32_t, x);
        if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40);
        return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
    }
    static constexpr float decode(uint16_t bits) { return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16); }
};

template <class F>
struct emu_small_float {
    uint16_t bits;
    emu_small_float() = default;
    template <class A, class = std::enable_if_t<std::is_arithmetic_v<A>>>
    constexpr emu_small_float(A x) : bits(F::encode(static_cast<float>(x))) {}
    template <class G, class = std::enable_if_t<!std::is_same_v<F, G>>, class = void>
    explicit constexpr emu_small_float(emu_small_float<G> x) : bits(F::encode(static_cast<float>(x))) {}
    constexpr operator float() const { return F::decode(bits); }
    static constexpr emu_small_float from_bits(uint16_t b) {
        emu_small_float x{};
        x.bits = b;
        return x;
    }
};

using half = emu_small_float<emu_half_format>;
using bfloat = emu_small_float<emu_bfloat_format>;
using float16_t = half;
using bfloat16_t = bfloat;
using uint = unsigned int;
using ushort = unsigned short;
using uchar = unsigned char;
using ulong = unsigned long;

// small op small and small op int stay small; small op float is float, by the conversion alone.
#define EMU_ARITHMETIC(op)                                                                                                             \
    template <class F>                                                                                                                 \
    constexpr emu_small_float<F> operator op(emu_small_float<F> a, emu_small_float<F> b) {                                             \
        return static_cast<float>(a) op static_cast<float>(b);                                                                        \
    }                                                                                                                                  \
    template <class F, class A, class = std::enable_if_t<std::is_integral_v<A>>>                                                       \
    constexpr emu_small_float<F> operator op(emu_small_float<F> a, A b) {                                                              \
        return a op emu_small_float<F>(b);                                                                                            \
    }                                                                                                                                  \
    template <class F, class A, class = std::enable_if_t<std::is_integral_v<A>>>                                                       \
    constexpr emu_small_float<F> operator op(A a, emu_small_float<F> b) {                                                              \
        return emu_small_float<F>(a) op b;                                                                                            \
    }                                                                                                                                  \
    template <class F, class A, class = std::enable_if_t<std::is_floating_point_v<A>>, class = void>                                   \
    constexpr float operator op(emu_small_float<F> a, A b) {                                                                           \
        return static_cast<float>(a) op static_cast<float>(b);                                                                        \
    }                                                                                                                                  \
    template <class F, class A, class = std::enable_if_t<std::is_floating_point_v<A>>, class = void>                                   \
    constexpr float operator op(A a, emu_small_float<F> b) {                                                                           \
        return static_cast<float>(a) op static_cast<float>(b);                                                                        \
    }                                                                                                                                  \
    template <class F, class A>                                                                                                        \
    constexpr emu_small_float<F> &operator op##=(emu_small_float<F> & a, A b) {                                                        \
        return a = emu_small_float<F>(a op b);                                                                                        \
    }
EMU_ARITHMETIC(+)
EMU_ARITHMETIC(-)
EMU_ARITHMETIC(*)
EMU_ARITHMETIC(/)
template <class F>
constexpr emu_small_float<F> operator-(emu_small_float<F> a) {
    return -static_cast<float>(a);
}

namespace metal {

template <class T, int N>
struct emu_storage;
template <class T>
struct alignas(2 * sizeof(T)) emu_storage<T, 2> {
    union {
        T v[2];
        struct {
            T x, y;
        };
    };
};
template <class T>
struct alignas(4 * sizeof(T)) emu_storage<T, 3> {
    union {
        T v[3];
        struct {
            T x, y, z;
        };
    };
};
template <class T>
struct alignas(4 * sizeof(T)) emu_storage<T, 4> {
    union {
        T v[4];
        struct {
            T x, y, z, w;
        };
    };
};

template <class T, int N>
struct vec : emu_storage<T, N> {
    vec() = default;
    constexpr vec(T s) {
        for (int i = 0; i < N; i++) this->v[i] = s;
    }
    template <class... A, class = std::enable_if_t<sizeof...(A) == N && N != 1>>
    constexpr vec(A... a) {
        T list[] = {static_cast<T>(a)...};
        for (int i = 0; i < N; i++) this->v[i] = list[i];
    }
    template <class U, class = std::enable_if_t<!std::is_same_v<T, U>>>
    explicit constexpr vec(vec<U, N> o) {
        for (int i = 0; i < N; i++) this->v[i] = static_cast<T>(o.v[i]);
    }
    constexpr T &operator[](int i) { return this->v[i]; }
    constexpr const T &operator[](int i) const { return this->v[i]; }
};

#define EMU_VECTOR(op)                                                                                                                 \
    template <class T, int N>                                                                                                          \
    constexpr vec<T, N> operator op(vec<T, N> a, vec<T, N> b) {                                                                        \
        for (int i = 0; i < N; i++) a.v[i] = a.v[i] op b.v[i];                                                                        \
        return a;                                                                                                                      \
    }                                                                                                                                  \
    template <class T, int N>                                                                                                          \
    constexpr vec<T, N> operator op(vec<T, N> a, std::common_type_t<T> b) {                                                            \
        return a op vec<T, N>(b);                                                                                                     \
    }                                                                                                                                  \
    template <class T, int N>                                                                                                          \
    constexpr vec<T, N> operator op(std::common_type_t<T> a, vec<T, N> b) {                                                            \
        return vec<T, N>(a) op b;                                                                                                     \
    }                                                                                                                                  \
    template <class T, int N, class B>                                                                                                 \
    constexpr vec<T, N> &operator op##=(vec<T, N> & a, B b) {                                                                          \
        return a = a op b;                                                                                                            \
    }
EMU_VECTOR(+)
EMU_VECTOR(-)
EMU_VECTOR(*)
EMU_VECTOR(/)

template <class T>
struct numeric_limits : std::numeric_limits<T> {};
template <>
struct numeric_limits<half> {
    static constexpr half infinity() { return half::from_bits(0x7c00); }
    static constexpr half max() { return half::from_bits(0x7bff); }
    static constexpr half lowest() { return half::from_bits(0xfbff); }
    static constexpr half min() { return half::from_bits(0x0400); }
    static constexpr half quiet_NaN() { return half::from_bits(0x7e00); }
};
template <>
struct numeric_limits<bfloat> {
    static constexpr bfloat infinity() { return bfloat::from_bits(0x7f80); }
    static constexpr bfloat max() { return bfloat::from_bits(0x7f7f); }
    static constexpr bfloat lowest() { return bfloat::from_bits(0xff7f); }
    static constexpr bfloat min() { return bfloat::from_bits(0x0080); }
    static constexpr bfloat quiet_NaN() { return bfloat::from_bits(0x7fc0); }
};

using std::bool_constant;
using std::conditional_t;
using std::enable_if;
using std::enable_if_t;
using std::false_type;
using std::integral_constant;
using std::is_convertible_v;
using std::is_integral;
using std::is_integral_v;
using std::is_same;
using std::is_same_v;
using std::is_signed;
using std::is_signed_v;
using std::is_unsigned_v;
using std::true_type;
template <class T>
struct is_floating_point : std::is_floating_point<T> {};
template <class F>
struct is_floating_point<emu_small_float<F>> : std::true_type {};
template <class T>
inline constexpr bool is_floating_point_v = is_floating_point<T>::value;
using std::remove_cv_t;
template <class T>
using remove_addrspace_t = std::remove_cv_t<T>;

}  // namespace metal

#define EMU_NAMES(T)           \
    using T##2 = metal::vec<T, 2>; \
    using T##3 = metal::vec<T, 3>; \
    using T##4 = metal::vec<T, 4>;
EMU_NAMES(float) EMU_NAMES(half) EMU_NAMES(bfloat) EMU_NAMES(int) EMU_NAMES(uint) EMU_NAMES(short) EMU_NAMES(ushort) EMU_NAMES(char) EMU_NAMES(uchar) EMU_NAMES(long)
EMU_NAMES(ulong)
template <class To, class From>
constexpr To as_type(From x) {
    return __builtin_bit_cast(To, x);
}
