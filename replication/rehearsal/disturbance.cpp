// SPDX-License-Identifier: Apache-2.0
#include "replication/rehearsal/disturbance.h"

#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "libmeta_os/guard.h"
#include "libmeta_os/never_destroyed.h"
#include "libmeta_os/observation.h"
#include "replication/activity.h"
#include "replication/connection.h"
#include "replication/environment.h"
#include "replication/futex.h"
#include "replication/rehearsal/schedule.h"

namespace auxin::replication {
namespace {

using os::Family, os::family_bit;

constexpr uint32_t kBefore = family_bit(Family::mutex) | family_bit(Family::condition) |
                           family_bit(Family::rwlock) | family_bit(Family::semaphore) |
                           family_bit(Family::barrier) | family_bit(Family::once) |
                           family_bit(Family::c11) | family_bit(Family::thread) |
                           family_bit(Family::socket) | family_bit(Family::transfer) |
                           family_bit(Family::poll);
// Calls that another thread may have waited for: what follows is held up too.
constexpr const char* kReleases[] = {"pthread_mutex_unlock", "pthread_rwlock_unlock", "sem_post",
                                     "pthread_create", "pthread_once"};
constexpr uint16_t kMostRows = 512;

// What an ORB's thread works for between requests is its connection; else it is itself. In the
// range of connection numbers no request can have (bit 62), so that no name is used twice.
constexpr uint64_t kConnectionBit = 1ull << 62;
constexpr uint64_t kThreadBit = 1ull << 61;

struct Place {
  uint64_t name = 0;
  uint32_t count = 0;
};
thread_local constinit Place place;         // where the calling thread is in its activity
thread_local constinit uint64_t own_name = 0;

class Disturbance final : public os::Observer {
 public:
  explicit Disturbance(uint64_t seed) : schedule_(seed) {
    for (uint16_t row = 0; row < os::kCallRowCount && row < kMostRows; ++row) {
      for (const char* name : kReleases) {
        if (strcmp(os::kCallRows[row].name, name) == 0) releases_[row] = true;
      }
    }
  }

  uint32_t families() const override { return kBefore; }
  void before(const os::ObservedCall& call, Kept&) override { disturb(call); }
  void after(const os::ObservedCall& call, const Kept&, int64_t, int, bool left) override {
    if (!left && call.row < kMostRows && releases_[call.row]) disturb(call);
  }

 private:
  uint64_t name_of(const os::ObservedCall& call) {
    if (const uint64_t activity = current_activity()->id; activity != 0) return activity;
    const Family family = os::kCallRows[call.row].family;
    if (family == Family::transfer || family == Family::socket) {
      if (const Connection* connection = Connection::of(static_cast<int>(call.arguments[0]))) {
        return kConnectionBit | connection->number();
      }
    }
    if (own_name == 0) own_name = kThreadBit | (threads_.fetch_add(1) + 1);
    return own_name;
  }

  void disturb(const os::ObservedCall& call) {
    const os::MetaLevel meta;
    const uint64_t name = name_of(call);
    if (place.name != name) place = Place{name, 0};
    const Schedule::Pause pause = schedule_.before(
        name, place.count++, reinterpret_cast<uint64_t>(call.site.address));
    if (pause.sleep_us > 0) {
      sleep_ns(uint64_t{pause.sleep_us} * 1000);
    } else if (pause.yield) {
      raw_syscall(SYS_sched_yield);
    }
  }

  const Schedule schedule_;
  std::atomic<uint64_t> threads_{0};
  bool releases_[kMostRows] = {};
};

}  // namespace

void begin_disturbance() {
  const char* seed = getenv(kScheduleVariable);
  if (seed == nullptr || *seed == '\0') return;
  static os::NeverDestroyed<Disturbance> disturbance(strtoull(seed, nullptr, 10));
  os::observe(&*disturbance, os::ObserverPlace::kDisturber);
}

}  // namespace auxin::replication
