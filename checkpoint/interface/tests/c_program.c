/* SPDX-License-Identifier: Apache-2.0
 *
 * A program in C with the public header alone: it saves a table, spoils it, and restores it.
 * Returns 0, or the line at which it went wrong.
 */
#include <string.h>

#include "auxin/checkpoint.h"

#define DEMAND(condition) \
  if (!(condition)) return __LINE__

static char table[10000];

int checkpoint_c_program(const char* directory);

int checkpoint_c_program(const char* directory) {
  struct auxin_checkpoint_options options = AUXIN_CHECKPOINT_OPTIONS;
  struct auxin_checkpoint_statistics statistics;
  auxin_checkpoint_state* state = NULL;
  auxin_checkpoint_store* store = NULL;
  int number = 7;
  auxin_checkpoint_mark mark;
  statistics.size_bytes = sizeof(statistics);
  options.lz4 = 1;
  DEMAND(auxin_checkpoint_state_create(&options, &state) == AUXIN_CHECKPOINT_OK);
  DEMAND(auxin_checkpoint_store_open(directory, NULL, &store) == AUXIN_CHECKPOINT_OK);
  DEMAND(auxin_checkpoint_add_range(state, 1, table, sizeof(table)) == AUXIN_CHECKPOINT_OK);
  DEMAND(auxin_checkpoint_add_object(state, 2, &number, sizeof(number), &mark) ==
         AUXIN_CHECKPOINT_OK);
  DEMAND(auxin_checkpoint_restore(state, store) == AUXIN_CHECKPOINT_EMPTY);
  DEMAND(strlen(auxin_checkpoint_last_error()) > 0);
  memset(table, 'x', sizeof(table));
  DEMAND(auxin_checkpoint_save(state, store) == AUXIN_CHECKPOINT_OK);
  table[5000] = 'y';
  number = 8;
  auxin_checkpoint_changed(mark);
  DEMAND(auxin_checkpoint_save(state, store) == AUXIN_CHECKPOINT_OK);
  memset(table, 0, sizeof(table));
  number = 0;
  DEMAND(auxin_checkpoint_restore(state, store) == AUXIN_CHECKPOINT_OK);
  DEMAND(table[0] == 'x' && table[5000] == 'y' && number == 8);
  auxin_checkpoint_get_statistics(state, &statistics);
  DEMAND(statistics.saves == 2 && statistics.increments == 1);
  auxin_checkpoint_state_destroy(state);
  auxin_checkpoint_store_close(store);
  return 0;
}
