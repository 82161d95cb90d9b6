// SPDX-License-Identifier: Apache-2.0
//
// Threads of the leader in waits on conditions. In a process that is restored from the leader's
// image nobody wakes them: they wait for the log there. So they are woken once; what they make of
// it is in ordered_mutex.cpp.
//
// Thread safety: any thread.
#pragma once

#include <pthread.h>

namespace auxin::replication {

// For the time of one wait, on the waiting thread.
class LiveWait {
 public:
  explicit LiveWait(pthread_cond_t* cond);
  ~LiveWait();
  LiveWait(const LiveWait&) = delete;
  LiveWait& operator=(const LiveWait&) = delete;

 private:
  friend void note_restored_waits();
  friend bool wake_restored_waits();

  pthread_cond_t* cond_;
  bool restored_ = false;   // it was there when the image was taken
  LiveWait* next_;
  LiveWait** link_;         // what points to this one
};

// With all threads stopped: whether no thread is changing the list.
bool live_waits_are_steady();
// In a restored process, before its threads go on: those that wait now are to be woken.
void note_restored_waits();
// Wakes them. False: all have left their waits. A thread may have been stopped on its way into the
// wait, so this is called again a little later.
bool wake_restored_waits();

}  // namespace auxin::replication
