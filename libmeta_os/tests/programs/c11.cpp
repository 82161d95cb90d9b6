// SPDX-License-Identifier: Apache-2.0
#include <threads.h>

#include "program.h"

using namespace programs;

namespace {

struct Shared {
  mtx_t mutex;
  cnd_t changed;
  int stage = 0;
};

int second_stage(void* argument) {
  auto* const it = static_cast<Shared*>(argument);
  mtx_lock(&it->mutex);
  it->stage = 1;
  say("signal", cnd_signal(&it->changed));
  say("broadcast", cnd_broadcast(&it->changed));
  mtx_unlock(&it->mutex);
  return -42;
}

int times_run = 0;

}  // namespace

PROGRAM(c11_threads) {
  Shared it;
  say("init", mtx_init(&it.mutex, mtx_timed));
  say("init", cnd_init(&it.changed));
  say("lock", mtx_lock(&it.mutex));
  timespec soon = in_ms(CLOCK_REALTIME, -5);
  say("timedwait", cnd_timedwait(&it.changed, &it.mutex, &soon));
  thrd_t other;
  say("create", thrd_create(&other, second_stage, &it));
  while (it.stage == 0) cnd_wait(&it.changed, &it.mutex);
  say("unlock", mtx_unlock(&it.mutex));
  int result = 0;
  say("join", thrd_join(other, &result));
  say("result", result);
  soon = in_ms(CLOCK_REALTIME, 5);
  say("timedlock", mtx_timedlock(&it.mutex, &soon));
  say("timedlock held", mtx_timedlock(&it.mutex, &soon));
  say("trylock held", mtx_trylock(&it.mutex));
}

PROGRAM(c11_once_and_sleep) {
  static once_flag flag = ONCE_FLAG_INIT;
  for (int i = 0; i < 2; ++i) call_once(&flag, [] { ++times_run; });
  say("times", times_run);
  const timespec moment{0, 1000};
  say("sleep", thrd_sleep(&moment, nullptr));
  const timespec bad{0, -1};
  say("bad sleep is negative", thrd_sleep(&bad, nullptr) < -1);
  timespec now{};
  say("timespec_get", timespec_get(&now, TIME_UTC));
  say("bad base", timespec_get(&now, 77));
}
