// The machine that emulated Metal kernels run on: one fiber a thread, 32 lanes a SIMD-group, threadgroups one after another.
//
// A kernel compiled with -fsanitize=thread reports every load and store here (the __tsan_* hooks below: libtsan itself is not linked). Each
// address is looked up among the launch's device buffers, the threadgroup's arrays, the lane's own stack and the kernel's constants; what
// belongs to none of them is out of bounds, and the run ends before the access happens. Two accesses to one byte by different threads, of which
// one writes, are a race unless a barrier whose flags cover that memory stands between them. UBSan's handlers report here too.
// Lanes wait for each other only in collectives (simd_sum, ...) and barriers; both are met by source line.

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

namespace {

constexpr int kLanes = 32, kMaxThreads = 1024, kValueBytes = 64;
constexpr size_t kStackBytes = 128 * 1024, kThreadgroupLimit = 32768, kSlotGap = 256;

enum State { READY, COLLECTIVE, SIMD_BARRIER, GROUP_BARRIER, DONE };
const char *const kStateNames[] = {"running", "a collective", "a simdgroup_barrier", "a threadgroup_barrier", "finished"};

struct Dim { unsigned x, y, z; };

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
constexpr size_t kGroupArena = 4 << 20;
Fiber *cur;
int cur_thread;
Dim group_at, group_size, group_count;
uint32_t group_serial, group_epoch[2];
uintptr_t image_low, image_high;
char *stacks;

int lane() { return cur_thread % kLanes; }
Simd &simd() { return simds[cur_thread / kLanes]; }

void to_scheduler() {
    if (!_setjmp(cur->env)) _longjmp(scheduler, 1);
}

void record(const char *format, va_list rest) {
    if (!L->fault[0]) vsnprintf(L->fault, sizeof L->fault, format, rest);
}

void schedule_fault(const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    record(format, rest);
    va_end(rest);
}

// From inside a lane: the run ends here, the lanes' stacks are abandoned.
[[noreturn]] void lane_fault(const void *pc, const char *format, ...) {
    char text[400];
    va_list rest;
    va_start(rest, format);
    vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    schedule_fault("%s (thread %u,%u,%u of the grid)", text, cur->in_grid.x, cur->in_grid.y, cur->in_grid.z);
    uintptr_t address = reinterpret_cast<uintptr_t>(pc);
    L->fault_pc = address >= image_low && address < image_high ? address - image_low : 0;
    _longjmp(scheduler, 1);
}

void trampoline() {
    for (;;) {
        L->entry(L->arguments);
        cur->state = DONE;
        to_scheduler();
    }
}

void resume(int thread) {
    cur_thread = thread;
    cur = &fibers[thread];
    if (_setjmp(scheduler)) return;
    if (cur->started) _longjmp(cur->env, 1);
    cur->started = true;
    getcontext(&cur->boot);
    cur->stack = stacks + thread * kStackBytes;
    cur->boot.uc_stack.ss_sp = cur->stack;
    cur->boot.uc_stack.ss_size = kStackBytes;
    cur->boot.uc_link = nullptr;
    makecontext(&cur->boot, trampoline, 0);
    setcontext(&cur->boot);
}

// ---- the order in which things happen: 0 forwards, 1 backwards, more: shuffled with that seed

uint64_t random_state;
uint32_t next_random() {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return random_state >> 33;
}

void arrange(std::vector<int> &order, int n) {
    order.resize(n);
    for (int i = 0; i < n; i++) order[i] = L->order == 1 ? n - 1 - i : i;
    if (L->order > 1)
        for (int i = n - 1; i > 0; i--) std::swap(order[i], order[next_random() % (i + 1)]);
}

// ---- collectives and barriers

// All lanes of the SIMD-group wait or have finished: lets those at the first source line go on together. False: nothing to do here.
bool meet(int first, int count) {
    Fiber *leader = nullptr;
    for (int i = 0; i < count; i++) {
        Fiber &f = fibers[first + i];
        if (f.state == COLLECTIVE && (!leader || f.line < leader->line)) leader = &f;
    }
    Simd &s = simds[first / kLanes];
    if (leader) {
        s.active = 0;
        s.meets++;
        int line = leader->line;
        const char *file = leader->file;
        for (int i = 0; i < count; i++) {
            Fiber &f = fibers[first + i];
            if (f.state != COLLECTIVE || f.line != line || strcmp(f.file, file)) continue;
            memcpy(s.values[i], f.value, f.size);
            s.active |= 1u << i;
            f.state = READY;
        }
        return true;
    }
    int waiting = 0, line = -1, flags = 0;
    for (int i = 0; i < count; i++) {
        Fiber &f = fibers[first + i];
        if (f.state != SIMD_BARRIER) continue;
        waiting++;
        if (line >= 0 && f.line != line) {
            schedule_fault("divergent simdgroup_barrier: lanes of one SIMD-group wait at lines %d and %d", line, f.line);
            return false;
        }
        line = f.line, flags = f.flags;
    }
    if (!waiting) return false;
    if (waiting < count) {
        for (int i = 0; i < count; i++)
            if (fibers[first + i].state != SIMD_BARRIER)
                schedule_fault("divergent simdgroup_barrier: lane %d is at %s while others wait at line %d", i, kStateNames[fibers[first + i].state], line);
        return false;
    }
    for (int m = 0; m < 2; m++)
        if (flags & (1 << m)) s.epoch[m]++;
    for (int i = 0; i < count; i++) fibers[first + i].state = READY;
    return true;
}

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

void run_threadgroup() {
    int threads = group_size.x * group_size.y * group_size.z, groups = (threads + kLanes - 1) / kLanes;
    memset(group_memory, L->poison, group_top ? group_top : kThreadgroupLimit * 2);
    std::fill(group_shadow.begin(), group_shadow.begin() + group_top, Cell{});
    group_epoch[0] = group_epoch[1] = 1;
    for (int i = 0; i < threads; i++) {
        Fiber &f = fibers[i];
        f.state = READY;
        f.visits.clear();
        f.in_group = {i % group_size.x, i / group_size.x % group_size.y, i / (group_size.x * group_size.y)};
        f.in_grid = {group_at.x * L->threadgroup.x + f.in_group.x, group_at.y * L->threadgroup.y + f.in_group.y, group_at.z * L->threadgroup.z + f.in_group.z};
    }
    for (int g = 0; g < groups; g++) simds[g].epoch[0] = simds[g].epoch[1] = 1;
    std::vector<int> simd_order, lane_order;
    for (;;) {
        arrange(simd_order, groups);
        for (int g : simd_order) {
            int first = g * kLanes, count = std::min(kLanes, threads - first);
            do {
                arrange(lane_order, count);
                for (int i : lane_order)
                    if (fibers[first + i].state == READY) {
                        resume(first + i);
                        if (L->fault[0]) return;
                    }
            } while (meet(first, count));
            if (L->fault[0]) return;
        }
        int waiting = -1, finished = -1;
        for (int i = 0; i < threads; i++) {
            Fiber &f = fibers[i];
            if (f.state == DONE) {
                finished = i;
            } else if (waiting >= 0 && fibers[waiting].line != f.line) {
                schedule_fault("divergent threadgroup_barrier: threads of one threadgroup wait at lines %d and %d", fibers[waiting].line, f.line);
            } else {
                waiting = i;
            }
        }
        if (waiting < 0) break;
        if (finished >= 0)
            schedule_fault("divergent threadgroup_barrier: thread %d has finished while others wait at line %d", finished, fibers[waiting].line);
        if (L->fault[0]) return;
        for (int m = 0; m < 2; m++)
            if (fibers[waiting].flags & (1 << m)) {
                group_epoch[m]++;
                for (int g = 0; g < groups; g++) simds[g].epoch[m]++;
            }
        for (int i = 0; i < threads; i++) fibers[i].state = READY;
    }
    for (int g = 0; g < groups; g++) count_reads(simds[g]);
}

// ---- every access

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

int find_image(dl_phdr_info *info, size_t, void *data) {
    uintptr_t wanted = reinterpret_cast<uintptr_t>(data), low = ~uintptr_t(0), high = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
        low = std::min<uintptr_t>(low, info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        high = std::max<uintptr_t>(high, info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz);
    }
    if (wanted < low || wanted >= high) return 0;
    image_low = low, image_high = high;
    return 1;
}

}  // namespace

