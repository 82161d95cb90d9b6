// SPDX-License-Identifier: Apache-2.0
#include "replication/request_events.h"

#include <dlfcn.h>
#include <stdio.h>

#include "libmeta_os/counters.h"
#include "libmeta_os/mutex_tag.h"

namespace auxin::replication {

MetaRequestLifecycle* meta_object = nullptr;

MetaRequestLifecycle* load_meta_object(const char* path, char* error, unsigned error_size) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    snprintf(error, error_size, "the meta-object can't be loaded: %s", dlerror());
    return nullptr;
  }
  using Entry = MetaRequestLifecycle* (*)(std::uint32_t);
  auto entry = reinterpret_cast<Entry>(dlsym(library, "auxin_meta_object"));
  if (entry == nullptr) {
    snprintf(error, error_size,
             "%s has no auxin_meta_object: see <auxin/meta_request_lifecycle.h>", path);
    return nullptr;
  }
  MetaRequestLifecycle* made = entry(AUXIN_META_OBJECT_ABI);
  if (made == nullptr)
    snprintf(error, error_size, "%s refuses interface version %d", path, AUXIN_META_OBJECT_ABI);
  return made;
}

void announce_contention_point_slow(pthread_mutex_t* mutex, ContentionStage stage) {
  RequestId request;
  if (!current_request(&request)) return;
  const uint64_t tag = os::mutex_tag(mutex).load(std::memory_order_relaxed);
  const os::SiteClass& from = os::counters().classes[os::tag_class(tag)];
  const RequestContentionPoint point{os::tag_identity(tag), ContentionKind::kMutex, 0, from.library,
                                     from.join_point};
  if (stage == ContentionStage::kBefore) {
    meta_object->requestBeforeContentionPoint(request, point);
  } else {
    meta_object->requestAfterContentionPoint(request, point);
  }
}

}  // namespace auxin::replication
