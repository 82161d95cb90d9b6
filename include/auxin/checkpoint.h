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
 *   image      a receiver's copy of a state, brought forward message by message
 *   store      where messages are kept: a directory of files, a stable memory, a server; or they
 *              go through a descriptor
 *   receiver   what applies the messages of other processes to images in this one's memory
 *
 *     auxin_checkpoint_state* state;
 *     auxin_checkpoint_store* store;
 *     auxin_checkpoint_state_create(NULL, &state);
 *     auxin_checkpoint_store_open("/var/lib/bank", NULL, &store);
 *     auxin_checkpoint_add_range(state, 1, table, sizeof(table));
 *     auxin_checkpoint_restore(state, store);         // AUXIN_CHECKPOINT_EMPTY the first time
 *     …
 *     auxin_checkpoint_save(state, store);            // again and again
 *
 * Link with the CMake target auxin::checkpoint, or `pkg-config --libs auxin-checkpoint`.
 *
 * Errors: every function that can fail returns a status. Whatever it is, nothing was done by
 * halves, and auxin_checkpoint_last_error() has a sentence about it.
 *
 * Thread safety: a state and what is in it may be used by any thread; calls wait for one another.
 * Stores, images and assemblies: one thread at a time. A message is changed by nobody and may be
 * read by all. Nothing of this may be used in a child after fork.
 * What other threads store into a state while a capture is taken is in it or not, each page by
 * itself; options.pause stops them for that time.
 * The service's own threads (of receivers and schedules, and of auxin_checkpoint_save_begin) have
 * signals blocked: the program's go to the program's threads.
 *
 * Unless it is said, a call does not block, but for the time its work takes. A store at a server
 * waits for the network, never without a limit.
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
  AUXIN_CHECKPOINT_INPUT_OUTPUT = 19,
  AUXIN_CHECKPOINT_MEMORY = 20      /* memory of the state can't be read or written */
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

/* ---- State: what is saved. ------------------------------------------------------------------ */

typedef struct auxin_checkpoint_state auxin_checkpoint_state;
typedef struct auxin_checkpoint_arena auxin_checkpoint_arena;
typedef struct auxin_checkpoint_message auxin_checkpoint_message;
typedef struct auxin_checkpoint_image auxin_checkpoint_image;
typedef struct auxin_checkpoint_store auxin_checkpoint_store;
typedef struct auxin_checkpoint_assembly auxin_checkpoint_assembly;
typedef struct auxin_checkpoint_receiver auxin_checkpoint_receiver;

struct auxin_checkpoint_options {
  uint32_t size_bytes;         /* of this structure: AUXIN_CHECKPOINT_OPTIONS sets it */
  uint32_t method;             /* enum auxin_checkpoint_method */
  uint32_t not_adaptive;       /* 1: what changes much is tracked all the same */
  uint32_t lz4;                /* 1: contents are packed where that makes them shorter */
  uint32_t no_checksums;       /* 1: contents without checksums (headers and tables have them) */
  uint32_t rounds;             /* of copies before the pause of each capture */
  uint32_t base_every;         /* save(): each so many messages a base; 0: only the first one */
  uint32_t zero;
  /* Called around the pause of a capture, in the thread that captures: what stores into the state
   * stands still in between. May be null. Nothing is allocated and no lock taken in between. */
  void (*pause)(void* context);
  void (*resume)(void* context);
  void* pause_context;
};
#define AUXIN_CHECKPOINT_OPTIONS {sizeof(struct auxin_checkpoint_options), 0, 0, 0, 0, 0, 0, 0, \
                                  0, 0, 0}

/* `options` may be null. UNAVAILABLE: the method that was asked for does not work here, and no
 * other is taken; the sentence says why. WRONG_CALL: AUXIN_CHECKPOINT_METHOD names no method. */
enum auxin_checkpoint_status auxin_checkpoint_state_create(
    const struct auxin_checkpoint_options* options, auxin_checkpoint_state** state);
/* Ends its schedule, waits for a save that is under way, destroys its arenas. Null is allowed. */
void auxin_checkpoint_state_destroy(auxin_checkpoint_state* state);

/* A range of this process's memory, at any address, under an id of the process's own. It may be
 * mapped anew or unmapped later: what is not mapped in a capture counts as zeros. OVERLAP: with
 * another range, or the id is taken. BUSY: a capture waits for its message. */
enum auxin_checkpoint_status auxin_checkpoint_add_range(auxin_checkpoint_state* state, uint64_t id,
                                                        void* address, uint64_t size_bytes);
/* The range has another size now, or is elsewhere (then it is told whole). */
enum auxin_checkpoint_status auxin_checkpoint_resize(auxin_checkpoint_state* state, uint64_t id,
                                                     void* address, uint64_t size_bytes);
/* Of a range or an object. UNKNOWN, BUSY. */
enum auxin_checkpoint_status auxin_checkpoint_remove(auxin_checkpoint_state* state, uint64_t id);

/* An object whose changes the process tells itself: no page fault, no page is copied for its sake.
 * The mark is valid until the object is removed. */
