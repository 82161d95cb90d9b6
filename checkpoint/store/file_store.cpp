// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/file_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "checkpoint/message/checksum.h"
#include "checkpoint/store/file_calls.h"
#include "checkpoint/store/segment_format.h"
#include "stmemu/file.h"

namespace auxin::checkpoint {
namespace {

constexpr char kBaseEnd[] = "-base", kIncrementEnd[] = "-increment";
constexpr size_t kDigits = 20;

std::string segment_name(const MessageHeader& header) {
  char digits[kDigits + 1];
  snprintf(digits, sizeof(digits), "%020llu", static_cast<unsigned long long>(header.sequence));
  return std::string(digits) + ((header.flags & kBase) != 0 ? kBaseEnd : kIncrementEnd);
}

// False: the name is not a segment's.
bool parse(const std::string& name, uint64_t* sequence, bool* base) {
  if (name.size() <= kDigits) return false;
  uint64_t number = 0;
  for (size_t i = 0; i < kDigits; ++i) {
    if (name[i] < '0' || name[i] > '9') return false;
    if (__builtin_mul_overflow(number, 10, &number) ||
        __builtin_add_overflow(number, static_cast<uint64_t>(name[i] - '0'), &number)) {
      return false;
    }
  }
  *sequence = number;
  *base = name.compare(kDigits, std::string::npos, kBaseEnd) == 0;
  return *base || name.compare(kDigits, std::string::npos, kIncrementEnd) == 0;
}

MessageCommit commit_of(const MessageView& message) {
  MessageCommit record{};
  std::memcpy(record.magic, kMessageCommitMagic, sizeof(kMessageCommitMagic));
  record.version = kMessageCommitVersion;
  record.message_bytes = message.bytes().size();
  record.message_digest = message.digest();
  record.from_sequence = message.header().from_sequence;
  record.sequence = message.header().sequence;
  record.checksum = checksum_of(&record, offsetof(MessageCommit, checksum));
  return record;
}

Outcome damaged(const std::string& why) { return failure(AUXIN_CHECKPOINT_DAMAGED, why); }

}  // namespace

class FileStore::Mapped {
 public:
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  Mapped() = default;
  ~Mapped() {
    if (bytes_ != nullptr) munmap(bytes_, size_bytes_);
  }

  // The whole segment, examined but for the contents of its message.
  Expected<MessageView> open(int directory, const std::string& name) {
    stm::FileDescriptor file(static_cast<int>(
        syscall(SYS_openat, directory, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)));
    struct stat status;
    if (!file.valid() || fstat(file.get(), &status) != 0) {
      return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                     stm::file_error(name, "can't be read", errno).message);
    }
    const uint64_t size_bytes = static_cast<uint64_t>(status.st_size);
    if (!S_ISREG(status.st_mode) || size_bytes <= sizeof(MessageCommit)) {
      return damaged(name + ": too short for a segment");
    }
    void* memory = mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (memory == MAP_FAILED) {
      return failure(AUXIN_CHECKPOINT_NO_MEMORY, name + ": no memory to map it");
    }
    bytes_ = static_cast<uint8_t*>(memory);
    size_bytes_ = size_bytes;
    return examine(name);
  }

 private:
  Expected<MessageView> examine(const std::string& name) const {
    MessageCommit record;
    const uint64_t message_bytes = size_bytes_ - sizeof(record);
    std::memcpy(&record, bytes_ + message_bytes, sizeof(record));
    if (std::memcmp(record.magic, kMessageCommitMagic, sizeof(kMessageCommitMagic)) != 0 ||
        record.checksum != checksum_of(&record, offsetof(MessageCommit, checksum))) {
      return damaged(name + ": its commit record is missing or damaged");
    }
    if (record.version != kMessageCommitVersion) {
      return failure(AUXIN_CHECKPOINT_VERSION, name + ": of another version");
    }
    if (record.message_bytes != message_bytes) return damaged(name + ": of another length");
    Expected<MessageView> view = MessageView::of({bytes_, message_bytes});
    if (!view) return failure(view.status(), name + ": " + view.outcome().sentence);
    if (view->digest() != record.message_digest || segment_name(view->header()) != name) {
      return damaged(name + ": it holds another message than its name says");
    }
    return view;
  }

  uint8_t* bytes_ = nullptr;
  uint64_t size_bytes_ = 0;
};

