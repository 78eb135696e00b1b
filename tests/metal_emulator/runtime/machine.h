// The emulated machine's state: what a launch is, what threads and SIMD-groups are doing, and who touched which byte.
#pragma once

#include <algorithm>
#include <csetjmp>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unordered_map>
#include <vector>

struct Dim { unsigned x, y, z; };

namespace {

constexpr int kLanes = 32, kMaxThreads = 1024, kValueBytes = 64;
constexpr size_t kStackBytes = 128 * 1024, kThreadgroupLimit = 32768, kSlotGap = 256;

enum State { READY, COLLECTIVE, SIMD_BARRIER, GROUP_BARRIER, DONE };
const char *const kStateNames[] = {"running", "a collective", "a simdgroup_barrier", "a threadgroup_barrier", "finished"};

// One byte's history: the last write, and the last reads since. `group` counts threadgroups from 1 (0: never).
struct Cell {
    uint32_t write_group, write_epoch, write_simd_epoch, read_group, read_epoch, read_simd_epoch, read_simds, read_meets;
    uint16_t writer, reader;
    bool many_readers, many_groups;
};

struct Access { uintptr_t address; uint32_t size; };

struct Fiber {
    jmp_buf env;
    ucontext_t boot;
    char *stack;
    bool started;
    State state;
    int line, flags;
    const char *file;
    unsigned size;
    unsigned char value[kValueBytes];
    Dim in_grid, in_group;
    std::unordered_map<uintptr_t, uint32_t> visits;  // how often this lane has passed each instruction
};

struct Simd {
    uint32_t epoch[2];  // barriers passed, that cover [0] threadgroup memory, [1] device memory
    uint32_t active, meets;  // lanes in the last collective, and how many collectives there were
    unsigned char values[kLanes][kValueBytes];
    std::unordered_map<uint64_t, std::vector<Access>> reads[64];
};

struct Slot { const void *key; uintptr_t address; size_t bytes; };

}  // namespace

extern "C" {
struct EmuBuffer {  // mirrored by launch.py
    uint8_t *base;
    uint64_t bytes;
    const uint8_t *valid;  // one flag a byte, or null: all valid
    int32_t writable, must_write;
    const char *name;
    uint64_t asked, unique_per_group, unique, written;  // out: bytes read and written
};

struct EmuLaunch {  // mirrored by launch.py
    void (*entry)(void *const *);
    void *const *arguments;
    EmuBuffer *buffers;
    int32_t buffer_count, order, instrumented, poison;
    Dim grid, threadgroup;
    uint64_t threadgroup_bytes;  // out
    uint64_t fault_pc;           // out: offset within the kernel's shared object
    char fault[512];             // out
};
}

namespace {

EmuLaunch *L;
jmp_buf scheduler;
std::vector<Fiber> fibers(kMaxThreads);
std::vector<Simd> simds(kMaxThreads / kLanes);
std::vector<std::vector<Cell>> shadows;
std::vector<std::vector<uint32_t>> read_by;  // per byte: the last threadgroup that read it
std::vector<Slot> slots;
std::vector<Cell> group_shadow;
uint8_t *group_memory;
size_t group_top, group_bytes;
constexpr size_t kGroupArena = 1 << 17;  // the limit and the gaps between arrays; what lies past it is as out of bounds as what lies within
Fiber *cur;
int cur_thread;
Dim group_at, group_size, group_count;
uint32_t group_serial, group_epoch[2];
uintptr_t image_low, image_high;
char *stacks;

int lane() { return cur_thread % kLanes; }
Simd &simd() { return simds[cur_thread / kLanes]; }

}  // namespace
