// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/portable/portable_image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cstddef>
#include <filesystem>

#include "checkpoint/message/checksum.h"
#include "checkpoint/store/file_calls.h"

namespace auxin::checkpoint {
namespace {

constexpr char kMagic[8] = {'A', 'u', 'x', 'P', 'o', 'r', 't', '1'};
constexpr char kCommit[8] = {'A', 'u', 'x', 'C', 'o', 'm', 'm', 't'};
constexpr uint64_t kMostObjects = 4096;
constexpr uint64_t kMostUpdates = 4096;

struct Header {
  char magic[8];
  uint64_t size_bytes;  // of the whole file
  uint64_t made_realtime_ns;
  uint64_t lineage;
  uint64_t object_count;
  uint64_t checksum;  // of the fields above
};
static_assert(sizeof(Header) == 48 && std::endian::native == std::endian::little);

struct CommitRecord {
  char magic[8];
  uint64_t checksum;  // of all bytes before this record
};
static_assert(sizeof(CommitRecord) == 16);

void put(std::vector<uint8_t>* to, const void* bytes, uint64_t size_bytes) {
  const uint8_t* first = static_cast<const uint8_t*>(bytes);
  to->insert(to->end(), first, first + size_bytes);
}
void put_number(std::vector<uint8_t>* to, uint64_t value) { put(to, &value, sizeof(value)); }
void put_part(std::vector<uint8_t>* to, const void* bytes, uint64_t size_bytes) {
  put_number(to, size_bytes);
  put(to, bytes, size_bytes);
}

// Takes parts from the front; what is not there is a fault, which stays.
struct Parts {
  std::span<const uint8_t> rest;
  bool fault = false;

  uint64_t number() {
    uint64_t value = 0;
    if (rest.size() < sizeof(value)) {
      fault = true;
      return 0;
    }
    memcpy(&value, rest.data(), sizeof(value));
    rest = rest.subspan(sizeof(value));
    return value;
  }
  std::span<const uint8_t> part() {
    const uint64_t size_bytes = number();
    if (fault || size_bytes > rest.size()) {
      fault = true;
      return {};
    }
    const auto taken = rest.first(size_bytes);
    rest = rest.subspan(size_bytes);
    return taken;
  }
  std::string text() {
    const auto characters = part();
    return std::string(characters.begin(), characters.end());
  }
  std::vector<uint8_t> octets() {
    const auto taken = part();
    return std::vector<uint8_t>(taken.begin(), taken.end());
  }
};

Error damaged(const char* what) {
  return Error{std::string("the portable image is damaged: ") + what};
}

}  // namespace

std::vector<uint8_t> encode_portable_image(const PortableImage& image) {
  std::vector<uint8_t> bytes(sizeof(Header));
  for (const PortableObject& object : image.objects) {
    put_part(&bytes, object.reference.data(), object.reference.size());
    put_part(&bytes, object.repository_id.data(), object.repository_id.size());
    put_part(&bytes, object.state.data(), object.state.size());
    put_number(&bytes, object.updates.size());
    for (const auto& update : object.updates) put_part(&bytes, update.data(), update.size());
  }
  Header header = {};
  memcpy(header.magic, kMagic, sizeof(kMagic));
  header.size_bytes = bytes.size() + sizeof(CommitRecord);
  header.made_realtime_ns = image.made_realtime_ns;
  header.lineage = image.lineage;
  header.object_count = image.objects.size();
  header.checksum = checksum_of(&header, offsetof(Header, checksum));
  memcpy(bytes.data(), &header, sizeof(header));
  CommitRecord commit = {};
  memcpy(commit.magic, kCommit, sizeof(kCommit));
  commit.checksum = checksum_of(bytes.data(), bytes.size());
  put(&bytes, &commit, sizeof(commit));
  return bytes;
}

Result<PortableImage> decode_portable_image(std::span<const uint8_t> bytes) {
  Header header;
  CommitRecord commit;
  if (bytes.size() < sizeof(header) + sizeof(commit)) return damaged("it is too short");
  memcpy(&header, bytes.data(), sizeof(header));
  if (memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
    return damaged("it does not begin as one, or is of another version");
  if (header.checksum != checksum_of(&header, offsetof(Header, checksum)))
    return damaged("the checksum of its header differs");
  if (header.size_bytes != bytes.size()) return damaged("it is not complete");
  const auto content = bytes.first(bytes.size() - sizeof(commit));
  memcpy(&commit, bytes.data() + content.size(), sizeof(commit));
  if (memcmp(commit.magic, kCommit, sizeof(kCommit)) != 0)
    return damaged("its commit record is none");
  if (commit.checksum != checksum_of(content.data(), content.size()))
    return damaged("its checksum differs");
  if (header.object_count > kMostObjects) return damaged("it has too many objects");
  PortableImage image;
  image.made_realtime_ns = header.made_realtime_ns;
  image.lineage = header.lineage;
  Parts parts{content.subspan(sizeof(header))};
  for (uint64_t i = 0; i < header.object_count && !parts.fault; ++i) {
    PortableObject object;
    object.reference = parts.text();
    object.repository_id = parts.text();
    object.state = parts.octets();
    const uint64_t updates = parts.number();
    if (updates > kMostUpdates) return damaged("it has too many updates");
    for (uint64_t j = 0; j < updates && !parts.fault; ++j)
      object.updates.push_back(parts.octets());
    image.objects.push_back(std::move(object));
  }
  if (parts.fault || !parts.rest.empty()) return damaged("its parts do not fill it");
  return image;
}

Result<bool> write_portable_image(const std::string& path, const PortableImage& image) {
  const std::filesystem::path whole(path);
  const std::string parent = whole.has_parent_path() ? whole.parent_path().string() : ".";
  const int directory = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return Error{parent + ": can't open: " + strerror(errno)};
  // Under a name of its own first: write_file() takes its name away again if the directory can't be
  // made durable, and here that is the last image's.
  const std::string name = whole.filename();
  const std::string next = name + ".next";
  const std::vector<uint8_t> bytes = encode_portable_image(image);
  const Outcome outcome = FileCalls::write_file(directory, parent, next, bytes.data(),
                                                bytes.size(), nullptr, 0, true);
  std::string fault = outcome.sentence;
  if (outcome && (renameat(directory, next.c_str(), directory, name.c_str()) != 0 ||
                  fsync(directory) != 0))
    fault = path + ": can't be written: " + strerror(errno);
  close(directory);
  if (!fault.empty()) return Error{fault};
  return true;
}

Result<PortableImage> read_portable_image(const std::string& path) {
  // O_NONBLOCK: a FIFO under that name must not hang us.
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Error{path + ": can't open: " + strerror(errno)};
  struct stat file;
  if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
    close(fd);
    return Error{path + ": is no file"};
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(file.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = read(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  close(fd);
  bytes.resize(done);
  auto image = decode_portable_image(bytes);
  if (!image) return Error{path + ": " + image.error()};
  return image;
}

uint64_t size_bytes_of(const PortableObject& object) {
  uint64_t size_bytes = object.state.size();
  for (const auto& update : object.updates) size_bytes += update.size();
  return size_bytes;
}

}  // namespace auxin::checkpoint
