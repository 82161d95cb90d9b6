// SPDX-License-Identifier: Apache-2.0
#include "analysis/trace/sections.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include <zstd.h>

namespace auxin::analysis {
namespace {

constexpr int kCompressionLevel = 1;
constexpr uint32_t kMaxStoredBytes = kMaxSectionBytes + (kMaxSectionBytes >> 6) + 64;

struct SectionHead {
  SectionKind kind;
  uint32_t encoding;
  uint32_t content_bytes;
  uint32_t stored_bytes;
  uint64_t checksum;
};
static_assert(sizeof(SectionHead) == 24);

uint64_t checksum_of(const SectionHead& head, const char* stored) {
  const uint64_t of_head = XXH3_64bits(&head, offsetof(SectionHead, checksum));
  return XXH3_64bits_withSeed(stored, head.stored_bytes, of_head);
}

Error cannot(const char* what, const std::string& path) {
  return Error{fmt::format("{}: {}: {}", path, what, strerrordesc_np(errno))};
}

}  // namespace

Result<SectionWriter> SectionWriter::create(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return cannot("the trace can't be written", path);
  SectionWriter writer;
  writer.path_ = path;
  writer.file_.reset(fdopen(fd, "wb"));
  if (writer.file_ == nullptr) {
    close(fd);
    return cannot("the trace can't be written", path);
  }
  const uint32_t words[2] = {kTraceVersion, 0};
  if (fwrite(kTraceMagic, sizeof kTraceMagic, 1, writer.file_.get()) != 1 ||
      fwrite(words, sizeof words, 1, writer.file_.get()) != 1) {
    return cannot("the trace can't be written", path);
  }
  writer.size_bytes_ = sizeof kTraceMagic + sizeof words;
  return writer;
}

void SectionWriter::write(SectionKind kind, const Content& content) {
  if (!error_.empty()) return;
  if (content.size() > kMaxSectionBytes) {
    error_ = fmt::format("{}: a section of {} bytes is too large", path_, content.size());
    return;
  }
  compressed_.resize(ZSTD_compressBound(content.size()));
  const size_t size = ZSTD_compress(compressed_.data(), compressed_.size(),
                                    content.bytes().data(), content.size(), kCompressionLevel);
  const bool smaller = ZSTD_isError(size) == 0 && size < content.size();
  const char* stored = smaller ? compressed_.data() : content.bytes().data();
  SectionHead head{kind, smaller ? 1u : 0u, static_cast<uint32_t>(content.size()),
                   static_cast<uint32_t>(smaller ? size : content.size()), 0};
  head.checksum = checksum_of(head, stored);
  if (fwrite(&head, sizeof head, 1, file_.get()) != 1 ||
      (head.stored_bytes > 0 && fwrite(stored, head.stored_bytes, 1, file_.get()) != 1)) {
    error_ = cannot("the trace can't be written", path_).message;
    return;
  }
  size_bytes_ += sizeof head + head.stored_bytes;
}

void SectionWriter::flush() {
  if (error_.empty() && fflush(file_.get()) != 0) {
    error_ = cannot("the trace can't be written", path_).message;
  }
}

Result<SectionReader> SectionReader::open(const std::string& path) {
  SectionReader reader;
  reader.file_.reset(fopen(path.c_str(), "rbe"));
  if (reader.file_ == nullptr) return cannot("the trace can't be read", path);
  struct stat status = {};
  if (fstat(fileno(reader.file_.get()), &status) != 0 || !S_ISREG(status.st_mode)) {
    return Error{fmt::format("{}: not a file", path)};
  }
  char magic[sizeof kTraceMagic] = {};
  uint32_t words[2] = {};
  if (fread(magic, sizeof magic, 1, reader.file_.get()) != 1 ||
      fread(words, sizeof words, 1, reader.file_.get()) != 1 ||
      memcmp(magic, kTraceMagic, sizeof magic) != 0) {
    return Error{fmt::format("{}: not a trace; `auxin discover --record FILE -- SERVER` makes one",
                             path)};
  }
  if (words[0] != kTraceVersion) {
    return Error{fmt::format("{}: a trace of version {}; this command reads version {}", path,
                             words[0], kTraceVersion)};
  }
  reader.next_position_ = sizeof magic + sizeof words;
  return reader;
}

SectionReader::Next SectionReader::next(SectionKind* kind, std::string* content) {
  position_ = next_position_;
  SectionHead head;
  const size_t got = fread(&head, 1, sizeof head, file_.get());
  if (got == 0) return Next::kEnd;
  if (got != sizeof head || head.encoding > 1 || head.content_bytes > kMaxSectionBytes ||
      head.stored_bytes > kMaxStoredBytes) {
    return Next::kDamaged;
  }
  stored_.resize(head.stored_bytes);
  if (fread(stored_.data(), 1, head.stored_bytes, file_.get()) != head.stored_bytes ||
      checksum_of(head, stored_.data()) != head.checksum) {
    return Next::kDamaged;
  }
  next_position_ += sizeof head + head.stored_bytes;
  *kind = head.kind;
  if (head.encoding == 0) {
    content->assign(stored_.begin(), stored_.end());
    return content->size() == head.content_bytes ? Next::kSection : Next::kDamaged;
  }
  content->resize(head.content_bytes);
  const size_t size =
      ZSTD_decompress(content->data(), content->size(), stored_.data(), stored_.size());
  return size == head.content_bytes ? Next::kSection : Next::kDamaged;
}

}  // namespace auxin::analysis