typedef struct auxin_checkpoint_mark {
  uint8_t* byte;
} auxin_checkpoint_mark;
enum auxin_checkpoint_status auxin_checkpoint_add_object(auxin_checkpoint_state* state, uint64_t id,
                                                         void* object, uint64_t size_bytes,
                                                         auxin_checkpoint_mark* mark);
/* After each change of the object; by any thread, in a signal handler, too. */
static inline void auxin_checkpoint_changed(auxin_checkpoint_mark mark) {
  __atomic_store_n(mark.byte, (uint8_t)1, __ATOMIC_RELEASE);
}

/* A word of the process's own that goes with each message: a position in its log, for instance. */
void auxin_checkpoint_set_user_word(auxin_checkpoint_state* state, uint64_t word);
uint64_t auxin_checkpoint_user_word(auxin_checkpoint_state* state);

/* ---- Arenas: memory that is part of the state from the start. -------------------------------- */

/* Memory of its own with an allocator in it, all of it saved. It is mapped where an arena of this
 * id and size was in other runs, if that place is free, so that pointers within it stay right:
 * auxin_checkpoint_arena_moved says if not. Belongs to the state. Thread safety: one at a time. */
enum auxin_checkpoint_status auxin_checkpoint_arena_create(auxin_checkpoint_state* state,
                                                           uint64_t id, uint64_t size_bytes,
                                                           auxin_checkpoint_arena** arena);
/* Aligned to 16 bytes, not set. Null: the arena is full. */
void* auxin_checkpoint_arena_allocate(auxin_checkpoint_arena* arena, uint64_t size_bytes);
/* Of what the arena allocated; null is allowed. */
void auxin_checkpoint_arena_free(auxin_checkpoint_arena* arena, void* memory);
/* Where the process finds its data again after a restore: a pointer into the arena, or null. */
void auxin_checkpoint_arena_set_root(auxin_checkpoint_arena* arena, void* root);
void* auxin_checkpoint_arena_root(auxin_checkpoint_arena* arena);
/* 1: the contents came from an arena at another address, pointers within it are wrong. */
int auxin_checkpoint_arena_moved(auxin_checkpoint_arena* arena);
uint64_t auxin_checkpoint_arena_free_bytes(auxin_checkpoint_arena* arena);

/* ---- Captures and messages. ------------------------------------------------------------------ */

enum auxin_checkpoint_kind {
  AUXIN_CHECKPOINT_INCREMENT = 0,  /* what changed; the first capture is a base all the same */
  AUXIN_CHECKPOINT_BASE = 1        /* everything */
};

/* Takes the state as it is now, in a pause, and returns; the process may go on at once. BUSY: the
 * capture before waits for its message. */
enum auxin_checkpoint_status auxin_checkpoint_capture(auxin_checkpoint_state* state,
                                                      enum auxin_checkpoint_kind kind);
/* The message of the capture; the caller frees it. Method fork: waits for the child. If it fails,
 * nothing is lost: the next capture holds it too. WRONG_CALL: there is no capture. */
enum auxin_checkpoint_status auxin_checkpoint_take_message(auxin_checkpoint_state* state,
                                                           auxin_checkpoint_message** message);
/* Lets go of a capture; the next one holds what it held. */
void auxin_checkpoint_abandon(auxin_checkpoint_state* state);

struct auxin_checkpoint_message_info {
  uint64_t state;          /* which state it is of: a random number */
  uint64_t from_sequence;  /* the message before it; 0: it is a base */
  uint64_t sequence;
  uint64_t taken_at_ns;    /* since 1970 */
  uint64_t user_word;
  uint64_t digest;         /* the same for equal messages */
  uint64_t content_bytes;  /* unpacked */
  uint64_t message_bytes;
  uint32_t regions;        /* that it speaks of */
  uint32_t base;           /* 1 or 0 */
};
void auxin_checkpoint_message_get_info(const auxin_checkpoint_message* message,
                                       struct auxin_checkpoint_message_info* info);
/* Its bytes, to be sent or kept; valid as long as the message. */
const void* auxin_checkpoint_message_bytes(const auxin_checkpoint_message* message,
                                           uint64_t* size_bytes);
/* A message of bytes that came from anywhere: copied, and examined with its contents. MALFORMED,
 * VERSION, DAMAGED. */
enum auxin_checkpoint_status auxin_checkpoint_message_of_bytes(const void* bytes,
                                                               uint64_t size_bytes,
                                                               auxin_checkpoint_message** message);
/* Two messages that follow one another, as one. FOREIGN, GAP, DAMAGED. */
enum auxin_checkpoint_status auxin_checkpoint_message_merge(const auxin_checkpoint_message* older,
                                                            const auxin_checkpoint_message* newer,
                                                            auxin_checkpoint_message** merged);
void auxin_checkpoint_message_free(auxin_checkpoint_message* message);

/* Through a pipe, a socket or a file; one behind the other. Blocks until all is written. No SIGPIPE
 * comes of a socket. INPUT_OUTPUT, NO_SPACE: a part may have been written. */
enum auxin_checkpoint_status auxin_checkpoint_message_send(const auxin_checkpoint_message* message,
                                                           int fd);
