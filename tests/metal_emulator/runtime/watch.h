// Every access of an instrumented kernel: bounds, races, reads of what was never written, and bytes counted.
#pragma once

#include "schedule.h"

namespace {

void count_reads(Simd &s) {
    for (int b = 0; b < L->buffer_count && b < 64; b++) {
        for (auto &[key, list] : s.reads[b]) {
            std::sort(list.begin(), list.end(), [](const Access &x, const Access &y) { return x.address < y.address; });
            uintptr_t end = 0;
            for (const Access &a : list) {
                uintptr_t from = std::max(end, a.address), to = a.address + a.size;
                if (to > from) L->buffers[b].asked += to - from;
                end = std::max(end, to);
            }
        }
        s.reads[b].clear();
    }
}

// Keeps a byte's history. memory: 0 threadgroup, 1 device. Returns what is wrong, or null.
const char *touch(Cell &c, bool write, int memory) {
    uint32_t epoch = group_epoch[memory], simd_epoch = simd().epoch[memory];
    int mine = cur_thread / kLanes;
    if (c.write_group) {
        if (c.write_group != group_serial) return "race between threadgroups";
        bool ordered = c.write_epoch < epoch || (c.writer / kLanes == mine && c.write_simd_epoch < simd_epoch);
        if (c.writer != cur_thread && !ordered) return write ? "race: written twice without a barrier between" : "race: read of another thread's write without a barrier between";
    }
    if (write) {
        if (c.read_group && (c.read_group != group_serial || c.many_groups)) return "race between threadgroups";
        if (c.read_group && c.read_epoch == epoch) {
            bool others = c.read_simds & ~(1u << mine);
            // A lane that hands in a value has read it: a collective orders reads before it and writes after it, though not the reverse.
            bool close = c.read_simd_epoch == simd_epoch && c.read_meets == simd().meets;
            bool lanes = (c.read_simds >> mine & 1) && close && (c.reader != cur_thread || c.many_readers);
            if (others || lanes) return "race: write over what another thread reads without a barrier between";
        }
        c.write_group = group_serial, c.write_epoch = epoch, c.write_simd_epoch = simd_epoch, c.writer = cur_thread;
        return nullptr;
    }
    bool fresh = c.read_group != group_serial || c.read_epoch != epoch;
    c.many_groups |= c.read_group && c.read_group != group_serial;
    c.many_readers = !fresh && c.reader / kLanes == mine && c.read_simd_epoch == simd_epoch && c.read_meets == simd().meets && (c.many_readers || c.reader != cur_thread);
    c.read_simds = (fresh ? 0 : c.read_simds) | 1u << mine;
    c.read_group = group_serial, c.read_epoch = epoch, c.read_simd_epoch = simd_epoch, c.read_meets = simd().meets, c.reader = cur_thread;
    return nullptr;
}

void device_access(int b, uintptr_t at, size_t size, bool write, const void *pc) {
    EmuBuffer &buffer = L->buffers[b];
    size_t offset = at - reinterpret_cast<uintptr_t>(buffer.base);
    if (write && !buffer.writable) lane_fault(pc, "write to the input %s", buffer.name);
    for (size_t i = offset; i < offset + size; i++) {
        if (i >= buffer.bytes || (buffer.valid && !buffer.valid[i]))
            lane_fault(pc, "out of bounds: %s of %zu bytes at byte %zu of %s, %s", write ? "write" : "read", size, offset, buffer.name,
                       i >= buffer.bytes ? "past its end" : "between its elements");
        Cell &cell = shadows[b][i];
        if (!write && buffer.writable && !cell.write_group) lane_fault(pc, "read of %s before it is written", buffer.name);
        if (const char *wrong = touch(cell, write, 1)) lane_fault(pc, "%s, on byte %zu of %s", wrong, i, buffer.name);
        if (write) {
            buffer.written++;
        } else if (read_by[b][i] != group_serial) {
            buffer.unique += !read_by[b][i];
            buffer.unique_per_group++;
            read_by[b][i] = group_serial;
        }
    }
    if (!write && b < 64) {
        uintptr_t key = reinterpret_cast<uintptr_t>(pc);
        simd().reads[b][uint64_t(key) << 24 | cur->visits[key ^ uintptr_t(b)]].push_back({at, uint32_t(size)});
        cur->visits[key ^ uintptr_t(b)]++;
    }
}

__attribute__((noinline)) void access(uintptr_t at, size_t size, bool write, const void *pc) {
    if (!cur || !L) return;
    uintptr_t stack = reinterpret_cast<uintptr_t>(cur->stack);
    if (at >= stack && at + size <= stack + kStackBytes) return;
    for (int b = 0; b < L->buffer_count; b++) {
        uintptr_t base = reinterpret_cast<uintptr_t>(L->buffers[b].base);
        if (at >= base && at < base + L->buffers[b].bytes) return device_access(b, at, size, write, pc);
    }
    uintptr_t group = reinterpret_cast<uintptr_t>(group_memory);
    if (at >= group && at < group + kGroupArena) {
        for (const Slot &s : slots)
            if (at >= s.address && at + size <= s.address + s.bytes) {
                for (uintptr_t i = at - group; i < at - group + size; i++) {
                    if (!write && !group_shadow[i].write_group) lane_fault(pc, "read of threadgroup memory that was never written");
                    if (const char *wrong = touch(group_shadow[i], write, 0)) lane_fault(pc, "%s, in threadgroup memory", wrong);
                }
                return;
            }
        lane_fault(pc, "out of bounds: %s of %zu bytes outside every threadgroup array", write ? "write" : "read", size);
    }
    if (at >= image_low && at + size <= image_high) {
        if (write) lane_fault(pc, "write to a constant");
        return;
    }
    // Other lanes' stacks, the gaps around the buffers, and everything else.
    const char *nearest = nullptr;
    intptr_t distance = 0;
    for (int b = 0; b < L->buffer_count; b++) {
        uintptr_t base = reinterpret_cast<uintptr_t>(L->buffers[b].base), end = base + L->buffers[b].bytes;
        intptr_t d = at < base ? intptr_t(at - base) : intptr_t(at - end);
        if (!nearest || std::abs(d) < std::abs(distance)) nearest = L->buffers[b].name, distance = d;
    }
    lane_fault(pc, "out of bounds: %s of %zu bytes, %td bytes %s %s", write ? "write" : "read", size, std::abs(distance), distance < 0 ? "before" : "past the end of",
               nearest ? nearest : "everything");
}

}  // namespace

