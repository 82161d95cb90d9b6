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

constinit std::atomic<Observer*> observer_in_force{nullptr};
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
  Observation(Observer* observer, ObservedCall call)
      : observer_(observer), call_(call), site_before_(observed_site) {
    observed_site = call.site.address;
    if (observer_ == nullptr) return;
    const int saved_errno = errno;
    inside_observer = true;
    observer_->before(call_, kept_);
    inside_observer = false;
    errno = saved_errno;
  }
  ~Observation() {
    observed_site = site_before_;
    if (observer_ == nullptr) return;
    const int saved_errno = errno;
    inside_observer = true;
    observer_->after(call_, kept_, result_, saved_errno, left_);
    inside_observer = false;
    errno = saved_errno;
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  void returns(int64_t result) {
    result_ = result;
    left_ = false;
  }

 private:
  Observer* const observer_;
  const ObservedCall call_;
  const void* const site_before_;
  Observer::Kept kept_{};
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
        unobserved ? nullptr : observer_in_force.load(std::memory_order_acquire),
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

void point_references(uint32_t families, bool at_wrappers) {
  std::vector<markers::Rebinding> rebindings;
  for (const Installable& each : kInstallables) {
    if ((families & family_bit(each.family)) == 0) continue;
    rebindings.push_back({each.name, at_wrappers ? each.wrapper : each.hook});
  }
  markers::rebind(rebindings);
}

}  // namespace

void observe(Observer* observer) {
  const MetaLevel meta;
  Observer* const before = observer_in_force.exchange(observer, std::memory_order_acq_rel);
  if (before != nullptr && observer == nullptr) point_references(before->families(), false);
  if (observer != nullptr) point_references(observer->families(), true);
}

void observe_new_modules() {
  const MetaLevel meta;
  Observer* const observer = observer_in_force.load(std::memory_order_acquire);
  if (observer != nullptr) point_references(observer->families(), true);
}

#undef AUXIN_LIST_CALL
#undef AUXIN_LEFT

}  // namespace auxin::os