Expected<std::unique_ptr<FileStore>> FileStore::open(const std::string& path,
                                                     const FileStoreOptions& options) {
  std::unique_ptr<FileStore> store(new FileStore(path, options));
  if (Outcome outcome = store->open_directory(); !outcome) return outcome;
  if (Outcome outcome = store->survey(); !outcome) return outcome;
  if (!options.read_only) store->remove_superfluous();
  return store;
}

FileStore::~FileStore() {
  if (directory_ >= 0) syscall(SYS_close, directory_);
}

Outcome FileStore::open_directory() {
  if (!options_.read_only && mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST) {
    return file_failure(path_, "can't be made", errno);
  }
  directory_ = stm::FileDescriptor::open(path_, O_RDONLY | O_DIRECTORY);
  if (directory_ < 0) return file_failure(path_, "can't be opened", errno);
  if (options_.read_only || flock(directory_, LOCK_EX | LOCK_NB) == 0) return Outcome::ok();
  return failure(AUXIN_CHECKPOINT_BUSY, path_ + ": another process stores into it");
}

Outcome FileStore::list() {
  segments_.clear();
  const int copy = stm::FileDescriptor::open(path_, O_RDONLY | O_DIRECTORY);
  DIR* entries = copy < 0 ? nullptr : fdopendir(copy);
  if (entries == nullptr) {
    const int error = errno;
    if (copy >= 0) syscall(SYS_close, copy);
    return file_failure(path_, "can't be listed", error);
  }
  while (const dirent* entry = readdir(entries)) {
    uint64_t sequence = 0;
    Segment segment;
    segment.name = entry->d_name;
    if (!parse(segment.name, &sequence, &segment.base)) continue;
    struct stat status;
    if (fstatat(directory_, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
      segment.bytes = static_cast<uint64_t>(status.st_size);
    }
    segments_.emplace(sequence, segment);
  }
  closedir(entries);
  return Outcome::ok();
}

// The newest base that is good, and the increments that follow it.
Outcome FileStore::survey() {
  report_ = StoreReport();
  chain_.clear();
  position_ = ChainPosition();
  if (Outcome outcome = list(); !outcome) return outcome;
  for (const auto& [sequence, segment] : segments_) report_.bytes += segment.bytes;
  for (auto at = segments_.rbegin(); at != segments_.rend(); ++at) {
    if (at->second.base && follow_chain(at->first)) break;
  }
  return Outcome::ok();
}

bool FileStore::follow_chain(uint64_t base_sequence) {
  for (auto at = segments_.lower_bound(base_sequence); at != segments_.end(); ++at) {
    const Segment& segment = at->second;
    const bool is_this_base = segment.base && at->first == base_sequence;
    if (segment.base != is_this_base || (chain_.empty() && !is_this_base)) continue;
    Mapped mapped;
    const Expected<MessageView> message = mapped.open(directory_, segment.name);
    Outcome outcome = message ? message->verify_contents() : message.outcome();
    if (outcome) outcome = judge_sequence(position_, message->header());
    if (!outcome) {
      report_.damage.push_back(outcome.sentence);
      if (is_this_base) return false;
      continue;  // what follows it is too early then, and says so
    }
    position_ = {message->header().state, message->header().sequence};
    chain_.push_back(segment.name);
    if (is_this_base) report_.base_sequence = at->first;
    report_.state = position_.state;
    report_.digest = message->digest();
    report_.sequence = position_.sequence;
    report_.messages = chain_.size();
  }
  return !chain_.empty();
}

// What is older than the image's base, and what was never completed. Damaged segments stay, for
// whoever wants to look at them, until a later base supersedes them.
void FileStore::remove_superfluous() {
  for (auto at = segments_.begin(); at != segments_.end();) {
    const bool superfluous =
        at->first < report_.base_sequence ||
        (at->first == report_.base_sequence && !at->second.base && report_.base_sequence != 0);
    if (superfluous && FileCalls::remove(directory_, path_, at->second.name)) {
      report_.bytes -= at->second.bytes;
      at = segments_.erase(at);
    } else {
      ++at;
    }
  }
  const int copy = stm::FileDescriptor::open(path_, O_RDONLY | O_DIRECTORY);
  DIR* entries = copy < 0 ? nullptr : fdopendir(copy);
  if (entries == nullptr) return;
  std::vector<std::string> unfinished;
  while (const dirent* entry = readdir(entries)) {
    if (std::strncmp(entry->d_name, kUnfinishedPrefix, sizeof(kUnfinishedPrefix) - 1) == 0) {
      unfinished.push_back(entry->d_name);
    }
  }
  closedir(entries);
  for (const std::string& name : unfinished) {
    static_cast<void>(FileCalls::remove(directory_, path_, name));
  }
}

Outcome FileStore::put_segment(const MessageView& message) {
  const MessageCommit record = commit_of(message);
  const std::string name = segment_name(message.header());
  if (Outcome outcome = FileCalls::write_file(
          directory_, path_, name, message.bytes().data(), message.bytes().size(), &record,
          sizeof(record), options_.sync);
      !outcome) {
    return outcome;
  }
  Segment segment{message.is_base(), name, message.bytes().size() + sizeof(record)};
  const auto [first, last] = segments_.equal_range(message.header().sequence);
  const auto same = std::find_if(first, last, [&](const auto& each) {
    return each.second.name == name;  // a damaged one that this one replaces
  });
  if (same != last) {
    report_.bytes -= same->second.bytes;
    segments_.erase(same);
  }
  report_.bytes += segment.bytes;
  segments_.emplace(message.header().sequence, segment);
  if (message.is_base()) {
    chain_.clear();
    report_.damage.clear();
    report_.base_sequence = message.header().sequence;
  }
  chain_.push_back(name);
  position_ = {message.header().state, message.header().sequence};
  report_.state = position_.state;
  report_.digest = message.digest();
  report_.sequence = position_.sequence;
  report_.messages = chain_.size();
  if (message.is_base()) remove_superfluous();
  return Outcome::ok();
}

Outcome FileStore::put(const MessageView& message) {
  if (options_.read_only) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, path_ + ": opened for reading only");
  }
  if (Outcome outcome = judge_sequence(position_, message.header()); !outcome) return outcome;
  return put_segment(message);
}