extern "C" {
#define PC __builtin_return_address(0)
#define SIZED(n)                                                                                                                       \
    void __tsan_read##n(void *p) { access(reinterpret_cast<uintptr_t>(p), n, false, PC); }                                           \
    void __tsan_write##n(void *p) { access(reinterpret_cast<uintptr_t>(p), n, true, PC); }                                           \
    void __tsan_unaligned_read##n(void *p) { access(reinterpret_cast<uintptr_t>(p), n, false, PC); }                                 \
    void __tsan_unaligned_write##n(void *p) { access(reinterpret_cast<uintptr_t>(p), n, true, PC); }
SIZED(1) SIZED(2) SIZED(4) SIZED(8) SIZED(16)
void __tsan_read_range(void *p, size_t n) { access(reinterpret_cast<uintptr_t>(p), n, false, PC); }
void __tsan_write_range(void *p, size_t n) { access(reinterpret_cast<uintptr_t>(p), n, true, PC); }
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}

// UBSan's handlers get a pointer to data that begins with the source location.
struct Location { const char *file; uint32_t line, column; };
#define UB(name, words)                                                                                                                \
    void __ubsan_handle_##name##_abort(Location *at, void *, void *) {                                                                 \
        lane_fault(nullptr, "%s at line %u", words, at->line);                                                                        \
    }
UB(out_of_bounds, "array index out of bounds") UB(shift_out_of_bounds, "shift out of bounds") UB(divrem_overflow, "division by zero or overflow")
UB(type_mismatch_v1, "misaligned access") UB(add_overflow, "signed overflow") UB(sub_overflow, "signed overflow") UB(mul_overflow, "signed overflow")
UB(negate_overflow, "signed overflow") UB(load_invalid_value, "invalid bool")
}
