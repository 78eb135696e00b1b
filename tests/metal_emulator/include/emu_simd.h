// Collectives over the lanes of a SIMD-group or quad, barriers, 8x8 matrices, atomics, threadgroup arrays.
//
// Every collective hands its value in at its source line and waits for the other active lanes. Helpers that read the machine's memory are kept
// out of the instrumentation.
#pragma once

#define EMU_MACHINE __attribute__((noinline, no_sanitize("thread"), no_sanitize("undefined")))
#define EMU_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

extern "C" {
void *emu_threadgroup_array(const void *key, size_t bytes, size_t align);
uint32_t emu_meet(const void *value, unsigned size, const char *file, int line);
void emu_lane_value(unsigned from, void *out, unsigned size);
void emu_barrier(int whole_group, int flags, const char *file, int line);
void emu_atomic(const void *address, unsigned size);
unsigned emu_lane();
struct EmuDim {
    unsigned x, y, z;
};
EmuDim emu_position(int what);
}

template <class T>
EMU_MACHINE T &emu_shared(const void *key) {
    return *static_cast<T *>(emu_threadgroup_array(key, sizeof(T), alignof(T)));
}
inline EMU_MACHINE uint3 emu_attribute3(int what) {
    EmuDim d = emu_position(what);
    return uint3(d.x, d.y, d.z);
}

// An argument's address, which becomes whatever pointer or reference the kernel's parameter is.
struct emu_pointer {
    void *address;
    template <class T>
    operator T *() const {
        return static_cast<T *>(address);
    }
};
struct emu_reference {
    void *address;
    template <class T>
    operator T &() const {
        return *static_cast<T *>(address);
    }
};

namespace metal {

template <class T>
EMU_MACHINE T emu_from(unsigned lane) {
    T value;
    emu_lane_value(lane, &value, sizeof(T));
    return value;
}
template <class T>
EMU_MACHINE uint32_t emu_give(T value, const char *file, int line) {
    return emu_meet(&value, sizeof(T), file, line);
}

// Combines the values of the active lanes in [from, to), pairwise as the hardware's butterfly does, so that rounding is a tree's, not a chain's.
template <class T, class Op>
EMU_MACHINE T emu_combine(uint32_t active, unsigned from, unsigned to, Op op) {
    T values[32];
    int n = 0;
    for (unsigned i = from; i < to; i++)
        if (active >> i & 1) values[n++] = emu_from<T>(i);
    while (n > 1) {
        int half_of = (n + 1) / 2;
        for (int i = 0; i + half_of < n; i++) values[i] = op(values[i], values[i + half_of]);
        n = half_of;
    }
    return values[0];
}

#define EMU_REDUCE(name, expression)                                                                                     \
    template <class T>                                                                                                   \
    EMU_MACHINE T simd_##name(T x, EMU_HERE) {                                                                           \
        return emu_combine<T>(emu_give(x, file, line), 0, 32, [](T a, T b) -> T { return expression; });                 \
    }                                                                                                                    \
    template <class T>                                                                                                   \
    EMU_MACHINE T quad_##name(T x, EMU_HERE) {                                                                           \
        uint32_t active = emu_give(x, file, line);                                                                       \
        unsigned first = emu_lane() & ~3u;                                                                               \
        return emu_combine<T>(active, first, first + 4, [](T a, T b) -> T { return expression; });                       \
    }
EMU_REDUCE(sum, a + b)
EMU_REDUCE(product, a *b)
EMU_REDUCE(max, a < b ? b : a)
EMU_REDUCE(min, b < a ? b : a)

#define EMU_REDUCE_BITS(name, expression)                                                                                \
    template <class T>                                                                                                   \
    EMU_MACHINE T simd_##name(T x, EMU_HERE) {                                                                           \
        return emu_combine<T>(emu_give(x, file, line), 0, 32, [](T a, T b) -> T { return expression; });                 \
    }
EMU_REDUCE_BITS(and, a &b)
EMU_REDUCE_BITS(or, a | b)
EMU_REDUCE_BITS(xor, a ^ b)

inline EMU_MACHINE bool simd_any(bool x, EMU_HERE) {
    return emu_combine<bool>(emu_give(x, file, line), 0, 32, [](bool a, bool b) { return a || b; });
}
inline EMU_MACHINE bool simd_all(bool x, EMU_HERE) {
    return emu_combine<bool>(emu_give(x, file, line), 0, 32, [](bool a, bool b) { return a && b; });
}

