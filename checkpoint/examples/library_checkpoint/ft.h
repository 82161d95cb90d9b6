/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints for a program that computes, in the manner of libft (Huang and Kintala, 1993): it
 * names its critical variables, recovers them when it starts, and saves them now and then.
 *
 *     ft_begin("/var/lib/sums");
 *     ft_critical("i", &i, sizeof(i));
 *     ft_critical("sum", &sum, sizeof(sum));
 *     if (ft_recover() < 0) …
 *     for (; i < n; ++i) { sum += f(i); if (i % 1000 == 0) ft_checkpoint(); ft_heartbeat(); }
 *
 * Functions return -1 if they fail; ft_error() says why. Not thread-safe.
 */
#ifndef FT_H
#define FT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where the checkpoints are kept; one program at a time. */
int ft_begin(const char* directory);
/* A variable that belongs to the state. Its name, not its address, is what it is known by, so the
 * program may have been compiled anew in between. All are named before ft_recover. */
int ft_critical(const char* name, void* variable, size_t size_bytes);
/* 1: the variables are as the last checkpoint had them. 0: there is none, they stay. */
int ft_recover(void);
/* Keeps the variables as they are now; of those that were kept before, what changed since. */
int ft_checkpoint(void);
/* Tells a watchdog that the program lives; nothing without one. */
void ft_heartbeat(void);
const char* ft_error(void);

#ifdef __cplusplus
}
#endif
#endif