/* Blocks until one has come. EMPTY: the stream ended before it, INCOMPLETE: within it. TOO_LARGE,
 * MALFORMED, VERSION, DAMAGED, INPUT_OUTPUT: the stream can't be read on. */
enum auxin_checkpoint_status auxin_checkpoint_message_receive(int fd, uint64_t max_bytes,
                                                              auxin_checkpoint_message** message);

/* In pieces, for transports that break: each but the last has `piece_bytes` bytes of the message
 * (256 to 64 MiB) and 64 bytes of header. */
uint32_t auxin_checkpoint_piece_count(const auxin_checkpoint_message* message,
                                      uint32_t piece_bytes);
/* Writes piece `index` to `buffer`; *size_bytes: its room, then what was written. SIZE: too
 * small. */
enum auxin_checkpoint_status auxin_checkpoint_piece(const auxin_checkpoint_message* message,
                                                    uint32_t piece_bytes, uint32_t index,
                                                    void* buffer, uint64_t* size_bytes);
/* Puts pieces together, in any order; a message of more than `max_bytes` is refused. */
enum auxin_checkpoint_status auxin_checkpoint_assembly_create(
    uint64_t max_bytes, auxin_checkpoint_assembly** assembly);
/* FOREIGN: of another message than the first one. A piece that is there already is OK. */
enum auxin_checkpoint_status auxin_checkpoint_assembly_add(auxin_checkpoint_assembly* assembly,
                                                           const void* piece, uint64_t size_bytes);
/* Up to `room` indices of pieces that have not come; returns how many were written. *digest: of
 * which message; 0 if no piece has come at all. For the sender, after a break. */
uint32_t auxin_checkpoint_assembly_missing(const auxin_checkpoint_assembly* assembly,
                                           uint32_t* indices, uint32_t room, uint64_t* digest);
/* INCOMPLETE: pieces are missing. The assembly is empty then and may be used again. */
enum auxin_checkpoint_status auxin_checkpoint_assembly_take(auxin_checkpoint_assembly* assembly,
                                                            auxin_checkpoint_message** message);
void auxin_checkpoint_assembly_destroy(auxin_checkpoint_assembly* assembly);

/* ---- Images: what a receiver has. ------------------------------------------------------------ */

/* Empty; refuses to become larger than `max_bytes`. */
enum auxin_checkpoint_status auxin_checkpoint_image_create(uint64_t max_bytes,
                                                           auxin_checkpoint_image** image);
/* 1: from now on the image is found out if bits of it turn in memory: before a message is laid over
 * what turned, and before the image is handed on or restored. DAMAGED then, until a base comes. */
void auxin_checkpoint_image_set_checked(auxin_checkpoint_image* image, int checked);
/* Looks at all of it. DAMAGED; OK also of an image that is not checked. */
enum auxin_checkpoint_status auxin_checkpoint_image_check(const auxin_checkpoint_image* image);
/* All or nothing. STALE, DUPLICATE, GAP, FOREIGN: it may not follow; DAMAGED, TOO_LARGE. */
enum auxin_checkpoint_status auxin_checkpoint_image_apply(auxin_checkpoint_image* image,
                                                          const auxin_checkpoint_message* message);
/* The bytes of a region, valid until the next message is applied. UNKNOWN. */
enum auxin_checkpoint_status auxin_checkpoint_image_region(const auxin_checkpoint_image* image,
                                                           uint64_t id, const void** bytes,
                                                           uint64_t* size_bytes);
/* 0: nothing has been applied. */
uint64_t auxin_checkpoint_image_sequence(const auxin_checkpoint_image* image);
uint64_t auxin_checkpoint_image_user_word(const auxin_checkpoint_image* image);
/* A base of what it holds. EMPTY. */
enum auxin_checkpoint_status auxin_checkpoint_image_message(const auxin_checkpoint_image* image,
                                                            auxin_checkpoint_message** message);
void auxin_checkpoint_image_destroy(auxin_checkpoint_image* image);

/* ---- Stores: where messages are kept. -------------------------------------------------------- */

struct auxin_checkpoint_store_options {
  uint32_t size_bytes;  /* of this structure: AUXIN_CHECKPOINT_STORE_OPTIONS sets it */
  uint32_t no_sync;     /* 1: what is kept survives the death of processes, not of the machine */
  uint32_t read_only;
  uint32_t zero;
  uint64_t max_image_bytes;  /* larger images are refused; 0: any */
};
#define AUXIN_CHECKPOINT_STORE_OPTIONS {sizeof(struct auxin_checkpoint_store_options), 0, 0, 0, 0}

struct auxin_checkpoint_store_report {
  uint64_t base_sequence, sequence;  /* of the newest image; 0: there is none */
  uint64_t messages;                 /* that make it */
  uint64_t bytes;                    /* kept in all */
  uint64_t damaged;                  /* messages that can't be used */
};

/* A directory of files (checkpoint/FORMAT.md), made if it is not there, mode 0700, files 0600.
 * BUSY: another process stores into it. `options` may be null. */
enum auxin_checkpoint_status auxin_checkpoint_store_open(
    const char* path, const struct auxin_checkpoint_store_options* options,
    auxin_checkpoint_store** store);
/* A stable memory (made by `auxin stm create`), under a name of 1 to 47 bytes. Of the options only
 * max_image_bytes counts: the memory has its own promise. */
enum auxin_checkpoint_status auxin_checkpoint_store_open_stable(
    const char* path, const char* name, const struct auxin_checkpoint_store_options* options,
    auxin_checkpoint_store** store);

struct auxin_checkpoint_remote_options {
  uint32_t size_bytes;       /* of this structure: AUXIN_CHECKPOINT_REMOTE_OPTIONS sets it */
  uint32_t piece_bytes;      /* a message travels in pieces of so many bytes; 0: 512 KiB */
  uint64_t max_image_bytes;  /* larger images are refused; 0: any */
  const char* secret_file;   /* what both sides know, in a file of mode 0600; null: nothing */
  uint32_t stall_ms;         /* a connection on which nothing moves is broken then; 0: 10 s */
  uint32_t give_up_ms;       /* a call in which nothing gets on for so long fails; 0: 30 s */
};
#define AUXIN_CHECKPOINT_REMOTE_OPTIONS {sizeof(struct auxin_checkpoint_remote_options), 0, 0, 0, \
                                         0, 0}

/* A name (1 to 47 of A-Z a-z 0-9 . _ -, no point first) at `auxin checkpoint-server`, or at a
 * receiver. `address`: "unix:PATH" or "tcp:HOST:PORT", HOST an IPv4 address, an IPv6 address in
 * brackets, or localhost. If the connection breaks it is made again, and a message goes on from
 * where it was. Blocks until the server has answered. WRONG_CALL: address, name, secret;
 * INPUT_OUTPUT: no answer. A put that ends with INPUT_OUTPUT may have been kept: it is offered
 * again, or goes with the next message. */
enum auxin_checkpoint_status auxin_checkpoint_store_open_remote(
    const char* address, const char* name, const struct auxin_checkpoint_remote_options* options,
    auxin_checkpoint_store** store);
/* Blocks until the message is kept. NO_SPACE, INPUT_OUTPUT: the image is what it was. */
enum auxin_checkpoint_status auxin_checkpoint_store_put(auxin_checkpoint_store* store,
                                                        const auxin_checkpoint_message* message);
/* The newest image; the caller destroys it. EMPTY, DAMAGED. */
enum auxin_checkpoint_status auxin_checkpoint_store_read(auxin_checkpoint_store* store,
                                                         auxin_checkpoint_image** image);
/* One base in place of base and increments. */
enum auxin_checkpoint_status auxin_checkpoint_store_compact(auxin_checkpoint_store* store);
void auxin_checkpoint_store_get_report(const auxin_checkpoint_store* store,
                                       struct auxin_checkpoint_store_report* report);
/* No save into it may be under way, and no schedule. Null is allowed. */
void auxin_checkpoint_store_close(auxin_checkpoint_store* store);

/* ---- Receivers: messages of other processes, applied in this one. ---------------------------- */

struct auxin_checkpoint_receiver_options {
  uint32_t size_bytes;         /* of this structure: AUXIN_CHECKPOINT_RECEIVER_OPTIONS sets it */
  uint32_t max_names;          /* 0: 64 */
  uint64_t max_message_bytes;  /* larger ones are refused; 0: 1 GiB */
  uint64_t max_image_bytes;    /* of each name; 0: as max_message_bytes */
  const char* secret_file;     /* as in auxin_checkpoint_remote_options; null: none */
  /* Each message passes it before it is applied: an intermediary, which may compare, count votes,
   * hand it on. Any status but OK refuses the message, and its sender is told. Called by threads of
   * the receiver, several at a time; the message is valid for the call. May be null. */
  enum auxin_checkpoint_status (*through)(void* context, const char* name,
                                          const auxin_checkpoint_message* message);
  /* After a message was applied. Called by threads of the receiver, one at a time for each name;
   * the image is valid for the call. May be null. */
  void (*applied)(void* context, const char* name, const auxin_checkpoint_image* image);
  void* context;
  uint32_t checked;            /* 1: as auxin_checkpoint_image_set_checked, each image */
  uint32_t zero;
};
#define AUXIN_CHECKPOINT_RECEIVER_OPTIONS {sizeof(struct auxin_checkpoint_receiver_options), 0, 0, \
                                           0, 0, 0, 0, 0, 0, 0}

/* Listens, with threads of its own, and applies what is put to it (auxin_checkpoint_store_open_
 * remote) to an image for each name: all of a message or nothing of it. A Unix socket is made with
 * mode 0600 in a directory of mode 0700, and only processes of the same user are heard. TCP without
 * a secret is for loopback addresses alone. WRONG_CALL, BUSY (the address is in use). */
enum auxin_checkpoint_status auxin_checkpoint_receiver_open(
    const char* address, const struct auxin_checkpoint_receiver_options* options,
    auxin_checkpoint_receiver** receiver);
/* Where it listens, with the port that the kernel chose for port 0. Valid as long as it. */
const char* auxin_checkpoint_receiver_address(const auxin_checkpoint_receiver* receiver);
/* Calls `look` with the image of a name, which does not change meanwhile. EMPTY. By any thread, but
 * not within `applied`. */
enum auxin_checkpoint_status auxin_checkpoint_receiver_look(
    auxin_checkpoint_receiver* receiver, const char* name,
    void (*look)(void* context, const auxin_checkpoint_image* image), void* context);
/* Ends its conversations; the images are gone. Null is allowed. */
void auxin_checkpoint_receiver_close(auxin_checkpoint_receiver* receiver);

/* ---- Saving and restoring. ------------------------------------------------------------------- */

/* A capture, its message, kept in the store. Blocks until it is. If the store fails, the message is
 * not lost: it goes with the next one. FOREIGN: the store has an image of another state, for
 * instance of an earlier run that was not restored; it stays. */
enum auxin_checkpoint_status auxin_checkpoint_save(auxin_checkpoint_state* state,
                                                   auxin_checkpoint_store* store);
/* The same, but it returns after the pause; a thread of the state's does the rest. BUSY: the one
 * before is under way. */
enum auxin_checkpoint_status auxin_checkpoint_save_begin(auxin_checkpoint_state* state,
                                                         auxin_checkpoint_store* store);
/* Blocks until the save that was begun has ended; how it ended. OK if there was none. */
enum auxin_checkpoint_status auxin_checkpoint_save_wait(auxin_checkpoint_state* state);

/* Writes the store's newest image into the state's parts, which have been named before: all of
 * them, or nothing is written. EMPTY, UNKNOWN, SIZE, DAMAGED. */
enum auxin_checkpoint_status auxin_checkpoint_restore(auxin_checkpoint_state* state,
                                                      auxin_checkpoint_store* store);
enum auxin_checkpoint_status auxin_checkpoint_restore_image(auxin_checkpoint_state* state,
                                                            const auxin_checkpoint_image* image);

/* From now on saves begin by themselves: after every `requests` calls of
 * auxin_checkpoint_request_done (0: not), and every `milliseconds` (0: not; by a thread of the
 * state's, so options.pause should be there). One that is due while another is under way is left
 * out. Both 0: no more. The store must stay open. */
enum auxin_checkpoint_status auxin_checkpoint_schedule(auxin_checkpoint_state* state,
                                                       auxin_checkpoint_store* store,
                                                       uint64_t requests, uint64_t milliseconds);
/* The caller has done a request, and its part of the state is as it should be saved. */
enum auxin_checkpoint_status auxin_checkpoint_request_done(auxin_checkpoint_state* state);

/* ---- The process's log. ---------------------------------------------------------------------- */

/* The service tells of messages, signals and interactions with the system; it keeps no log. Whether
 * there is one, what it is and what becomes of it is the process's own business. */
enum auxin_checkpoint_event {
  AUXIN_CHECKPOINT_EVENT_CAPTURED = 1,     /* a capture was taken */
  AUXIN_CHECKPOINT_EVENT_MADE = 2,         /* a message was made of it */
  AUXIN_CHECKPOINT_EVENT_KEPT = 3,         /* a store took a message, or refused it: status */
  AUXIN_CHECKPOINT_EVENT_SENT = 4,         /* through a descriptor: status */
  AUXIN_CHECKPOINT_EVENT_RECEIVED = 5,     /* from a descriptor, or by a receiver */
  AUXIN_CHECKPOINT_EVENT_APPLIED = 6,      /* to an image: status */
  AUXIN_CHECKPOINT_EVENT_RESTORED = 7,     /* a state was: status */
  AUXIN_CHECKPOINT_EVENT_SIGNAL = 8,       /* code: its number; value: the sender's process */
  AUXIN_CHECKPOINT_EVENT_SYSTEM_CALL = 9,  /* code: its number; value: the result, or -errno;
                                              bytes: its first argument */
  AUXIN_CHECKPOINT_EVENT_NOTE = 10,        /* code, value: the process's own */
  AUXIN_CHECKPOINT_EVENT_DETECTED = 11     /* an error was found: status; value: an address, or 0 */
};

struct auxin_checkpoint_record {
  uint32_t size_bytes;  /* of this structure */
  uint16_t event;       /* enum auxin_checkpoint_event */
  uint16_t status;      /* enum auxin_checkpoint_status */
  uint64_t number;      /* from 1 on; one that is missing was lost */
  uint64_t time_ns;     /* since 1970 */
  uint64_t state, sequence;  /* of the message; else 0 */
  uint64_t value;       /* of a message: its digest */
  uint64_t bytes;       /* of a message: its size */
  uint32_t thread;      /* the kernel's number of it */
  int32_t code;
};

/* From now on `log` is told, in the thread that something happens in, before it goes on. It must
 * not call the service, and must be fit for signal handlers if signals are reported. WRONG_CALL:
 * there is a log already. */
enum auxin_checkpoint_status auxin_checkpoint_log_to(
    void (*log)(void* context, const struct auxin_checkpoint_record* record), void* context);
/* The same; each record is one write to a pipe, a socket or a file. What a descriptor that does not
 * block can't take is lost. The descriptor stays the caller's. */
