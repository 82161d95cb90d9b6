/* SPDX-License-Identifier: Apache-2.0
 *
 * The C part of the annotated middleware (annotated.h). */
#include "metamarkers/samples/annotated.h"

#include "auxin/metamarker.h"

int annotated_c_upcall(void (*look)(void*), void* context) {
  int token = auxin_join_point_enter("c upcall", AUXIN_ROLE_UPCALL, context);
  if (token == 0) return 0;
  look(context);
  auxin_join_point_leave(token);
  return 1;
}

int annotated_c_sweep(void (*look)(void*), void* context) {
  int token = auxin_join_point_enter("c sweep", AUXIN_ROLE_SUPPRESSED, context);
  if (token == 0) return 0;
  look(context);
  auxin_join_point_leave(token);
  return 1;
}
