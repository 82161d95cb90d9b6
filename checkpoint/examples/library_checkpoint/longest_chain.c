/* SPDX-License-Identifier: Apache-2.0
 *
 * Computes for some time: which number below LIMIT has the longest chain n → n/2 or 3n+1 → … → 1.
 *
 *     longest_chain DIRECTORY RESULT LIMIT EVERY
 *
 * A checkpoint in DIRECTORY after every EVERY numbers. If it dies, it is started again with the
 * same arguments and goes on from there. RESULT appears whole, at the end. Its writing is repeated
 * if the program dies just after it: what goes outside should bear that, as this file does.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ft.h"

enum { kTableSize = 1 << 18, kHeartbeatEvery = 500 };

/* Critical: what has been found, and where the computation stands. */
static uint16_t lengths[kTableSize];  /* of the chains that are known */
static struct {
  uint64_t next, longest_from, longest;
} progress = {1, 1, 0};

static uint16_t length_from(uint64_t n) {
  uint64_t at = n;
  uint16_t steps = 0;
  while (at != 1 && (at >= kTableSize || lengths[at] == 0)) {
    at = at % 2 == 0 ? at / 2 : 3 * at + 1;
    ++steps;
  }
  steps = (uint16_t)(steps + (at == 1 ? 1 : lengths[at]));
  if (n < kTableSize) lengths[n] = steps;
  return steps;
}

static int fail(const char* what) {
  fprintf(stderr, "longest_chain: %s: %s\n", what, ft_error());
  return 1;
}

static int write_result(const char* path) {
  char unfinished[4096];
  FILE* file;
  uint64_t sum = 0;
  for (int i = 0; i < kTableSize; ++i) sum = sum * 31 + lengths[i];
  snprintf(unfinished, sizeof(unfinished), "%s.unfinished", path);
  file = fopen(unfinished, "w");
  if (file == NULL) return -1;
  fprintf(file, "%" PRIu64 " has a chain of %" PRIu64 ", all together %" PRIx64 "\n",
          progress.longest_from, progress.longest, sum);
  return fclose(file) == 0 ? rename(unfinished, path) : -1;
}

int main(int count, char** arguments) {
  uint64_t limit, every;
  if (count != 5) {
    fprintf(stderr, "usage: longest_chain DIRECTORY RESULT LIMIT EVERY\n");
    return 2;
  }
  limit = strtoull(arguments[3], NULL, 10);
  every = strtoull(arguments[4], NULL, 10);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (ft_begin(arguments[1]) != 0) return fail("it can't begin");
  if (ft_critical("lengths", lengths, sizeof(lengths)) != 0 ||
      ft_critical("progress", &progress, sizeof(progress)) != 0) {
    return fail("a variable can't be named");
  }
  switch (ft_recover()) {
    case 1: printf("recovered %" PRIu64 "\n", progress.next); break;
    case 0: break;
    default: return fail("it can't recover");
  }
  for (; progress.next < limit;) {
    const uint64_t length = length_from(progress.next);
    if (length > progress.longest) {
      progress.longest = length;
      progress.longest_from = progress.next;
    }
    ++progress.next;
    if (progress.next % kHeartbeatEvery == 0) ft_heartbeat();
    if (progress.next % every == 0) {
      if (ft_checkpoint() != 0) return fail("no checkpoint");
      printf("checkpoint %" PRIu64 "\n", progress.next);
    }
  }
  if (write_result(arguments[2]) != 0) {
    perror(arguments[2]);
    return 1;
  }
  return 0;
}
