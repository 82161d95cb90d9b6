// SPDX-License-Identifier: Apache-2.0
#include "replication/divergence.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libmeta_os/guard.h"
#include "replication/activity.h"
#include "replication/replica.h"

namespace auxin::replication {

void diverge(const char* format, ...) {
  os::MetaLevel meta;
  char text[480];
  int used = snprintf(text, sizeof text, "replica %d diverged: ", replica->id());
  va_list arguments;
  va_start(arguments, format);
  used += vsnprintf(text + used, sizeof text - static_cast<size_t>(used), format, arguments);
  va_end(arguments);
  const Activity* activity = current_activity();
  if (activity->id != 0 && used < static_cast<int>(sizeof text) - 64) {
    if (is_request(activity->id)) {
      snprintf(text + used, sizeof text - static_cast<size_t>(used),
               "; in request %llu of connection %llu, after %u decisions",
               static_cast<unsigned long long>(activity_ordinal(activity->id)),
               static_cast<unsigned long long>(activity_connection(activity->id)), activity->step);
    } else {
      snprintf(text + used, sizeof text - static_cast<size_t>(used),
               "; in thread activity %llx, after %u decisions",
               static_cast<unsigned long long>(activity->id), activity->step);
    }
  }
  replica->leave_group(Role::kDiverged, text);
}

}  // namespace auxin::replication
