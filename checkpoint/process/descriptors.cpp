// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/descriptors.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include <netinet/in.h>

#include <initializer_list>

#include "checkpoint/process/proc_files.h"
#include "libmeta_os/private_memory.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr size_t kTextSizeBytes = 8u << 20;
constexpr uint64_t kSecondNs = 1'000'000'000;

bool begins_with(const char* text, const char* begin) {
  return strncmp(text, begin, strlen(begin)) == 0;
}

// The number behind "NAME:" at the beginning of a line of fdinfo.
uint64_t field(const char* info, const char* name, unsigned base) {
  const size_t length = strlen(name);
  for (const char* line = info; line != nullptr && *line != '\0';) {
    if (strncmp(line, name, length) == 0 && line[length] == ':') {
      const char* at = line + length + 1;
      while (*at == ' ' || *at == '\t') ++at;
      uint64_t number = 0;
      for (;; ++at) {
        unsigned digit;
        if (*at >= '0' && *at <= '9') digit = static_cast<unsigned>(*at - '0');
        else if (*at >= 'a' && *at <= 'f') digit = static_cast<unsigned>(*at - 'a' + 10);
        else break;
        if (digit >= base) break;
        number = number * base + digit;
      }
      return number;
    }
    line = strchr(line, '\n');
    if (line != nullptr) ++line;
  }
  return 0;
}

// "it_value: (SECONDS, NANOSECONDS)"
uint64_t time_field(const char* info, const char* name) {
  const char* at = strstr(info, name);
  if (at == nullptr || (at = strchr(at, '(')) == nullptr) return 0;
  uint64_t parts[2] = {0, 0};
  for (uint64_t& part : parts) {
    while (*at != '\0' && (*at < '0' || *at > '9')) ++at;
    for (; *at >= '0' && *at <= '9'; ++at) part = part * 10 + static_cast<uint64_t>(*at - '0');
  }
  return parts[0] * kSecondNs + parts[1];
}

timespec time_of(uint64_t ns) {
  return {static_cast<time_t>(ns / kSecondNs), static_cast<long>(ns % kSecondNs)};
}

// Who restores may have given the new process the very pipe or socket that the old one had.
bool is_inherited(const SavedDescriptor& saved) {
  if (saved.kind != SavedDescriptor::kPipe && saved.kind != SavedDescriptor::kSocket) return false;
  struct stat about{};
  return raw_syscall(SYS_fstat, saved.fd, reinterpret_cast<long>(&about)) == 0 &&
         about.st_ino == saved.identity;
}

// As /proc/self/fd shows it.
SavedDescriptor::Kind kind_by_name(const char* name) {
  struct Row { const char* begin; SavedDescriptor::Kind kind; };
  constexpr Row kRows[] = {{"pipe:", SavedDescriptor::kPipe},
                           {"anon_inode:[eventfd]", SavedDescriptor::kEventFd},
                           {"anon_inode:[eventpoll]", SavedDescriptor::kEpoll},
                           {"anon_inode:[timerfd]", SavedDescriptor::kTimerFd},
                           {"anon_inode:[signalfd]", SavedDescriptor::kSignalFd}};
  for (const Row& row : kRows)
    if (begins_with(name, row.begin)) return row.kind;
  return name[0] == '/' && strstr(name, " (deleted)") == nullptr ? SavedDescriptor::kFile
                                                                 : SavedDescriptor::kOther;
}

void put_under(int made, const SavedDescriptor& saved) {
  if (made < 0) return;
  if (made != saved.fd) {
    raw_syscall(SYS_dup3, made, saved.fd, saved.close_on_exec != 0 ? O_CLOEXEC : 0);
    raw_syscall(SYS_close, made);
  } else {
    raw_syscall(SYS_fcntl, made, F_SETFD, saved.close_on_exec != 0 ? FD_CLOEXEC : 0);
  }
  raw_syscall(SYS_fcntl, saved.fd, F_SETFL,
              saved.open_flags & (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME));
}

}  // namespace

bool Descriptors::prepare() {
  if (table_ == nullptr)
    table_ = static_cast<SavedDescriptor*>(
        os::map_private(kMaxDescriptors * sizeof(SavedDescriptor)));
  if (text_ == nullptr) text_ = static_cast<char*>(os::map_private(kTextSizeBytes));
  return table_ != nullptr && text_ != nullptr;
}

// --- what there is ---

void Descriptors::read(bool (*ours)(int fd)) {
  count_ = text_size_bytes_ = 0;
  NumberedEntries entries;
  if (!entries.open("/proc/self/fd")) return;
  for (int fd; (fd = entries.next()) >= 0 && count_ < kMaxDescriptors;) {
    if (fd == entries.descriptor() || ours(fd)) continue;
    read_one(fd);
    find_original(count_ - 1);
  }
}

void Descriptors::add_text(SavedDescriptor& saved, const char* text, size_t size_bytes) {
  saved.text_offset = text_size_bytes_;
  saved.text_size_bytes = 0;
  if (text_size_bytes_ + size_bytes + 1 > kTextSizeBytes) return;
  memcpy(text_ + text_size_bytes_, text, size_bytes);
  text_[text_size_bytes_ + size_bytes] = '\0';
  saved.text_size_bytes = static_cast<uint32_t>(size_bytes);
  text_size_bytes_ += static_cast<uint32_t>(size_bytes) + 1;
}

void Descriptors::read_one(int fd) {
  SavedDescriptor& saved = table_[count_++];
  saved = SavedDescriptor{};
  saved.fd = fd;
  saved.kind = SavedDescriptor::kOther;
  saved.open_flags = static_cast<uint32_t>(raw_syscall(SYS_fcntl, fd, F_GETFL));
  saved.close_on_exec = static_cast<uint32_t>(raw_syscall(SYS_fcntl, fd, F_GETFD)) & FD_CLOEXEC;
  struct stat about{};
  raw_syscall(SYS_fstat, fd, reinterpret_cast<long>(&about));
  saved.identity = about.st_ino;
  char path[64], name[4096], info[8192];
  info[0] = '\0';
  // What /proc tells costs more than all the rest: threads stand still.
  if (S_ISSOCK(about.st_mode)) {
    saved.kind = SavedDescriptor::kSocket;
    add_text(saved, "a socket", 8);
  } else {
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const long length = raw_syscall(SYS_readlink, reinterpret_cast<long>(path),
                                    reinterpret_cast<long>(name), sizeof name - 1);
    name[length > 0 ? length : 0] = '\0';
    saved.kind = kind_by_name(name);
    add_text(saved, name, strlen(name));
    const long position = raw_syscall(SYS_lseek, fd, 0, SEEK_CUR);
    saved.position = position > 0 ? static_cast<uint64_t>(position) : 0;
    const bool tells_more = saved.kind != SavedDescriptor::kFile &&
                            saved.kind != SavedDescriptor::kPipe;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    if (tells_more && read_small_file(path, info, sizeof info) < 0) info[0] = '\0';
  }
  if (saved.kind == SavedDescriptor::kFile) {
    saved.state[0] = S_ISREG(about.st_mode) && (saved.open_flags & O_ACCMODE) != O_RDONLY ? 1 : 0;
    saved.state[1] = static_cast<uint64_t>(about.st_size);
    saved.state[2] = about.st_mode & 07777;
  }
  read_details(saved, info);
}

void Descriptors::read_details(SavedDescriptor& saved, const char* info) {
  switch (saved.kind) {
    case SavedDescriptor::kEventFd:
      saved.state[0] = field(info, "eventfd-count", 16);
      saved.state[1] = field(info, "eventfd-semaphore", 10);
      break;
    case SavedDescriptor::kTimerFd:
      saved.state[0] = field(info, "clockid", 10);
      saved.state[1] = time_field(info, "it_value");
      saved.state[2] = time_field(info, "it_interval");
      break;
    case SavedDescriptor::kSignalFd:
      saved.state[0] = field(info, "sigmask", 16);
      break;
    case SavedDescriptor::kEpoll:
      add_text(saved, info, strlen(info));
      break;
    case SavedDescriptor::kSocket:
      for (const int option : {SO_DOMAIN, SO_TYPE, SO_PROTOCOL}) {
        int value = 0;
        socklen_t size = sizeof value;
        raw_syscall(SYS_getsockopt, saved.fd, SOL_SOCKET, option, reinterpret_cast<long>(&value),
                    reinterpret_cast<long>(&size));
        saved.state[option == SO_DOMAIN ? 0 : option == SO_TYPE ? 1 : 2] =
            static_cast<uint64_t>(value);
      }
      read_listening(saved);
      break;
    case SavedDescriptor::kPipe:
      read_pipe(saved);
      break;
    default:
      break;
  }
}

void Descriptors::read_listening(SavedDescriptor& saved) {
  int listens = 0;
  socklen_t size = sizeof listens;
  raw_syscall(SYS_getsockopt, saved.fd, SOL_SOCKET, SO_ACCEPTCONN,
              reinterpret_cast<long>(&listens), reinterpret_cast<long>(&size));
  if (listens == 0) return;
  saved.state[3] = 1;
  sockaddr_storage address{};
  size = sizeof address;
  raw_syscall(SYS_getsockname, saved.fd, reinterpret_cast<long>(&address),
              reinterpret_cast<long>(&size));
  add_text(saved, reinterpret_cast<const char*>(&address), size);
}

// The bytes in the pipe, without taking them out.
void Descriptors::read_pipe(SavedDescriptor& saved) {
  add_text(saved, "", 0);
  if ((saved.open_flags & O_ACCMODE) != O_RDONLY) return;
  int size = 0;
  raw_syscall(SYS_ioctl, saved.fd, FIONREAD, reinterpret_cast<long>(&size));
  if (size <= 0 || static_cast<size_t>(size) + text_size_bytes_ + 1 > kTextSizeBytes) return;
  int copy[2];
  if (raw_syscall(SYS_pipe2, reinterpret_cast<long>(copy), O_CLOEXEC | O_NONBLOCK) != 0) return;
  raw_syscall(SYS_fcntl, copy[0], F_SETPIPE_SZ, size);
  raw_syscall(SYS_tee, saved.fd, copy[1], size, 2 /* SPLICE_F_NONBLOCK */);
  saved.text_offset = text_size_bytes_;
  const long got = raw_syscall(SYS_read, copy[0], reinterpret_cast<long>(text_ + text_size_bytes_),
                               size);
  saved.text_size_bytes = got > 0 ? static_cast<uint32_t>(got) : 0;
  text_size_bytes_ += saved.text_size_bytes + 1;
  raw_syscall(SYS_close, copy[0]);
  raw_syscall(SYS_close, copy[1]);
}

void Descriptors::find_original(uint32_t index) {
  SavedDescriptor& saved = table_[index];
  saved.duplicate_of = -1;
  const long pid = raw_syscall(SYS_getpid);
  for (uint32_t i = 0; i < index; ++i) {
    if (table_[i].identity != saved.identity || table_[i].kind != saved.kind ||
        table_[i].duplicate_of >= 0)
      continue;
    if (raw_syscall(SYS_kcmp, pid, pid, 0 /* KCMP_FILE */, table_[i].fd, saved.fd) != 0) continue;
    saved.duplicate_of = table_[i].fd;
    return;
  }
}

const char* Descriptors::problem() {
  for (uint32_t i = 0; i < count_; ++i) {
    const SavedDescriptor& d = table_[i];
    if (d.fd <= 2 || d.kind != SavedDescriptor::kOther) continue;
    snprintf(problem_text_, sizeof problem_text_, "its descriptor %d can't be made again: %.150s",
             d.fd, text(d));
    return problem_text_;
  }
  return nullptr;
}

// --- making them again ---

namespace {

constexpr uint64_t kMostCopiedBytes = 256 << 20;
constexpr long kAboveTheProgram = 504;

struct CopyName {
  char text[512];
  CopyName(const char* image, int fd) {
    snprintf(text, sizeof text, "%.480s.file.%d", image, fd);
  }
};

long open_file(const char* path, int flags, uint64_t mode = 0) {
  return raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path), flags | O_CLOEXEC,
                     static_cast<long>(mode));
}

// The first `size` bytes. 0 or -errno.
long copy_bytes(int from, int to, uint64_t size) {
  for (uint64_t offset = 0; offset < size;) {
    const long copied = raw_syscall(SYS_sendfile, to, from, reinterpret_cast<long>(&offset),
                                    static_cast<long>(size - offset));
    if (copied <= 0) return copied == 0 ? -EIO : copied;
  }
  return 0;
}

}  // namespace

void Descriptors::leave_shared_files(bool (*shared)(const char* path)) {
  for (uint32_t i = 0; i < count_; ++i) {
    SavedDescriptor& saved = table_[i];
    if (saved.kind == SavedDescriptor::kFile && saved.state[0] != 0 && shared(text(saved)))
      saved.state[0] = 0;
  }
}

void Descriptors::hold_files() {
  for (uint32_t i = 0; i < count_; ++i) {
    SavedDescriptor& saved = table_[i];
    if (saved.kind != SavedDescriptor::kFile || saved.state[0] == 0) continue;
    const bool copied =
        saved.fd > 2 && saved.duplicate_of < 0 && saved.state[1] <= kMostCopiedBytes;
    // By a name of its own: a descriptor that only writes can't be read from.
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", saved.fd);
    const long fd = copied ? open_file(path, O_RDONLY) : -1;
    const long high = fd < 0 ? -1 : raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, kAboveTheProgram);
    if (fd >= 0) raw_syscall(SYS_close, fd);
    saved.state[3] = high < 0 ? 0 : static_cast<uint64_t>(high);
  }
}

long Descriptors::copy_files(const char* image) {
  long error = 0;
  for (uint32_t i = 0; i < count_; ++i) {
    SavedDescriptor& saved = table_[i];
    if (saved.kind != SavedDescriptor::kFile || saved.state[3] == 0) continue;
    const auto held = static_cast<int>(saved.state[3]);
    saved.state[3] = 0;
    if (image != nullptr && error == 0) {
      const CopyName name(image, saved.fd);
      const long to = open_file(name.text, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      error = to < 0 ? to : copy_bytes(held, static_cast<int>(to), saved.state[1]);
      if (to >= 0) raw_syscall(SYS_close, to);
    }
    raw_syscall(SYS_close, held);
  }
  return error;
}

// Its name is another file's by now, or nobody's: the file gets it again, as it was.
bool Descriptors::put_copy_back(const SavedDescriptor& saved, const char* copies) const {
  const CopyName name(copies, saved.fd);
  char made[600];
  snprintf(made, sizeof made, "%.560s.auxin-restored", text(saved));
  const long from = open_file(name.text, O_RDONLY);
  if (from < 0) return false;
  const long to = open_file(made, O_WRONLY | O_CREAT | O_TRUNC, saved.state[2]);
  bool good = to >= 0 && copy_bytes(static_cast<int>(from), static_cast<int>(to),
                                    saved.state[1]) == 0 &&
              raw_syscall(SYS_rename, reinterpret_cast<long>(made),
                          reinterpret_cast<long>(text(saved))) == 0;
  raw_syscall(SYS_close, from);
  if (to >= 0) raw_syscall(SYS_close, to);
  if (!good) return false;
  const long fd = open_file(text(saved), static_cast<int>(
                      saved.open_flags & ~static_cast<uint32_t>(O_CREAT | O_EXCL | O_TRUNC)));
  put_under(static_cast<int>(fd), saved);
  raw_syscall(SYS_lseek, saved.fd, static_cast<long>(saved.position), 0 /* SEEK_SET */);
  return fd >= 0;
}

// False: it is not the file that it was.
bool Descriptors::cut_back(const SavedDescriptor& saved) const {
  struct stat about{};
  if (raw_syscall(SYS_fstat, saved.fd, reinterpret_cast<long>(&about)) != 0 ||
      about.st_ino != saved.identity || static_cast<uint64_t>(about.st_size) < saved.state[1])
    return false;
  return static_cast<uint64_t>(about.st_size) == saved.state[1] ||
         raw_syscall(SYS_ftruncate, saved.fd, static_cast<long>(saved.state[1])) == 0;
}

const char* Descriptors::make_again(bool (*claim)(const SavedDescriptor&), const char* copies) {
  const char* lost = nullptr;
  for (uint32_t i = 0; i < count_; ++i) {
    const SavedDescriptor& saved = table_[i];
    if (claim != nullptr && claim(saved)) continue;
    if (saved.fd <= 2 || is_inherited(saved)) continue;
    if (saved.duplicate_of >= 0) {
      raw_syscall(SYS_dup3, saved.duplicate_of, saved.fd,
                  saved.close_on_exec != 0 ? O_CLOEXEC : 0);
    } else {
      put_under(make_one(i), saved);
    }
    if (saved.kind != SavedDescriptor::kFile) continue;
    raw_syscall(SYS_lseek, saved.fd, static_cast<long>(saved.position), 0 /* SEEK_SET */);
    if (copies != nullptr && saved.state[0] != 0 && !cut_back(saved) &&
        !put_copy_back(saved, copies))
      lost = text(saved);
  }
  for (uint32_t i = 0; i < count_; ++i)
    if (table_[i].kind == SavedDescriptor::kEpoll && table_[i].duplicate_of < 0)
      watch_again(table_[i]);
  return lost;
}

int Descriptors::make_one(uint32_t index) {
  const SavedDescriptor& saved = table_[index];
  switch (saved.kind) {
    case SavedDescriptor::kFile:
      return static_cast<int>(raw_syscall(
          SYS_openat, AT_FDCWD, reinterpret_cast<long>(text(saved)),
          saved.open_flags & ~static_cast<uint32_t>(O_CREAT | O_EXCL | O_TRUNC), 0));
    case SavedDescriptor::kPipe:
      return make_pipe(index);
    case SavedDescriptor::kEventFd: {
      const long fd = raw_syscall(SYS_eventfd2, 0, saved.state[1] != 0 ? EFD_SEMAPHORE : 0);
      if (saved.state[0] != 0)
        raw_syscall(SYS_write, fd, reinterpret_cast<long>(&saved.state[0]), 8);
      return static_cast<int>(fd);
    }
    case SavedDescriptor::kEpoll:
      return static_cast<int>(raw_syscall(SYS_epoll_create1, 0));
    case SavedDescriptor::kTimerFd: {
      const long fd = raw_syscall(SYS_timerfd_create, static_cast<long>(saved.state[0]), 0);
      itimerspec times{time_of(saved.state[2]), time_of(saved.state[1])};
      if (fd >= 0 && saved.state[1] != 0)
        raw_syscall(SYS_timerfd_settime, fd, 0, reinterpret_cast<long>(&times), 0);
      return static_cast<int>(fd);
    }
    case SavedDescriptor::kSignalFd:
      return static_cast<int>(raw_syscall(SYS_signalfd4, -1,
                                          reinterpret_cast<long>(&saved.state[0]), 8, 0));
    case SavedDescriptor::kSocket:
      return make_socket(saved);
    case SavedDescriptor::kOther:
      break;
  }
  return static_cast<int>(
      raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>("/dev/null"), O_RDWR));
}