enum auxin_checkpoint_status auxin_checkpoint_log_to_descriptor(int fd);
/* When it returns, the log is told nothing more. Not within the log. */
void auxin_checkpoint_log_stop(void);
/* This signal is reported from now on; then what it did before is done. Call it after the process
 * has set its own handler. WRONG_CALL. */
enum auxin_checkpoint_status auxin_checkpoint_log_signal(int number);
/* As syscall(2), and reported. */
long auxin_checkpoint_system_call(long number, long a, long b, long c, long d, long e, long f);
/* 1: from now on the process's own calls of libc that ask the system are reported, in all threads,
 * as auxin_checkpoint_system_call does; 0: no more. In a program that links auxin::checkpoint_calls
 * (or -lauxin_checkpoint_calls before the rest), which puts itself before libc's functions: open,
 * openat, close, read, write, pread, pwrite, readv, writev, fsync, rename, unlink, socket, connect,
 * accept, send, recv, sendmsg, recvmsg, getrandom, time, gettimeofday, clock_gettime (the value of
 * the last two is the time, in nanoseconds). Not reported: the service's own calls, its callbacks',
 * the log's, and what libc does inside (stdio). Nothing of it is in a program that does not link
 * it. */
enum auxin_checkpoint_status auxin_checkpoint_log_system_calls(int on);
/* What the process itself wants in its log, in order with the rest. */
void auxin_checkpoint_log_note(int code, uint64_t value);

/* ---- Error detection. ------------------------------------------------------------------------ */

/* What this process looks for; each can be on or off by itself, at first all are off. Beside these
 * are the checksums of messages, stores and conversations (options.no_checksums). What is found is
 * in docs/checkpoint-errors.md, what it costs in docs/BENCHMARKS.md. */
enum auxin_checkpoint_detection {
  /* Bits that turn in images: as auxin_checkpoint_image_set_checked, each that is made from now on,
   * also a receiver's. */
  AUXIN_CHECKPOINT_DETECT_IMAGES = 1,
  /* Bits that turn in the service's own tables, of states that are made from now on: DAMAGED by the
   * next call and all later ones; the state can only be destroyed. */
  AUXIN_CHECKPOINT_DETECT_TABLES = 2,
  /* Accesses beside arenas, images, messages and the service's buffers, of what is made from now
   * on: they lie between pages that nobody may touch. A sentence on standard error and a record in
   * the log say where; then SIGSEGV goes its way. The handler stays. An access within the last 15
   * bytes of a buffer's room, or within an arena, is not found. */
  AUXIN_CHECKPOINT_DETECT_OVERRUNS = 4,
  /* Memory of a state that can't be read (a file that was cut short below a mapping, a page that
   * the hardware has lost, memory that was unmapped meanwhile), of states that are made from now
   * on: MEMORY, and no signal. The last message stays valid. */
  AUXIN_CHECKPOINT_DETECT_MEMORY = 8,
  /* Callers' errors that nothing else shows: a pointer to what was destroyed or to something else,
   * null, a range in which something is not mapped when it is named. WRONG_CALL; calls that return
   * no status say it on standard error, and do nothing. */
  AUXIN_CHECKPOINT_DETECT_CALLERS = 16,
  AUXIN_CHECKPOINT_DETECT_ALL = 31
};
/* From now on the process looks for these (a sum), and for no others. WRONG_CALL. */
enum auxin_checkpoint_status auxin_checkpoint_detect(uint32_t what);
uint32_t auxin_checkpoint_detection_of_process(void);
/* Whether the service works here: checksums, packing, keyed digests, messages, the tracking of
 * pages (a store must be told), guard pages, each with an answer that is known; and the tables of
 * `state`, if it is not null and they are looked at. DAMAGED: the sentence says what. Takes some
 * milliseconds. */
enum auxin_checkpoint_status auxin_checkpoint_self_test(auxin_checkpoint_state* state);

/* ---- Statistics. ----------------------------------------------------------------------------- */

struct auxin_checkpoint_statistics {
  uint32_t size_bytes;          /* of this structure, set by the caller */
  uint32_t method;              /* of the last capture: enum auxin_checkpoint_method */
  const char* reason;           /* why this method, or why it copied more; valid for ever */
  uint64_t bases, increments;   /* messages made */
  uint64_t message_bytes;       /* of all messages */
  uint64_t saves, failed_saves; /* messages that stores kept; attempts that failed */
  double pause_us, longest_pause_us; /* of all captures together; of the longest */
  /* Of the last capture. */
  uint64_t last_sequence;
  uint32_t last_base, last_rounds;
  double last_pause_us;
  uint64_t last_told_pages;     /* that the method told as changed, in the pause */
  uint64_t last_changed_pages;  /* in its message */
  uint64_t last_object_bytes;   /* of marked objects */
  uint64_t last_content_bytes, last_message_bytes;
  uint64_t last_gone_bytes;     /* named, and not mapped */
  uint32_t last_dense_ranges;   /* copied whole, for most of them changes … */
  uint32_t last_replaced_areas; /* … or for being mapped anew */
};
void auxin_checkpoint_get_statistics(auxin_checkpoint_state* state,
                                     struct auxin_checkpoint_statistics* statistics);

