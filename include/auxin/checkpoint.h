/* SPDX-License-Identifier: Apache-2.0
 *
 * The checkpoint service: a process saves, updates and restores the parts of its state that it
 * names, through Incremental Messages. C, and C++17 classes at the end.
 *
 * After C. Pérez, G. Fabregat, R. J. Martínez, G. Martín, "Micro-Kernel support for Fault-Tolerant
 * Application Development on Distributed Systems": each process selects which part of its state to
 * save, where and when; increments and copy-on-write are the service's.
 *
 *   state      what a process names: ranges of memory, objects that it marks, arenas
 *   capture    the state at one moment; the process goes on, and a message is made of it
 *   message    a base (everything) or an increment (what changed since the message before): a value
 *              that can be sent, stored, merged with the next one, and applied
 *   store      where messages are kept: a directory of files, a descriptor, a stable memory
 *
 *     auxin_checkpoint_state* state;
 *     auxin_checkpoint_state_create(NULL, &state);
 *     auxin_checkpoint_add_range(state, 1, table, sizeof(table));
 *     auxin_checkpoint_save(state, store);            // again and again
 *     …
 *     auxin_checkpoint_restore(state, store);         // in a new process
 *
 * Link with the CMake target auxin::checkpoint, or `pkg-config --libs auxin-checkpoint`.
 *
 * Errors: every function that can fail returns a status. Whatever it is, nothing was done by
 * halves, and auxin_checkpoint_last_error() has a sentence about it.
 *
 * Thread safety: one thread at a time for each state, store, capture and assembly; marks may be set
 * by any thread. A message is not changed by anyone and may be read by all.
 * What other threads store into a state while a capture is taken is in it or not, each page by
 * itself; options.pause stops them for that time.
 */
#ifndef AUXIN_CHECKPOINT_H
#define AUXIN_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The same numbers in every version. */
enum auxin_checkpoint_status {
  AUXIN_CHECKPOINT_OK = 0,
  /* Of a message. */
  AUXIN_CHECKPOINT_MALFORMED = 1,   /* not a message, or its lengths contradict one another */
  AUXIN_CHECKPOINT_DAMAGED = 2,     /* a checksum differs */
  AUXIN_CHECKPOINT_VERSION = 3,     /* of a format that is not known here */
  AUXIN_CHECKPOINT_FOREIGN = 4,     /* of another state */
  AUXIN_CHECKPOINT_STALE = 5,       /* older than what is there */
  AUXIN_CHECKPOINT_DUPLICATE = 6,   /* is there already */
  AUXIN_CHECKPOINT_GAP = 7,         /* a message before it is missing */
  /* Of a call. */
  AUXIN_CHECKPOINT_WRONG_CALL = 8,  /* an argument makes no sense, or the order of calls */
  AUXIN_CHECKPOINT_UNKNOWN = 9,     /* no region with this id, or none where there must be one */
  AUXIN_CHECKPOINT_OVERLAP = 10,    /* with a region that is there */
  AUXIN_CHECKPOINT_SIZE = 11,       /* the message's region has another size than the process's */
  AUXIN_CHECKPOINT_BUSY = 12,       /* a capture has not been ended */
  AUXIN_CHECKPOINT_UNAVAILABLE = 13,/* the method that was asked for does not work here */
  AUXIN_CHECKPOINT_EMPTY = 14,      /* the store has no image */
  AUXIN_CHECKPOINT_INCOMPLETE = 15, /* pieces are missing */
  /* Of resources. */
  AUXIN_CHECKPOINT_NO_MEMORY = 16,
  AUXIN_CHECKPOINT_NO_SPACE = 17,   /* the disk, the quota or the stable memory is full */
  AUXIN_CHECKPOINT_TOO_LARGE = 18,  /* larger than the receiver allows */
  AUXIN_CHECKPOINT_INPUT_OUTPUT = 19
};

/* How what changed is found. */
enum auxin_checkpoint_method {
  AUXIN_CHECKPOINT_AUTOMATIC = 0,   /* the environment's AUXIN_CHECKPOINT_METHOD, else the best */
  AUXIN_CHECKPOINT_WP_ASYNC = 1,    /* userfaultfd and PAGEMAP_SCAN, Linux 6.7 or later */
  AUXIN_CHECKPOINT_FAULT = 2,       /* mprotect and SIGSEGV */
  AUXIN_CHECKPOINT_FORK = 3,        /* a forked child holds the image and compares */
  AUXIN_CHECKPOINT_FULL = 4         /* everything is copied, then compared */
};

/* A word for each, valid for ever. */
const char* auxin_checkpoint_status_name(enum auxin_checkpoint_status status);
const char* auxin_checkpoint_method_name(enum auxin_checkpoint_method method);

/* What went wrong in this thread's last call that failed. Valid until its next one. */
const char* auxin_checkpoint_last_error(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif
