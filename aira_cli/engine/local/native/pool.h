// Work shared among threads by tasks, not by threads: who calls takes tasks too, and waits only
// for tasks that another thread has begun. Where another program keeps a core busy, or where
// the workers are gone after a fork, the caller does what they would have done. (A barrier that
// every thread must reach made a step ten times slower beside one busy process on two cores.)

#pragma once

#include <immintrin.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

class Pool {
  public:
    // Calls work(i) for 0 <= i < tasks on up to `threads` threads and returns when all are done.
    template <class Work>
    void run(int64_t tasks, int threads, const Work& work) {
        if (tasks <= 1 || threads <= 1) {
            for (int64_t i = 0; i < tasks; ++i) work(i);
            return;
        }
        std::lock_guard<std::mutex> one(callers_);
        hire(threads - 1);
        begin([](const void* w, int64_t i) { (*static_cast<const Work*>(w))(i); }, &work, tasks);
        while (take()) {}
        for (int spins = 0; done_.load(std::memory_order_acquire) < tasks; ++spins)
            spins < SPINS ? _mm_pause() : std::this_thread::yield();
    }

  private:
    using Call = void (*)(const void*, int64_t);
    static constexpr uint64_t NONE_LEFT = 0xffffffff;
    static constexpr int SPINS = 4000;  // about 100 microseconds, more than two calls are apart

    void begin(Call call, const void* work, int64_t tasks) {
        const uint64_t round = next_.load() >> 32;
        next_.store((round + 1) << 32 | NONE_LEFT);  // before the rest changes
        call_ = call, work_ = work;
        done_.store(0);
        tasks_.store(tasks);
        next_.store((round + 2) << 32);  // from here on tasks can be taken
        if (asleep_.load() > 0) {
            std::lock_guard<std::mutex> lock(sleep_);
            wake_.notify_all();
        }
    }

    // Does one task; false if none is left. The round in the upper half of `next_` makes sure
    // that a late thread takes no task of a later round by the count of an earlier one.
    bool take() {
        uint64_t next = next_.load();
        do {
            if (static_cast<int64_t>(next & NONE_LEFT) >= tasks_.load()) return false;
        } while (!next_.compare_exchange_weak(next, next + 1));
        call_(work_, static_cast<int64_t>(next & NONE_LEFT));
        done_.fetch_add(1, std::memory_order_acq_rel);
        return true;
    }

    void hire(int workers) {
        for (; hired_ < workers; ++hired_) std::thread([this] { serve(); }).detach();
    }

    [[noreturn]] void serve() {
        for (;;) {
            const uint64_t round = next_.load() >> 32;
            while (take()) {}
            for (int spins = 0; spins < SPINS && next_.load() >> 32 == round; ++spins) _mm_pause();
            if (next_.load() >> 32 != round) continue;
            std::unique_lock<std::mutex> lock(sleep_);
            asleep_.fetch_add(1);
            wake_.wait(lock, [&] { return next_.load() >> 32 != round; });
            asleep_.fetch_sub(1);
        }
    }

    std::mutex callers_, sleep_;
    std::condition_variable wake_;
    std::atomic<uint64_t> next_{0};
    std::atomic<int64_t> tasks_{0}, done_{0};
    std::atomic<int> asleep_{0};
    Call call_ = nullptr;
    const void* work_ = nullptr;
    int hired_ = 0;
};

// Never destroyed: the workers outlive the program's last statement. A child made by fork has
// none of its parent's workers, and locks that nobody opens: it gets a pool of its own.
inline Pool*& the_pool() {
    static Pool* one = new Pool;
    return one;
}

inline Pool& pool() {
    static const int forks = pthread_atfork(nullptr, nullptr, [] { the_pool() = new Pool; });
    (void)forks;
    return *the_pool();
}