#ifdef __cplusplus
} /* extern "C" */
#endif

#ifdef __cplusplus
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace auxin::checkpoint {

/* What a call of the classes below could not do. */
class Failure : public std::runtime_error {
 public:
  explicit Failure(auxin_checkpoint_status status)
      : std::runtime_error(auxin_checkpoint_last_error()), status_(status) {}
  auxin_checkpoint_status status() const { return status_; }

 private:
  auxin_checkpoint_status status_;
};

inline void demand(auxin_checkpoint_status status) {
  if (status != AUXIN_CHECKPOINT_OK) throw Failure(status);
}

/* Each class owns one object of the functions above; moved, not copied. get() for these. */
class Message {
 public:
  explicit Message(auxin_checkpoint_message* message) : message_(message) {}
  static Message of_bytes(const void* bytes, std::uint64_t size_bytes) {
    auxin_checkpoint_message* message = nullptr;
    demand(auxin_checkpoint_message_of_bytes(bytes, size_bytes, &message));
    return Message(message);
  }
  Message followed_by(const Message& newer) const {
    auxin_checkpoint_message* merged = nullptr;
    demand(auxin_checkpoint_message_merge(get(), newer.get(), &merged));
    return Message(merged);
  }
  static Message receive(int fd, std::uint64_t max_bytes) {
    auxin_checkpoint_message* message = nullptr;
    demand(auxin_checkpoint_message_receive(fd, max_bytes, &message));
    return Message(message);
  }
  void send(int fd) const { demand(auxin_checkpoint_message_send(get(), fd)); }
  auxin_checkpoint_message_info info() const {
    auxin_checkpoint_message_info info;
    auxin_checkpoint_message_get_info(get(), &info);
    return info;
  }
  /* Valid as long as the message. */
  std::pair<const void*, std::uint64_t> bytes() const {
    std::uint64_t size_bytes = 0;
    const void* bytes = auxin_checkpoint_message_bytes(get(), &size_bytes);
    return {bytes, size_bytes};
  }
  auxin_checkpoint_message* get() const { return message_.get(); }

 private:
  struct Free {
    void operator()(auxin_checkpoint_message* it) const { auxin_checkpoint_message_free(it); }
  };
  std::unique_ptr<auxin_checkpoint_message, Free> message_;
};

class ReceivedImage {
 public:
  explicit ReceivedImage(std::uint64_t max_bytes = UINT64_MAX) {
    auxin_checkpoint_image* image = nullptr;
    demand(auxin_checkpoint_image_create(max_bytes, &image));
    image_.reset(image);
  }
  explicit ReceivedImage(auxin_checkpoint_image* image) : image_(image) {}
  void apply(const Message& message) { demand(auxin_checkpoint_image_apply(get(), message.get())); }
  std::pair<const void*, std::uint64_t> region(std::uint64_t id) const {
    const void* bytes = nullptr;
    std::uint64_t size_bytes = 0;
    demand(auxin_checkpoint_image_region(get(), id, &bytes, &size_bytes));
    return {bytes, size_bytes};
  }
  /* A base of what it holds: for who joins; the next increments follow it. */
  Message to_base() const {
    auxin_checkpoint_message* base = nullptr;
    demand(auxin_checkpoint_image_message(get(), &base));
    return Message(base);
  }
  std::uint64_t sequence() const { return auxin_checkpoint_image_sequence(get()); }
  std::uint64_t user_word() const { return auxin_checkpoint_image_user_word(get()); }
  auxin_checkpoint_image* get() const { return image_.get(); }

 private:
  struct Destroy {
    void operator()(auxin_checkpoint_image* it) const { auxin_checkpoint_image_destroy(it); }
  };
  std::unique_ptr<auxin_checkpoint_image, Destroy> image_;
};

class Store {
 public:
  explicit Store(const std::string& path,
                 const auxin_checkpoint_store_options& options = AUXIN_CHECKPOINT_STORE_OPTIONS) {
    auxin_checkpoint_store* store = nullptr;
    demand(auxin_checkpoint_store_open(path.c_str(), &options, &store));
    store_.reset(store);
  }
  explicit Store(auxin_checkpoint_store* store) : store_(store) {}
  static Store in_stable_memory(const std::string& path, const std::string& name) {
    auxin_checkpoint_store* store = nullptr;
    demand(auxin_checkpoint_store_open_stable(path.c_str(), name.c_str(), nullptr, &store));
    return Store(store);
  }
  static Store at_server(
      const std::string& address, const std::string& name,
      const auxin_checkpoint_remote_options& options = AUXIN_CHECKPOINT_REMOTE_OPTIONS) {
    auxin_checkpoint_store* store = nullptr;
    demand(auxin_checkpoint_store_open_remote(address.c_str(), name.c_str(), &options, &store));
    return Store(store);
  }
  void put(const Message& message) { demand(auxin_checkpoint_store_put(get(), message.get())); }
  ReceivedImage read() {
    auxin_checkpoint_image* image = nullptr;
    demand(auxin_checkpoint_store_read(get(), &image));
    return ReceivedImage(image);
  }
  void compact() { demand(auxin_checkpoint_store_compact(get())); }
  auxin_checkpoint_store_report report() const {
    auxin_checkpoint_store_report report;
    auxin_checkpoint_store_get_report(get(), &report);
    return report;
  }
  auxin_checkpoint_store* get() const { return store_.get(); }

 private:
  struct Close {
    void operator()(auxin_checkpoint_store* it) const { auxin_checkpoint_store_close(it); }
  };
  std::unique_ptr<auxin_checkpoint_store, Close> store_;
};

class Receiver {
 public:
  explicit Receiver(
      const std::string& address,
      const auxin_checkpoint_receiver_options& options = AUXIN_CHECKPOINT_RECEIVER_OPTIONS) {
    auxin_checkpoint_receiver* receiver = nullptr;
    demand(auxin_checkpoint_receiver_open(address.c_str(), &options, &receiver));
    receiver_.reset(receiver);
  }
  std::string address() const { return auxin_checkpoint_receiver_address(get()); }
  /* look(const auxin_checkpoint_image*). False: no message of this name has come. */
  template <typename Look>
  bool look(const std::string& name, Look look) {
    const auxin_checkpoint_status status = auxin_checkpoint_receiver_look(
        get(), name.c_str(),
        [](void* context, const auxin_checkpoint_image* image) {
          (*static_cast<Look*>(context))(image);
        },
        &look);
    if (status == AUXIN_CHECKPOINT_EMPTY) return false;
    demand(status);
    return true;
  }
  auxin_checkpoint_receiver* get() const { return receiver_.get(); }

 private:
  struct Close {
    void operator()(auxin_checkpoint_receiver* it) const { auxin_checkpoint_receiver_close(it); }
  };
  std::unique_ptr<auxin_checkpoint_receiver, Close> receiver_;
};

class State {
 public:
  explicit State(const auxin_checkpoint_options& options = AUXIN_CHECKPOINT_OPTIONS) {
    auxin_checkpoint_state* state = nullptr;
    demand(auxin_checkpoint_state_create(&options, &state));
    state_.reset(state);
  }
  void add_range(std::uint64_t id, void* address, std::uint64_t size_bytes) {
    demand(auxin_checkpoint_add_range(get(), id, address, size_bytes));
  }
  void resize(std::uint64_t id, void* address, std::uint64_t size_bytes) {
    demand(auxin_checkpoint_resize(get(), id, address, size_bytes));
  }
  template <typename T>
  auxin_checkpoint_mark add_object(std::uint64_t id, T* object) {
    static_assert(std::is_trivially_copyable<T>::value, "it is saved as bytes");
    auxin_checkpoint_mark mark;
    demand(auxin_checkpoint_add_object(get(), id, object, sizeof(T), &mark));
    return mark;
  }
  void remove(std::uint64_t id) { demand(auxin_checkpoint_remove(get(), id)); }
  /* Belongs to the state. */
  auxin_checkpoint_arena* create_arena(std::uint64_t id, std::uint64_t size_bytes) {
    auxin_checkpoint_arena* arena = nullptr;
    demand(auxin_checkpoint_arena_create(get(), id, size_bytes, &arena));
    return arena;
  }
  void capture(auxin_checkpoint_kind kind = AUXIN_CHECKPOINT_INCREMENT) {
    demand(auxin_checkpoint_capture(get(), kind));
  }
  Message take_message() {
    auxin_checkpoint_message* message = nullptr;
    demand(auxin_checkpoint_take_message(get(), &message));
    return Message(message);
  }
  void save(Store& store) { demand(auxin_checkpoint_save(get(), store.get())); }
  void save_begin(Store& store) { demand(auxin_checkpoint_save_begin(get(), store.get())); }
  void save_wait() { demand(auxin_checkpoint_save_wait(get())); }
  /* False: the store has no image yet. */
  bool restore(Store& store) {
    const auxin_checkpoint_status status = auxin_checkpoint_restore(get(), store.get());
    if (status == AUXIN_CHECKPOINT_EMPTY) return false;
    demand(status);
    return true;
  }
  void restore(const ReceivedImage& image) {
    demand(auxin_checkpoint_restore_image(get(), image.get()));
  }
  void schedule(Store& store, std::uint64_t requests, std::uint64_t milliseconds) {
    demand(auxin_checkpoint_schedule(get(), store.get(), requests, milliseconds));
  }
  void request_done() { demand(auxin_checkpoint_request_done(get())); }
  void set_user_word(std::uint64_t word) { auxin_checkpoint_set_user_word(get(), word); }
  std::uint64_t user_word() const { return auxin_checkpoint_user_word(get()); }
  auxin_checkpoint_statistics statistics() const {
    auxin_checkpoint_statistics statistics{};
    statistics.size_bytes = sizeof(statistics);
    auxin_checkpoint_get_statistics(get(), &statistics);
    return statistics;
  }
  auxin_checkpoint_state* get() const { return state_.get(); }

 private:
  struct Destroy {
    void operator()(auxin_checkpoint_state* it) const { auxin_checkpoint_state_destroy(it); }
  };
  std::unique_ptr<auxin_checkpoint_state, Destroy> state_;
};

}  // namespace auxin::checkpoint
#endif

#endif