template <class T>
EMU_MACHINE T simd_shuffle(T x, ushort from, EMU_HERE) {
    emu_give(x, file, line);
    return emu_from<T>(from);
}
template <class T>
EMU_MACHINE T simd_broadcast(T x, ushort from, EMU_HERE) {
    emu_give(x, file, line);
    return emu_from<T>(from);
}
template <class T>
EMU_MACHINE T simd_broadcast_first(T x, EMU_HERE) {
    return emu_from<T>(__builtin_ctz(emu_give(x, file, line)));
}
template <class T>
EMU_MACHINE T simd_shuffle_xor(T x, ushort mask, EMU_HERE) {
    emu_give(x, file, line);
    return emu_from<T>(emu_lane() ^ mask);
}
// Lanes that would read past the SIMD-group keep their own value.
template <class T>
EMU_MACHINE T simd_shuffle_down(T x, ushort delta, EMU_HERE) {
    emu_give(x, file, line);
    unsigned from = emu_lane() + delta;
    return from < 32 ? emu_from<T>(from) : x;
}
template <class T>
EMU_MACHINE T simd_shuffle_up(T x, ushort delta, EMU_HERE) {
    emu_give(x, file, line);
    return emu_lane() >= delta ? emu_from<T>(emu_lane() - delta) : x;
}
template <class T>
EMU_MACHINE T simd_shuffle_and_fill_down(T x, T fill, ushort delta, EMU_HERE) {
    emu_give(x, file, line);
    unsigned from = emu_lane() + delta;
    return from < 32 ? emu_from<T>(from) : fill;
}
template <class T>
EMU_MACHINE T simd_shuffle_and_fill_up(T x, T fill, ushort delta, EMU_HERE) {
    emu_give(x, file, line);
    return emu_lane() >= delta ? emu_from<T>(emu_lane() - delta) : fill;
}
template <class T>
EMU_MACHINE T simd_prefix_inclusive_sum(T x, EMU_HERE) {
    return emu_combine<T>(emu_give(x, file, line), 0, emu_lane() + 1, [](T a, T b) -> T { return a + b; });
}
template <class T>
EMU_MACHINE T simd_prefix_exclusive_sum(T x, EMU_HERE) {
    uint32_t active = emu_give(x, file, line);
    return emu_lane() ? emu_combine<T>(active, 0, emu_lane(), [](T a, T b) -> T { return a + b; }) : T(0);
}
template <class T>
EMU_MACHINE T quad_shuffle(T x, ushort from, EMU_HERE) {
    emu_give(x, file, line);
    return emu_from<T>((emu_lane() & ~3u) + (from & 3));
}
template <class T>
EMU_MACHINE T quad_broadcast(T x, ushort from, EMU_HERE) {
    emu_give(x, file, line);
    return emu_from<T>((emu_lane() & ~3u) + (from & 3));
}
template <class T>
EMU_MACHINE T quad_shuffle_xor(T x, ushort mask, EMU_HERE) {
    emu_give(x, file, line);
    return emu_from<T>(emu_lane() ^ (mask & 3));
}

enum class mem_flags { mem_none = 0, mem_threadgroup = 1, mem_device = 2 };
constexpr mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(int(a) | int(b)); }
inline EMU_MACHINE void threadgroup_barrier(mem_flags flags, EMU_HERE) { emu_barrier(1, int(flags), file, line); }
inline EMU_MACHINE void simdgroup_barrier(mem_flags flags, EMU_HERE) { emu_barrier(0, int(flags), file, line); }

// Each lane holds two neighbours in a row of the 8x8 matrix; which, is as MLX's steel kernels assume of the hardware.
template <class T, int R, int C>
struct simdgroup_matrix {
    static_assert(R == 8 && C == 8);
    vec<T, 2> elements;
    simdgroup_matrix() = default;
    explicit simdgroup_matrix(T diagonal) {
        uint r, c;
        emu_matrix_place(emu_lane(), r, c);
        elements = vec<T, 2>(r == c ? diagonal : T(0), r == c + 1 ? diagonal : T(0));
    }
    vec<T, 2> &thread_elements() { return elements; }
    const vec<T, 2> &thread_elements() const { return elements; }
    static void emu_matrix_place(uint lane, uint &row, uint &column) {
        uint quad = lane / 4;
        row = (quad & 4) + lane / 2 % 4;
        column = (quad & 2) * 2 + lane % 2 * 2;
    }
};
template <class T>
using emu_matrix = simdgroup_matrix<T, 8, 8>;
using simdgroup_float8x8 = simdgroup_matrix<float, 8, 8>;
using simdgroup_half8x8 = simdgroup_matrix<half, 8, 8>;
using simdgroup_bfloat8x8 = simdgroup_matrix<bfloat, 8, 8>;

