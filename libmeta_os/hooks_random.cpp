// SPDX-License-Identifier: Apache-2.0
//
// Hooks: random numbers. Where a value is wanted, the numbers come from ValueFacet.
#include <errno.h>

#include <bit>

#include "libmeta_os/hooks.h"
#include "libmeta_os/reify.h"

namespace auxin::os {
namespace {

constexpr size_t kMaxEntropyBytes = 256;  // of one getentropy call

// Fills all of `buffer`, in as many steps as the facet needs. False with errno: it gave an error.
bool fill(void* buffer, size_t size, CallSite site) {
  auto* at = static_cast<char*>(buffer);
  while (size > 0) {
    const ssize_t got = facets.values->getrandom(at, size, 0, site);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

long logged(long value, CallSite site) {
  return static_cast<long>(facets.values->word(static_cast<uint64_t>(value), site));
}

}  // namespace

ssize_t hook::getrandom(void* buffer, size_t size, unsigned flags) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().getrandom(buffer, size, flags);
  return facets.values->getrandom(buffer, size, flags, AUXIN_CALL_SITE);
}

int hook::getentropy(void* buffer, size_t size) {
  if (size > kMaxEntropyBytes || !value_wanted(AUXIN_CALL_SITE)) {
    return real().getentropy(buffer, size);
  }
  return fill(buffer, size, AUXIN_CALL_SITE) ? 0 : -1;
}

uint32_t hook::arc4random() {
  const uint32_t value = real().arc4random();
  if (!value_wanted(AUXIN_CALL_SITE)) return value;
  return static_cast<uint32_t>(facets.values->word(value, AUXIN_CALL_SITE));
}

void hook::arc4random_buf(void* buffer, size_t size) {
  if (value_wanted(AUXIN_CALL_SITE) && fill(buffer, size, AUXIN_CALL_SITE)) return;
  real().arc4random_buf(buffer, size);
}

uint32_t hook::arc4random_uniform(uint32_t bound) {
  const uint32_t value = real().arc4random_uniform(bound);
  if (!value_wanted(AUXIN_CALL_SITE)) return value;
  return static_cast<uint32_t>(facets.values->word(value, AUXIN_CALL_SITE));
}

long hook::random() {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().random();
  return facets.values->random(AUXIN_CALL_SITE);
}

int hook::rand() {
  if (!value_wanted(AUXIN_CALL_SITE)) return real().rand();
  return facets.values->rand(AUXIN_CALL_SITE);
}

double hook::drand48() {
  const double value = real().drand48();
  if (!value_wanted(AUXIN_CALL_SITE)) return value;
  return std::bit_cast<double>(
      facets.values->word(std::bit_cast<uint64_t>(value), AUXIN_CALL_SITE));
}

long hook::lrand48() {
  const long value = real().lrand48();
  return value_wanted(AUXIN_CALL_SITE) ? logged(value, AUXIN_CALL_SITE) : value;
}

long hook::mrand48() {
  const long value = real().mrand48();
  return value_wanted(AUXIN_CALL_SITE) ? logged(value, AUXIN_CALL_SITE) : value;
}

unsigned hook::_ZNSt13random_device9_M_getvalEv(void* self) {
  if (!value_wanted(AUXIN_CALL_SITE)) return real()._ZNSt13random_device9_M_getvalEv(self);
  return facets.values->random_device(AUXIN_CALL_SITE);
}

}  // namespace auxin::os