// Listening at its address again, or, where its donor still does, at a port of its own.
int Descriptors::make_socket(const SavedDescriptor& saved) {
  const long fd = raw_syscall(SYS_socket, static_cast<long>(saved.state[0]),
                              static_cast<long>(saved.state[1]),
                              static_cast<long>(saved.state[2]));
  if (fd < 0 || !saved.listens()) return static_cast<int>(fd);
  sockaddr_storage address{};
  memcpy(&address, text(saved), saved.text_size_bytes);
  const int one = 1;
  raw_syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, reinterpret_cast<long>(&one),
              sizeof one);
  const auto bind = [&] {
    return raw_syscall(SYS_bind, fd, reinterpret_cast<long>(&address), saved.text_size_bytes);
  };
  if (bind() != 0 && (address.ss_family == AF_INET || address.ss_family == AF_INET6)) {
    // The port stands at the same place in both.
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = 0;
    bind();
  }
  raw_syscall(SYS_listen, fd, SOMAXCONN);
  return static_cast<int>(fd);
}

// Both ends are made when the first of them is met; the other one finds it.
int Descriptors::make_pipe(uint32_t index) {
  const SavedDescriptor& saved = table_[index];
  const bool reads = (saved.open_flags & O_ACCMODE) == O_RDONLY;
  for (uint32_t i = 0; i < index; ++i) {
    const SavedDescriptor& other = table_[i];
    if (other.kind != SavedDescriptor::kPipe || other.identity != saved.identity) continue;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", other.fd);
    return static_cast<int>(raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(path),
                                        reads ? O_RDONLY | O_NONBLOCK : O_WRONLY | O_NONBLOCK));
  }
  int ends[2];
  if (raw_syscall(SYS_pipe2, reinterpret_cast<long>(ends), O_NONBLOCK) != 0) return -1;
  for (uint32_t i = index; i < count_; ++i)
    if (table_[i].kind == SavedDescriptor::kPipe && table_[i].identity == saved.identity &&
        table_[i].text_size_bytes > 0) {
      raw_syscall(SYS_fcntl, ends[1], F_SETPIPE_SZ, table_[i].text_size_bytes);
      raw_syscall(SYS_write, ends[1], reinterpret_cast<long>(text(table_[i])),
                  table_[i].text_size_bytes);
      break;
    }
  const int kept = reads ? ends[0] : ends[1];
  // A pipe whose other end another process had is at its end.
  raw_syscall(SYS_close, reads ? ends[1] : ends[0]);
  return kept;
}

// Lines "tfd: FD events: MASK data: WORD …", the last two hexadecimal.
void Descriptors::watch_again(const SavedDescriptor& saved) {
  for (const char* line = strstr(text(saved), "tfd:"); line != nullptr;
       line = strstr(line + 1, "tfd:")) {
    const auto number = [&](const char* name, unsigned base) {
      const char* at = strstr(line, name);
      return at == nullptr ? 0 : field(at, name, base);
    };
    const uint64_t fd = number("tfd", 10);
    epoll_event event{};
    event.events = static_cast<uint32_t>(number("events", 16));
    event.data.u64 = number("data", 16);
    raw_syscall(SYS_epoll_ctl, saved.fd, EPOLL_CTL_ADD, static_cast<long>(fd),
                reinterpret_cast<long>(&event));
  }
}

}  // namespace auxin::checkpoint
