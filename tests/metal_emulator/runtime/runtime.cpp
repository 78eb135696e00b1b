// The machine that emulated Metal kernels run on: one fiber a thread, 32 lanes a SIMD-group, threadgroups one after another.
//
// A kernel compiled with -fsanitize=thread reports every load and store here (the __tsan_* hooks below: libtsan itself is not linked). Each
// address is looked up among the launch's device buffers, the threadgroup's arrays, the lane's own stack and the kernel's constants; what
// belongs to none of them is out of bounds, and the run ends before the access happens. Two accesses to one byte by different threads, of which
// one writes, are a race unless a barrier whose flags cover that memory stands between them. UBSan's handlers report here too.
// Lanes wait for each other only in collectives (simd_sum, ...) and barriers; both are met by source line.

#include "watch.h"

namespace {

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
        auto reserve = [](size_t n) { return mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); };
        stacks = static_cast<char *>(reserve(kStackBytes * kMaxThreads));
        group_memory = static_cast<uint8_t *>(reserve(kGroupArena));
    }
    dl_iterate_phdr(find_image, reinterpret_cast<void *>(launch->entry));
    for (Fiber &f : fibers) f.started = false;
    slots.clear();
    group_top = group_bytes = 0;
    group_shadow.assign(kGroupArena, Cell{});
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
    if (group_bytes > kThreadgroupLimit || group_top + bytes > kGroupArena)
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
}