Outcome FileStore::read(Image* image) {
  if (options_.read_only) {
    if (Outcome outcome = survey(); !outcome) return outcome;  // another process may have put
  }
  if (chain_.empty()) {
    if (report_.damage.empty()) {
      return failure(AUXIN_CHECKPOINT_EMPTY, path_ + ": there is no image");
    }
    return damaged(path_ + ": no image can be used: " + report_.damage.front());
  }
  Image read(options_.max_image_bytes);
  for (const std::string& name : chain_) {
    Mapped mapped;
    const Expected<MessageView> message = mapped.open(directory_, name);
    if (!message) return message.outcome();
    if (Outcome outcome = read.apply(*message); !outcome) return outcome;
  }
  *image = std::move(read);
  return Outcome::ok();
}

Outcome FileStore::compact() {
  if (options_.read_only) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, path_ + ": opened for reading only");
  }
  Image image(options_.max_image_bytes);
  if (Outcome outcome = read(&image); !outcome) return outcome;
  if (chain_.size() == 1) return Outcome::ok();
  const Expected<ByteBuffer> base = image.to_base(MessageOptions{});
  if (!base) return base.outcome();
  const Expected<MessageView> view = MessageView::of(base->view());
  if (!view) return view.outcome();
  const uint64_t put_last = report_.digest;
  Outcome outcome = put_segment(*view);
  report_.digest = put_last;  // whoever put it may ask whether it is here
  return outcome;
}

Expected<ByteBuffer> FileStore::message_after(const ChainPosition& have) {
  const bool other = have.state != position_.state || have.sequence < report_.base_sequence;
  if (chain_.empty() || (!other && have.sequence >= position_.sequence)) {
    return failure(AUXIN_CHECKPOINT_EMPTY, path_ + ": there is nothing newer");
  }
  for (const std::string& name : chain_) {
    Mapped mapped;
    const Expected<MessageView> message = mapped.open(directory_, name);
    if (!message) return message.outcome();
    if (!other && message->header().sequence <= have.sequence) continue;
    ByteBuffer copy;
    if (!copy.append(message->bytes().data(), message->bytes().size())) {
      return failure(AUXIN_CHECKPOINT_NO_MEMORY, path_ + ": no memory for a message");
    }
    return copy;
  }
  return failure(AUXIN_CHECKPOINT_EMPTY, path_ + ": there is nothing newer");
}

}  // namespace auxin::checkpoint