extern "C" {

void emu_run(EmuLaunch *launch) {
    L = launch;
    random_state = launch->order;
    if (!stacks) {
        stacks = static_cast<char *>(mmap(nullptr, kStackBytes * kMaxThreads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        group_memory = static_cast<uint8_t *>(mmap(nullptr, kGroupArena, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    }
    dl_iterate_phdr(find_image, reinterpret_cast<void *>(launch->entry));
    for (Fiber &f : fibers) f.started = false;
    slots.clear();
    group_top = group_bytes = 0;
    group_shadow.assign(kGroupArena / 16, Cell{});
    shadows.assign(L->buffer_count, {});
    read_by.assign(L->buffer_count, {});
    for (int b = 0; L->instrumented && b < L->buffer_count; b++) {
        shadows[b].assign(L->buffers[b].bytes, Cell{});
        read_by[b].assign(L->buffers[b].bytes, 0);
    }
    auto groups = [](unsigned n, unsigned size) { return (n + size - 1) / size; };
    const Dim g = L->grid, t = L->threadgroup;
    group_count = {groups(g.x, t.x), groups(g.y, t.y), groups(g.z, t.z)};
    std::vector<int> order;
    arrange(order, group_count.x * group_count.y * group_count.z);
    group_serial = 0;
    for (int i : order) {
        group_serial++;
        group_at = {i % group_count.x, i / group_count.x % group_count.y, i / (group_count.x * group_count.y)};
        group_size = {std::min(t.x, g.x - group_at.x * t.x), std::min(t.y, g.y - group_at.y * t.y), std::min(t.z, g.z - group_at.z * t.z)};
        run_threadgroup();
        if (L->fault[0]) break;
    }
    for (Simd &s : simds)
        for (auto &r : s.reads) r.clear();
    L->threadgroup_bytes = group_bytes;
    for (int b = 0; L->instrumented && !L->fault[0] && b < L->buffer_count; b++)
        for (size_t i = 0; L->buffers[b].must_write && i < L->buffers[b].bytes; i++)
            if (!shadows[b][i].write_group) {
                schedule_fault("unwritten output: byte %zu of %s is never written", i, L->buffers[b].name);
                break;
            }
    cur = nullptr;
    L = nullptr;
}

// ---- what the shim headers call

// Threadgroup arrays: one for each declaration and instantiation, in the order in which they are met, with gaps so that overruns are seen.
void *emu_threadgroup_array(const void *key, size_t bytes, size_t align) {
    for (const Slot &s : slots)
        if (s.key == key) return reinterpret_cast<void *>(s.address);
    group_top = (group_top + kSlotGap + 15) / 16 * 16 + align % 16;  // aligned as its type asks, and no better
    group_bytes = (group_bytes + align - 1) / align * align + bytes;
    if (group_bytes > kThreadgroupLimit)
        lane_fault(__builtin_return_address(0), "threadgroup memory: %zu bytes are over the limit of %zu", group_bytes, kThreadgroupLimit);
    slots.push_back({key, reinterpret_cast<uintptr_t>(group_memory) + group_top, bytes});
    group_top += bytes;
    return reinterpret_cast<void *>(slots.back().address);
}

// Hands in a value of `size` bytes and waits; then emu_lane_value gives any active lane's.
uint32_t emu_meet(const void *value, unsigned size, const char *file, int line) {
    memcpy(cur->value, value, size);
    cur->size = size, cur->file = file, cur->line = line, cur->state = COLLECTIVE;
    to_scheduler();
    return simd().active;
}

void emu_lane_value(unsigned from, void *out, unsigned size) {
    if (from >= kLanes || !(simd().active >> from & 1)) lane_fault(nullptr, "read of lane %u, which is not active, by a shuffle or broadcast at line %d", from, cur->line);
    memcpy(out, simd().values[from], size);
}

void emu_barrier(int whole_group, int flags, const char *file, int line) {
    cur->file = file, cur->line = line, cur->flags = flags, cur->state = whole_group ? GROUP_BARRIER : SIMD_BARRIER;
    to_scheduler();
}

void emu_atomic(const void *address, unsigned size) {
    uintptr_t at = reinterpret_cast<uintptr_t>(address);
    for (int b = 0; b < L->buffer_count; b++) {
        uintptr_t base = reinterpret_cast<uintptr_t>(L->buffers[b].base);
        if (at < base || at + size > base + L->buffers[b].bytes) continue;
        for (unsigned i = 0; i < size && L->instrumented; i++) shadows[b][at - base + i].write_group = group_serial;
        return;
    }
    lane_fault(__builtin_return_address(0), "out of bounds: atomic access outside every buffer");
}

unsigned emu_lane() { return lane(); }

Dim emu_position(int what) {
    int simd_count = (group_size.x * group_size.y * group_size.z + kLanes - 1) / kLanes;
    switch (what) {
        case 0: return cur->in_grid;
        case 1: return cur->in_group;
        case 2: return group_at;
        case 3: return group_count;
        case 4: return L->grid;
        case 5: return group_size;
        case 6: return L->threadgroup;
        case 7: return {unsigned(cur_thread), unsigned(cur_thread / kLanes), unsigned(lane())};
        case 8: return {unsigned(simd_count), unsigned(cur_thread / 4), unsigned(lane() % 4)};
        default: return {0, 0, 0};
    }
}

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
