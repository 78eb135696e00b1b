// Fibers, collectives and barriers: who runs when, and whom they wait for. A fault ends the run and abandons the lanes' stacks.
#pragma once

#include "machine.h"

namespace {

void count_reads(Simd &s);

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

}  // namespace
