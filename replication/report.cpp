// SPDX-License-Identifier: Apache-2.0
#include "replication/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "libmeta_os/counters.h"
#include "libmeta_os/guard.h"
#include "replication/environment.h"
#include "replication/futex.h"

namespace auxin::replication {
namespace {

std::string* report_path = nullptr;
int reporting_pid = 0;
struct stat errors_at_load = {};  // standard error; all 0: there was none
bool failure_was_told = false;

struct Text {
  std::string content;
  __attribute__((format(printf, 2, 3))) void add(const char* format, ...) {
    char piece[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    content += piece;
  }
  void add_name(const char* name) {
    content += '"';
    for (; *name != '\0'; ++name) {
      if (*name == '"' || *name == '\\') content += '\\';
      if (static_cast<unsigned char>(*name) >= 0x20) content += *name;
    }
    content += '"';
  }
};

using Name = const char* (*)(const os::SiteClass&);

// One list, summed over the site classes with the same name.
void add_rows(Text& text, const os::CounterRow* rows, const char* key, Name name_of) {
  const os::CounterBlock& block = os::counters();
  const uint32_t count = block.class_count.load();
  text.add("  \"by_%s\": [", key);
  bool first = true;
  for (uint32_t i = 0; i < count; ++i) {
    const char* name = name_of(block.classes[i]);
    bool seen = false;
    for (uint32_t j = 0; j < i && !seen; ++j) seen = strcmp(name_of(block.classes[j]), name) == 0;
    if (seen) continue;
    os::CounterRow sum{};
    for (uint32_t j = i; j < count; ++j) {
      if (strcmp(name_of(block.classes[j]), name) != 0) continue;
      sum.total += rows[j].total;
      sum.intercepted += rows[j].intercepted;
      sum.ordered += rows[j].ordered;
    }
    if (sum.total == 0) continue;
    text.add("%s\n    {\"%s\": ", first ? "" : ",", key);
    text.add_name(name);
    text.add(", \"total\": %" PRIu64 ", \"intercepted\": %" PRIu64 ", \"ordered\": %" PRIu64 "}",
             sum.total, sum.intercepted, sum.ordered);
    first = false;
  }
  text.add("\n  ]");
}

void add_uses(Text& text) {
  text.add(",\n  \"unsupported_uses\": [");
  bool first = true;
  for (const os::UseRow& row : os::counters().uses.rows) {
    if (row.state.load(std::memory_order_acquire) != 2) continue;
    text.add("%s\n    {\"use\": \"%s\", \"module\": ", first ? "" : ",",
             os::unsupported_name(row.use));
    text.add_name(row.module);
    text.add(", \"symbol\": ");
    text.add_name(row.symbol);
    text.add("}");
    first = false;
  }
  text.add("\n  ]");
}

// Once, and only where the process still has the standard error that it was started with: a server
// may have put a file or a connection of its own under that number.
void tell_failure(const std::string& path, long error) {
  struct stat now = {};
  if (failure_was_told || raw_syscall(SYS_fstat, 2, reinterpret_cast<long>(&now)) != 0 ||
      now.st_ino != errors_at_load.st_ino || now.st_dev != errors_at_load.st_dev) {
    return;
  }
  failure_was_told = true;
  const char* reason = strerrordesc_np(static_cast<int>(error));
  const std::string line = "auxin: " + path + ": the report can't be written: " +
                           (reason != nullptr ? reason : "unknown error") +
                           "; name another file in AUXIN_REPORT\n";
  raw_syscall(SYS_write, 2, reinterpret_cast<long>(line.data()), static_cast<long>(line.size()));
}

// 0, or what errno would be.
long write_whole(const std::string& path, const std::string& text) {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path.c_str()),
                              O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return -fd;
  long error = 0;
  for (size_t done = 0; done < text.size() && error == 0;) {
    const long size = raw_syscall(SYS_write, fd, reinterpret_cast<long>(text.data() + done),
                                  static_cast<long>(text.size() - done));
    if (size > 0) done += static_cast<size_t>(size);
    if (size <= 0 && size != -EINTR) error = size < 0 ? -size : EIO;
  }
  raw_syscall(SYS_close, fd);
  return error;
}

__attribute__((destructor)) void report_at_unload() { write_report(); }

}  // namespace

void write_report() {
  if (report_path == nullptr || raw_syscall(SYS_getpid) != reporting_pid) return;
  os::MetaLevel meta;
  static os::CounterRow rows[os::kMaxSiteClasses];
  os::sum_counters(rows);
  os::CounterRow all{};
  for (const os::CounterRow& row : rows) {
    all.total += row.total;
    all.intercepted += row.intercepted;
    all.ordered += row.ordered;
  }
  const uint64_t requests = os::counters().requests.load();
  const double per = requests > 0 ? 1.0 / static_cast<double>(requests) : 0.0;
  Text text;
  text.add("{\n  \"schema\": 1, \"pid\": %d, \"requests\": %" PRIu64 ",\n", reporting_pid,
           requests);
  text.add("  \"total\": %" PRIu64 ", \"intercepted\": %" PRIu64 ", \"ordered\": %" PRIu64 ",\n",
           all.total, all.intercepted, all.ordered);
  text.add("  \"per_request\": {\"total\": %.3f, \"intercepted\": %.3f, \"ordered\": %.3f},\n",
           static_cast<double>(all.total) * per, static_cast<double>(all.intercepted) * per,
           static_cast<double>(all.ordered) * per);
  add_rows(text, rows, "library", [](const os::SiteClass& c) -> const char* { return c.library; });
  text.add(",\n");
  add_rows(text, rows, "join_point",
           [](const os::SiteClass& c) -> const char* { return c.join_point; });
  add_uses(text);
  text.add("\n}\n");
  std::string path;
  for (size_t i = 0; i < report_path->size(); ++i) {
    if (report_path->compare(i, 2, "%p") == 0) {
      path += std::to_string(reporting_pid);
      ++i;
    } else {
      path += (*report_path)[i];
    }
  }
  if (const long error = write_whole(path, text.content); error != 0) tell_failure(path, error);
}

void prepare_report() {
  const char* path = getenv(kReportVariable);
  if (path == nullptr || *path == '\0') return;
  report_path = new std::string(path);
  reporting_pid = static_cast<int>(raw_syscall(SYS_getpid));
  raw_syscall(SYS_fstat, 2, reinterpret_cast<long>(&errors_at_load));
}

}  // namespace auxin::replication
