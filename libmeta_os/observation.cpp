// SPDX-License-Identifier: Apache-2.0
//
// The wrappers of observation.h, one per row of the table, and their installation.
#include "libmeta_os/observation.h"

#include <errno.h>

#include <array>
#include <atomic>
#include <bit>
#include <type_traits>
#include <vector>

#include "libmeta_os/hooks.h"
#include "metamarkers/interception.h"

namespace auxin::os {

thread_local constinit const void* observed_site = nullptr;

namespace {

constexpr int kPlaces = 2;  // of ObserverPlace, in the order in which before() is called
struct InForce {
  std::atomic<Observer*> observer{nullptr};
  std::atomic<uint32_t> families{0};  // of it, so that no call asks it
};
constinit InForce in_force[kPlaces];
thread_local constinit bool inside_observer = false;

template <class Value>
uint64_t as_word(Value value) {
  if constexpr (std::is_pointer_v<Value>) {
    return reinterpret_cast<uint64_t>(value);
  } else if constexpr (std::is_same_v<Value, double>) {
    return std::bit_cast<uint64_t>(value);
  } else if constexpr (std::is_union_v<Value>) {
    return std::bit_cast<uint64_t>(value);  // sigval
  } else {
    return static_cast<uint64_t>(value);
  }
}

// One observed call: before() when it is made, after() when it goes, whichever way.
class Observation {
 public:
  Observation(bool observed, ObservedCall call) : call_(call), site_before_(observed_site) {
    observed_site = call.site.address;
    if (!observed) return;
    const int saved_errno = errno;
    inside_observer = true;
    for (int place = 0; place < kPlaces; ++place) {
      // A wrapper may be there for the other observer.
      const uint32_t family = family_bit(kCallRows[call_.row].family);
      if ((in_force[place].families.load(std::memory_order_relaxed) & family) == 0) continue;
      observers_[place] = in_force[place].observer.load(std::memory_order_acquire);
      if (observers_[place] != nullptr) observers_[place]->before(call_, kept_[place]);
    }
    inside_observer = false;
    errno = saved_errno;
  }
  ~Observation() {
    observed_site = site_before_;
    const int saved_errno = errno;
    for (int place = kPlaces - 1; place >= 0; --place) {
      if (observers_[place] == nullptr) continue;
      inside_observer = true;
      observers_[place]->after(call_, kept_[place], result_, saved_errno, left_);
      inside_observer = false;
    }
    errno = saved_errno;
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  void returns(int64_t result) {
    result_ = result;
    left_ = false;
  }

 private:
  Observer* observers_[kPlaces] = {};
  const ObservedCall call_;
  const void* const site_before_;
  Observer::Kept kept_[kPlaces] = {};
  int64_t result_ = 0;
  bool left_ = true;
};

template <class... Values>
std::array<uint64_t, 4> first_words(Values... values) {
  const uint64_t words[] = {as_word(values)..., 0, 0, 0, 0};
  return {words[0], words[1], words[2], words[3]};
}

template <auto kHook, uint16_t kRow>
struct Wrapper;

template <class Result, class... Parameters, Result (*kHook)(Parameters...), uint16_t kRow>
struct Wrapper<kHook, kRow> {
  [[gnu::noinline]] static Result call(Parameters... arguments) {
    const bool unobserved = at_meta_level() || inside_observer;
    Observation observation(
        !unobserved,
        {kRow, first_words(arguments...), CallSite{__builtin_return_address(0)},
         reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) + 16});
    if constexpr (std::is_void_v<Result>) {
      kHook(arguments...);
      observation.returns(0);
    } else {
      const Result result = kHook(arguments...);
      observation.returns(static_cast<int64_t>(as_word(result)));
      return result;
    }
  }
};

enum Row : uint16_t {
#define AUXIN_CALL(family, facet, result, name, parameters, version, note) kRow_##name,
#define AUXIN_LIST_CALL(family, facet, result, name, parameters, note)
#define AUXIN_LEFT(family, name, reason)
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
  kRowCount
};

struct Installable {
  Family family;
  const char* name;
  void* hook;
  void* wrapper;
};

const Installable kInstallables[] = {
#define AUXIN_CALL(family, facet, result, name, parameters, version, note)          \
  {Family::family, #name, reinterpret_cast<void*>(&hook::name),                     \
   reinterpret_cast<void*>(&Wrapper<&hook::name, kRow_##name>::call)},
#include "libmeta_os/hook_table.def"
#undef AUXIN_CALL
};

uint32_t families_in_force() {
  uint32_t families = 0;
  for (const InForce& each : in_force) families |= each.families.load(std::memory_order_relaxed);
  return families;
}

void point_references(uint32_t families, bool at_wrappers) {
  std::vector<markers::Rebinding> rebindings;
  for (const Installable& each : kInstallables) {
    if ((families & family_bit(each.family)) == 0) continue;
    rebindings.push_back({each.name, at_wrappers ? each.wrapper : each.hook});
  }
  markers::rebind(rebindings);
}

}  // namespace

void observe(Observer* observer, ObserverPlace place) {
  const MetaLevel meta;
  InForce& own = in_force[static_cast<int>(place)];
  const uint32_t before = own.families.load(std::memory_order_relaxed);
  own.observer.store(observer, std::memory_order_release);
  own.families.store(observer != nullptr ? observer->families() : 0, std::memory_order_relaxed);
  const uint32_t wanted = families_in_force();
  if ((before & ~wanted) != 0) point_references(before & ~wanted, false);
  if (observer != nullptr) point_references(observer->families(), true);
}

void observe_new_modules() {
  const MetaLevel meta;
  if (const uint32_t families = families_in_force(); families != 0) {
    point_references(families, true);
  }
}

#undef AUXIN_LIST_CALL
#undef AUXIN_LEFT

}  // namespace auxin::os
