// What else holds many timers: libuv's own, a binary heap that knows its places, and a
// std::multimap. The same steps as wheel_bench, with the same numbers by chance: insert
// all, re-arm all in another order, cancel half, insert those again, re-arm all four times more,
// expire all in turns of a second. JSON lines of the same names on stdout.
//
//   peer_timers libuv|heap|multimap [timers] [milliseconds a tick] [days]

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <malloc.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

namespace
{

// Timers by number. `advance` expires what is due at `now` or before.
struct Timers {
    virtual ~Timers() = default;
    virtual void arm(uint32_t id, uint64_t due) = 0;
    virtual void cancel(uint32_t id) = 0;
    virtual uint64_t advance(uint64_t now) = 0;
    virtual uint64_t next() = 0;
};

class Multimap final : public Timers
{
  public:
    explicit Multimap(uint32_t count) : places_(count, timers_.end())
    {
    }
    void arm(uint32_t id, uint64_t due) override
    {
        cancel(id);
        places_[id] = timers_.emplace(due, id);
    }
    void cancel(uint32_t id) override
    {
        if (places_[id] != timers_.end()) {
            timers_.erase(places_[id]);
            places_[id] = timers_.end();
        }
    }
    uint64_t advance(uint64_t now) override
    {
        uint64_t expired = 0;
        for (; !timers_.empty() && timers_.begin()->first <= now; expired++) {
            places_[timers_.begin()->second] = timers_.end();
            timers_.erase(timers_.begin());
        }
        return expired;
    }
    uint64_t next() override
    {
        return timers_.empty() ? UINT64_MAX : timers_.begin()->first;
    }

  private:
    std::multimap<uint64_t, uint32_t> timers_;
    std::vector<std::multimap<uint64_t, uint32_t>::iterator> places_;
};

class Heap final : public Timers
{
  public:
    explicit Heap(uint32_t count) : places_(count, kNone)
    {
        entries_.reserve(count);
    }
    void arm(uint32_t id, uint64_t due) override
    {
        uint32_t place = places_[id];
        if (place == kNone) {
            place = static_cast<uint32_t>(entries_.size());
            entries_.push_back({due, id});
            up(place, {due, id});
            return;
        }
        settle(place, {due, id});
    }
    void cancel(uint32_t id) override
    {
        if (places_[id] != kNone) {
            remove(places_[id]);
        }
    }
    uint64_t advance(uint64_t now) override
    {
        uint64_t expired = 0;
        for (; !entries_.empty() && entries_[0].due <= now; expired++) {
            remove(0);
        }
        return expired;
    }
    uint64_t next() override
    {
        return entries_.empty() ? UINT64_MAX : entries_[0].due;
    }

  private:
    struct Entry {
        uint64_t due;
        uint32_t id;
    };
    static constexpr uint32_t kNone = UINT32_MAX;

    void put(uint32_t place, Entry entry)
    {
        entries_[place] = entry;
        places_[entry.id] = place;
    }
    void up(uint32_t place, Entry entry)
    {
        for (; place > 0 && entries_[(place - 1) / 2].due > entry.due; place = (place - 1) / 2) {
            put(place, entries_[(place - 1) / 2]);
        }
        put(place, entry);
    }
    void down(uint32_t place, Entry entry)
    {
        const uint32_t size = static_cast<uint32_t>(entries_.size());
        for (uint32_t child; (child = 2 * place + 1) < size; place = child) {
            child += child + 1 < size && entries_[child + 1].due < entries_[child].due;
            if (entries_[child].due >= entry.due) {
                break;
            }
            put(place, entries_[child]);
        }
        put(place, entry);
    }
    void settle(uint32_t place, Entry entry)
    {
        if (place > 0 && entries_[(place - 1) / 2].due > entry.due) {
            up(place, entry);
        } else {
            down(place, entry);
        }
    }
    void remove(uint32_t place)
    {
        const Entry last = entries_.back();
        places_[entries_[place].id] = kNone;
        entries_.pop_back();
        if (place < entries_.size()) {
            settle(place, last);
        }
    }

    std::vector<Entry> entries_;
    std::vector<uint32_t> places_;
};

// The clock that libuv sees (clock_gettime, below): virtual, so that days pass in seconds.
uint64_t virtual_ms = 1000;

class Libuv final : public Timers
{
  public:
    Libuv(uint32_t count, uint64_t tick_ms) : timers_(count), tick_ms_(tick_ms)
    {
        uv_loop_init(&loop_);
        for (uv_timer_t &timer : timers_) {
            uv_timer_init(&loop_, &timer);
            timer.data = this;
        }
        begin_ms_ = virtual_ms;
    }
    void arm(uint32_t id, uint64_t due) override
    {
        uv_timer_start(&timers_[id], expire, begin_ms_ + due * tick_ms_ - virtual_ms, 0);
    }
    void cancel(uint32_t id) override
    {
        uv_timer_stop(&timers_[id]);
    }
    uint64_t advance(uint64_t now) override
    {
        expired_ = 0;
        virtual_ms = begin_ms_ + now * tick_ms_;
        uv_run(&loop_, UV_RUN_NOWAIT);
        return expired_;
    }
    uint64_t next() override
    {
        const int left_ms = uv_backend_timeout(&loop_);
        return left_ms < 0 ? UINT64_MAX
                           : (virtual_ms - begin_ms_ + static_cast<uint64_t>(left_ms)) / tick_ms_;
    }

