// Stands before MLX's header of this name, which specialises by address space.
#pragma once
#include <metal_stdlib>
namespace metal {
template <class T>
using is_empty = std::is_empty<T>;
template <class T>
inline constexpr bool is_empty_v = std::is_empty_v<T>;
template <class... T>
using void_t = std::void_t<T...>;
template <class T>
using is_static = std::is_empty<std::remove_cv_t<T>>;
template <class T>
using pointer_element_t = std::remove_cv_t<std::remove_pointer_t<T>>;
}  // namespace metal
