/* SPDX-License-Identifier: Apache-2.0
 *
 * What a program tells its watchdog: bytes through a pipe, whose descriptor is in the environment.
 */
#ifndef FT_HEARTBEAT_H
#define FT_HEARTBEAT_H

#define FT_HEARTBEAT_VARIABLE "FT_HEARTBEAT"
#define FT_LIVES 'l'
/* A checkpoint is kept: what comes after a restart is not the same again. */
#define FT_PROGRESS 'p'

#endif
