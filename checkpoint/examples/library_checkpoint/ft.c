/* SPDX-License-Identifier: Apache-2.0 */
#include "ft.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "auxin/checkpoint.h"
#include "heartbeat.h"

/* So many checkpoints make one chain of base and increments. */
enum { kBaseEvery = 16 };

static auxin_checkpoint_state* state;
static auxin_checkpoint_store* store;
static int heartbeat = -1;

static int result_of(enum auxin_checkpoint_status status) {
  return status == AUXIN_CHECKPOINT_OK ? 0 : -1;
}

/* FNV-1a. Two names with the same number would be refused as one name given twice. */
static uint64_t number_of(const char* name) {
  uint64_t number = 0xcbf29ce484222325u;
  for (; *name != '\0'; ++name) number = (number ^ (uint8_t)*name) * 0x100000001b3u;
  return number;
}

static void beat(char kind) {
  /* A watchdog that does not read them is no reason to stop. */
  if (heartbeat >= 0 && write(heartbeat, &kind, 1) != 1) return;
}

int ft_begin(const char* directory) {
  struct auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
  const char* descriptor = getenv(FT_HEARTBEAT_VARIABLE);
  if (descriptor != NULL) heartbeat = atoi(descriptor);
  options.base_every = kBaseEvery;
  if (auxin_checkpoint_state_create(&options, &state) != AUXIN_CHECKPOINT_OK) return -1;
  return result_of(auxin_checkpoint_store_open(directory, NULL, &store));
}

int ft_critical(const char* name, void* variable, size_t size_bytes) {
  return result_of(auxin_checkpoint_add_range(state, number_of(name), variable, size_bytes));
}

int ft_recover(void) {
  const enum auxin_checkpoint_status status = auxin_checkpoint_restore(state, store);
  if (status == AUXIN_CHECKPOINT_EMPTY) return 0;
  return status == AUXIN_CHECKPOINT_OK ? 1 : -1;
}

int ft_checkpoint(void) {
  if (auxin_checkpoint_save(state, store) != AUXIN_CHECKPOINT_OK) return -1;
  beat(FT_PROGRESS);
  return 0;
}

void ft_heartbeat(void) { beat(FT_LIVES); }

const char* ft_error(void) { return auxin_checkpoint_last_error(); }
