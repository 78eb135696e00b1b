// Stands before MLX's header of this name, whose member functions are told apart by address space alone. No emulated kernel is complex.
#pragma once
#include <metal_stdlib>
template <class T>
struct complex_t {
    T real, imag;
    constexpr complex_t(T r = 0, T i = 0) : real(r), imag(i) {}
};
using complex64_t = complex_t<float>;
