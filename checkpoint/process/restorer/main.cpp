// SPDX-License-Identifier: Apache-2.0
//
// auxin-restore [--parameter N] [--wait-for FD [--updates-from FD]] SEGMENT...
//
// Makes a process out of an image, and becomes it; with --wait-for, a warm standby: everything is
// in its place, newer segments are added as they come, and it becomes the process when the
// descriptor (a pidfd) can be read, or the owner of the image's word has ended.
//
// Everything that could be wrong is looked at before the first byte of the image is put in its
// place. No libc: the image brings its own.
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "checkpoint/process/address_space.h"
#include "checkpoint/process/digest.h"
#include "checkpoint/process/restorer/freestanding.h"
#include "checkpoint/process/restorer/memory.h"
#include "checkpoint/process/restorer/own_place.h"
#include "checkpoint/process/restorer/regions.h"
#include "checkpoint/process/restorer/segment.h"
#include "checkpoint/process/restorer/standby.h"
#include "checkpoint/process/saved_context.h"

extern "C" const char __executable_start[], _end[];

namespace auxin::restorer {
namespace {

using os::raw_syscall;

constexpr int kMaxSegments = 1024;
constexpr char kUsage[] =
    "usage: auxin-restore [--parameter N] [--wait-for FD [--updates-from FD]] SEGMENT...\n"
    "Restores a process from the segments of its image, oldest first, and becomes it.\n"
    "N is a number for the process: in a group, which replica it is to be.\n"
    "FD is an open descriptor: when it can be read (a pidfd: when that process has ended), the\n"
    "process begins, or as soon as the owner of the robust mutex ends that the image may name;\n"
    "until then its memory stands ready. From the second one, a pipe, the paths\n"
    "of the image's next segments are read, each with a zero behind it, and added to the memory.\n"
    "Exit status before that: 1 the image is damaged, 2 refused (another kernel, processor, boot\n"
    "or binary; wrong usage), 3 the kernel did not do what is needed.\n";

Segment segments[kMaxSegments];

void find_vdso(uint64_t* begin, uint64_t* end_of_it) {
  struct Place { uint64_t begin, end; } place{0, 0};
  checkpoint::for_each_mapped_range(
      [](const checkpoint::MappedRange& range, void* to) {
        if (strcmp(range.name, "[vdso]") == 0) *static_cast<Place*>(to) = {range.begin, range.end};
        return true;
      },
      &place);
  *begin = place.begin;
  *end_of_it = place.end;
}

// The image fits this machine and this boot, and the files that it maps are what they were.
void check_binding(const Segment& last) {
  uint64_t vdso_begin, vdso_end;
  find_vdso(&vdso_begin, &vdso_end);
  static checkpoint::ImageBinding now;
  checkpoint::fill_binding(&now, vdso_begin, vdso_end);
  const checkpoint::ImageBinding& then = last.header->binding;
  const char* other = nullptr;
  if (memcmp(now.kernel_release, then.kernel_release, sizeof now.kernel_release) != 0)
    other = "another kernel";
  else if (memcmp(now.boot_id, then.boot_id, sizeof now.boot_id) != 0)
    other = "before the machine was started again, or on another machine";
  else if (now.cpu_features != then.cpu_features || now.xsave_mask != then.xsave_mask)
    other = "a processor with other features";
  else if (now.vdso_digest != then.vdso_digest ||
           vdso_end - vdso_begin != last.header->process.vdso_end - last.header->process.vdso_begin)
    other = "another build of this kernel";
  if (other != nullptr) {
    say({last.path, ": the image was made on ", other});
    end(Exit::kRefused);
  }
  for (uint32_t i = 0; i < last.header->file_count; ++i) {
    const ImageFile& file = last.files[i];
    const char* path = last.strings + file.path_offset;
    uint64_t size = 0, first_page = 0;
    if (!checkpoint::digest_file(path, &size, &first_page)) {
      say({path, ": the process had mapped this file, and it can't be read any more"});
      end(Exit::kRefused);
    }
    if (file.writable != 0) continue;  // its contents may have gone on
    if (size == file.size_bytes && first_page == file.first_page_digest) continue;
    say({path, ": has been replaced since the image was made"});
    end(Exit::kRefused);
  }
}

struct Options {
  uint64_t parameter = 0;
  StandbyOptions standby;
};

// The descriptor table gets its size while this process has one thread: where threads share it, the
// kernel waits a grace period (some 10 ms) before it is larger.
void enlarge_descriptor_table() {
  constexpr long kAsManyAsOnesOwn = 1000;
  const long fd = raw_syscall(SYS_fcntl, 2, F_DUPFD_CLOEXEC, kAsManyAsOnesOwn);
  if (fd >= 0) raw_syscall(SYS_close, fd);
}

[[noreturn]] void restore(int count, char** paths, const Options& options) {
  enlarge_descriptor_table();
  // The words of the command line lie on the stack that is given up.
  static char names[1 << 20];
  size_t used = 0;
  uint64_t address = kSegmentsBegin;
  for (int i = 0; i < count; ++i) {
    const size_t length = strlen(paths[i]) + 1;
    if (used + length > sizeof names) {
      say({"too long a command line"});
      end(Exit::kRefused);
    }
    memcpy(names + used, paths[i], length);
    segments[i] = open_segment(names + used, address, i == 0 ? nullptr : &segments[i - 1]);
    used += length;
    address += segments[i].mapped_size_bytes + checkpoint::kPageSizeBytes;
  }
  const Segment& last = segments[count - 1];
  check_binding(last);
  const uint64_t all = ~0ull;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&all), 0, 8);
  static checkpoint::ImageProcess process;
  process = last.header->process;
  leave_own_memory(process);
  map_regions(last);
  for (int i = 0; i < count; ++i) fill_from(segments[i], last);
  protect_regions(last);
  tell_kernel(last);
  for (int i = 0; i + 1 < count; ++i) close_segment(segments[i]);
  Segment newest = last;
  if (options.standby.wait_for >= 0) {
    newest = stand_by(options.standby, last, address, check_binding);
    process = newest.header->process;
  }
  close_segment(newest);
  // The process unmaps what is left of this program as soon as it runs.
  auto* word = reinterpret_cast<uint64_t*>(process.restorer_word);
  word[0] = kOwnBegin;
  word[1] = kOwnEnd;
  word[2] = options.parameter;
  raw_syscall(SYS_arch_prctl, 0x1002 /* ARCH_SET_FS */,
              static_cast<long>(process.main_thread_pointer));
  auxin_continue_context(
      reinterpret_cast<const checkpoint::SavedContext*>(process.main_context));
}