template <class T>
void simdgroup_load(emu_matrix<T> &m, const T *from, ulong row_elements = 8, ulong2 origin = ulong2(0, 0), bool transpose = false) {
    uint r, c;
    m.emu_matrix_place(emu_lane(), r, c);
    for (uint i = 0; i < 2; i++) {
        uint row = transpose ? c + i : r, column = transpose ? r : c + i;
        m.elements[i] = from[(origin.y + row) * row_elements + origin.x + column];
    }
}
template <class T>
void simdgroup_store(emu_matrix<T> m, T *to, ulong row_elements = 8, ulong2 origin = ulong2(0, 0), bool transpose = false) {
    uint r, c;
    m.emu_matrix_place(emu_lane(), r, c);
    for (uint i = 0; i < 2; i++) {
        uint row = transpose ? c + i : r, column = transpose ? r : c + i;
        to[(origin.y + row) * row_elements + origin.x + column] = m.elements[i];
    }
}
template <class A, class B>
struct emu_pair {
    vec<A, 2> a;
    vec<B, 2> b;
};
template <class D, class A, class B, class S>
EMU_MACHINE void simdgroup_multiply_accumulate(emu_matrix<D> &d, const emu_matrix<A> &a, const emu_matrix<B> &b, const emu_matrix<S> &sum, EMU_HERE) {
    emu_give(emu_pair<A, B>{a.elements, b.elements}, file, line);
    float left[8][8], right[8][8];
    for (uint l = 0; l < 32; l++) {
        auto other = emu_from<emu_pair<A, B>>(l);
        uint r, c;
        a.emu_matrix_place(l, r, c);
        for (uint i = 0; i < 2; i++) left[r][c + i] = other.a[i], right[r][c + i] = other.b[i];
    }
    uint r, c;
    a.emu_matrix_place(emu_lane(), r, c);
    vec<D, 2> out;
    for (uint i = 0; i < 2; i++) {
        float total = sum.elements[i];
        for (uint k = 0; k < 8; k++) total = __builtin_fmaf(left[r][k], right[k][c + i], total);
        out[i] = static_cast<D>(total);
    }
    d.elements = out;
}
template <class D, class A, class B>
EMU_MACHINE void simdgroup_multiply(emu_matrix<D> &d, const emu_matrix<A> &a, const emu_matrix<B> &b, EMU_HERE) {
    simdgroup_multiply_accumulate(d, a, b, emu_matrix<D>(D(0)), file, line);
}

enum memory_order { memory_order_relaxed };
template <class T>
struct atomic {
    T value;
};
using atomic_int = atomic<int>;
using atomic_uint = atomic<uint>;
using atomic_float = atomic<float>;
#define EMU_ATOMIC(name, expression)                                               \
    template <class T>                                                             \
    EMU_MACHINE T atomic_fetch_##name##_explicit(atomic<T> *p, T x, memory_order) { \
        emu_atomic(p, sizeof(T));                                                  \
        T old = p->value;                                                          \
        p->value = expression;                                                     \
        return old;                                                                \
    }
EMU_ATOMIC(add, old + x)
EMU_ATOMIC(sub, old - x)
EMU_ATOMIC(max, old < x ? x : old)
EMU_ATOMIC(min, x < old ? x : old)
EMU_ATOMIC(or, old | x)
EMU_ATOMIC(and, old &x)
template <class T>
EMU_MACHINE T atomic_load_explicit(const atomic<T> *p, memory_order) {
    emu_atomic(p, sizeof(T));
    return p->value;
}
template <class T>
EMU_MACHINE void atomic_store_explicit(atomic<T> *p, T x, memory_order) {
    emu_atomic(p, sizeof(T));
    p->value = x;
}

}  // namespace metal
