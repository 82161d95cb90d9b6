// SPDX-License-Identifier: Apache-2.0
//
// The segments of a process image, as the saver writes and auxin-restore reads them.
//
//   pages, page-aligned │ SegmentHeader │ regions │ files │ runs │ strings │ CommitRecord
//
// An image is a chain: a base (sequence 0) and deltas, each in a file of its own. Every segment
// tells the whole address space (all regions), and the contents of the pages that changed since the
// one before. Runs are in the order in which they were written: a page may come several times, as
// it is copied while the process runs, and the last one holds. What was mapped anew is told whole,
// absent pages too, so nothing of an older segment shows through.
//
// All numbers little-endian. Plain data: used by a program without libc.
#pragma once

#include <cstdint>

namespace auxin::checkpoint {

inline constexpr uint64_t kPageSizeBytes = 4096;
inline constexpr uint32_t kImageVersion = 3;
inline constexpr char kImageMagic[8] = {'A', 'U', 'X', 'I', 'M', 'A', 'G', 'E'};
inline constexpr uint32_t kMaxImageRegions = 1u << 16;
inline constexpr uint32_t kMaxImageFiles = 1u << 12;
inline constexpr uint32_t kMaxImageRuns = 1u << 22;
inline constexpr uint32_t kMaxImageStringsBytes = 1u << 24;

// Where the image can be used: all of it must be as it was.
struct ImageBinding {
  char kernel_release[64];
  char boot_id[40];            // the monotonic clock starts anew with each boot
  uint64_t cpu_features;       // digest of CPUID's feature leaves
  uint64_t xsave_mask;         // XCR0: which vector state the signal frames hold
  uint64_t vdso_digest;        // XXH3 of the vdso's pages: pointers to its functions are kept
};

struct ImageRegion {
  enum Kind : uint32_t {
    kMemory = 0,      // private and without a file
    kFile = 1,        // private, of a file: what differs from the file is in the runs
    kSharedFile = 2,  // shared: the file has the contents
    kOutside = 3,     // somebody else's: not made again (registered by the saver's owner)
  };
  uint64_t begin, end;
  Kind kind;
  uint32_t protection;        // PROT_*
  uint32_t grows_down;        // 1: a stack
  uint32_t file;              // index, for kFile and kSharedFile
  uint64_t file_offset;
};

struct ImageFile {
  uint32_t path_offset;       // in the strings; ends with a zero
  uint32_t writable;          // 1: mapped with write access to the file itself
  uint64_t size_bytes;        // when the image was made
  uint64_t first_page_digest; // XXH3 of its first page, which holds an executable's build-id
};

struct ImageRun {
  uint64_t address;
  uint32_t page_count;
  uint32_t empty;             // 1: without contents: zeros, or what the file says
  uint64_t data_offset;       // in the segment's file
};

// What the kernel keeps for the process and not for its threads.
struct ImageProcess {
  // As prctl(PR_SET_MM_MAP) takes them.
  uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
  uint64_t arg_start, arg_end, env_start, env_end;
  uint64_t auxv_size_bytes;
  uint64_t auxv[128];
  uint64_t vdso_begin, vdso_end;      // 0: there was none
  uint64_t vvar_begin, vvar_end;      // all of the kernel's data pages before it
  // The main thread goes on in its handler. Everything else is in the memory itself.
  uint64_t main_thread_pointer;
  uint64_t main_context;              // address of its SavedContext
  uint64_t restorer_word;             // the restorer writes {begin, end} of itself here
  // Of a robust futex in memory shared with others: who stands by for the process sees its owner's
  // death there. 0: there is none.
  uint64_t owner_word;
};

struct SegmentHeader {
  char magic[8];
  uint32_t version;
  uint32_t header_size_bytes;
  uint64_t image_id;                  // random, the same in the whole chain
  uint64_t sequence;                  // 0: the base
  uint64_t previous_digest;           // CommitRecord::digest of the segment before; base: 0
  uint64_t log_position;              // what the saver's owner wants to know again
  uint64_t made_realtime_ns;
  char program[256];                  // path of the binary, for people
  char library_version[32];           // of libauxin
  uint32_t region_count, file_count, run_count, strings_size_bytes;
  uint64_t header_offset;             // of this header; the pages are before it
  uint64_t regions_offset, files_offset, runs_offset, strings_offset;
  uint64_t commit_offset;             // its record; the segment ends behind it
  uint32_t thread_count, descriptor_count;  // for people
  ImageBinding binding;
  ImageProcess process;
};

// Written last, at the end. Without it, or with another digest, the segment does not exist.
struct CommitRecord {
  char magic[8];                      // "AUXCOMIT"
  uint64_t image_id;
  uint64_t sequence;
  uint64_t header_offset;
  uint64_t pages_digest;              // XXH3 of everything before header_offset
  uint64_t tables_digest;             // XXH3 of header_offset .. this record
  uint64_t digest;                    // XXH3 of this record before it
};
inline constexpr char kCommitMagic[8] = {'A', 'U', 'X', 'C', 'O', 'M', 'I', 'T'};

}  // namespace auxin::checkpoint