bool read_number(const char* text, uint64_t* number) {
  for (const char* digit = text; *digit != '\0'; ++digit) {
    if (*digit < '0' || *digit > '9' || *number > 1'000'000'000'000'000) return false;
    *number = *number * 10 + static_cast<uint64_t>(*digit - '0');
  }
  return *text != '\0';
}

}  // namespace
}  // namespace auxin::restorer

extern "C" [[noreturn]] void auxin_restore_main(uint64_t* stack) {
  using namespace auxin::restorer;
  auto count = static_cast<int>(stack[0]) - 1;
  char** words = reinterpret_cast<char**>(stack + 1) + 1;
  if (count == 1 && (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0)) {
    auxin::os::raw_syscall(SYS_write, 1, reinterpret_cast<long>(kUsage), sizeof kUsage - 1);
    auxin::os::raw_syscall(SYS_exit_group, 0);
  }
  Options options;
  bool good = true;
  for (; good && count >= 2 && strncmp(words[0], "--", 2) == 0; words += 2, count -= 2) {
    uint64_t number = 0;
    good = read_number(words[1], &number);
    if (strcmp(words[0], "--parameter") == 0) options.parameter = number;
    else if (strcmp(words[0], "--wait-for") == 0)
      options.standby.wait_for = static_cast<int>(number);
    else if (strcmp(words[0], "--updates-from") == 0)
      options.standby.updates_from = static_cast<int>(number);
    else good = false;
  }
  if (options.standby.updates_from >= 0 && options.standby.wait_for < 0) good = false;
  if (!good || count < 1 || count > kMaxSegments) {
    auxin::os::raw_syscall(SYS_write, 2, reinterpret_cast<long>(kUsage), sizeof kUsage - 1);
    end(Exit::kRefused);
  }
  restore(count, words, options);
}

// The kernel's stack is given up on the way: this one is the program's own.
alignas(16) char auxin_restore_stack[256 * 1024];
asm(R"(
  .text
  .globl _start
  .type _start, @function
_start:
  .cfi_startproc
  .cfi_undefined rip
  xor %ebp, %ebp
  mov %rsp, %rdi
  lea auxin_restore_stack(%rip), %rsp
  add $262144, %rsp
  call auxin_restore_main
  hlt
  .cfi_endproc
  .size _start, . - _start
)");