  private:
    static void expire(uv_timer_t *timer)
    {
        static_cast<Libuv *>(timer->data)->expired_++;
    }

    uv_loop_t loop_;
    std::vector<uv_timer_t> timers_;
    uint64_t tick_ms_, begin_ms_ = 0, expired_ = 0;
};

uint64_t real_ns()
{
    timespec time;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1000000000 + static_cast<uint64_t>(time.tv_nsec);
}

size_t heap_bytes()
{
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

// ---- the steps ---------------------------------------------------------------------------

struct Bench {
    std::unique_ptr<Timers> timers;
    std::vector<uint32_t> order;
    uint64_t span, step, random = 88172645463325252U;
    uint32_t count;
    std::string peer;

    uint64_t below(uint64_t bound)
    {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return static_cast<uint64_t>(static_cast<unsigned __int128>(random) * bound >> 64);
    }
    void shuffle()
    {
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t j = static_cast<uint32_t>(below(i + 1));
            order[i] = order[j];
            order[j] = i;
        }
    }
    void report(const char *op, uint64_t ops, uint64_t since_ns) const
    {
        std::printf("{\"bench\":\"%s\",\"op\":\"%s\",\"timers\":%" PRIu32 ",\"ns_per_op\":%.1f}\n",
                    peer.c_str(), op, count,
                    static_cast<double>(real_ns() - since_ns) / static_cast<double>(ops));
        std::fflush(stdout);
    }
    void arm_in_order(const char *op, uint32_t some)
    {
        const uint64_t start = real_ns();
        for (uint32_t i = 0; i < some; i++) {
            timers->arm(order[i], 1 + below(span));
        }
        report(op, some, start);
    }
    void rearm_on()
    {
        constexpr int kRounds = 4;
        shuffle();
        const uint64_t start = real_ns();
        for (int round = 0; round < kRounds; round++) {
            for (uint32_t i = 0; i < count; i++) {
                timers->arm(order[i], 1 + below(span));
            }
        }
        report("rearm_sustained", uint64_t{kRounds} * count, start);
    }
    void insert_all()
    {
        const uint64_t start = real_ns();
        for (uint32_t i = 0; i < count; i++) {
            timers->arm(i, 1 + below(span));
        }
        report("insert", count, start);
    }
    void cancel_half()
    {
        const uint64_t start = real_ns();
        for (uint32_t i = 0; i < count / 2; i++) {
            timers->cancel(order[i]);
        }
        report("cancel", count / 2, start);
    }
    void expire_all()
    {
        const uint64_t start = real_ns();
        uint64_t expired = 0;
        for (uint64_t now = 0; expired < count;) {
            const uint64_t next = timers->next();
            now = next > now + step ? next : now + step;
            expired += timers->advance(now);
        }
        report("expire", count, start);
    }
};

std::unique_ptr<Timers> make(const std::string &peer, uint32_t count, uint64_t tick_ms)
{
    if (peer == "libuv") {
        return std::make_unique<Libuv>(count, tick_ms);
    }
    if (peer == "heap") {
        return std::make_unique<Heap>(count);
    }
    return peer == "multimap" ? std::make_unique<Multimap>(count) : nullptr;
}

uint64_t argument(int argc, char **argv, int index, uint64_t otherwise)
{
    return argc > index ? std::strtoull(argv[index], nullptr, 10) : otherwise;
}

} // namespace

// libuv's own calls come here too.
extern "C" int clock_gettime(clockid_t, struct timespec *time) noexcept
{
    time->tv_sec = static_cast<time_t>(virtual_ms / 1000);
    time->tv_nsec = static_cast<long>(virtual_ms % 1000 * 1000000);
    return 0;
}

// Once more with huge pages from malloc: the wheel asks for them, so its peers have them, too.
static void prefer_huge_pages(char **argv)
{
    if (std::getenv("GLIBC_TUNABLES") == nullptr) {
        setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1);
        execv("/proc/self/exe", argv);
    }
}

int main(int argc, char **argv)
{
    prefer_huge_pages(argv);
    Bench bench;
    bench.peer = argc > 1 ? argv[1] : "";
    bench.count = static_cast<uint32_t>(argument(argc, argv, 2, 1000000));
    const uint64_t tick_ms = argument(argc, argv, 3, 10);
    if (bench.count == 0 || tick_ms == 0) {
        return 2;
    }
    bench.span = argument(argc, argv, 4, 30) * 24 * 3600 * 1000 / tick_ms;
    bench.step = 1000 / tick_ms != 0 ? 1000 / tick_ms : 1;
    bench.order.resize(bench.count);
    const size_t before = heap_bytes();
    bench.timers = make(bench.peer, bench.count, tick_ms);
    if (bench.timers == nullptr) {
        std::fprintf(stderr, "usage: peer_timers libuv|heap|multimap [timers] [tick_ms] [days]\n");
        return 2;
    }
    bench.insert_all();
    bench.shuffle();
    bench.arm_in_order("rearm", bench.count);
    bench.shuffle();
    bench.cancel_half();
    bench.arm_in_order("insert_scattered", bench.count / 2);
    bench.rearm_on();
    std::printf("{\"bench\":\"%s\",\"bytes_per_timer\":%.2f}\n", argv[1],
                static_cast<double>(heap_bytes() - before) / bench.count);
    bench.expire_all();
    return 0;
}
